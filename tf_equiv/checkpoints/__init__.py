"""Converts TF1 checkpoints, and judges whether they fit a model."""
