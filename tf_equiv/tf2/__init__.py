"""The TF2 side: calls the migrated model and observes it.

Not meant to be imported by users.
"""
