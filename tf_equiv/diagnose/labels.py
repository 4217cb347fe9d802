"""How results of the comparison are called in the captured graphs."""

from collections.abc import Mapping, Sequence

from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import observation
from tf_equiv.tf1.capture import capture as tf1_capture
from tf_equiv.tf1.capture import step_capture as tf1_step_capture

# Results that can be looked into, by group of comparisons.
GROUPS = (
  tf1_capture.OUTPUT,
  tf1_capture.LOSS,
  tf1_capture.TOTAL,
  tf1_capture.GRADIENT,
  tf1_capture.INPUT_GRADIENT,
)
# The group of each quantity that can be looked into.
_OF_QUANTITY = {
  Quantity.OUTPUTS: tf1_capture.OUTPUT,
  Quantity.REGULARIZATION_LOSSES: tf1_capture.LOSS,
  Quantity.LOSS: tf1_capture.TOTAL,
  Quantity.GRADIENTS: tf1_capture.GRADIENT,
  Quantity.INPUT_GRADIENTS: tf1_capture.INPUT_GRADIENT,
  Quantity.LEARNING_RATE: tf1_step_capture.RATE,
  Quantity.UNTRAINED_VARIABLES: tf1_capture.UPDATED,
  Quantity.UPDATED_VARIABLES: tf1_capture.UPDATED,
}
# Groups of which the data of the steps tell all places.
IN_DATA = (tf1_step_capture.RATE,)
# Groups of what is assigned to variables.
ASSIGNED = (tf1_capture.UPDATED, tf1_step_capture.AVERAGE)
# Groups whose results go by the names of variables.
BY_VARIABLE = (tf1_capture.GRADIENT, *ASSIGNED)


def group_of(key: Key) -> str | None:
  """Returns the group of what was compared, None if it cannot be looked into.

  Args:
    key: what was compared.
  """
  if key.quantity is Quantity.SLOTS and key.slot == observation.MOVING_AVERAGE:
    return tf1_step_capture.AVERAGE
  return _OF_QUANTITY.get(key.quantity)


def lines_of(table: variables_lib.VariableTable, name: str) -> tuple[str, str]:
  """Lines that made a variable on both sides, '' where not known."""
  for first, second in table.pairs:
    if first.name == name:
      return _line_of(first), _line_of(second)
  return '', ''


def _line_of(spec: observation.VariableSpec) -> str:
  return str(spec.line) if spec.line.filename else ''


def relabeled(
  label: tf1_capture.Label, names: Mapping[str, str]
) -> tf1_capture.Label:
  """Returns a label of TF2 with the names of TF1."""
  group, name = label
  if group in BY_VARIABLE:
    return group, names.get(name, name)
  if group == tf1_capture.LOSS:
    return group, ', '.join(sorted(names.get(n, n) for n in name.split(', ')))
  return label


def is_wanted(
  label: tf1_capture.Label,
  labels: Sequence[tf1_capture.Label],
  groups: Sequence[str],
) -> bool:
  """Returns whether a result is to be looked at."""
  if label in labels or label[0] in groups:
    return True
  # Losses and their sum go by other names in the comparison.
  others = {group for group, _ in labels}
  return label[0] in others & {
    tf1_capture.LOSS,
    tf1_capture.TOTAL,
    tf1_step_capture.RATE,
  }
