"""The program that runs the TF1 side in a different interpreter.

Not meant to be imported by users, who take `tf_equiv.Tf1Interpreter`.
"""
