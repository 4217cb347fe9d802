"""Which ops assign a variable on either side, and where only one side does."""

from tf_equiv.compare import divergence
from tf_equiv.tf1 import capture as capture_lib


def one_sided(
  captures: tuple[capture_lib.Capture, capture_lib.Capture],
  name: str,
  lines: tuple[str, str],
) -> divergence.Divergence | None:
  """Says that only one side assigns a variable, None if both or neither do.

  Args:
    captures: both sides.
    name: name of the variable in TF1.
    lines: for each side the line that made the variable, '' if not known.
  """
  there = [name in captured.assigned for captured in captures]
  if all(there) or not any(there):
    return None
  i = 0 if there[0] else 1
  places: list[divergence.Place | None] = [None, None]
  places[i] = place(captures[i], name)
  sides = 'TF1', 'TF2'
  found = divergence.Divergence(
    *places,
    differences=[
      'only %s assigns %s, by the op above' % (sides[i], name),
    ],
    variables=(name,),
  )
  if lines[1 - i]:
    found.differences.append(
      '%s makes the variable at %s, and leaves it alone'
      % (sides[1 - i], lines[1 - i])
    )
  return found


def place(captured: capture_lib.Capture, name: str) -> divergence.Place:
  """Returns the op that assigns a variable."""
  op_name, op_type = captured.assigned[name]
  line = captured.line_of(op_name)
  return divergence.Place(op_name, op_type, str(line) if line.filename else '')


def describe(
  captures: tuple[capture_lib.Capture, capture_lib.Capture], name: str
) -> list[str]:
  """Says which ops assign a variable that both sides assign."""
  if not all(name in captured.assigned for captured in captures):
    return []
  return [
    '%s is assigned by %s in TF1, by %s in TF2'
    % (name, *(captured.assigned[name][0] for captured in captures))
  ]
