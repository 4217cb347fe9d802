"""How results of the comparison are called in the captured graphs."""

from tf_equiv.compare import variables as variables_lib
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
# What training makes besides, by the group in which it is compared.
OF_STEPS = {
  'learning rate': tf1_step_capture.RATE,
  'variables that are not trained': tf1_capture.UPDATED,
  'updated variables': tf1_capture.UPDATED,
  tf1_step_capture.AVERAGE: tf1_step_capture.AVERAGE,
}
# Groups of what is assigned to variables.
ASSIGNED = (tf1_capture.UPDATED, tf1_step_capture.AVERAGE)
# Groups whose results go by the names of variables.
BY_VARIABLE = (tf1_capture.GRADIENT, *ASSIGNED)


def tf1_name_of(table: variables_lib.VariableTable) -> dict[str, str]:
  """Returns the name of the (first) TF1 variable by that in TF2."""
  return {
    second: names[0] for second, names in table.tf1_names_of().items() if names
  }


def lines_of(table, name: str) -> tuple[str, str]:
  """Lines that made a variable on both sides, '' where not known."""
  for first, second in table.pairs:
    if first.name == name:
      return tuple(
        str(spec.line) if spec.line.filename else '' for spec in (first, second)
      )
  return '', ''


def relabeled(label, names):
  """Returns a label of TF2 with the names of TF1."""
  group, name = label
  if group in BY_VARIABLE:
    return group, names.get(name, name)
  if group == tf1_capture.LOSS:
    return group, ', '.join(sorted(names.get(n, n) for n in name.split(', ')))
  return label


def is_wanted(label, labels, groups) -> bool:
  """Tells whether a result is to be looked at."""
  if label in labels or label[0] in groups:
    return True
  # Losses and their sum go by other names in the comparison.
  others = {group for group, _ in labels}
  return label[0] in others & {
    tf1_capture.LOSS,
    tf1_capture.TOTAL,
    tf1_step_capture.RATE,
  }
