"""The first line of a failure: what differs, and where."""

from collections.abc import Callable, Sequence

from tf_equiv.compare import difference, structures, values, variables
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare.dormant import Witness
from tf_equiv.compare.optimizers import OptimizerDifference
from tf_equiv.compare.outcome import Creation, Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core.observation import VariableSpec
from tf_equiv.core.text import listed
from tf_equiv.report import (
  curve_text,
  dormant,
  metric_text,
  misfit,
  wording,
)

_MAX_NAMES = 3
_QUANTITIES = {
  Quantity.WEIGHTS: 'Initial weights differ',
  Quantity.OUTPUTS: 'Outputs differ',
  Quantity.REGULARIZATION_LOSSES: 'Regularization losses differ',
  Quantity.UPDATED_VARIABLES: 'Variables updated by the forward pass differ',
  Quantity.LOSS: 'The loss differs',
  Quantity.GRADIENTS: 'Gradients differ',
  Quantity.INPUT_GRADIENTS: 'Gradients of the inputs differ',
  Quantity.LOADED: 'Variables do not keep what is assigned to them',
  Quantity.RESTORED_OUTPUTS: (
    'Outputs differ after saving and restoring, though all variables agree'
  ),
}
_FIXED = {
  Kind.OTHER_WEIGHTS: 'The fixed weights differ; nothing was compared',
  Kind.NO_VARIABLES: 'No variable was compared: neither side has any',
  Kind.NO_WATCHED_VARIABLES: 'No variable was watched: the model has none',
  Kind.NO_OUTPUTS: 'No output was compared: the outputs hold no element',
  Kind.NO_GRADIENTS: (
    'No gradient was compared: the loss depends on no trainable variable on '
    'either side'
  ),
}


def headline(
  outcome: Outcome,
  sides: wording.Sides = wording.SIDES,
  draws_matter: bool | None = None,
) -> str:
  """Returns the verdict of a failure in one line, '' for a pass.

  Args:
    outcome: what a judge found.
    sides: names of both sides.
    draws_matter: whether random draws can be what makes the results differ,
      None where that was not examined.
  """
  if outcome.passed:
    return ''
  if outcome.kind is Kind.STRUCTURE:
    line = _of_structure(outcome)
  elif outcome.kind in _FIXED:
    line = _FIXED[outcome.kind]
  else:
    line = _MAKERS[outcome.kind](outcome, sides)
  if outcome.is_reordered and draws_matter is not False:
    line += _of_draws(outcome)
  if outcome.stopped and outcome.kind is Kind.VALUES:
    line += '; no training step was compared'
  variants = outcome.variants
  if variants is not None:
    line += (
      f' [fails in: {", ".join(variants.failed)}; passes in: '
      f'{", ".join(variants.passed) or "none"}]'
    )
  return line


def _of_structure(outcome: Outcome) -> str:
  """Tells another nest from outputs of another dtype or shape."""
  found = outcome.evidence_of(difference.Difference)
  specs = [d for d in found if d.kind is difference.Kind.OUTPUT]
  others = [
    d
    for d in found
    if d.kind not in (difference.Kind.OUTPUT, difference.Kind.PERMUTED)
  ]
  if others or not specs:
    return 'The structure of the outputs differs; no number was compared'
  parts = [
    (structures.has_other_dtype, 'dtype'),
    (structures.has_other_shape, 'shape'),
  ]
  what = ' and '.join(
    name for differs, name in parts if any(map(differs, specs))
  )
  return (
    f'Outputs differ in {what}: {len(specs)}, first {specs[0].subject}; no '
    'number was compared'
  )


def _of_variables(outcome: Outcome, sides: wording.Sides) -> str:
  table = outcome.table or variables.match_variables((), ())
  counts = (
    (len(table.missing), f'missing in {sides[1]}'),
    (len(table.extra), f'extra in {sides[1]}'),
    (len(table.duplicates), 'duplicate name(s)'),
    (len(table.shapes), 'of another shape'),
    (len(table.dtypes), 'of another dtype'),
    (len(table.trainable), 'with another trainable flag'),
  )
  line = 'Variables differ: ' + ', '.join(
    f'{count} {what}' for count, what in counts if count
  )
  return line + _STOPPED if outcome.stopped else line


_STOPPED = '; outputs were not compared'


def _of_creations(outcome: Outcome, unused_sides: wording.Sides) -> str:
  parts = []
  created = outcome.evidence_of(Creation)
  changed = outcome.failed(Key(Quantity.INFERENCE_CHANGES))
  if created:
    parts.append(
      f'{len(created)} variable(s) created after the first call, instead of '
      'being reused'
    )
  if changed:
    parts.append(
      f'{len(changed)} variable(s) changed by an inference call, first '
      f'{changed[0].name}'
    )
  return '; '.join(parts)


def _of_recreated(outcome: Outcome, sides: wording.Sides) -> str:
  specs = outcome.evidence_of(VariableSpec)
  return (
    f'The {sides[1]} model creates {len(specs)} variable(s) anew in each call, '
    f'first {specs[0].name}{_STOPPED}'
  )


def _of_values(outcome: Outcome, unused_sides: wording.Sides) -> str:
  first, *later = outcome.failing()
  line = _QUANTITIES[first.quantity]
  pairs = outcome.comparisons[first]
  if first.quantity is not Quantity.LOSS or len(pairs) > 1:
    line += f': {_count(pairs)}'
  line += _so_do(later)
  return line


