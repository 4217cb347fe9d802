"""Looks for the first op in which two sides part, after a failure."""

import dataclasses
import logging
import re

import numpy as np

from tf_equiv.compare import advice as advice_lib
from tf_equiv.compare import divergence, initializers
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.locate import assigned, finder, mistakes, shapes
from tf_equiv.tf1 import capture as tf1_capture
from tf_equiv.tf1 import initializers as tf1_initializers
from tf_equiv.tf1 import observation as observation_lib
from tf_equiv.tf1 import plan as plan_lib
from tf_equiv.tf1 import step_capture as tf1_step_capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import initializers as tf2_initializers
from tf_equiv.tf2 import step_capture as tf2_step_capture

_log = logging.getLogger('tf_equiv')
# Results that can be looked into, by group of comparisons.
GROUPS = (
  tf1_capture.OUTPUT,
  tf1_capture.LOSS,
  tf1_capture.TOTAL,
  tf1_capture.GRADIENT,
  tf1_capture.INPUT_GRADIENT,
)
WEIGHTS = 'weights'
# A difference of an output's shape or dtype.
_OUTPUT = re.compile(r'^(outputs\S*): TF1 \w+\[')
# What a training step makes besides, by the group in which it is compared.
_OF_STEPS = {
  'learning rate': tf1_step_capture.RATE,
  'variables that are not trained': tf1_capture.UPDATED,
  'updated variables': tf1_capture.UPDATED,
  tf1_step_capture.AVERAGE: tf1_step_capture.AVERAGE,
}
# Groups whose results go by the names of variables.
_BY_VARIABLE = (
  tf1_capture.GRADIENT,
  tf1_capture.UPDATED,
  tf1_step_capture.AVERAGE,
)
# The share of a result that may be rounding error for it to mean something.
_VACUOUS = 0.01
_MOST_SEARCH = 5


class VariablesDifferError(Exception):
  """Ends a run whose weights cannot be carried to the other side."""

  def __init__(self, table: variables_lib.VariableTable):
    super().__init__()
    self.table = table


class _NotOneGraphError(Exception):
  """A training step is not made by one graph."""


