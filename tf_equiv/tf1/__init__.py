"""The part that also runs on Python 3.7 with TensorFlow 1.15.

Everything that drives or describes the TF1 side lives here. It imports only
the standard library, NumPy, TensorFlow, `tf_equiv.core` and `tf_equiv.compat`,
so that the same code can run inside this process or in another interpreter.

Of it, `tf_equiv.tf1.estimators` is meant to be imported by users.
"""
