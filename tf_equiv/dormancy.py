"""What is done after a pass: dormant differences are looked for, and proven.

The captured graphs of both sides are searched for a witness, and what is found
counts if both real sides, run again with it, differ as well.
"""

import dataclasses
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tf_equiv import trials
from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import dormant as records
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.core import capture_errors, errors, nest
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import capturing, diagnoser
from tf_equiv.dormant import probes, search, sizes, steps

_log = logging.getLogger('tf_equiv')

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True

# Of larger networks (bytes of what a forward pass computes), only the thorough
# search looks at other inputs.
_MAX_QUICK = 48 << 20
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
_ADVICE = (
  'Make both sides compute the same where the lines above differ, or, if such '
  'inputs cannot occur, pass allow_dormant=True.'
)


class SideError(Exception):
  """One side cannot run; the error is the `__cause__`.

  Attributes:
    side: 'TF1' or 'TF2'.
  """

  def __init__(self, side: str):
    """Takes the side."""
    super().__init__(side)
    self.side = side


# Runs both sides with a plan and weights of TF1; raises `SideError`.
Rerun = Callable[[plan_lib.RunPlan, Mapping[str, np.ndarray]], 'Again']


@dataclasses.dataclass(frozen=True)
class Again:
  """Both sides, run again.

  Attributes:
    judged: whether they agree.
    subject: to look into them.
  """

  judged: trials.Judged
  subject: capturing.Subject


@dataclasses.dataclass(frozen=True)
class Look:
  """What a look beyond a pass has found.

  Attributes:
    witness: where the sides differ, None if nowhere.
    divergence: the place, where it is known.
    comparisons: what differs there, where both sides were run again.
    examination: what was done.
  """

  witness: records.Witness | None = None
  divergence: divergence_lib.Divergence | None = None
  comparisons: outcome_lib.Comparisons = dataclasses.field(default_factory=dict)
  examination: records.Examination = records.Examination()

  def applied(self, outcome: outcome_lib.Outcome) -> outcome_lib.Outcome:
    """Returns the outcome of an assertion that passed, with what was found."""
    outcome = dataclasses.replace(outcome, examination=self.examination)
    if self.witness is None:
      return outcome
    return dataclasses.replace(
      outcome,
      kind=outcome_lib.Kind.DORMANT,
      evidence=(self.witness, *outcome.evidence),
      comparisons=self.comparisons,
    )

  def explained(self, diagnosis: Diagnosis) -> Diagnosis:
    """Returns the diagnosis with the place that was found."""
    if self.witness is None:
      return diagnosis
    found = () if self.divergence is None else (self.divergence,)
    mistake = self.divergence.mistake if self.divergence is not None else ''
    return dataclasses.replace(
      diagnosis,
      kind=divergence_lib.DORMANT,
      divergences=found,
      advice=tuple(filter(None, (mistake, _ADVICE))),
    )


