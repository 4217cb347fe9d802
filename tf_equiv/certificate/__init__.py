"""What a suite of tests has proven, in a file, and whether it still does.

It imports no TensorFlow: `tf_equiv ratchet` reads certificates alone.
"""
