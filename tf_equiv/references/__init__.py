"""Where the TF1 side of a test case runs.

Not meant to be imported by users, who find the references in `tf_equiv`.
"""
