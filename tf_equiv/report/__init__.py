"""Turns verdicts into text. Knows verdicts, not TensorFlow."""