class Locator:
  """Captures both sides of a test case under a plan."""

  def __init__(self, case, plan, tf1, tf1_program, built=(), used=()):
    """Takes what is needed to run both sides again.

    Args:
      case: the test case.
      plan: what was run.
      tf1: the observation of TF1.
      tf1_program: the TF1 side.
      built: the TF1 graph, if it was kept.
      used: the forward pass of TF2, if it was kept.
    """
    self._built, self._used = list(built), list(used)
    self._case, self._plan, self._tf1 = case, plan, tf1
    self._tf1_program = tf1_program

  def explain(self, verdict: verdict_lib.Verdict) -> None:
    """Adds to a failed verdict where the sides part, and if that is real.

    Whatever goes wrong is noted in the verdict, and does not hide it.
    """
    group = next((g for g in verdict.comparisons if verdict.failed(g)), '')
    step, _, what = group.rpartition(': ')
    what = _OF_STEPS.get(what, what)
    if not group:
      self._guarded(verdict, lambda: self._explain_structure(verdict))
      return
    if what == WEIGHTS:
      self._guarded(verdict, lambda: self._explain_weights(verdict))
      return
    if what not in GROUPS and what not in _OF_STEPS.values():
      return
    names = [c.name for c in verdict.failed(group) if not c.problem]
    lone = [c.name for c in verdict.failed(group) if c.problem]
    if what == tf1_capture.LOSS and lone:
      self._guarded(verdict, lambda: self._explain_lone(verdict, lone[0]))
      return
    if not names:
      return
    index = int(step.split()[1]) - 1 if step else None
    labels = [(what, name) for name in names]
    self._guarded(
      verdict,
      lambda: self._conclude(verdict, self.find(labels, index), index),
    )

  def explain_shapes(self, verdict: verdict_lib.Verdict) -> None:
    """Adds to variables of another shape the op that makes the difference."""
    self._guarded(verdict, lambda: self._explain_shapes(verdict))

  def _explain_shapes(self, verdict) -> None:
    plan = dataclasses.replace(self._plan, weights=plan_lib.FIXED)
    first = tf1_capture.capture(self._tf1_program, plan, {})
    second = tf2_capture.capture(
      self._case._tf2_program(),
      plan,
      lambda tf2: [None] * len(tf2.variables),
      self._tf1,
    )
    for mine, _, theirs in verdict.table.shapes:
      verdict.divergence = shapes.locate(
        (first, second), (mine.name, theirs.name)
      )
      if verdict.divergence is not None:
        return

  def _guarded(self, verdict, function) -> None:
    """Explains a verdict; notes in it whatever goes wrong."""
    try:
      function()
    except _NotOneGraphError as error:
      verdict.notes.append('not compared op by op: %s' % error)
    except tf2_capture.CannotTraceError as error:
      verdict.notes.append(
        'the first op that differs was not looked for, because the TF2 side '
        'cannot be traced as a graph: %s' % error
      )
    except Exception as error:  # The user's code may do anything.
      _log.info('locating failed', exc_info=True)
      lines = str(error).strip().splitlines()
      verdict.notes.append(
        'the first op that differs could not be looked for (%s: %s)'
        % (type(error).__name__, lines[0] if lines else '')
      )

  def _explain_structure(self, verdict) -> None:
    """Says which ops make an output that has another shape or dtype."""
    for line in verdict.evidence:
      known = _OUTPUT.match(line)
      if known:
        label = (tf1_capture.OUTPUT, known.group(1))
        captures = self._captured([label], ())[:2]
        verdict.divergence = finder.results(captures, label)
        return

  def _explain_lone(self, verdict, name: str) -> None:
    """Says which op makes a regularization loss that one side alone has."""
    first, second, table = self._captured([(tf1_capture.LOSS, name)], ())
    names = _tf1_name_of(table)
    places = []
    for captured in (first, second):
      targets = {_relabeled(x, names): t for x, t in captured.targets.items()}
      label = (tf1_capture.LOSS, name)
      places.append(
        finder.place(captured, targets[label].op) if label in targets else None
      )
    if any(places):
      there = 'TF1' if places[0] else 'TF2'
      verdict.kind = divergence.REAL
      verdict.divergence = divergence.Divergence(
        *places,
        differences=['only %s regularizes %s' % (there, name)],
        variables=tuple(name.split(', ')),
      )

  def _explain_weights(self, verdict) -> None:
    """Says which initializer of TF2 differs from that of TF1."""
    plan = dataclasses.replace(self._plan, gradients=False, batches=())
    first = tf1_initializers.capture(self._tf1_program, plan)
    second, tf2 = tf2_initializers.capture(self._case._tf2_program(), plan)
    sources = self._case._match(self._tf1, tf2).tf1_names_of()
    values = self._tf1.weight_of(), tf2.weight_of()
    for failed in verdict.failed(WEIGHTS):
      names = sources.get(failed.name, ())
      if len(names) != 1 or names[0] not in first or failed.name not in second:
        continue
      place = initializers.compare(
        names[0],
        first[names[0]],
        second[failed.name],
        (values[0][names[0]], values[1][failed.name]),
      )
      if place is not None:
        verdict.kind = divergence.REAL
        verdict.divergence = place
        if place.mistake:
          verdict.advice.insert(0, place.mistake)
        return

  def find(self, labels=(), step=None, groups=()) -> finder.Found:
    """Captures both sides and finds where they part.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.

    Returns:
      What was found.
    """
    if step is not None:
      try:
        first, second, table = self._captured_step(step)
      except tf1_step_capture.CannotCaptureError as error:
        raise _NotOneGraphError(str(error)) from error
    else:
      first, second, table = self._captured(labels, groups)
    names = _tf1_name_of(table)
    second.targets = {
      _relabeled(label, names): t for label, t in second.targets.items()
    }
    second.assigned = {
      _relabeled(label, names): op for label, op in second.assigned.items()
    }
    labels = [_relabeled(label, names) for label in labels]
    for label in labels:
      if label[0] in (tf1_capture.UPDATED, tf1_step_capture.AVERAGE):
        lines = _lines(table, label[1])
        found = assigned.one_sided((first, second), label, lines)
        if found is not None:
          found.group = label[0]
          found.mistake = mistakes.recognize(found)
          return finder.Found(found, float('inf'), True, ({}, {}))
    both = [label for label in first.targets if label in second.targets]
    wanted = [
      label
      for label in both
      if _is_wanted(label, labels, groups) and self._is_kept(label, table)
    ]
    if not wanted:
      raise tf2_capture.CannotTraceError('nothing to look at is in both graphs')
    found = finder.find(
      first, second, wanted, names, converted=self._converted(table)
    )
    is_assigned = bool(labels) and labels[0][0] in (
      tf1_capture.UPDATED,
      tf1_step_capture.AVERAGE,
    )
    if is_assigned and labels[0] in second.assigned:
      if found.divergence is None:
        found.assigned = assigned.places((first, second), labels[0])
      else:
        found.divergence.differences[:0] = assigned.describe(
          (first, second), labels[0]
        )
        found.divergence.mistake = mistakes.recognize(found.divergence)
    return found

  def _captured(self, labels, groups):
    """Captures the forward pass, with gradients and updates where wanted."""
    plan, weights = self._conditions(labels, groups)
    reusable = plan.gradients == self._plan.gradients
    built = self._built[0] if self._built and reusable else None
    used = self._used[0] if self._used and reusable else None
    first = tf1_capture.capture(self._tf1_program, plan, weights, built)
    tables = []

    def weights_for(tf2):
      tables.append(self._matched(tf2))
      return self._case._weights_for(tf2.variables, tables[0], weights)

    second = tf2_capture.capture(
      self._case._tf2_program(), plan, weights_for, self._tf1, used
    )
    return first, second, tables[0]

  def _captured_step(self, step):
    """Captures a training step, from the state in which it started."""
    plan = dataclasses.replace(
      self._plan,
      weights=plan_lib.FIXED,
      batches=(),
      inputs=self._plan.batches[step],
    )
    weights, state, averages = self._tf1.weight_of(), {}, {}
    if step:
      before = self._tf1.steps[step - 1]
      weights, state = {**weights, **before.variables}, before.state
      averages = before.slots.get(observation_lib.MOVING_AVERAGE, {})
    first = tf1_step_capture.capture(self._tf1_program, plan, weights, state)
    tables = []

    def state_for(tf2):
      tables.append(self._matched(tf2))
      return tuple(
        variables_lib.carried(tables[0], self._case._converted, values)
        for values in (weights, averages)
      )

    second = tf2_step_capture.capture(
      self._case._tf2_program(), plan, step, state_for, self._tf1
    )
    return first, second, tables[0]

  def _matched(self, tf2) -> variables_lib.VariableTable:
    table = self._case._match(self._tf1, tf2)
    if table.blocks_values:
      raise VariablesDifferError(table)
    return table

  def _converted(self, table) -> set[str]:
    """TF1 names of the variables that convert_variable changes."""
    weights, found = self._tf1.weight_of(), set()
    for first, second in table.pairs:
      value = weights[first.name]
      new = self._case._converted(first.name, value, second.name)
      if not np.array_equal(new, value):
        found.add(first.name)
    return found

  def _is_kept(self, label, table) -> bool:
    """Tells whether a result has one layout on both sides."""
    group, name = label
    if group not in _BY_VARIABLE:
      return True
    pairs = [(a, b) for a, b in table.pairs if a.name == name]
    if len(pairs) != 1 or len(table.tf1_names_of()[pairs[0][1].name]) != 1:
      return False
    value = self._tf1.weight_of()[name]
    converted = self._case._converted(name, value, pairs[0][1].name)
    return np.array_equal(converted, value)

  def _conditions(self, labels, groups):
    asked = {group for group, _ in labels} | set(groups)
    plan = dataclasses.replace(
      self._plan,
      weights=plan_lib.FIXED,
      batches=(),
      updates=tf1_capture.UPDATED in asked,
      gradients=self._plan.gradients
      or bool(asked & {tf1_capture.TOTAL, tf1_capture.GRADIENT}),
    )
    return plan, self._tf1.weight_of()

  def _conclude(self, verdict, found, step) -> None:
    if found.divergence is not None:
      verdict.kind = divergence.REAL
      known, verdict.divergence = verdict.divergence, found.divergence
      if known is not None:  # Library code makes ops without a line.
        _fill_in(found.divergence, known)
      verdict.advice = _advice(found.divergence, verdict.advice)
      return
    if found.assigned is not None:
      verdict.divergence = found.assigned
      return
    if step is not None:
      verdict.notes.append(
        'what computes the results agrees in float64; the difference is made '
        'after them (clipping, aggregation) or by rounding'
      )
      return
    if verdict.ledger is not None:
      verdict.kind = divergence.ORDER
      verdict.evidence.insert(
        0,
        'random order: with the same random numbers the sides agree in '
        'float64; they only draw others',
      )
      return
    if all(np.isfinite(x).all() for x in found.results[0].values()):
      self._conclude_noise(verdict, found)

  def _conclude_noise(self, verdict, found) -> None:
    """Tells rounding noise from a difference that is not in the graphs."""
    group = next(g for g in verdict.comparisons if verdict.failed(g))
    failed = {c.name: c for c in verdict.failed(group)}
    errors, scale = _rounding(found, self._tf1), 0.0
    gap = max(c.difference for c in failed.values())
    for label, value in found.results[0].items():
      if label[1] in failed:
        scale = max(scale, float(np.max(np.abs(value), initial=0.0)))
    if errors is not None and errors > _VACUOUS * max(scale, 1e-300):
      own = 'all' if errors > scale else '%.0f %%' % (100 * errors / scale)
      verdict.kind = divergence.VACUOUS
      verdict.evidence.insert(
        0,
        'vacuous: in float64 the sides agree, and %s of what TF1 computes is '
        'rounding noise' % own,
      )
      verdict.advice = [VACUOUS_ADVICE]
      return
    if not _reproduced(found, self._tf1, gap):
      verdict.evidence.insert(
        0,
        'traced as a graph, the TF2 side agrees with TF1: the difference is '
        'made by what is not in the graph',
      )
      verdict.advice.append(
        'Look for Python state, for branches on Python values, and for what '
        'eager execution does otherwise.'
      )
      return
    verdict.kind = divergence.NOISE
    verdict.evidence.insert(
      0,
      'noise: the difference vanishes in float64 (%.1g of the values)'
      % found.distance,
    )
    verdict.advice = [
      'Both sides compute the same but for rounding: pass a tolerance that it '
      'needs (atol=%.2g), or order the operations as TF1 does.' % (2 * gap)
    ]


