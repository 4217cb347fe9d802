"""Sentences about what was compared; `telling` puts them together.

All sides are named by the data: 'TF1' and 'TF2', or 'A' and 'B' for two files.
"""

from collections.abc import Sequence
from typing import Any

from tf_equiv.compare import (
  difference,
  optimizers,
  outcome,
  step_vacuity,
  structures,
  vacuity,
  values,
)
from tf_equiv.compare import (
  dormant as dormant_lib,
)
from tf_equiv.compare.vacuity import Reason
from tf_equiv.compare.values import ProblemKind
from tf_equiv.core import observation
from tf_equiv.core.text import capped, listed
from tf_equiv.report import differences, dormant, hyperparameters, misfit

SIDES = ('TF1', 'TF2')
Sides = tuple[str, str]
_MAX_NAMES = 4


def problem(found: values.Problem | None, sides: Sides = SIDES) -> str:
  """Returns why a pair has no numbers to compare, '' if it has."""
  if found is None:
    return ''
  first, second = sides
  kind = found.kind
  has, lacks = sides if found.tf1 else sides[::-1]
  if kind is ProblemKind.SHAPE:
    return f'shape: {first} {list(found.tf1)}, {second} {list(found.tf2)}'
  if kind is ProblemKind.DTYPE:
    return f'dtype: {first} {found.tf1}, {second} {found.tf2}'
  if kind is ProblemKind.TIMES_TRAINED and found.tf1 and found.tf2:
    return (
      f'trained {found.tf1} time(s) in each step of {first}, {found.tf2} '
      f'time(s) in {second}'
    )
  return {
    ProblemKind.TIMES_TRAINED: (
      f'an optimizer of {has} trains it, but none of {lacks}'
    ),
    ProblemKind.NO_GRADIENT: (
      f'{lacks} has no gradient (None): its loss does not depend on the '
      f'variable; {has} has one'
    ),
    ProblemKind.NO_LOSS: (
      f'compute_loss returned no such loss on the {lacks} side'
    ),
    ProblemKind.NO_REGULARIZATION: f'{lacks} has no such regularization loss',
    ProblemKind.NOT_TRAINABLE: f'not trainable on the {lacks} side',
    ProblemKind.UNEXPECTED_UPDATE: (
      f'trainable on the {lacks} side, but not in {has}'
    ),
    ProblemKind.NOT_REBUILT: (
      'the model that is built anew has no variable of this name'
    ),
  }[kind]


def note(
  found: values.Change | values.Assigned | None, sides: Sides = SIDES
) -> str:
  """Returns what else is known of a pair that differs, '' if nothing is."""
  if found is None:
    return ''
  if isinstance(found, values.Assigned):
    return f'assigned by {found.by}'
  where = 'the forward pass itself' if found.in_forward else 'this step'
  if not found.tf2 or not found.tf1:
    still, moved = sides[::-1] if found.tf1 else sides
    if found.in_forward:
      return (
        f'{moved} changes it by up to {found.tf1 or found.tf2:.3g} in {where}, '
        f'{still} does not'
      )
    return (
      f'{still} did not update it in {where}; {moved} changed it by up to '
      f'{found.tf1 or found.tf2:.3g}'
    )
  return (
    f"{sides[1]}'s change in {where} is {found.factor:.4g} times that of "
    f'{sides[0]}'
  )


