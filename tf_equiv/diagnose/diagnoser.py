"""Looks for the first op in which two sides part, after a failure."""

import contextlib
import logging
from collections.abc import Iterator, Sequence

from tf_equiv.compare import diagnosis as diagnosis_lib
from tf_equiv.compare import difference, divergence, vacuity
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import capture_errors, text
from tf_equiv.diagnose import (
  advice_texts,
  assignments,
  capturing,
  conclusion,
  eager,
  search,
  sketches,
  structure,
)
from tf_equiv.diagnose import draft as draft_lib
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.diagnose.result import Result
from tf_equiv.diagnose.rules import table as rules
from tf_equiv.tf1.capture import capture as tf1_capture

_log = logging.getLogger('tf_equiv')
GROUPS = labels_lib.GROUPS
# What a step keeps of its batch, beside what its optimizers do.
_OF_BATCHES = (Quantity.UNTRAINED_VARIABLES, Quantity.UPDATED_VARIABLES)


class Diagnoser:
  """Captures both sides under a plan, and finds where they diverge.

  Attributes:
    subject: what is looked into.
    tf1: the observation of the TF1 side.
  """

  def __init__(self, subject: capturing.Subject, floor: bool = True):
    """Takes what is looked into.

    Args:
      subject: both sides.
      floor: whether to measure what rounding does to each op, although the
        difference is real; reports show it.
    """
    self.subject, self._floor = subject, floor
    self.tf1 = subject.run.result()
    self._reassigns = False

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
      self._explain_structure(draft)
      return
    key = failing[0]
    self._explain_values(draft, key)
    if self._may_be_reassigned(key):
      self._add_overwritten(draft, key)

  def _explain_values(self, draft: draft_lib.Draft, key: Key) -> None:
    """Explains why values differ.

    Args:
      draft: gets what is found.
      key: the first that differ.
    """
    outcome = draft.outcome
    failing = outcome.failing()
    if key.quantity is Quantity.WEIGHTS:
      structure.explain_weights(self.subject, draft)
      groups = tf1_capture.OUTPUT, tf1_capture.LOSS
      found = self.find(groups=groups, all_places=True)
      conclusion.add_places(draft, found)
      return
    if labels_lib.group_of(key) is None:
      # What is known of it is in the data; what comes later may not follow.
      later = [
        k for k in failing if k.step == key.step and k.quantity in _OF_BATCHES
      ]
      for key in later[:1]:
        conclusion.add_places(draft, self._find_all(draft, key))
      return
    failed = outcome.failed(key)
    names = [c.name for c in failed if not c.problem]
    lone = [c.name for c in failed if c.problem]
    if key.quantity is Quantity.REGULARIZATION_LOSSES and lone:
      structure.explain_loss(self.subject, draft, lone[0])
      return
    if names:
      index = None if key.step is None else key.step - 1
      found = self._find_all(draft, key)
      conclusion.conclude(draft, found, index, self.tf1)

  def _may_be_reassigned(self, key: Key) -> bool:
    """Returns whether a forward pass may assign what an optimizer trains."""
    if not self.subject.plan.training or self.subject.has_own_step:
      return False
    return self._reassigns or key.quantity is Quantity.VARIABLES

  def _add_overwritten(self, draft: draft_lib.Draft, key: Key) -> None:
    """Adds which trained variables a forward pass assigns, and the other not.

    Args:
      draft: gets the places, which come first.
      key: what differs first.
    """
    labels = [
      (tf1_capture.UPDATED, first.name)
      for first, second in self.subject.pairing.table.pairs
      if first.trainable and second.trainable
    ]
    step = None if key.step is None else key.step - 1
    first, second = self.subject.capture(labels, step=step)
    names = self.subject.pairing.tf1_name()
    second.assigned = {
      labels_lib.relabeled(label, names): op
      for label, op in second.assigned.items()
    }
    places = []
    for label in labels:
      place = assignments.of_forward_pass((first, second), label)
      if place is not None:
        place.mistake = rules.recognize(place)
        places.append(place)
    conclusion.put_first(draft, places)

  def _find_all(self, draft: draft_lib.Draft, key: Key) -> Result:
    """Finds all places, those first from which a quantity differs."""
    group = labels_lib.group_of(key)
    labels = [
      (group, c.name) for c in draft.outcome.failed(key) if not c.problem
    ]
    index = None if key.step is None else key.step - 1
    return self.find(labels, index, all_places=True)

  def _explain_structure(self, draft: draft_lib.Draft) -> None:
    """Says which ops make an output that has another shape or dtype."""
    outputs = [
      (tf1_capture.OUTPUT, each.subject)
      for each in draft.outcome.evidence_of(difference.Difference)
      if each.kind is difference.Kind.OUTPUT
    ]
    if not outputs:
      return
    with noting_failures(draft_lib.Draft(draft.outcome, draft.finish())):
      found = self.find(outputs)
      place = found.divergence
      if place is not None and place.differences:
        draft.kind = divergence.REAL
        draft.divergence = place
        if place.mistake:
          guesses = advice_texts.OTHER_SHAPE, advice_texts.OTHER_DTYPE
          draft.advice = [place.mistake] + [
            line for line in draft.advice if line not in guesses
          ]
        return
    structure.explain_structure(self.subject, draft, outputs[0])

  def _explain_vacuity(self, draft: draft_lib.Draft) -> None:
    """Says where the rounding noise of vacuous outputs grows."""
    noisy = vacuity.noisy(self.tf1)
    labels = [(tf1_capture.OUTPUT, 'outputs' + path) for path in noisy]
    if labels:
      draft.noise = self.find(labels, floor=True).noise

  def find(
    self,
    labels: capturing.Labels = (),
    step: int | None = None,
    groups: Sequence[str] = (),
    floor: bool | None = None,
    all_places: bool = False,
  ) -> Result:
    """Captures both sides and finds where they part.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.
      floor: whether to measure what rounding does to each op; None for what
        was asked of the diagnoser.
      all_places: whether to look for all places, and for what repairs them.

    Returns:
      What was found.
    """
    pairing = self.subject.pairing
    floor = self._floor if floor is None else floor
    try:
      if step is None:
        first, second = self.subject.capture(labels, groups)
      else:
        first, second = self.subject.capture_step(labels, step)
    except capture_errors.CannotTraceError as error:
      asked = {group for group, _ in labels}
      if (step is not None and self.subject.has_own_step) or asked - set(
        GROUPS
      ):
        raise
      return self._find_recorded(labels, groups, step, str(error))
    names = pairing.tf1_name()
    self._reassigns = assignments.may_overwrite(
      (first, second), (self._trained(0), self._trained(1)), step is not None
    )
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
        place = assignments.one_sided((first, second), label, lines)
        if place is not None:
          place.group = label[0]
          place.mistake = rules.recognize(place)
          return Result(place, float('inf'), ({}, {}))
    both = [label for label in first.targets if label in second.targets]
    wanted = [
      label
      for label in both
      if labels_lib.is_wanted(label, labels, groups) and self._is_kept(label)
    ]
    if not wanted:
      raise capture_errors.CannotCaptureError(
        'nothing that could be looked at is in both graphs'
      )
    further = [
      label
      for label in both
      if label not in wanted
      and label[0] not in labels_lib.IN_DATA
      and self._is_kept(label)
    ]
    found = search.find(
      first,
      second,
      wanted,
      names,
      further=further if all_places else None,
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

  def _trained(self, side: int) -> set[str]:
    """Returns the names of the variables of a side that are trained."""
    pairs = self.subject.pairing.table.pairs
    return {pair[side].name for pair in pairs if pair[side].trainable}

  def _find_recorded(
    self,
    labels: capturing.Labels,
    groups: Sequence[str],
    step: int | None,
    reason: str,
  ) -> Result:
    """Finds where a TF2 side that cannot be traced parts from TF1.

    Args:
      labels: (group, name) of the results to look at.
      groups: groups of which all results are looked at.
      step: number of the training step, None for a forward pass.
      reason: why it cannot be traced.
    """
    sketcher, pairing = sketches.Sketcher(), self.subject.pairing
    first, recording = self.subject.record(labels, groups, step, sketcher)
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

  def _is_kept(self, label: tf1_capture.Label) -> bool:
    """Returns whether a result has one layout on both sides."""
    group, name = label
    if group not in labels_lib.BY_VARIABLE:
      return True
    return self.subject.pairing.keeps_layout(name, self.tf1.weight_of())


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
    _log.info('locating failed: %s', text.of_error(error))
    _log.debug('locating failed', exc_info=True)
    draft.notes.append(
      f'the first op that differs could not be looked for '
      f'({text.of_error(error)})'
    )
