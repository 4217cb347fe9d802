"""Which update of an optimizer differs, and where it is made.

The updates of `tf.compat.v1.train` are single ops, those of Keras many, so that
they cannot be compared op by op. What they are made of is data: gradients,
learning rate, slots and hyperparameters, which are compared in this order.
"""

from collections.abc import Sequence

from tf_equiv.compare import divergence
from tf_equiv.compare import variables as variables_lib
from tf_equiv.core import observation

_Update = observation.UpdateObservation


def locate(
  group: str,
  name: str,
  pairs: Sequence[tuple[_Update, _Update]],
  steps: tuple[observation.StepObservation, observation.StepObservation],
  table: variables_lib.VariableTable,
) -> divergence.Divergence | None:
  """Says which update a quantity of a training step belongs to.

  Args:
    group: 'learning rate', 'gradients', 'variables', 'slots (...)' or 'step
      counter'.
    name: name of what differs, a TF2 variable for most groups.
    pairs: the updates that correspond.
    steps: the step on both sides.
    table: how the variables correspond.

  Returns:
    The place, None if it belongs to no update.
  """
  sources = table.tf1_names_of().get(name, ())
  if group in ('learning rate', 'step counter'):
    for first, second in pairs:
      if name == f'{group} of {first.optimizer.name}':
        return divergence.Divergence(
          *(_of_optimizer(group, update) for update in (first, second))
        )
    return None
  first = next(
    (u for u in steps[0].updates if any(s in u.gradients for s in sources)),
    None,
  )
  second = next((u for u in steps[1].updates if name in u.gradients), None)
  if first is None and second is None:
    return _reordered(pairs, steps) if group in ('outputs', 'loss') else None
  lines = []
  for side, update, own, others in (
    ('TF1', first, name, steps[0].updates),
    ('TF2', second, name, steps[1].updates),
  ):
    if update is None:
      lines.append(f'{side} does not train {own}')
      if side == 'TF1':
        first = next(iter(others), None)
      else:
        second = next(iter(others), None)
  return divergence.Divergence(
    None if first is None else _of_variable(group, first, sources[:1]),
    None if second is None else _of_variable(group, second, (name,)),
    differences=lines,
    variables=sources or (name,),
  )


def _reordered(pairs, steps) -> divergence.Divergence | None:
  """Says which updates come first where they come in another order."""
  places = [
    next(i for i, update in enumerate(steps[1].updates) if update is second)
    for _, second in pairs
  ]
  if places == sorted(places):
    return None
  firsts = [side.updates[0] for side in steps]
  return divergence.Divergence(
    *(_of_variable('gradients', update, ()) for update in firsts),
    differences=[
      'order of updates: TF1 trains %s first, TF2 %s'
      % tuple(min(update.gradients) for update in firsts)
    ],
    mistake=(
      'The optimizers run in another order, so that the later one sees other '
      'weights: update in the order of TF1.'
    ),
  )


def locate_optimizers(first: _Update, second: _Update):
  """Says where two optimizers are made."""
  return divergence.Divergence(
    *(
      divergence.Place(
        update.optimizer.name,
        update.optimizer.kind,
        _first([update.made, update.applied]),
      )
      for update in (first, second)
    )
  )


def _of_optimizer(group, update) -> divergence.Place:
  lines = [update.made, update.applied]
  if group == 'learning rate':
    lines.insert(0, update.scheduled)
  else:
    lines.reverse()
  return divergence.Place(
    f'{group} of {update.optimizer.name}',
    update.optimizer.kind,
    _first(lines),
  )


def _of_variable(group, update, names) -> divergence.Place:
  lines = [update.made, update.applied]
  if group == 'gradients':
    lines.reverse()
  op = next((update.operations.get(name) for name in names), None)
  if op is None or group == 'gradients':
    op = update.optimizer.name, update.optimizer.kind
  return divergence.Place(*op, _first(lines))


def _first(lines) -> str:
  return next((str(line) for line in lines if line.filename), '')
