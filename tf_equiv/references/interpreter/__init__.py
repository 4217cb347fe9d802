"""The TF1 side in a different interpreter.

Users take `tf_equiv.Tf1Interpreter`; the modules are not meant for them.
"""