def _fill_in(place, known) -> None:
  """Fills in lines that are known from elsewhere."""
  for side in ('tf1', 'tf2'):
    mine, other = getattr(place, side), getattr(known, side)
    if mine is not None and other is not None and not mine.line:
      setattr(place, side, dataclasses.replace(mine, line=other.line))


def _reproduced(found, tf1, gap: float) -> bool:
  """Tells whether TF2's graph is as far from TF1 in float32 as observed."""
  observed = dict(tf1.outputs)
  for (group, name), value in found.single.items():
    path = name[len(tf1_capture.OUTPUT) :]
    if group != tf1_capture.OUTPUT or path not in observed:
      return True  # Only outputs are kept in a form that can be compared.
    apart = np.abs(np.asarray(value, np.float64) - observed[path])
    if np.max(apart, initial=0.0) > 0.1 * gap:
      return True
  return False


VACUOUS_ADVICE = (
  'Choose inputs and weights that mean something: random inputs instead of '
  'constant ones, a batch larger than one, another reset_weights.'
)


def _advice(place: divergence.Divergence, advice: list[str]) -> list[str]:
  """Puts what is known of the place before, or instead of, general advice."""
  rest = [line for line in advice if line != advice_lib.LOOK_INSIDE]
  first = [place.mistake] if place.mistake else []
  if first and place.group in (tf1_capture.UPDATED, tf1_step_capture.AVERAGE):
    return first  # The general advice only guesses.
  return first + rest or [
    'Compare the code at the lines above: what both sides compute before them '
    'agrees.'
  ]


