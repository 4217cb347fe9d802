"""Ops of captured graphs, as a reader gets to know them."""

from tf_equiv.compare import divergence


def place_of(captured, name: str, op_type: str) -> divergence.Place:
  """Returns an op of a captured graph with the line that made it.

  Where the code of a ready-made layer made it, that is followed by the line
  that made the layer. A helper of ours goes by the name of the op that it
  stands for.
  """
  name, op_type = captured.aliases.get(name, (name, op_type))
  line, made = captured.line_of(name), captured.made_line_of(name)
  if not line.filename:
    return divergence.Place(name, op_type)
  text = str(line)
  if made.filename and made != line:
    text = f'{line}  (layer made at {made})'
  return divergence.Place(name, op_type, text)
