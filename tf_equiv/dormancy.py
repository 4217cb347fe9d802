"""What is done after a pass: dormant differences are looked for, and proven.

The captured graphs of both sides are searched for a witness, and what is found
counts if both real sides, run again with it, differ as well.
"""

import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tf_equiv import looks
from tf_equiv.compare import dormant as records
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.core import capture_errors, errors, nest
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import capturing, diagnoser
from tf_equiv.dormant import points as points_lib
from tf_equiv.dormant import probes, search, sizes, steps, witness_files

_log = logging.getLogger('tf_equiv')

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True

# Of larger networks (bytes of what a forward pass computes), only the thorough
# search looks at other inputs.
_MAX_QUICK = 48 << 20
# Of smaller ones it tries so many as compute about as many bytes, but a few.
_QUICK_BYTES, _LEAST_QUICK = 64 << 20, 4
# What a rerun may say besides that the values differ.
_DIFFERENT = (
  outcome_lib.Kind.VALUES,
  outcome_lib.Kind.STEPS,
  outcome_lib.Kind.STRUCTURE,
)
_MAX_TRIES = 6
# For so long are other inputs and weights tried; large networks take minutes.
_MAX_SECONDS = 300.0
_TIME_IS_OVER = 'the time for further probes was over'


class Examiner:
  """Looks beyond one pass.

  Attributes:
    subject: both sides, which agree.
    rerun: runs both again.
    directory: where witnesses are saved, '' for a temporary folder.
    is_thorough: whether all is tried that can be.
  """

  def __init__(
    self,
    subject: capturing.Subject,
    rerun: looks.Rerun,
    directory: str = '',
  ):
    """Takes what passed."""
    self.subject, self.rerun, self.directory = subject, rerun, directory
    self._plan = subject.plan
    self._weights = subject.tf1.weight_of()
    self._probes = 0
    self._suspects: tuple[tuple[str, str], ...] = ()
    self._refusals: list[records.Refusal] = []
    self._obstacle = ''
    self.is_thorough = False
    self._is_large = subject.tf1.activations > _MAX_QUICK
    self._start = time.time()

  def quick(self) -> looks.Look:
    """Looks at the structure, and tries the first probes."""
    if self._is_large and not self._plan.batches:
      return looks.Look()
    return self._look(self._search_quickly)

  def thorough(self, given: Iterable[Any] = ()) -> looks.Look:
    """Tries all that can be tried.

    Args:
      given: further inputs of the user.
    """
    given, self.is_thorough = list(given), True
    found = self._look(lambda each: self._search_thoroughly(each, given))
    if found.witness is not None:
      return found
    found = self._by_running(
      sizes.Sized(x, records.Change(records.Changed.GIVEN, i))
      for i, x in enumerate(given)
    ) or self._by_running(sizes.others(self._plan.inputs))
    return found or self._nothing()

  def _look(
    self, function: Callable[[search.Search], looks.Look | None]
  ) -> looks.Look:
    """Captures both sides, and searches them."""
    try:
      if self._plan.batches:
        captures = self.subject.capture_step((), 0)
      else:
        captures = self.subject.capture()
      each = search.Search(captures, self.subject.pairing, self._base())
      # The learning rate and clipping of steps are functions of their own.
      if not self._plan.batches and each.are_same():
        return self._nothing()
      with each:
        self._suspects = each.suspects.pairs
        found = None
        if each.start():
          found = function(each)
        self._obstacle = self._obstacle or each.obstacle
        self._probes += each.probes
    except capture_errors.CaptureError as error:
      self._obstacle = str(error)
      found = None
    if found is None:
      return self._nothing()
    return dataclasses.replace(found, examination=self._examination())

  def _nothing(self) -> looks.Look:
    return looks.Look(examination=self._examination())

  def _examination(self) -> records.Examination:
    return records.Examination(
      self._probes,
      self._suspects,
      tuple(self._refusals),
      self._obstacle,
      self.is_thorough,
    )

  def _base(self) -> points_lib.Base:
    trained = frozenset(s.name for s in self.subject.tf1.trainable())
    # What a conversion computes may round to something else for others.
    moved = self.subject.pairing.moved(self._weights)
    return points_lib.Base(
      {p: np.asarray(x) for p, x in nest.flatten(self._plan.inputs)},
      {name: x for name, x in self._weights.items() if name in moved},
      trained,
    )

  def _search_quickly(self, each: search.Search) -> looks.Look | None:
    found = self._of_steps(each) if self._plan.batches else None
    if found is not None or each.suspects.is_same:
      return found
    if self._plan.batches:
      found = self._first(each.look(steps.later()))
    if found is not None or (self._is_large and not self.is_thorough):
      return found
    points: Iterable[points_lib.Point] = probes.mild(self._base())
    if not self.is_thorough:
      points = itertools.islice(points, self._affordable())
    return self._first(each.look(self._in_time(points)))

  def _affordable(self) -> int:
    """Returns how many probes cost little beside the assertion."""
    size = max(self.subject.tf1.activations, 1)
    return max(_QUICK_BYTES // size, _LEAST_QUICK)

  def _search_thoroughly(
    self, each: search.Search, given: list[Any]
  ) -> looks.Look | None:
    found = self._search_quickly(each)
    if found is not None or each.suspects.is_same:
      return found
    base = self._base()
    mild = list(probes.mild(base))
    rest = list(probes.further(base, each.ids()))
    return (
      self._first(each.look(_of_given(given, self._plan.inputs)))
      or self._first(each.look(self._in_time(rest)))
      or self._first(each.look(self._in_time(each.climb())))
      or self._first(
        each.look_in_working_dtype(
          self._in_time(p for p in [*mild, *rest] if p.is_valid)
        )
      )
    )

  def _in_time(
    self, points: Iterable[points_lib.Point]
  ) -> Iterator[points_lib.Point]:
    """Yields points until the time is over, which the verdict then says."""
    for point in points:
      if time.time() - self._start > _MAX_SECONDS:
        self._obstacle = self._obstacle or _TIME_IS_OVER
        return
      yield point

  def _of_steps(self, each: search.Search) -> looks.Look | None:
    own_step = self.subject.has_own_step
    found, note = steps.compare_rates(each.pair.captures, each.names, own_step)
    self._obstacle = note
    found = found or steps.compare_clipping(
      each.pair, each.names, each.tolerance
    )
    if found is None:
      return None
    return looks.Look(self._saved(found.witness, {}, {}), found.divergence)

  def _first(self, candidates: Iterable[search.Found]) -> looks.Look | None:
    """Returns the first candidate that holds when both sides run again."""
    for i, candidate in enumerate(candidates):
      if i >= _MAX_TRIES:
        break
      found = self._verified(candidate)
      if found is not None:
        return found
    return None

  def _verified(self, candidate: search.Found) -> looks.Look | None:
    point, witness = candidate.point, candidate.witness
    plan = dataclasses.replace(
      self._plan,
      weights=plan_lib.FIXED,
      inputs=_with(self._plan.inputs, point.inputs),
      batches=tuple(
        _with(batch, point.inputs) for batch in self._plan.batches[:1]
      ),
    )
    comparisons: outcome_lib.Comparisons = {}
    rerun = False
    if self._plan.batches and steps.COUNTER in point.weights:
      # No run of theirs starts at a later step.
      witness = self._saved(witness, point.inputs, point.weights)
      return looks.Look(witness, candidate.divergence)
    try:
      judged = self.rerun(plan, {**self._weights, **point.weights}).judged
    except looks.SideError as error:
      if error.side != witness.failing_side:
        return None
      line = _line_of(error.__cause__ or error)
      witness = dataclasses.replace(witness, error=line)
      rerun = True
    except errors.EquivalenceError:
      pass  # This reference has no other inputs: the graphs must do.
    else:
      if judged.outcome.kind not in _DIFFERENT or witness.failing_side:
        return None
      comparisons, rerun = judged.outcome.comparisons, True
    witness = dataclasses.replace(witness, is_rerun=rerun)
    witness = self._saved(witness, point.inputs, point.weights)
    return looks.Look(witness, candidate.divergence, comparisons)

  def _by_running(self, others: Iterable[sizes.Sized]) -> looks.Look | None:
    """Runs both sides with inputs of other sizes."""
    for other in others:
      if self._plan.batches:
        return None
      plan = dataclasses.replace(
        self._plan, weights=plan_lib.FIXED, inputs=other.inputs
      )
      self._probes += 1
      try:
        again = self.rerun(plan, self._weights)
      except looks.SideError as error:
        self._refuse(other.change, error.side, error.__cause__)
        continue
      except errors.EquivalenceError as error:
        self._refuse(other.change, '', error)
        continue
      judged = again.judged
      if judged.outcome.kind not in _DIFFERENT:
        if not judged.outcome.passed:
          self._refuse(other.change, '', None)
        continue
      return self._of_run(again, other)
    return None

  def _of_run(self, again: looks.Again, other: sizes.Sized) -> looks.Look:
    outcome = again.judged.outcome
    failing = outcome.failing()
    witness = records.Witness(changes=(other.change,), is_rerun=True)
    if failing:
      worst = outcome.failed(failing[0])[0]
      witness = dataclasses.replace(
        witness,
        result=(failing[0].name, worst.name),
        tf1_value=worst.tf1_value,
        tf2_value=worst.tf2_value,
      )
    inputs = dict(nest.flatten(other.inputs))
    witness = self._saved(witness, inputs, {})
    return looks.Look(
      witness,
      diagnoser.Diagnoser(again.subject, floor=False)
      .explain(outcome, Diagnosis())
      .divergence,
      outcome.comparisons,
      self._examination(),
    )

  def _refuse(
    self, change: records.Change, side: str, error: BaseException | None
  ) -> None:
    line = '' if error is None else _line_of(error)
    self._refusals.append(records.Refusal(change, side, line))

  def _saved(
    self,
    witness: records.Witness,
    inputs: points_lib.Values,
    weights: points_lib.Values,
  ) -> records.Witness:
    path = witness_files.save(self.directory, inputs, weights)
    return dataclasses.replace(witness, saved=path) if path else witness


def _line_of(error: BaseException) -> str:
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  return lines[0] if lines else type(error).__name__


def _with(inputs: Any, changed: points_lib.Values) -> Any:
  return nest.map_leaves(lambda path, x: changed.get(path, x), inputs)


def _of_given(given: list[Any], inputs: Any) -> list[points_lib.Point]:
  """Returns the inputs of the user that have the shapes of those compared."""
  shapes = {path: np.shape(x) for path, x in nest.flatten(inputs)}
  found = []
  for i, each in enumerate(given):
    arrays = dict(nest.flatten(each))
    if {path: np.shape(x) for path, x in arrays.items()} == shapes:
      change = records.Change(records.Changed.GIVEN, i)
      found.append(points_lib.Point(arrays, {}, (change,), False))
  return found


def guarded(
  function: Callable[[Examiner], looks.Look], examiner: Examiner
) -> looks.Look:
  """Looks beyond a pass; what goes wrong does not hide the pass.

  Args:
    function: looks beyond it.
    examiner: what it looks with.

  Raises:
    EquivalenceError: if a thorough look, which was asked for, cannot be made.
  """
  try:
    return function(examiner)
  except Exception as error:  # The user's code may do anything.
    if examiner.is_thorough and isinstance(error, errors.EquivalenceError):
      raise
    _log.info('looking beyond a pass failed', exc_info=True)
    obstacle = f'{type(error).__name__}: {_line_of(error)}'
    return looks.Look(examination=records.Examination(obstacle=obstacle))
