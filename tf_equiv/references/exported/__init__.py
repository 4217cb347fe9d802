"""The TF1 side as an exported graph."""
