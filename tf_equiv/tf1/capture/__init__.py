"""What the TF1 side computes, as graphs that can be run op by op.

Not meant to be imported by users.
"""
