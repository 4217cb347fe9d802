"""Ops of captured graphs, as a reader gets to know them."""

from tf_equiv.compare import divergence


def place_of(captured, name: str, op_type: str) -> divergence.Place:
  """Returns an op of a captured graph with the line that made it."""
  line = captured.line_of(name)
  return divergence.Place(name, op_type, str(line) if line.filename else '')
