"""Looks for the first op in which two sides part, after a failure."""

import dataclasses
import logging

import numpy as np

from tf_equiv.assertions import reporting
from tf_equiv.compare import advice as advice_lib
from tf_equiv.compare import divergence, vacuity
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import observation as tf1_observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import assignments, eager, search, sketches, structure
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.diagnose.rules import mistakes
from tf_equiv.references import base as references
from tf_equiv.report import text
from tf_equiv.tf1.capture import capture as tf1_capture
from tf_equiv.tf1.capture import step_capture as tf1_step_capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import eager_capture
from tf_equiv.tf2 import step_capture as tf2_step_capture

_log = logging.getLogger('tf_equiv')
GROUPS = labels_lib.GROUPS
# The share of a result that may be rounding error for it to mean something.
_VACUOUS = 0.01
# What the tolerance that is named allows, over the difference that was seen.
_MARGIN = 1.1


class VariablesDifferError(Exception):
  """Ends a run whose weights cannot be carried to the other side."""

  def __init__(self, table: variables_lib.VariableTable):
    super().__init__()
    self.table = table


class _NotOneGraphError(Exception):
  """A training step is not made by one graph."""


class Locator:
  """Captures both sides of a test case under a plan.

  Attributes:
    case: the test case.
    plan: what was run.
    run: the run of TF1.
    tf1: its observation.
  """

  def __init__(self, case, plan, run, used=()):
    """Takes what is needed to run both sides again.

    Args:
      case: the test case.
      plan: what was run.
      run: the run of TF1.
      used: the forward pass of TF2, if it was kept.
    """
    self.case, self.plan, self._used = case, plan, list(used)
    self.run, self.tf1 = run, run.observation

  def explain(self, verdict: verdict_lib.Verdict) -> None:
    """Adds to a failed verdict where the sides part, and if that is real.

    Whatever goes wrong is noted in the verdict, and does not hide it.
    """
    if verdict.kind == divergence.VACUOUS:
      _guarded(verdict, lambda: self._explain_vacuity(verdict))
      return
    group = next((g for g in verdict.comparisons if verdict.failed(g)), '')
    step, _, what = group.rpartition(': ')
    what = labels_lib.OF_STEPS.get(what, what)
    if not group:
      _guarded(verdict, lambda: structure.explain_structure(self, verdict))
      return
    if what == structure.WEIGHTS:
      _guarded(verdict, lambda: structure.explain_weights(self, verdict))
      return
    if what not in GROUPS and what not in labels_lib.OF_STEPS.values():
      return
    names = [c.name for c in verdict.failed(group) if not c.problem]
    lone = [c.name for c in verdict.failed(group) if c.problem]
    if what == tf1_capture.LOSS and lone:
      _guarded(verdict, lambda: structure.explain_loss(self, verdict, lone[0]))
      return
    if not names:
      return
    index = int(step.split()[1]) - 1 if step else None
    labels = [(what, name) for name in names]
    _guarded(
      verdict,
      lambda: self._conclude(
        verdict,
        self.find(labels, index, floor=reporting.reports_failures()),
        index,
      ),
    )

  def _explain_vacuity(self, verdict) -> None:
    """Says where the rounding noise of vacuous outputs grows."""
    noisy = vacuity.noisy(self.tf1)
    labels = [(tf1_capture.OUTPUT, 'outputs' + path) for path in noisy]
    if labels:
      verdict.noise = self.find(labels).noise

  def find(
    self, labels=(), step=None, groups=(), floor: bool = True
  ) -> search.Found:
    """Captures both sides and finds where they part.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.
      floor: whether to measure what rounding does to each op, although the
        difference is real; reports show it.

    Returns:
      What was found.
    """
    try:
      if step is None:
        first, second, table = self.captured(labels, groups)
      else:
        first, second, table = self._captured_step(labels, step)
    except tf2_capture.CannotTraceError as error:
      asked = {group for group, _ in labels}
      own = step is not None and self.case._overrides('train_tf2')
      if own or asked - set(GROUPS):
        raise
      return self._find_recorded(labels, groups, step, str(error))
    names = labels_lib.tf1_name_of(table)
    second.targets = {
      labels_lib.relabeled(label, names): t
      for label, t in second.targets.items()
    }
    second.assigned = {
      labels_lib.relabeled(label, names): op
      for label, op in second.assigned.items()
    }
    labels = [labels_lib.relabeled(label, names) for label in labels]
    for label in labels:
      if label[0] in labels_lib.ASSIGNED:
        lines = labels_lib.lines_of(table, label[1])
        found = assignments.one_sided((first, second), label, lines)
        if found is not None:
          found.group = label[0]
          found.mistake = mistakes.recognize(found)
          return search.Found(found, float('inf'), True, ({}, {}))
    both = [label for label in first.targets if label in second.targets]
    wanted = [
      label
      for label in both
      if labels_lib.is_wanted(label, labels, groups)
      and self._is_kept(label, table)
    ]
    if not wanted:
      raise tf2_capture.CannotTraceError('nothing to look at is in both graphs')
    found = search.find(
      first,
      second,
      wanted,
      names,
      converted=self._converted(table),
      floor=floor,
    )
    is_assigned = bool(labels) and labels[0][0] in labels_lib.ASSIGNED
    if is_assigned and labels[0] in second.assigned:
      if found.divergence is None:
        found.assigned = assignments.places((first, second), labels[0])
      else:
        found.divergence.differences[:0] = assignments.describe(
          (first, second), labels[0]
        )
        found.divergence.mistake = mistakes.recognize(found.divergence)
    return found

  def _find_recorded(self, labels, groups, step, reason) -> search.Found:
    """Finds where a TF2 side that cannot be traced parts from TF1.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.
      reason: why it cannot be traced.
    """
    plan, weights = self._conditions(labels, groups, step)
    first = self.run.capture(plan, weights)
    sketcher, tables = sketches.Sketcher(), []

    def weights_for(tf2):
      tables.append(self._matched(tf2))
      return self.case._weights_for(tf2.variables, tables[0], weights)

    reusable = step is None and plan.gradients == self.plan.gradients
    recording = eager_capture.record(
      self.case._tf2_program(),
      plan,
      weights_for,
      self.tf1,
      sketcher.sketch,
      self._used[0] if self._used and reusable else None,
    )
    names = labels_lib.tf1_name_of(tables[0])
    recording.targets = {
      labels_lib.relabeled(label, names): t
      for label, t in recording.targets.items()
    }
    wanted = [
      label
      for label in first.targets
      if label in recording.targets
      and labels_lib.is_wanted(label, labels, groups)
      and self._is_kept(label, tables[0])
    ]
    if not wanted:
      raise tf2_capture.CannotTraceError(reason)
    return eager.find(first, recording, wanted, names, sketcher, reason)

  def captured(self, labels=(), groups=(), step=None):
    """Captures the forward pass, with gradients and updates where wanted.

    Args:
      labels: results to look at.
      groups: groups of results to look at.
      step: number of the training step from whose state it starts.

    Returns:
      (capture of TF1, capture of TF2, table of the variables).
    """
    plan, weights = self._conditions(labels, groups, step)
    reusable = step is None and plan.gradients == self.plan.gradients
    used = self._used[0] if self._used and reusable else None
    first = self.run.capture(plan, weights)
    tables = []

    def weights_for(tf2):
      tables.append(self._matched(tf2))
      return self.case._weights_for(tf2.variables, tables[0], weights)

    second = tf2_capture.capture(
      self.case._tf2_program(), plan, weights_for, self.tf1, used
    )
    return first, second, tables[0]

  def _captured_step(self, labels, step):
    """Captures a training step, or its forward pass if that is all there is."""
    try:
      return self._whole_step(step)
    except tf1_step_capture.CannotCaptureError as error:
      raise _NotOneGraphError(str(error)) from error
    except (tf2_capture.CannotTraceError, references.CannotCaptureError):
      groups = {group for group, _ in labels}
      if self.case._overrides('train_tf2') or groups - set(GROUPS):
        raise
      # Optimizers may do what cannot be traced, and a recording of TF1 has the
      # graph of the forward pass only.
      return self.captured(labels, step=step)

  def _whole_step(self, step):
    """Captures a training step, from the state in which it started."""
    plan = dataclasses.replace(
      self.plan,
      weights=plan_lib.FIXED,
      batches=(),
      inputs=self.plan.batches[step],
    )
    weights, state, averages = self.tf1.weight_of(), {}, {}
    if step:
      before = self.tf1.steps[step - 1]
      weights, state = {**weights, **before.variables}, before.state
      averages = before.slots.get(tf1_observation.MOVING_AVERAGE, {})
    first = self.run.capture_step(plan, weights, state)
    tables = []

    def state_for(tf2):
      tables.append(self._matched(tf2))
      return tuple(
        variables_lib.carried(tables[0], self.case._converted, values)
        for values in (weights, averages)
      )

    second = tf2_step_capture.capture(
      self.case._tf2_program(), plan, step, state_for, self.tf1
    )
    return first, second, tables[0]

  def _matched(self, tf2) -> variables_lib.VariableTable:
    table = self.case._match(self.tf1, tf2)
    if table.blocks_values:
      raise VariablesDifferError(table)
    return table

  def _converted(self, table) -> set[str]:
    """TF1 names of the variables that convert_variable changes."""
    weights, found = self.tf1.weight_of(), set()
    for first, second in table.pairs:
      value = weights[first.name]
      new = self.case._converted(first.name, value, second.name)
      if not np.array_equal(new, value):
        found.add(first.name)
    return found

  def _is_kept(self, label, table) -> bool:
    """Tells whether a result has one layout on both sides."""
    group, name = label
    if group not in labels_lib.BY_VARIABLE:
      return True
    pairs = [(a, b) for a, b in table.pairs if a.name == name]
    if len(pairs) != 1 or len(table.tf1_names_of()[pairs[0][1].name]) != 1:
      return False
    value = self.tf1.weight_of()[name]
    converted = self.case._converted(name, value, pairs[0][1].name)
    return np.array_equal(converted, value)

  def _conditions(self, labels, groups, step):
    asked = {group for group, _ in labels} | set(groups)
    plan = dataclasses.replace(
      self.plan,
      weights=plan_lib.FIXED,
      batches=(),
      updates=tf1_capture.UPDATED in asked,
      gradients=self.plan.gradients
      or bool(asked & {tf1_capture.TOTAL, tf1_capture.GRADIENT}),
    )
    weights = self.tf1.weight_of()
    if step is not None:
      plan = dataclasses.replace(plan, inputs=self.plan.batches[step])
      if step:
        weights = {**weights, **self.tf1.steps[step - 1].variables}
    return plan, weights

  def _conclude(self, verdict, found, step) -> None:
    if found.divergence is not None:
      verdict.kind = divergence.REAL if found.is_real else verdict.kind
      known = verdict.divergence
      if known is not None and found.divergence.note:
        return  # A constant, of which the data say more.
      verdict.divergence = found.divergence
      if known is not None:  # Library code makes ops without a line.
        _fill_in(found.divergence, known)
      verdict.advice = _advice(found.divergence, verdict.advice)
      return
    if found.assigned is not None:
      verdict.divergence = found.assigned
      return
    if found.recorded:
      verdict.notes.append(
        'the TF2 side cannot be traced; recorded op by op as it ran, it agrees '
        'with TF1 up to the rounding of float32'
      )
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
    gap = max(c.difference for c in verdict.failed(group))
    noise = found.noise
    verdict.noise = noise
    if noise is not None and noise.error > _VACUOUS * (noise.scale or 1e-300):
      verdict.kind = divergence.VACUOUS
      verdict.evidence[:0] = [
        f'vacuous: in float64 the sides agree, and {noise.share} of '
        f'{noise.result} is rounding noise'
      ]
      verdict.advice = [VACUOUS_ADVICE]
      return
    if not _reproduced(found, self.tf1, gap):
      verdict.noise = None
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
      f'noise: the difference vanishes in float64 ({found.distance:.1g} of '
      'the values)',
    )
    advice = 'Both sides compute the same but for rounding: '
    if noise is not None:
      noise.tolerance = max(noise.tolerance, _MARGIN * gap)
      advice += f'pass atol={text.rounded_up(noise.tolerance)}, or order'
    else:
      advice += 'order'
    verdict.advice = [advice + ' the operations as TF1 does.']


