"""A training pipeline as an Estimator has it, and a Keras model after it."""
