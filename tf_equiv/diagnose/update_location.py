"""Which update of an optimizer differs, and where it is made.

The updates of `tf.compat.v1.train` are single ops, those of Keras many, so that
they cannot be compared op by op. What they are made of is data: gradients,
learning rate, slots and hyperparameters, which are compared in this order.
"""

import dataclasses
from collections.abc import Sequence

from tf_equiv.compare import difference, divergence, optimizers, step_pairs
from tf_equiv.compare import steps as steps_lib
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare.quantity import Quantity
from tf_equiv.core import observation, source_line
from tf_equiv.diagnose.rules import table as rules

_Update = observation.UpdateObservation
# A training step of TF1, and of TF2.
_Sides = tuple[observation.StepObservation, observation.StepObservation]


def locate(
  quantity: Quantity,
  name: str,
  sides: _Sides,
  table: variables_lib.VariableTable,
) -> divergence.Divergence | None:
  """Returns which update a quantity of a training step belongs to.

  Args:
    quantity: what differs.
    name: name of what differs, a TF2 variable for most quantities.
    sides: the step on both sides.
    table: how the variables correspond.

  Returns:
    The place, None if it belongs to no update.
  """
  sources = table.tf1_names_of().get(name, ())
  pairs = step_pairs.paired_updates(table, *sides)
  if quantity in (Quantity.LEARNING_RATE, Quantity.STEP_COUNTER):
    for mine, theirs in pairs:
      if name == steps_lib.name_of(quantity, mine):
        return divergence.Divergence(
          *(_of_optimizer(quantity, update) for update in (mine, theirs))
        )
    return None
  first = next(
    (u for u in sides[0].updates if any(s in u.gradients for s in sources)),
    None,
  )
  second = next((u for u in sides[1].updates if name in u.gradients), None)
  if first is None and second is None:
    is_result = quantity in (Quantity.OUTPUTS, Quantity.LOSS)
    return _reordered(pairs, sides) if is_result else None
  differences = [
    difference.one_sided(difference.Kind.NOT_TRAINED, i, name)
    for i, update in enumerate((first, second))
    if update is None
  ]
  first = first or next(iter(sides[0].updates), None)
  second = second or next(iter(sides[1].updates), None)
  return divergence.Divergence(
    None if first is None else _of_variable(quantity, first, sources[:1]),
    None if second is None else _of_variable(quantity, second, (name,)),
    differences=differences,
    variables=sources or (name,),
  )


def _reordered(
  pairs: Sequence[tuple[_Update, _Update]], sides: _Sides
) -> divergence.Divergence | None:
  """Returns which updates come first where they come in another order."""
  places = [
    next(i for i, update in enumerate(sides[1].updates) if update is second)
    for _, second in pairs
  ]
  if places == sorted(places):
    return None
  firsts = [side.updates[0] for side in sides]
  found = divergence.Divergence(
    *(_of_variable(Quantity.GRADIENTS, update, ()) for update in firsts),
    differences=[
      difference.Difference(
        difference.Kind.UPDATE_ORDER,
        '',
        *(min(update.gradients) for update in firsts),
      )
    ],
  )
  return dataclasses.replace(found, mistake=rules.recognize(found))


def locate_optimizers(
  found: optimizers.OptimizerDifference,
  sides: _Sides,
  table: variables_lib.VariableTable,
) -> divergence.Divergence | None:
  """Returns where two optimizers are made, None where that is not known.

  Args:
    found: in what they differ.
    sides: a step on both sides.
    table: how the variables correspond.
  """
  names = found.tf1, found.tf2
  for pair in step_pairs.paired_updates(table, *sides):
    if names == tuple(update.optimizer.name for update in pair):
      return _made(*pair)
  return None


def _made(first: _Update, second: _Update) -> divergence.Divergence:
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


def _of_optimizer(quantity: Quantity, update: _Update) -> divergence.Place:
  lines = [update.made, update.applied]
  if quantity is Quantity.LEARNING_RATE:
    lines.insert(0, update.scheduled)
  else:
    lines.reverse()
  return divergence.Place(
    steps_lib.name_of(quantity, update),
    update.optimizer.kind,
    _first(lines),
  )


def _of_variable(
  quantity: Quantity, update: _Update, names: Sequence[str]
) -> divergence.Place:
  lines = [update.made, update.applied]
  if quantity is Quantity.GRADIENTS:
    lines.reverse()
  op = next((update.operations.get(name) for name in names), None)
  if op is None or quantity is Quantity.GRADIENTS:
    op = update.optimizer.name, update.optimizer.kind
  return divergence.Place(*op, _first(lines))


def _first(lines: Sequence[source_line.SourceLine]) -> str:
  return next((str(line) for line in lines if line.filename), '')
