"""Examples of migrations from TF1 to TF2."""
