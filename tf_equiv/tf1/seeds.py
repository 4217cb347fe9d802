"""Deterministic random numbers, equal in TF1 graphs and in TF2.

The idea is that of `DeterministicRandomTestTool` in TensorFlow's migration
guide "Validating correctness & numerical equivalence": while the context is
active every stateful random op gets its seed from us, so that a session,
eager execution and `tf.function` draw the same numbers.

    with deterministic_seeds('num_random_ops') as seeds:
      a = tf.random.uniform((3, 1))
    seeds.draws[0].op   # 'random_uniform'

Beyond the guide's tool, the context also reaches default initializers of
`tf.compat.v1.layers` and tf_keras, keeps a ledger of all draws with the line
of user code behind each, and restores every seed that it touches.
"""

import contextlib
import dataclasses
import random
from typing import Any, List, Optional, Sequence, Union

import numpy as np

from tf_equiv import compat
from tf_equiv.core import arguments, errors, interrupts, threads
from tf_equiv.core.draw import Draw
from tf_equiv.core.seed_mode import SeedMode, as_seed_mode
from tf_equiv.tf1 import draws as draws_lib
from tf_equiv.tf1 import source_lines

# Operation seed of ops that never run.
_UNUSED = 1 << 30


class DeterministicSeeds:
  """Context that seeds every stateful random op; see `deterministic_seeds`.

  Attributes:
    mode: the `SeedMode`.
    seed: the graph-level (global) seed.
  """

  def __init__(self, mode: Union[str, SeedMode] = 'constant', seed: int = 42):
    self.mode = as_seed_mode(mode)
    self.seed = arguments.check_int(seed, 'seed')
    self._context: Any = None
    self._reset()

  def _reset(self) -> None:
    self._operation_seed = 0
    self._used = set()
    self._draws: List[Draw] = []
    self._replayed: Optional[List[Draw]] = None
    self._traced: Optional[_Trace] = None

  @property
  def operation_seed(self) -> int:
    """The seed of the next random op; may be set, but not to a used one."""
    return self._operation_seed

  @operation_seed.setter
  def operation_seed(self, value: int) -> None:
    self._operation_seed = arguments.check_int(value, 'operation_seed')

  @property
  def draws(self) -> List[Draw]:
    """The ledger: every draw since the context was entered, in order."""
    return list(self._draws)

  def __enter__(self) -> 'DeterministicSeeds':
    # First: while the context is active, `_context` is what ends it.
    with threads.alone():
      self._check_not_active()
    self._context = self._active()
    return self._context.__enter__()

  @interrupts.restoring
  def _active(self):
    self._reset()
    with contextlib.ExitStack() as stack:
      stack.enter_context(threads.alone())
      stack.enter_context(compat.global_seed_restored())
      stack.enter_context(_python_and_numpy_seeded(self.seed))
      stack.enter_context(compat.legacy_stateful_keras_generators())
      stack.enter_context(compat.get_seed_patched(self._get_seed))
      self.forget_kernels()
      yield self

  @staticmethod
  def _check_not_active() -> None:
    if compat.get_seed_is_patched():
      raise errors.UsageError(
        'deterministic_seeds is already active in this process; the inner '
        'context would take over the draws of the outer one. Leave the outer '
        'context first. (MigrationTestCase assertions enter it themselves.)'
      )

  def __exit__(self, *exc_info) -> None:
    context, self._context = self._context, None
    self._traced = None
    context.__exit__(*exc_info)

  def attribute(self, variable: str, shape: Sequence[int]) -> None:
    """Notes that an earlier draw became the initial value of a variable.

    The stack tells the variable of a draw only where an initializer draws for
    it; `tf.Variable(tf.random.normal(...))` draws before.

    Args:
      variable: name of the variable.
      shape: its shape; the first draw of that shape which was made eagerly for
        no known variable is taken.
    """
    if any(draw.variable == variable for draw in self._draws):
      return
    for i, draw in enumerate(self._draws):
      fits = draw.shape == tuple(shape) and draw.context == 'eager'
      if fits and not draw.variable:
        self._draws[i] = dataclasses.replace(draw, variable=variable, layer='')
        return

  def forget_kernels(self) -> None:
    """Makes every eager random op start again from its seed.

    Eager execution caches kernels together with the state of their random
    generator; without this, an op that ran before in this process would go on
    with its second batch of numbers.
    """
    compat.set_global_seed(self.seed)

  def replay(self, reference: Sequence[Draw] = ()) -> List[Draw]:
    """Lets the draws that follow take the seeds of those already made.

    A draw takes the seed of the next earlier draw with the same op, shape,
    variable and source line. That is how a model that was called once to
    create its variables repeats the draws of its forward pass, while the
    initializers, which do not run again, keep theirs.

    Args:
      reference: ledger of the other side. If its forward pass makes the same
        draws, they take its seeds: then it does not matter whether variables
        are created before the forward pass or in it.

    Returns:
      The ledger with the seeds that the draws take from now on.
    """
    draws = with_forward_seeds_of(reference, self._draws)
    self.repeat(draws)
    return draws

  def repeat(self, draws: Sequence[Draw]) -> None:
    """Lets the draws that follow take the seeds of these, as `replay` does.

    Args:
      draws: a ledger, such as `replay` returned it.
    """
    self._replayed = list(draws)
    self.forget_kernels()

  def _next_operation_seed(self, draw_key) -> int:
    if self.mode is SeedMode.CONSTANT:
      # The cached kernel of an equal op has drawn already.
      self.forget_kernels()
      return self._operation_seed
    earlier = _take_same(self._replayed, draw_key)
    if earlier is not None:
      return earlier.seed
    op_seed = self._operation_seed
    if op_seed in self._used:
      raise errors.UsageError(
        'The random op would re-use the already-used operation seed '
        f'{op_seed}. Eager execution and sessions draw different numbers when '
        'an operation seed is used twice. Most likely `operation_seed` was '
        'set by hand to a value from which the automatic count runs into a '
        'seed that was used before; choose a range that does not overlap.'
      )
    self._used.add(op_seed)
    self._operation_seed += 1
    return op_seed

  def _traced_before(self, draw_key) -> Optional[Draw]:
    """Returns the draw of the first trace that a second trace repeats."""
    found = compat.traced_call()
    if found is None:
      return None
    call, graph = found
    if self._traced is None or self._traced.call is not call:
      self._traced = _Trace(call, graph, len(self._draws))
    elif self._traced.graph is not graph:
      self._traced.graph = graph
      self._traced.repeated = self._draws[self._traced.start :]
    return _take_same(self._traced.repeated, draw_key)

  def _get_seed(self, unused_op_seed=None):
    """Stands in for TensorFlow's `get_seed`, whose callers want a pair."""
    if compat.in_keras_scratch_graph():
      return self.seed, _UNUSED
    frame = source_lines.calling_frame()
    op, shape = draws_lib.op_and_shape(frame)
    variable, layer = draws_lib.owner(frame)
    line = source_lines.user_line()
    draw_key = (op, shape, variable, line)
    earlier = self._traced_before(draw_key)
    if earlier is not None:
      return self.seed, earlier.seed
    op_seed = self._next_operation_seed(draw_key)
    self._draws.append(
      Draw(
        index=len(self._draws),
        seed=op_seed,
        op=op,
        shape=shape,
        variable=variable,
        layer='' if variable else layer,
        line=line,
        context=compat.execution_context(),
      )
    )
    return self.seed, op_seed


