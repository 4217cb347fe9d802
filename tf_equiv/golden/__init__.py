"""The file that holds a recorded TF1 side.

Not meant to be imported by users, who take `tf_equiv.Golden`.
"""
