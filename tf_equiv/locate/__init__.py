"""Finds the first op in which two sides part, and why."""