def explain_shapes(case, plan, verdict: verdict_lib.Verdict) -> None:
  """Adds to variables of another shape the op that makes the difference."""

  def explain():
    run = case._reference().run(case._tf1_program(), plan)
    structure.explain_shapes(Locator(case, plan, run), verdict)

  _guarded(verdict, explain)


def _guarded(verdict, function) -> None:
  """Explains a verdict; notes in it whatever goes wrong."""
  try:
    function()
  except _NotOneGraphError as error:
    verdict.notes.append(f'not compared op by op: {error}')
  except references.CannotCaptureError as error:
    verdict.notes.append(
      f'the first op that differs was not looked for: {error}'
    )
  except tf2_capture.CannotTraceError as error:
    verdict.notes.append(
      'the first op that differs was not looked for, because the TF2 side '
      f'cannot be traced as a graph: {error}'
    )
  except Exception as error:  # The user's code may do anything.
    _log.info('locating failed', exc_info=True)
    lines = str(error).strip().splitlines()
    verdict.notes.append(
      'the first op that differs could not be looked for '
      f'({type(error).__name__}: {lines[0] if lines else ""})'
    )


def _fill_in(place, known) -> None:
  """Fills in lines that are known from elsewhere."""
  for side in ('tf1', 'tf2'):
    mine, other = getattr(place, side), getattr(known, side)
    if mine is not None and other is not None and not mine.line:
      setattr(place, side, dataclasses.replace(mine, line=other.line))


def _reproduced(found, tf1, gap: float) -> bool:
  """Tells whether TF2's graph is as far from TF1 in float32 as observed."""
  observed = dict(tf1.outputs)
  for (group, name), value in found.single[1].items():
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
  if first and place.group in labels_lib.ASSIGNED:
    return first  # The general advice only guesses.
  return first + rest or [
    'Compare the code at the lines above: what both sides compute before them '
    'agrees.'
  ]
