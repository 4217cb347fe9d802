"""Compares two observations. Knows NumPy and tolerances, not TensorFlow."""
