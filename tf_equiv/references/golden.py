"""A TF1 side that was recorded, and is replayed without any TF1 code."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from tf_equiv.core import (
  arguments,
  capture_errors,
  errors,
  observation,
  text,
)
from tf_equiv.core import plan as plan_lib
from tf_equiv.golden import flags, plans, recorders, recording, replaying
from tf_equiv.references import base, in_process
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import refused_nodes

# Files up to this many bytes are recorded without a warning: what a version
# control system takes without trouble.
LARGE = 20 << 20


class Golden(base.Reference):
  """Compares with a recording of the TF1 side.

  It is recorded once where the TF1 code runs: with `python -m tf_equiv record
  path/to/test.py:TestClass`, or by running the test with `--update_goldens` (or
  with the environment variable TF_EQUIV_UPDATE_GOLDENS=1). Afterwards the test
  needs no TF1 code. A recording is found by its plan: inputs, training flag,
  seed mode and what else is run. If inputs or fixed weights are no longer those
  that were recorded, the error says which.

  Example:
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + '/half.golden'
    >>> class HalfTest(MigrationTestCase):
    ...   tf1_reference = Golden(path, update=True)
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0])
    ...   def build_tf1(self, inputs, training):
    ...     return inputs / 2
    ...   def build_tf2(self):
    ...     return lambda x: 0.5 * x
    >>> HalfTest().assertForwardEquivalent().passed
    True
    >>> HalfTest.tf1_reference = Golden(path)
    >>> del HalfTest.build_tf1
    >>> HalfTest().assertForwardEquivalent().passed
    True

  Attributes:
    path: the file. A relative path is looked for in the folder of the test
      class's file, in those of its base classes, in the current folder, and
      among Bazel's runfiles; it is recorded where it is found, else in the
      first.
    source: where the TF1 side runs when it is recorded.
    keep: what is stored besides outputs, losses, gradients and training steps,
      which always are: 'graph' (the graph with its source lines, to say where
      the sides part) and 'weights' (the initial weights of seeded runs; without
      them they are drawn again from the graph). Fixed weights are not stored,
      `reset_weights` gives them.
    trust_ops: types of ops that the recorded graph may run although they reach
      files, a network, Python or other processes. Others are refused.
  """

  def __init__(
    self,
    path: str | os.PathLike[str],
    *,
    source: base.Reference | None = None,
    keep: Sequence[str] = recording.KEEP,
    update: bool | None = None,
    trust_ops: Sequence[str] = (),
  ):
    """Takes a path, and how to record.

    Args:
      path: the file.
      source: where the TF1 side runs when it is recorded; by default in this
        process.
      keep: which of 'graph' and 'weights' to store.
      update: whether to record; None for what flag and environment say.
      trust_ops: types of ops that the recorded graph may run.

    Raises:
      UsageError: for another type, or something unknown to keep.
    """
    self.path = arguments.check_path(path, 'path of Golden')
    self.source = in_process.InProcess() if source is None else source
    if not isinstance(self.source, base.Reference) or isinstance(
      self.source, Golden
    ):
      raise errors.UsageError(
        f'source of Golden is {source!r}; expected where the TF1 side runs, '
        'tf_equiv.InProcess() for example.'
      )
    expected = f'a tuple of some of {", ".join(map(repr, recording.KEEP))}'
    keep = arguments.check_texts(keep, 'keep of Golden', expected)
    if not set(keep) <= set(recording.KEEP):
      raise arguments.wrong('keep of Golden', expected, keep)
    if update is not None:
      update = arguments.check_bool(update, 'update of Golden')
    self.keep = tuple(name for name in recording.KEEP if name in keep)
    self.trust_ops = refused_nodes.as_trusted(trust_ops, 'Golden')
    self._given = source
    self._update = update
    # The class of which it is an attribute, where it is one.
    self._set_in: type | None = None
    self._recorded: list[recording.Recorded] = []
    self._announced = 0

  def __repr__(self) -> str:
    return f'Golden({self.path!r})'

  def __eq__(self, other: Any) -> bool:
    return isinstance(other, Golden) and self._key() == other._key()

  def __hash__(self) -> int:
    return hash(self.path)

  def _key(self) -> tuple[Any, ...]:
    return self.path, self._given, self.keep, self._update, self.trust_ops

  @property
  def recorded(self) -> tuple[recording.Recorded, ...]:
    """What was recorded so far."""
    return tuple(self._recorded)

  def target(self, case: Any) -> str:
    """Returns the absolute path at which a test case records."""
    return recorders.target(self.path, recorders.owner_of_class(type(case)))

  def _updates(self) -> bool:
    return flags.wanted() if self._update is None else self._update

  def __set_name__(self, owner: type, name: str) -> None:
    self._set_in = owner

  def start(self) -> None:
    """Starts the source if something is to be recorded; see `Reference`."""
    if self._updates():
      self.source.start()

  def prepare(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> None:
    """Lets the source begin; see `Reference`."""
    if self._updates():
      self.source.prepare(program, plan)

  def list_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> observation.Observation:
    """Describes the variables; see `Reference`."""
    if not self._updates():
      kind = plans.VARIABLES
      found = replaying.find(self.path, kind, program, plan, self.trust_ops)
      return found.observation
    observed = self.source.list_variables(program, plan)
    ran = recording.Ran(self.source, observed)
    self._record(plans.VARIABLES, program, plan, ran)
    return observed

  def submit(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> base.Run:
    """Replays a plan, or runs and records it; see `Reference`."""
    if not self._updates():
      found = replaying.find(
        self.path, plans.RUN, program, plan, self.trust_ops
      )
      return GoldenRun(found)
    run = self.source.submit(program, plan)
    ran = recording.Ran(self.source, run.result(), run.capture)
    self._record(plans.RUN, program, plan, ran)
    return run

  def _record(
    self,
    kind: str,
    program: program_lib.Program,
    plan: plan_lib.RunPlan,
    ran: recording.Ran,
  ) -> None:
    path = recorders.target(self.path, recorders.owner_of(program.build))
    self._recorded.append(
      recording.record(path, kind, program, plan, ran, self.keep)
    )

  def measures_metrics(self) -> bool:
    """Returns whether the source does, or what it left can be replayed."""
    return not self._updates() or self.source.measures_metrics()

  def defines(self, name: str) -> bool | None:
    """Returns whether a training step of its own was recorded."""
    if self._updates():
      return self.source.defines(name)
    if name != 'train_tf1':
      return None
    owner = recorders.Owner()
    if self._set_in is not None:
      owner = recorders.owner_of_class(self._set_in)
    return replaying.has_own_step(self.path, owner)

  def close(self) -> None:
    """Says what was recorded, and closes the source."""
    by_path = {}
    for recorded in self._recorded[self._announced :]:
      by_path.setdefault(recorded.path, []).append(recorded)
    for path, several in by_path.items():
      print(summary(path, several), file=sys.stderr)
      if os.path.getsize(path) > LARGE:
        warnings.warn(too_large(path, self.keep), stacklevel=2)
    self._announced = len(self._recorded)
    self.source.close()


class GoldenRun(base.Run):
  """A run that was recorded, and is replayed."""

  def __init__(self, found: replaying.Recording):
    """Takes the recording."""
    self._found = found

  def result(self) -> observation.Observation:
    """Returns what was recorded."""
    return self._found.observation

  def capture(
    self, plan: plan_lib.RunPlan, weights: base.Values
  ) -> capture_lib.Capture:
    """Returns the recorded graph; see `Run`."""
    try:
      return self._found.capture(plan, weights)
    except replaying.NoGraphError as error:
      golden = self._found.observation.environment['golden']
      raise capture_errors.CannotCaptureError(
        f'the golden {golden} has no graph to look into: {error}; record it '
        "with 'graph' in keep"
      ) from error


def summary(path: str, recorded: Sequence[recording.Recorded]) -> str:
  """Says in one line, with its notes, what was recorded into a file."""
  titles = dict.fromkeys((each.entry['owner'], each.title) for each in recorded)
  lines = [
    f'tf_equiv: recorded {len(titles)} plan(s) into {path}, which has '
    f'{text.size(os.path.getsize(path))} now.'
  ]
  return '\n'.join(
    [*lines, *(f'  {r.title}: {r.note}' for r in recorded if r.note)]
  )


def too_large(path: str, keep: Sequence[str]) -> str:
  """Says what to do about a large golden."""
  advice = 'Use smaller inputs or fewer plans'
  if recording.WEIGHTS in keep:
    advice = (
      "keep=('graph',) leaves out the initial weights, and draws them again "
      'when they are needed'
    )
  return (
    f'The golden {path} has {text.size(os.path.getsize(path))}, more than '
    f'{text.size(LARGE)}. {advice}.'
  )
