"""Looks for the first op in which two sides part, after a failure."""

import dataclasses
import logging

import numpy as np

from tf_equiv.compare import advice as advice_lib
from tf_equiv.compare import divergence
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.locate import eager, finder, sketches
from tf_equiv.tf1 import capture as tf1_capture
from tf_equiv.tf1 import observation as observation_lib
from tf_equiv.tf1 import plan as plan_lib
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import eager_capture

_log = logging.getLogger('tf_equiv')
# Results that can be looked into, by group of comparisons.
GROUPS = (
  tf1_capture.OUTPUT,
  tf1_capture.LOSS,
  tf1_capture.TOTAL,
  tf1_capture.GRADIENT,
  tf1_capture.INPUT_GRADIENT,
)
# The share of a result that may be rounding error for it to mean something.
_VACUOUS = 0.01
_MOST_SEARCH = 5


class VariablesDifferError(Exception):
  """Ends a run whose weights cannot be carried to the other side."""

  def __init__(self, table: variables_lib.VariableTable):
    super().__init__()
    self.table = table


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
    if what not in GROUPS:
      return
    names = [c.name for c in verdict.failed(group) if not c.problem]
    if not names:
      return
    index = int(step.split()[1]) - 1 if step else None
    try:
      found = self.find([(what, name) for name in names], index)
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
    else:
      self._conclude(verdict, found, index)

  def find(self, labels=(), step=None, groups=()) -> finder.Found:
    """Captures both sides and finds where they part.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.

    Returns:
      What was found.
    """
    plan, weights = self._conditions(labels, step)
    reusable = step is None and plan.gradients == self._plan.gradients
    built = self._built[0] if self._built and reusable else None
    used = self._used[0] if self._used and reusable else None
    first = tf1_capture.capture(self._tf1_program, plan, weights, built)
    tables = []

    def weights_for(tf2):
      table = self._case._match(self._tf1, tf2)
      if table.blocks_values:
        raise VariablesDifferError(table)
      tables.append(table)
      return self._case._weights_for(tf2.variables, table, weights)

    arguments = self._case._tf2_program(), plan, weights_for, self._tf1
    sketcher, reason = sketches.Sketcher(), ''
    try:
      second = tf2_capture.capture(*arguments, used)
    except tf2_capture.CannotTraceError as error:
      second = eager_capture.record(*arguments, sketcher.sketch, used)
      reason = str(error)
    names = _tf1_name_of(tables[0])
    second.targets = {
      _relabeled(label, names): t for label, t in second.targets.items()
    }
    both = [label for label in first.targets if label in second.targets]
    wanted = [label for label in both if _is_wanted(label, labels, groups)]
    if not wanted:
      raise tf2_capture.CannotTraceError('nothing to look at is in both graphs')
    if reason:
      return eager.find(first, second, wanted, names, sketcher, reason)
    return finder.find(first, second, wanted, names)

  def _conditions(self, labels, step):
    plan = dataclasses.replace(
      self._plan,
      weights=plan_lib.FIXED,
      batches=(),
      updates=False,
      gradients=self._plan.gradients
      or any(g in (tf1_capture.TOTAL, tf1_capture.GRADIENT) for g, _ in labels),
    )
    weights = self._tf1.weight_of()
    if step is not None:
      plan = dataclasses.replace(plan, inputs=self._plan.batches[step])
      if step:
        weights = {**weights, **self._tf1.steps[step - 1].variables}
    return plan, weights

  def _conclude(self, verdict, found, step) -> None:
    if found.divergence is not None:
      verdict.kind = divergence.REAL if found.is_real else verdict.kind
      verdict.divergence = found.divergence
      verdict.advice = _advice(found.divergence, verdict.advice)
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


def _relabeled(label, names):
  group, name = label
  if group == tf1_capture.GRADIENT:
    return group, names.get(name, name)
  if group == tf1_capture.LOSS:
    return group, ', '.join(sorted(names.get(n, n) for n in name.split(', ')))
  return label


def _is_wanted(label, labels, groups) -> bool:
  if label in labels or label[0] in groups:
    return True
  # Losses and their sum go by other names in the comparison.
  others = {group for group, _ in labels}
  return label[0] in others & {tf1_capture.LOSS, tf1_capture.TOTAL}
