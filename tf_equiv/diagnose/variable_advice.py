"""What to do about variables that do not correspond."""

import re

from tf_equiv.compare import variables
from tf_equiv.core import text

# (pattern of the name of a TF1 variable that TF2 does not have, advice)
_MISSING = (
  (
    r'/part_\d+$',
    'TF1 partitions the variable. It cannot be matched with one TF2 variable: '
    'build the TF1 side without the partitioner (the values are the same).',
  ),
  (
    r'(^|/)(beta[12]_power|(Adam|Momentum|RMSProp|Adagrad|Ftrl)(_\d+)?)$',
    'Slots of an optimizer are among them: build_tf1 should build the forward '
    'pass only, without optimizer.minimize.',
  ),
)


def for_table(table: variables.VariableTable) -> list[str]:
  """Advice on a table of variables that do not correspond."""
  advice = []
  found = (*table.untracked, *table.extra, *(b for _, b in table.pairs))
  if any(spec.undecorated for spec in found):
    return [text.UNDECORATED_ADVICE]
  if table.suggestion.names:
    advice.append(
      'If the likely renames are right, paste this rename_variable into the '
      'test class.'
    )
  if table.untracked and table.missing:
    advice.append(
      'The TF2 model created variables that it does not list: assign the '
      'variable, layer or model to an attribute of the model.'
    )
  if table.missing or table.extra:
    advice.append(
      'Names of tf.Variable and of Keras layers differ between a TF1 graph '
      'and eager execution (scopes, counters); map them with '
      'rename_variable, and leave out what is no part of the model with '
      'ignored_variables.'
    )
  for pattern, known in _MISSING:
    if any(re.search(pattern, spec.name) for spec, _ in table.missing):
      advice.insert(0, known)
  if table.shapes:
    advice.append(
      'If the layout was changed on purpose, transform the value in '
      'convert_variable(tf1_name, value, tf2_name).'
    )
  if table.dtypes:
    advice.append(
      'Give the TF2 variable the dtype of TF1 (Keras layers take dtype=...); '
      'computing in another precision gives other numbers.'
    )
  if table.trainable:
    advice.append(
      'Set `trainable` of the TF2 variable or layer as in TF1; otherwise the '
      'optimizer updates other variables than before.'
    )
  if table.duplicates:
    advice.append(
      'Give each layer of the TF2 model a name of its own, and check with '
      'assertNoNewVariables that calls do not create variables anew.'
    )
  return advice


def for_misfit(table: variables.VariableTable) -> list[str]:
  """Says what to do about a checkpoint that does not fit the TF1 model."""
  advice = []
  entries = {spec.name for spec in table.extra}
  if any(
    re.sub(r'/part_\d+$', '', spec.name) in entries for spec, _ in table.missing
  ):
    advice.append(
      'TF1 partitions a variable that the checkpoint holds as a whole: build '
      'the TF1 side without the partitioner (the values are the same).'
    )
  elif table.missing:
    advice.append(
      'build_tf1 must give the variables the names that they had when the '
      'checkpoint was saved (scopes around the model, auto-numbered layers); '
      'rename_variable leads from TF1 to TF2 and cannot help here.'
    )
  if table.shapes or table.dtypes:
    advice.append(
      'Build the TF1 model with the sizes and dtypes with which the checkpoint '
      'was trained.'
    )
  if table.extra:
    advice.append(
      'What the model leaves out on purpose (a head that was only trained, '
      'say) goes into ignored_variables.'
    )
  return advice
