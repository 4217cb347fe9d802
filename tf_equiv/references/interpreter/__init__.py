"""The TF1 side in a different interpreter."""