@dataclasses.dataclass
class _Trace:
  """The call of a `tf.function` that is being traced.

  Attributes:
    call: the call.
    graph: the graph that it is traced into now.
    start: number of draws before the call.
    repeated: draws of the first trace that the second has not yet repeated.
  """

  call: Any
  graph: Any
  start: int
  repeated: Optional[List[Draw]] = None


def seed_in(mode: SeedMode, index: int) -> int:
  """Returns the operation seed of the draw of that index in a seed mode."""
  return 0 if mode is SeedMode.CONSTANT else index


def with_forward_seeds_of(
  reference: Sequence[Draw], draws: Sequence[Draw]
) -> List[Draw]:
  """Gives draws the seeds of the other side where they correspond.

  Args:
    reference: ledger of the other side.
    draws: the ledger.

  Returns:
    The ledger. If the forward passes make the same draws, they have the seeds
    of the other side.
  """
  theirs, mine = ([d for d in t if not d.variable] for t in (reference, draws))
  if [d.key for d in theirs] != [d.key for d in mine]:
    return list(draws)
  seeds = iter([draw.seed for draw in theirs])
  return [
    draw if draw.variable else dataclasses.replace(draw, seed=next(seeds))
    for draw in draws
  ]


def _take_same(draws: Optional[List[Draw]], draw_key) -> Optional[Draw]:
  """Removes the first draw like this one, and those before it; returns it."""
  for i, earlier in enumerate(draws or ()):
    if earlier.key + (earlier.line,) == draw_key:
      del draws[: i + 1]
      return earlier
  return None


def deterministic_seeds(
  mode: Union[str, SeedMode] = 'constant', seed: int = 42
) -> DeterministicSeeds:
  """Returns a context in which random ops draw reproducible numbers.

  Inside the context every stateful random op gets the graph seed `seed` and
  an operation seed by `mode`, whatever seed the program asked for. TF1
  sessions, eager execution and `tf.function` then draw the same numbers,
  bitwise equal to those of TensorFlow 1.15. Python's `random` and NumPy's
  global generator are seeded with `seed`. On exit, also on an exception, all
  seeds and patches are as they were before. The object can be entered again
  and then starts afresh; nesting is refused.

  Not reached are `tf.random.Generator`, `tf.random.stateless_*` with seeds of
  the program's own, and Keras 3's own random numbers.

  Example:
    >>> with deterministic_seeds('num_random_ops') as seeds:
    ...   a = tf.random.uniform((3, 1)) * 3
    >>> print('%.7f' % a[0, 0], seeds.operation_seed)
    2.5063772 1

  Args:
    mode: 'constant' (each op gets the same seed) or 'num_random_ops' (each op
      gets the number of random ops before it), or a `SeedMode`.
    seed: the graph-level seed, an int.

  Returns:
    A context manager. Its value is itself and has `operation_seed` (int, get
    and set) and `draws` (list of `Draw`).

  Raises:
    UsageError: a `ValueError`, for an unknown mode, a seed that is no int,
      nesting, and, from the random op itself and before it draws any number,
      for an operation seed that was used before ('num_random_ops' only).
  """
  return DeterministicSeeds(mode, seed)


@interrupts.restoring
def _python_and_numpy_seeded(seed: int):
  """Seeds the global generators of Python and NumPy, restores them at exit."""
  python_state, numpy_state = random.getstate(), np.random.get_state()
  random.seed(seed)
  np.random.seed(seed % 2**32)
  try:
    yield
  finally:
    random.setstate(python_state)
    np.random.set_state(numpy_state)
