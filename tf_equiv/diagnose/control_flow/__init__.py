"""Looks into loops, branches and functions of captured graphs."""
