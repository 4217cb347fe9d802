"""The TF1 side as an exported graph.

Not meant to be imported by users, who take `tf_equiv.SavedModel`,
`tf_equiv.MetaGraph` or `tf_equiv.FrozenGraph`.
"""
