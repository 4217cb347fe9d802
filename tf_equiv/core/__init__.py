"""Plain data that all layers read. Runs on Python 3.7; no TensorFlow."""
