"""Converts TF1 checkpoints, and judges whether they fit a model.

Not meant to be imported by users, who take `tf_equiv.convert_checkpoint`.
"""
