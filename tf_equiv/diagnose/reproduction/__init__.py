"""Programs that show a difference with TensorFlow and NumPy alone."""