def vacuous(found: vacuity.Vacuity | None) -> str:
  """Returns why an agreement proves nothing, '' if it does."""
  if found is None:
    return ''
  moved = 'inputs' if found.inputs_moved else 'weights'
  text = {
    Reason.ZERO_OUTPUTS: 'all outputs are zero',
    Reason.EQUAL_ELEMENTS: (
      f'all elements of the outputs are equal ({found.value:.6g})'
    ),
    Reason.EQUAL_EXAMPLES: (
      f'the outputs are the same for all {found.count} examples of the batch, '
      'although their inputs differ'
    ),
    Reason.NOISY_OUTPUTS: (
      f'{found.count} of {found.total} outputs are rounding noise, first '
      f'outputs{found.path}: it moves by {found.value:.2g} of its size when '
      f'the {moved} move by one unit in the last place'
    ),
    Reason.NO_RESPONSE: (
      f'the outputs respond to none of the {found.count} variables'
    ),
    Reason.NOISY_LOSS: (
      'the loss of the first step is rounding noise: it moves by '
      f'{found.value:.2g} of its size when the inputs move by one unit in the '
      'last place'
    ),
    Reason.ZERO_GRADIENTS: (
      f'all gradients are zero in all {found.count} step(s)'
    ),
    Reason.EQUAL_LOSSES: (
      f'the loss is the same in all {found.count} steps ({found.value:.6g}), '
      'so that it responds neither to the batches nor to the updates'
    ),
    Reason.ZERO_METRICS: (
      f'all metrics are zero after each of the {found.count} batches'
    ),
  }[found.reason]
  return 'in the first step, ' + text if found.in_steps else text


def power(found: outcome.Power) -> str:
  """Returns what an agreement proves."""
  if isinstance(found, vacuity.Response):
    line = f'outputs respond to {found.count} of {len(found.effects)} variables'
    line += _but('not to', [_layer(x) for x in found.silent_layers])
    if found.updated:
      line += f'; {len(found.updated)} more are compared by their updates'
    return line
  if isinstance(found, step_vacuity.StepPower):
    return (
      f'the steps change {found.count - len(found.still)} of {found.count} '
      'trained variables' + _but('not', found.still)
    )
  return (
    f'gradients of {found.count - len(found.zero)} of {found.count} trained '
    'variables are not zero' + _but('but of', found.zero)
  )


def _but(words: str, names: Sequence[str]) -> str:
  return f', {words} {listed(names, _MAX_NAMES)}' if names else ''


def _layer(layer: vacuity.SilentLayer) -> str:
  if len(layer.silent) == 1:
    return layer.silent[0]
  of = '' if len(layer.silent) == layer.count else f' of {layer.count}'
  return f'layer {layer.name} ({len(layer.silent)}{of} variables)'


def evidence(found: outcome.Evidence, sides: Sides = SIDES) -> list[str]:
  """Returns the lines about a piece of evidence."""
  if isinstance(found, observation.VariableSpec):
    return [f'{found.name}  {found}  at {found.line}']
  if isinstance(found, outcome.Misfit):
    return misfit.describe(found.table)
  if isinstance(found, outcome.Unsaved):
    rows = capped(sorted(found.names), 10)
    return ['\n    '.join(['not reachable by attributes of the model:', *rows])]
  if isinstance(found, dormant_lib.Witness):
    return dormant.evidence(found, sides)
  return [_line(found, sides)]


def _line(found: Any, sides: Sides) -> str:
  first, second = sides
  if isinstance(found, difference.Difference):
    return differences.describe(found, sides)
  if isinstance(found, structures.EqualOutputs):
    return f'{first} {found.tf1} equals {second} {found.tf2}'
  if isinstance(found, outcome.Creation):
    return f'{found.call}: {found.variable}'
  if isinstance(found, outcome.OtherWeights):
    return found.name
  if isinstance(found, outcome.Exchanged):
    return f'{found.name} holds what {found.other} was saved with'
  if isinstance(found, optimizers.OptimizerDifference):
    each = found.difference
    line = (
      f'{each.name}: {found.tf1} {each.tf1_value}, {found.tf2} {each.tf2_value}'
    )
    consequence = hyperparameters.consequence(each)
    return f'{line}: {consequence}' if consequence else line
  if isinstance(found, optimizers.LoneSlots):
    slots = (f'{x.meaning} (only in {sides[x.side]})' for x in found.slots)
    return 'slots not compared: ' + '; '.join(slots)
  return str(found)


def more(rows: Sequence[Any], most: int) -> list[str]:
  """Says how many rows are not shown, if there are such."""
  return ['    ' + row for row in capped(rows, most)[most:]]
