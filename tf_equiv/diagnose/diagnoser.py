"""Looks for the first op in which two sides part, after a failure."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Sequence

import numpy as np

from tf_equiv.compare import diagnosis as diagnosis_lib
from tf_equiv.compare import divergence, vacuity
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare.quantity import Quantity
from tf_equiv.core import capture_errors
from tf_equiv.core import observation as tf1_observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.text import rounded_up
from tf_equiv.diagnose import (
  advice_texts,
  assignments,
  eager,
  search,
  sketches,
  structure,
)
from tf_equiv.diagnose import draft as draft_lib
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.diagnose import result as result_lib
from tf_equiv.diagnose.rules import table as rules
from tf_equiv.references import base as references
from tf_equiv.tf1.capture import capture as tf1_capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import eager_capture
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import program as tf2_program
from tf_equiv.tf2 import step_capture as tf2_step_capture
from tf_equiv.tf2 import training as tf2_training

_log = logging.getLogger('tf_equiv')
GROUPS = labels_lib.GROUPS
# The share of a result that may be rounding error for it to mean something.
_VACUOUS = 0.01
# What the tolerance that is named allows, over the difference that was seen.
_MARGIN = 1.1


@dataclasses.dataclass(frozen=True)
class Subject:
  """What it takes to run both sides again, and to look into them.

  Attributes:
    program: the TF2 side.
    plan: what was run.
    run: the run of the TF1 side.
    pairing: how the variables correspond; they do.
    forward: the forward pass of the TF2 side, if it was kept.
  """

  program: tf2_program.Program
  plan: plan_lib.RunPlan
  run: references.Run
  pairing: pairing_lib.Pairing
  forward: forward_lib.Forward | None = None


class Diagnoser:
  """Captures both sides under a plan, and finds where they diverge.

  Attributes:
    subject: what is looked into.
    tf1: the observation of the TF1 side.
  """

  def __init__(self, subject: Subject, floor: bool = True):
    """Takes what is looked into.

    Args:
      subject: both sides.
      floor: whether to measure what rounding does to each op, although the
        difference is real; reports show it.
    """
    self.subject, self._floor = subject, floor
    self.tf1 = subject.run.result()

  def explain(
    self, outcome: outcome_lib.Outcome, known: diagnosis_lib.Diagnosis
  ) -> diagnosis_lib.Diagnosis:
    """Finds where the sides diverge, and whether that is real.

    Whatever goes wrong is noted, and does not hide the outcome.

    Args:
      outcome: a failure.
      known: what is known of its cause.

    Returns:
      What is known then.
    """
    draft = draft_lib.Draft(outcome, known)
    with noting_failures(draft):
      self._explain(draft)
    return draft.finish()

  def _explain(self, draft: draft_lib.Draft) -> None:
    outcome = draft.outcome
    if outcome.vacuity is not None:
      self._explain_vacuity(draft)
      return
    failing = outcome.failing()
    if not failing:
      structure.explain_structure(self, draft)
      return
    key, failed = failing[0], outcome.failed(failing[0])
    if key.quantity is Quantity.WEIGHTS:
      structure.explain_weights(self, draft)
      return
    group = labels_lib.group_of(key)
    if group is None:
      return
    names = [c.name for c in failed if not c.problem]
    lone = [c.name for c in failed if c.problem]
    if key.quantity is Quantity.REGULARIZATION_LOSSES and lone:
      structure.explain_loss(self, draft, lone[0])
      return
    if names:
      index = None if key.step is None else key.step - 1
      labels = [(group, name) for name in names]
      self._conclude(draft, self.find(labels, index), index)

  def _explain_vacuity(self, draft: draft_lib.Draft) -> None:
    """Says where the rounding noise of vacuous outputs grows."""
    noisy = vacuity.noisy(self.tf1)
    labels = [(tf1_capture.OUTPUT, 'outputs' + path) for path in noisy]
    if labels:
      draft.noise = self.find(labels, floor=True).noise

  def find(
    self,
    labels: Sequence[tf1_capture.Label] = (),
    step: int | None = None,
    groups: Sequence[str] = (),
    floor: bool | None = None,
  ) -> result_lib.Result:
    """Captures both sides and finds where they part.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.
      floor: whether to measure what rounding does to each op; None for what
        was asked of the diagnoser.

    Returns:
      What was found.
    """
    pairing = self.subject.pairing
    floor = self._floor if floor is None else floor
    try:
      if step is None:
        first, second = self.captured(labels, groups)
      else:
        first, second = self._captured_step(labels, step)
    except capture_errors.CannotTraceError as error:
      asked = {group for group, _ in labels}
      if (step is not None and self._has_own_step) or asked - set(GROUPS):
        raise
      return self._find_recorded(labels, groups, step, str(error))
    names = pairing.tf1_name()
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
        lines = labels_lib.lines_of(pairing.table, label[1])
        found = assignments.one_sided((first, second), label, lines)
        if found is not None:
          found.group = label[0]
          found.mistake = rules.recognize(found)
          return result_lib.Result(found, float('inf'), ({}, {}))
    both = [label for label in first.targets if label in second.targets]
    wanted = [
      label
      for label in both
      if labels_lib.is_wanted(label, labels, groups) and self._is_kept(label)
    ]
    if not wanted:
      raise capture_errors.CannotTraceError(
        'nothing to look at is in both graphs'
      )
    found = search.find(
      first,
      second,
      wanted,
      names,
      converted=pairing.converted(self.tf1.weight_of()),
      floor=floor,
    )
    is_assigned = bool(labels) and labels[0][0] in labels_lib.ASSIGNED
    if is_assigned and labels[0] in second.assigned:
      if found.divergence is None:
        found.assigned = assignments.of_both((first, second), labels[0])
      else:
        found.divergence.differences[:0] = assignments.describe(
          (first, second), labels[0]
        )
        found.divergence.mistake = rules.recognize(found.divergence)
    return found

  def _find_recorded(self, labels, groups, step, reason) -> result_lib.Result:
    """Finds where a TF2 side that cannot be traced parts from TF1.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.
      reason: why it cannot be traced.
    """
    plan, weights = self._conditions(labels, groups, step)
    first = self.subject.run.capture(plan, weights)
    sketcher, pairing = sketches.Sketcher(), self.subject.pairing
    recording = eager_capture.record(
      self._forward(plan, step), plan, pairing.carry(weights), sketcher.sketch
    )
    names = pairing.tf1_name()
    recording.targets = {
      labels_lib.relabeled(label, names): t
      for label, t in recording.targets.items()
    }
    wanted = [
      label
      for label in first.targets
      if label in recording.targets
      and labels_lib.is_wanted(label, labels, groups)
      and self._is_kept(label)
    ]
    if not wanted:
      raise capture_errors.CannotTraceError(reason)
    return eager.find(first, recording, wanted, names, sketcher, reason)

  def captured(
    self,
    labels: Sequence[tf1_capture.Label] = (),
    groups: Sequence[str] = (),
    step: int | None = None,
  ) -> tuple[tf1_capture.Capture, tf1_capture.Capture]:
    """Captures the forward pass, with gradients and updates where wanted.

    Args:
      labels: results to look at.
      groups: groups of results to look at.
      step: number of the training step from whose state it starts.

    Returns:
      (capture of TF1, capture of TF2).
    """
    plan, weights = self._conditions(labels, groups, step)
    first = self.subject.run.capture(plan, weights)
    second = tf2_capture.capture(
      self._forward(plan, step), plan, self.subject.pairing.carry(weights)
    )
    return first, second

  def _forward(
    self, plan: plan_lib.RunPlan, step: int | None
  ) -> forward_lib.Forward:
    """Returns a forward pass of TF2, that which was kept where it serves."""
    subject = self.subject
    reusable = step is None and plan.gradients == subject.plan.gradients
    if subject.forward is not None and reusable:
      return subject.forward
    return tf2_capture.prepare(subject.program, plan, self.tf1)

  @property
  def _has_own_step(self) -> bool:
    return self.subject.program.train is not None

  def _captured_step(
    self, labels: Sequence[tf1_capture.Label], step: int
  ) -> tuple[tf1_capture.Capture, tf1_capture.Capture]:
    """Captures a training step, or its forward pass if that is all there is."""
    try:
      return self._whole_step(step)
    except capture_errors.NotOneGraphError:
      raise
    except capture_errors.CaptureError:
      groups = {group for group, _ in labels}
      if self._has_own_step or groups - set(GROUPS):
        raise
      # Optimizers may do what cannot be traced, and a recording of TF1 has the
      # graph of the forward pass only.
      return self.captured(labels, step=step)

  def _whole_step(
    self, step: int
  ) -> tuple[tf1_capture.Capture, tf1_capture.Capture]:
    """Captures a training step, from the state in which it started."""
    subject, batch = self.subject, self.subject.plan.batches[step]
    plan = dataclasses.replace(
      subject.plan, weights=plan_lib.FIXED, batches=(), inputs=batch
    )
    weights, state, averages = self.tf1.weight_of(), {}, {}
    if step:
      before = self.tf1.steps[step - 1]
      weights, state = {**weights, **before.variables}, before.state
      averages = before.slots.get(tf1_observation.MOVING_AVERAGE, {})
    first = subject.run.capture_step(plan, weights, state)
    candidate = tf2_training.prepare(subject.program, plan)
    carried = subject.pairing.carry(weights), subject.pairing.carry(averages)
    second = tf2_step_capture.capture(candidate, batch, step, carried, self.tf1)
    return first, second

  def _is_kept(self, label: tf1_capture.Label) -> bool:
    """Returns whether a result has one layout on both sides."""
    group, name = label
    if group not in labels_lib.BY_VARIABLE:
      return True
    return self.subject.pairing.keeps_layout(name, self.tf1.weight_of())

  def _conditions(self, labels, groups, step):
    asked = {group for group, _ in labels} | set(groups)
    plan = dataclasses.replace(
      self.subject.plan,
      weights=plan_lib.FIXED,
      batches=(),
      updates=tf1_capture.UPDATED in asked,
      gradients=self.subject.plan.gradients
      or bool(asked & {tf1_capture.TOTAL, tf1_capture.GRADIENT}),
    )
    weights = self.tf1.weight_of()
    if step is not None:
      plan = dataclasses.replace(plan, inputs=self.subject.plan.batches[step])
      if step:
        weights = {**weights, **self.tf1.steps[step - 1].variables}
    return plan, weights

  def _conclude(self, draft, found, step) -> None:
    if found.divergence is not None:
      draft.kind = divergence.REAL if found.is_real else draft.kind
      known = draft.divergence
      if known is not None and found.divergence.note:
        return  # A constant, of which the data say more.
      draft.divergence = found.divergence
      if known is not None:  # Library code makes ops without a line.
        _fill_in(found.divergence, known)
      draft.advice = _advice(found.divergence, draft.advice)
      return
    if found.assigned is not None:
      draft.divergence = found.assigned
      return
    if found.recorded:
      draft.notes.append(
        'the TF2 side cannot be traced; recorded op by op as it ran, it agrees '
        'with TF1 up to the rounding of float32'
      )
      return
    if step is not None:
      draft.notes.append(
        'what computes the results agrees in float64; the difference is made '
        'after them (clipping, aggregation) or by rounding'
      )
      return
    if draft.outcome.ledger is not None:
      draft.kind = divergence.ORDER
      draft.evidence.insert(
        0,
        'random order: with the same random numbers the sides agree in '
        'float64; they only draw others',
      )
      return
    if all(np.isfinite(x).all() for x in found.results[0].values()):
      self._conclude_noise(draft, found)

  def _conclude_noise(self, draft, found) -> None:
    """Tells rounding noise from a difference that is not in the graphs."""
    outcome = draft.outcome
    gap = max(c.difference for c in outcome.failed(outcome.failing()[0]))
    noise = found.noise
    draft.noise = noise
    if noise is not None and noise.error > _VACUOUS * (noise.scale or 1e-300):
      draft.kind = divergence.VACUOUS
      draft.evidence[:0] = [
        f'vacuous: in float64 the sides agree, and {noise.share} of '
        f'{noise.result} is rounding noise'
      ]
      draft.advice = [VACUOUS_ADVICE]
      return
    if not _reproduced(found, self.tf1, gap):
      draft.noise = None
      draft.evidence.insert(
        0,
        'traced as a graph, the TF2 side agrees with TF1: the difference is '
        'made by what is not in the graph',
      )
      draft.advice.append(
        'Look for Python state, for branches on Python values, and for what '
        'eager execution does otherwise.'
      )
      return
    draft.kind = divergence.NOISE
    draft.evidence.insert(
      0,
      f'noise: the difference vanishes in float64 ({found.distance:.1g} of '
      'the values)',
    )
    advice = 'Both sides compute the same but for rounding: '
    if noise is not None:
      noise.tolerance = max(noise.tolerance, _MARGIN * gap)
      advice += f'pass atol={rounded_up(noise.tolerance)}, or order'
    else:
      advice += 'order'
    draft.advice = [advice + ' the operations as TF1 does.']


@contextlib.contextmanager
def noting_failures(draft: draft_lib.Draft) -> Iterator[None]:
  """Context that explains an outcome; whatever goes wrong is noted in it."""
  try:
    yield
  except capture_errors.NotOneGraphError as error:
    draft.notes.append(f'not compared op by op: {error}')
  except capture_errors.CannotCaptureError as error:
    draft.notes.append(f'the first op that differs was not looked for: {error}')
  except capture_errors.CannotTraceError as error:
    draft.notes.append(
      'the first op that differs was not looked for, because the TF2 side '
      f'cannot be traced as a graph: {error}'
    )
  except Exception as error:  # The user's code may do anything.
    _log.info('locating failed', exc_info=True)
    lines = str(error).strip().splitlines()
    draft.notes.append(
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
  rest = [line for line in advice if line != advice_texts.LOOK_INSIDE]
  first = [place.mistake] if place.mistake else []
  if first and place.group in labels_lib.ASSIGNED:
    return first  # The general advice only guesses.
  return first + rest or [
    'Compare the code at the lines above: what both sides compute before them '
    'agrees.'
  ]
