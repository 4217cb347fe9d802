"""Known mistakes of a migration, recognized by the evidence."""
