"""Looks for the first op in which two sides part, after a failure."""

import dataclasses
import logging

import numpy as np

from tf_equiv.assertions import reporting
from tf_equiv.compare import advice as advice_lib
from tf_equiv.compare import divergence, power
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.locate import finder
from tf_equiv.references import base as references
from tf_equiv.report import text
from tf_equiv.tf1 import capture as tf1_capture
from tf_equiv.tf1 import plan as plan_lib
from tf_equiv.tf2 import capture as tf2_capture

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
# What the tolerance that is named allows, over the difference that was seen.
_MARGIN = 1.1


class VariablesDifferError(Exception):
  """Ends a run whose weights cannot be carried to the other side."""

  def __init__(self, table: variables_lib.VariableTable):
    super().__init__()
    self.table = table


class Locator:
  """Captures both sides of a test case under a plan."""

  def __init__(self, case, plan, run, used=()):
    """Takes what is needed to run both sides again.

    Args:
      case: the test case.
      plan: what was run.
      run: the run of TF1.
      used: the forward pass of TF2, if it was kept.
    """
    self._case, self._plan, self._used = case, plan, list(used)
    self._run, self._tf1 = run, run.observation

  def explain(self, verdict: verdict_lib.Verdict) -> None:
    """Adds to a failed verdict where the sides part, and if that is real.

    Whatever goes wrong is noted in the verdict, and does not hide it.
    """
    labels, index = _labels(verdict, self._tf1)
    if not labels:
      return
    try:
      found = self.find(labels, index, floor=reporting.reports_failures())
    except references.CannotCaptureError as error:
      verdict.notes.append(
        'the first op that differs was not looked for: %s' % error
      )
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
      if verdict.kind == divergence.VACUOUS:
        verdict.noise = found.noise
      else:
        self._conclude(verdict, found, index)

  def find(
    self, labels=(), step=None, groups=(), floor: bool = True
  ) -> finder.Found:
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
    plan, weights = self._conditions(labels, step)
    reusable = step is None and plan.gradients == self._plan.gradients
    used = self._used[0] if self._used and reusable else None
    first = self._run.capture(plan, weights)
    tables = []

    def weights_for(tf2):
      table = self._case._match(self._tf1, tf2)
      if table.blocks_values:
        raise VariablesDifferError(table)
      tables.append(table)
      return self._case._weights_for(tf2.variables, table, weights)

    second = tf2_capture.capture(
      self._case._tf2_program(), plan, weights_for, self._tf1, used
    )
    names = _tf1_name_of(tables[0])
    second.targets = {
      _relabeled(label, names): t for label, t in second.targets.items()
    }
    both = [label for label in first.targets if label in second.targets]
    wanted = [label for label in both if _is_wanted(label, labels, groups)]
    if not wanted:
      raise tf2_capture.CannotTraceError('nothing to look at is in both graphs')
    return finder.find(first, second, wanted, names, floor=floor)

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
      verdict.kind = divergence.REAL
      verdict.divergence = found.divergence
      verdict.advice = _advice(found.divergence, verdict.advice)
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
        'vacuous: in float64 the sides agree, and %s of %s is rounding noise'
        % (noise.share, noise.result)
      ]
      verdict.advice = [VACUOUS_ADVICE]
      return
    if not _reproduced(found, self._tf1, gap):
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
      'noise: the difference vanishes in float64 (%.1g of the values)'
      % found.distance,
    )
    advice = 'Both sides compute the same but for rounding: '
    if noise is not None:
      noise.tolerance = max(noise.tolerance, _MARGIN * gap)
      advice += 'pass atol=%s, or order' % text.rounded_up(noise.tolerance)
    else:
      advice += 'order'
    verdict.advice = [advice + ' the operations as TF1 does.']


def _labels(verdict, tf1):
  """Returns (labels of the results to look at, number of the step or None)."""
  if verdict.kind == divergence.VACUOUS:
    noisy = power.noisy(tf1)
    return [(tf1_capture.OUTPUT, 'outputs' + path) for path in noisy], None
  group = next((g for g in verdict.comparisons if verdict.failed(g)), '')
  step, _, what = group.rpartition(': ')
  if what not in GROUPS:
    return [], None
  names = [c.name for c in verdict.failed(group) if not c.problem]
  index = int(step.split()[1]) - 1 if step else None
  return [(what, name) for name in names], index


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
  return first + rest or [
    'Compare the code at the lines above: what both sides compute before them '
    'agrees.'
  ]


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