def _rounding(found, tf1: observation_lib.Observation) -> float | None:
  """Largest error of TF1's observed outputs against float64."""
  observed = dict(tf1.outputs)
  errors = []
  for (group, name), value in found.results[0].items():
    path = name[len(tf1_capture.OUTPUT) :]
    if group == tf1_capture.OUTPUT and path in observed:
      mine = np.asarray(observed[path])
      if mine.dtype.kind == 'f' and mine.shape == value.shape and mine.size:
        errors.append(float(np.max(np.abs(mine - value))))
  return max(errors) if errors else None


def _tf1_name_of(table: variables_lib.VariableTable) -> dict[str, str]:
  return {
    second: names[0] for second, names in table.tf1_names_of().items() if names
  }


def _lines(table, name: str) -> tuple[str, str]:
  """Lines that made a variable on both sides, '' where not known."""
  for first, second in table.pairs:
    if first.name == name:
      return tuple(
        str(spec.line) if spec.line.filename else '' for spec in (first, second)
      )
  return '', ''


def _relabeled(label, names):
  group, name = label
  if group in _BY_VARIABLE:
    return group, names.get(name, name)
  if group == tf1_capture.LOSS:
    return group, ', '.join(sorted(names.get(n, n) for n in name.split(', ')))
  return label


def _is_wanted(label, labels, groups) -> bool:
  if label in labels or label[0] in groups:
    return True
  # Losses and their sum go by other names in the comparison.
  others = {group for group, _ in labels}
  return label[0] in others & {
    tf1_capture.LOSS,
    tf1_capture.TOTAL,
    tf1_step_capture.RATE,
  }