class Examiner:
  """Looks beyond one pass.

  Attributes:
    subject: both sides, which agree.
    rerun: runs both again.
    directory: where witnesses are saved, '' for a temporary folder.
  """

  def __init__(
    self,
    subject: capturing.Subject,
    rerun: Rerun,
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
    self._is_thorough = False
    self._is_large = subject.tf1.activations > _MAX_QUICK
    self._start = time.time()

  def quick(self) -> Look:
    """Looks at the structure, and tries the first probes."""
    if self._is_large and not self._plan.batches:
      return Look()
    return self._look(self._search_quickly)

  def thorough(self, given: Iterable[Any] = ()) -> Look:
    """Tries all that can be tried.

    Args:
      given: further inputs of the user.
    """
    given, self._is_thorough = list(given), True
    found = self._look(lambda each: self._search_thoroughly(each, given))
    if found.witness is not None:
      return found
    found = self._by_running(
      sizes.Sized(x, records.Change(records.Changed.GIVEN, i))
      for i, x in enumerate(given)
    ) or self._by_running(sizes.others(self._plan.inputs))
    return found or self._nothing()

  def _look(self, function: Callable[[search.Search], Look | None]) -> Look:
    """Captures both sides, and searches them."""
    try:
      if self._plan.batches:
        captures = self.subject.capture_step((), 0)
      else:
        captures = self.subject.capture()
      with search.Search(captures, self.subject.pairing, self._base()) as each:
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

  def _nothing(self) -> Look:
    return Look(examination=self._examination())

  def _examination(self) -> records.Examination:
    return records.Examination(
      self._probes,
      self._suspects,
      tuple(self._refusals),
      self._obstacle,
      self._is_thorough,
    )

  def _base(self) -> probes.Base:
    trained = frozenset(s.name for s in self.subject.tf1.trainable())
    return probes.Base(
      {p: np.asarray(x) for p, x in nest.flatten(self._plan.inputs)},
      self._weights,
      trained,
    )

  def _search_quickly(self, each: search.Search) -> Look | None:
    found = self._of_steps(each) if self._plan.batches else None
    if found is not None or each.suspects.is_same:
      return found
    if self._plan.batches:
      found = self._first(each.look(steps.later()))
    if found is not None or (self._is_large and not self._is_thorough):
      return found
    return self._first(each.look(self._in_time(probes.mild(self._base()))))

  def _search_thoroughly(
    self, each: search.Search, given: list[Any]
  ) -> Look | None:
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

  def _in_time(self, points: Iterable[probes.Point]) -> Iterator[probes.Point]:
    """Yields points until the time is over, which the verdict then says."""
    for point in points:
      if time.time() - self._start > _MAX_SECONDS:
        self._obstacle = self._obstacle or _TIME_IS_OVER
        return
      yield point

  def _of_steps(self, each: search.Search) -> Look | None:
    own_step = self.subject.has_own_step
    found, note = steps.compare_rates(each.pair.captures, each.names, own_step)
    self._obstacle = note
    found = found or steps.compare_clipping(
      each.pair, each.names, each.tolerance
    )
    if found is None:
      return None
    return Look(self._saved(found.witness, {}, {}), found.divergence)

  def _first(self, candidates: Iterable[search.Found]) -> Look | None:
    """Returns the first candidate that holds when both sides run again."""
    for i, candidate in enumerate(candidates):
      if i >= _MAX_TRIES:
        break
      found = self._verified(candidate)
      if found is not None:
        return found
    return None

  def _verified(self, candidate: search.Found) -> Look | None:
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
      return Look(witness, candidate.divergence)
    try:
      judged = self.rerun(plan, {**self._weights, **point.weights}).judged
    except SideError as error:
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
    return Look(witness, candidate.divergence, comparisons)

  def _by_running(self, others: Iterable[sizes.Sized]) -> Look | None:
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
      except SideError as error:
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

  def _of_run(self, again: Again, other: sizes.Sized) -> Look:
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
    return Look(
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
    inputs: probes.Values,
    weights: probes.Values,
  ) -> records.Witness:
    """Writes the arrays of a witness into a file."""
    arrays = {f'inputs{p}': _plain(x) for p, x in inputs.items()}
    arrays.update((f'weights/{n}', _plain(x)) for n, x in weights.items())
    arrays = {n: x for n, x in arrays.items() if x.dtype.kind != 'O'}
    if not arrays:
      return witness
    try:
      folder = self.directory
      if folder:
        os.makedirs(folder, exist_ok=True)
      handle, path = tempfile.mkstemp(
        '.npz', 'tf_equiv_witness_', folder or None
      )
      with os.fdopen(handle, 'wb') as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError:
      return witness  # The message says all the same what was changed.
    return dataclasses.replace(witness, saved=path)


def _plain(array: np.ndarray) -> np.ndarray:
  array = np.asarray(array)
  # A file of NumPy does not know it.
  return array.astype(np.float32) if array.dtype.name == 'bfloat16' else array


def _line_of(error: BaseException) -> str:
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  return lines[0] if lines else type(error).__name__


def _with(inputs: Any, changed: probes.Values) -> Any:
  return nest.map_leaves(lambda path, x: changed.get(path, x), inputs)


def _of_given(given: list[Any], inputs: Any) -> list[probes.Point]:
  """Returns the inputs of the user that have the shapes of those compared."""
  shapes = {path: np.shape(x) for path, x in nest.flatten(inputs)}
  found = []
  for i, each in enumerate(given):
    arrays = dict(nest.flatten(each))
    if {path: np.shape(x) for path, x in arrays.items()} == shapes:
      change = records.Change(records.Changed.GIVEN, i)
      found.append(probes.Point(arrays, {}, (change,), False))
  return found


def guarded(function: Callable[[Examiner], Look], examiner: Examiner) -> Look:
  """Looks beyond a pass; what goes wrong does not hide the pass.

  Args:
    function: looks.
    examiner: what it looks with.
  """
  try:
    return function(examiner)
  except errors.EquivalenceError:
    raise
  except Exception as error:  # The user's code may do anything.
    _log.info('looking beyond a pass failed', exc_info=True)
    obstacle = f'{type(error).__name__}: {_line_of(error)}'
    return Look(examination=records.Examination(obstacle=obstacle))
