"""Explains a failure: the first divergence, and why."""