def _of_draws(outcome: Outcome) -> str:
  """Says what the ledgers tell of the random draws."""
  ledger, failing = outcome.ledger, outcome.failing()
  # A draw more or less gives other seeds to the initializers after it.
  by_seed = bool(failing) and failing[0].quantity is Quantity.WEIGHTS
  if ledger is None or ledger.moved or ledger.replaced or by_seed:
    return ', because random numbers are drawn in another order'
  return '; the random draws differ, too'


def _count(pairs: Sequence[values.ValueComparison]) -> str:
  failed = [c for c in pairs if not c.passed]
  return f'{len(failed)} of {len(pairs)}, first {failed[0].name}'


def _so_do(later: Sequence[Key]) -> str:
  names = ', '.join(key.name for key in later)
  return f' (so do the {names})' if names else ''


def _of_steps(outcome: Outcome, unused_sides: wording.Sides) -> str:
  first, *later = outcome.failing()
  pairs = outcome.comparisons[first]
  failed = outcome.failed(first)
  line = f'Training diverges at step {first.step} of {len(outcome.steps)} in '
  if len(failed) == 1 and first.quantity in _NAMED_BY_PAIR:
    # 'learning rate of AdamOptimizer' or "outputs['logits']"
    line += failed[0].name
  else:
    line += f'the {first.name}: {_count(pairs)}'
  return line + _so_do(later)


# Quantities whose pairs have names that tell the quantity.
_NAMED_BY_PAIR = (
  Quantity.LEARNING_RATE,
  Quantity.OUTPUTS,
  Quantity.LOSS,
  Quantity.STEP_COUNTER,
)


def later_steps(outcome: Outcome) -> str:
  """Returns what differs after the first step that does, '' if nothing."""
  if outcome.kind is not Kind.STEPS:
    return ''
  found = []
  for step in outcome.steps[outcome.failing()[0].step or 0 :]:
    failing = outcome_lib.failing(step)
    if failing:
      names = ', '.join(key.name for key in failing)
      found.append(f'step {failing[0].step}: {names}')
  return 'later also differ: ' + '; '.join(found) if found else ''


def _of_hyperparameters(outcome: Outcome, sides: wording.Sides) -> str:
  differences = [
    each.difference for each in outcome.evidence_of(OptimizerDifference)
  ]
  shown = listed(
    (
      f'{found.name} ({sides[0]} {found.tf1_value}, {sides[1]} '
      f'{found.tf2_value})'
      for found in differences
    ),
    _MAX_NAMES,
  )
  return (
    f'Optimizers differ: {shown}; the {len(outcome.steps)} training step(s) '
    'agree within the tolerance all the same'
  )


def _of_no_updates(outcome: Outcome, sides: wording.Sides) -> str:
  return (
    'No update was compared: no trainable variable changed in '
    f'{outcome.compared.get("steps", 0)} step(s) of {sides[0]}'
  )


def _of_vacuity(outcome: Outcome, unused_sides: wording.Sides) -> str:
  reason = wording.vacuous(outcome.vacuity)
  return f'Vacuous agreement proves nothing: {reason}'


def _of_dormant(outcome: Outcome, sides: wording.Sides) -> str:
  (found,) = outcome.evidence_of(Witness)
  return dormant.headline(found, sides)


def _of_misfit(outcome: Outcome, sides: wording.Sides) -> str:
  (found,) = outcome.evidence_of(outcome_lib.Misfit)
  what = f'the {sides[0]} model'
  return misfit.headline(found.table, found.path, what) + _STOPPED


def _not_trackable(outcome: Outcome, sides: wording.Sides) -> str:
  return f'The {sides[1]} model cannot be saved: {outcome.obstacle}'


def _of_unsaved(outcome: Outcome, sides: wording.Sides) -> str:
  (found,) = outcome.evidence_of(outcome_lib.Unsaved)
  return (
    f'tf.train.Checkpoint does not save {len(found.names)} of the '
    f'{outcome.compared["variables"]} variables of the {sides[1]} model, first '
    f'{found.names[0]}'
  )


def _not_restored(outcome: Outcome, unused_sides: wording.Sides) -> str:
  line = 'A model that is built anew is not restored to what was saved'
  key = Key(Quantity.RESTORED)
  if outcome.failed(key):
    line += f': {_count(outcome.comparisons[key])}'
  return line


_MAKERS: dict[Kind, Callable[[Outcome, wording.Sides], str]] = {
  Kind.VARIABLES: _of_variables,
  Kind.CREATIONS: _of_creations,
  Kind.RECREATED: _of_recreated,
  Kind.VALUES: _of_values,
  Kind.STEPS: _of_steps,
  Kind.HYPERPARAMETERS: _of_hyperparameters,
  Kind.CURVES: lambda outcome, sides: curve_text.headline(outcome, sides),
  Kind.SEEDS: lambda outcome, sides: curve_text.headline(outcome, sides),
  Kind.METRICS: lambda outcome, sides: metric_text.headline(outcome, sides),
  Kind.NO_UPDATES: _of_no_updates,
  Kind.VACUOUS: _of_vacuity,
  Kind.DORMANT: _of_dormant,
  Kind.MISFIT: _of_misfit,
  Kind.NOT_TRACKABLE: _not_trackable,
  Kind.UNSAVED: _of_unsaved,
  Kind.NOT_RESTORED: _not_restored,
}
