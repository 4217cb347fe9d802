"""Known mistakes of a migration, recognized by records of what differs."""
