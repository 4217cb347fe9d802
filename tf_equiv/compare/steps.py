"""Compares training steps, quantity by quantity.

Each step starts on both sides from the state in which TF1 left the one before,
so that rounding, which training amplifies beyond all bounds, does not add up.

What a step leaves behind is only as exact as its gradients. The gradient of
an element is known up to some multiple of float32's precision times the
largest gradient of all, so an element whose gradient is far below the largest
one has an uncertain update; an optimizer that normalizes gradients (Adam) even
turns rounding noise, such as the gradient of a bias before batch
normalization, into updates of full size. Each element is therefore allowed, in
addition to the tolerance, its own update times the relative uncertainty of
its gradient. Elements whose gradient is nothing but noise are not compared,
and counted.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_equiv.compare import losses as losses_lib
from tf_equiv.compare import optimizers, quantities, tolerances, values
from tf_equiv.compare import variables as variables_lib
from tf_equiv.core import observation

# Uncertainty of a gradient, in terms of the largest of all: what a gradient
# may differ by (`values.compare_gradients`, 5e-5 for float32) times the least
# scale that counts there (0.1 of the largest).
_GRADIENT_NOISE = {'float64': 5e-13, 'float32': 5e-6}
_DEFAULT_NOISE = 5e-2

# Schedules compute in float32 with powers and cosines.
_RATE_RTOL = 1e-5


@dataclasses.dataclass
class StepComparison:
  """The comparison of one step.

  Attributes:
    groups: compared pairs by quantity, causes before effects.
  """

  groups: dict[str, list[values.ValueComparison]]

  def failing(self) -> list[str]:
    """Returns the quantities that differ, in order."""
    return [
      group
      for group, pairs in self.groups.items()
      if not all(pair.passed for pair in pairs)
    ]


class StepComparer:
  """Compares the steps of two observations, one after another.

  Attributes:
    hyperparameters: differences of the optimizers, by the optimizers' names.
    noise: number of elements by TF2 variable whose updates are rounding noise.
    changed: whether any variable changed on the TF1 side.
    one_sided: slots that only one side keeps.
  """

  def __init__(
    self,
    tf1: observation.Observation,
    tf2: observation.Observation,
    table: variables_lib.VariableTable,
    convert: Callable[[str, np.ndarray, str], np.ndarray],
    tolerance: tolerances.Tolerance,
    compare_updates: bool = True,
  ):
    self.hyperparameters: list[tuple[str, str, Any]] = []
    self.noise: dict[str, int] = {}
    self.changed = False
    self.one_sided: list[str] = []
    self._tf1, self._tf2, self._table = tf1, tf2, table
    self._convert, self._tolerance = convert, tolerance
    self._compare_updates = compare_updates
    self._before = self.carried(tf1.weight_of())
    self._trainable = {b.name for a, b in table.pairs if a.trainable}
    self._largest_gradient = 0.0
    self._peak = {}
    self._touched = {}
    self._extra = {}

  def compare(self, i: int) -> StepComparison:
    """Compares step `i`, counted from 0; to be called in order."""
    first, second = self._tf1.steps[i], self._tf2.steps[i]
    tolerance = self._tolerance
    pairs = self.paired(i)
    # A rate depends on nothing else, so it is a cause and no effect.
    groups = {'learning rate': _compare_rates(pairs, self._tolerance)}
    others = dict(second.outputs)
    groups['outputs'] = sorted(
      (
        values.compare_arrays(
          'outputs' + path,
          value,
          others[path],
          tolerance,
          order=self._tf1.output_order.get(path, -1),
        )
        for path, value in first.outputs
      ),
      key=lambda c: c.order,
    )
    groups['regularization losses'] = losses_lib.compare_losses(
      first.losses, second.losses, self._table.tf1_names_of(), tolerance
    )
    if first.loss is not None and second.loss is not None:
      groups['loss'] = [
        values.compare_arrays('loss', first.loss, second.loss, tolerance)
      ]
    gradients = [self._gradients(first), _by_variable(second.updates)]
    unknown = {b.name for a, b in self._table.pairs if a.name in first.unknown}
    groups['gradients'] = _compare_gradients(
      *[
        {name: found for name, found in side.items() if name not in unknown}
        for side in gradients
      ],
      tolerance,
    )
    # How uncertain the updates are, the gradients of TF2 tell as well.
    gradients[0].update(
      (name, gradients[1][name]) for name in unknown & set(gradients[1])
    )
    if not i:
      self._compare_optimizers(pairs)
    for meaning, found in self._compare_slots(first, second, tolerance):
      groups[f'slots ({meaning})'] = found
    after = self.carried(first.variables)
    self._learn(gradients, after)
    groups['variables'] = self._compare_variables(after, second)
    if self._compare_updates:
      groups['variables that are not trained'] = self._compare_others(
        after, second
      )
    groups['step counter'] = _compare_counters(pairs)
    self._before = after
    return StepComparison({g: found for g, found in groups.items() if found})

  def paired(self, i: int):
    """Returns the updates of step `i` that correspond, [(TF1's, TF2's)]."""
    first, second = self._tf1.steps[i], self._tf2.steps[i]
    return self._paired_updates(first.updates, second.updates)

  def single_gradients(self, i: int):
    """Returns the gradients of step `i` on both sides, by name in TF2.

    Variables that are trained more than once in a step are left out.
    """
    sides = (
      self._gradients(self._tf1.steps[i]),
      _by_variable(self._tf2.steps[i].updates),
    )
    return [
      {
        name: found[0]
        for name, found in side.items()
        if len(found) == 1 and found[0] is not None
      }
      for side in sides
    ]

  def carried(self, by_name):
    """Values of TF1 variables in the names and layouts of TF2."""
    return variables_lib.carried(self._table, self._convert, by_name)

  def _linear(self, by_name):
    """The same for what has no offset: gradients, and slots made of them."""
    return variables_lib.carried_linearly(self._table, self._convert, by_name)

  def _gradients(self, step):
    """Gradients of TF1 in the names and layouts of TF2: {name: [gradient]}."""
    found = {}
    by_name = _by_variable(step.updates)
    for i in range(max((len(g) for g in by_name.values()), default=0)):
      present = {
        name: gradients[i]
        for name, gradients in by_name.items()
        if len(gradients) > i
      }
      carried = quantities.carried_gradients(
        self._table, self._convert, present
      )
      for name, gradient in carried.items():
        found.setdefault(name, []).append(gradient)
    return found

  def _paired_updates(self, first, second):
    """Pairs the updates that have most variables in common."""
    names = {}
    for a, b in self._table.pairs:
      names.setdefault(a.name, set()).add(b.name)
    free, pairs = list(second), []
    for update in first:
      wanted = set().union(*(names.get(n, ()) for n in update.gradients))
      common = [len(wanted & set(other.gradients)) for other in free]
      if any(common):
        pairs.append((update, free.pop(int(np.argmax(common)))))
    return pairs

  def _compare_optimizers(self, pairs) -> None:
    for first, second in pairs:
      for found in optimizers.compare_specs(first.optimizer, second.optimizer):
        self.hyperparameters.append(
          (first.optimizer.name, second.optimizer.name, found)
        )

  def _compare_slots(self, first, second, tolerance):
    for meaning in sorted(set(first.slots) | set(second.slots)):
      if meaning not in first.slots or meaning not in second.slots:
        side = 'TF1' if meaning in first.slots else 'TF2'
        line = f'{meaning} (only in {side})'
        if line not in self.one_sided:
          self.one_sided.append(line)
        continue
      of_tf2 = second.slots[meaning]
      if meaning == observation.MOVING_AVERAGE:
        yield meaning, self._compare_averages(first.slots[meaning], of_tf2)
        continue
      of_tf1 = self._linear(first.slots[meaning])
      common = [name for name in of_tf1 if name in of_tf2]
      yield (
        meaning,
        values.compare_gradients(
          common,
          [of_tf1[name] for name in common],
          [of_tf2[name] for name in common],
          tolerance,
        ),
      )

  def _compare_averages(self, of_tf1, of_tf2):
    of_tf1 = self.carried(of_tf1)
    return [
      values.compare_arrays(
        name,
        of_tf1[name],
        of_tf2[name],
        values.update_tolerance(
          self._before[name], of_tf1[name], self._tolerance
        ),
        extra=self._extra.get(name),
      )
      for name in of_tf1
      if name in of_tf2
    ]

  def _learn(self, gradients, after) -> None:
    """Learns how uncertain the updates of this step are."""
    for name, found in gradients[0].items():
      for gradient in found:
        if gradient is not None:
          scale = values.scale_of(gradient)
          self._largest_gradient = max(self._largest_gradient, scale)
          self._peak[name] = np.maximum(
            self._peak.get(name, 0.0), np.abs(gradient)
          )
    for side in gradients:
      for name, found in side.items():
        for gradient in found:
          if gradient is not None and gradient.shape == np.shape(
            self._before.get(name)
          ):
            touched = self._touched.get(name, False)
            self._touched[name] = touched | (gradient != 0)
    change = {
      name: np.abs(after[name] - self._before[name])
      for name in self._trainable
      if name in after and values.is_inexact(after[name])
    }
    largest = max((values.scale_of(c) for c in change.values()), default=0.0)
    self.changed = self.changed or largest > 0
    for name, moved in change.items():
      self._extra[name] = self._uncertainty(name, moved, largest)

  def _uncertainty(self, name, moved, largest):
    """What the elements of a variable may differ by after one more step."""
    if name not in self._peak:
      return np.zeros_like(moved)
    noise = _GRADIENT_NOISE.get(moved.dtype.name, _DEFAULT_NOISE)
    noise *= self._largest_gradient
    peak = self._peak[name]
    with np.errstate(divide='ignore', invalid='ignore'):
      relative = np.where(peak > 0, noise / peak, np.inf)
    only_noise = (relative >= 1) & self._touched.get(name, False)
    self.noise[name] = int(np.count_nonzero(only_noise))
    graded = moved * np.where(relative < 1, relative, 0.0)
    return np.where(only_noise, 2 * largest, graded).astype(moved.dtype)

  def _compare_variables(self, after, second):
    return [
      self._compare_variable(
        name, after[name], second.variables[name], self._extra.get(name)
      )
      for name in after
      if name in self._trainable
    ]

  def _compare_others(self, after, second):
    return [
      self._compare_variable(name, after[name], second.variables[name])
      for name in after
      if name not in self._trainable
    ]

  def _compare_variable(self, name, new, mine, extra=None):
    found = values.compare_arrays(
      name,
      new,
      mine,
      values.update_tolerance(self._before[name], new, self._tolerance),
      extra=extra,
    )
    if found.passed or found.problem:
      return found
    note = _note(self._before[name], new, mine)
    return dataclasses.replace(found, note=note)


def _by_variable(updates):
  """Returns {name of the variable: its gradients, one for each update}."""
  found = {}
  for update in updates:
    for name, gradient in update.gradients.items():
      found.setdefault(name, []).append(gradient)
  return found


def _compare_gradients(tf1, tf2, tolerance):
  found, names, first, second = [], [], [], []
  for name in sorted(set(tf1) | set(tf2)):
    counts = [len(side.get(name, ())) for side in (tf1, tf2)]
    if counts[0] != counts[1]:
      problem = _count_problem(*counts)
      found.append(values.ValueComparison(name, False, problem=problem))
      continue
    for a, b in zip(tf1[name], tf2[name], strict=True):
      names.append(name)
      first.append(a)
      second.append(b)
  return found + values.compare_gradients(names, first, second, tolerance)


def _count_problem(in_tf1: int, in_tf2: int) -> str:
  if not in_tf1 or not in_tf2:
    with_it, without = ('TF1', 'TF2') if in_tf1 else ('TF2', 'TF1')
    return f'an optimizer of {with_it} trains it, but none of {without}'
  return 'trained %d time(s) in each step of TF1, %d time(s) in TF2' % (
    in_tf1,
    in_tf2,
  )


def _compare_rates(pairs, tolerance):
  if tolerance.rtol is None:
    tolerance = dataclasses.replace(tolerance, rtol=_RATE_RTOL, atol=0.0)
  return [
    values.compare_arrays(
      _of('learning rate', a),
      np.asarray(a.learning_rate, np.float32),
      np.asarray(b.learning_rate, np.float32),
      tolerance,
    )
    for a, b in pairs
    if a.learning_rate is not None and b.learning_rate is not None
  ]


def _compare_counters(pairs):
  exact = tolerances.Tolerance(0, 0)
  return [
    values.compare_arrays(
      _of('step counter', a), np.int64(a.step), np.int64(b.step), exact
    )
    for a, b in pairs
    if a.step is not None and b.step is not None
  ]


def _of(what: str, update) -> str:
  return f'{what} of {update.optimizer.name}'


def _note(before, after, mine_after) -> str:
  """Says how the two sides' changes of a variable are related."""
  before = np.asarray(before, np.float64)
  change = np.asarray(after, np.float64) - before
  mine = np.asarray(mine_after, np.float64) - before
  largest = float(np.max(np.abs(change), initial=0.0))
  if not np.any(mine):
    return (
      'TF2 did not update it in this step; TF1 changed it by up to '
      f'{largest:.3g}'
    )
  if not np.any(change):
    return (
      'TF1 did not update it in this step; TF2 changed it by up to '
      f'{float(np.max(np.abs(mine))):.3g}'
    )
  factor = float(np.sum(mine * change) / np.sum(change * change))
  rest = float(np.max(np.abs(mine - factor * change)))
  is_multiple = rest <= 1e-2 * abs(factor) * largest
  if is_multiple and abs(factor - 1) > 1e-2:
    return f"TF2's change in this step is {factor:.4g} times that of TF1"
  return ''
