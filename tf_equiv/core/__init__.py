"""Plain data that all layers read. Runs on Python 3.7; no TensorFlow.

Not meant to be imported by users, who find its classes in `tf_equiv`.
"""
