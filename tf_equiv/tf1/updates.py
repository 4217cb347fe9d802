"""Watches which gradients the optimizers of `tf.compat.v1.train` apply.

An optimizer may leave the update to its base class, to another optimizer that
it wraps, or compute it in an `apply_gradients` of its own. The innermost call
is what is recorded: it has the gradients after clipping, the learning rate and
the slots. Where its gradients cannot be fetched, because it is called in a
branch of a `tf.cond`, those of the call around it are taken.
"""

import contextlib
import dataclasses
import functools
import inspect
from typing import Any, Callable, Dict, List, Optional, Set

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.compat import optimizers
from tf_equiv.core import interrupts
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import source_lines

v1 = tf.compat.v1


@dataclasses.dataclass(frozen=True)
class Update:
  """One call of `apply_gradients`.

  Attributes:
    optimizer: the optimizer.
    gradients: gradients, as they were given: tensors, `IndexedSlices`, None.
    variables: the variables, in the same order.
    global_step: the variable that counts the updates, or None.
    operation: what the call returned.
    line: line of user code that applied them.
    own: whether the update is computed by the optimizer's own
      `apply_gradients`, so that its algorithm is not known.
  """

  optimizer: Any
  gradients: List[Any]
  variables: List[Any]
  global_step: Any
  operation: Any
  line: SourceLine = SourceLine()
  own: bool = False


@dataclasses.dataclass
class Recording:
  """What was seen so far.

  Attributes:
    updates: calls of `apply_gradients`, in order.
    averages: objects of `tf.train.ExponentialMovingAverage` that were applied.
    owned: names of further variables that are no part of the model.
    lines: line of user code that made an optimizer or a schedule, by its id.
  """

  updates: List[Update] = dataclasses.field(default_factory=list)
  averages: List[Any] = dataclasses.field(default_factory=list)
  owned: Set[str] = dataclasses.field(default_factory=set)
  lines: Dict[int, SourceLine] = dataclasses.field(default_factory=dict)
  _made: List[Any] = dataclasses.field(default_factory=list, repr=False)
  _depth: int = dataclasses.field(default=0, repr=False)

  def note(self, made: Any) -> None:
    """Notes where an optimizer or a schedule is being made."""
    line = source_lines.user_line(of=made)
    if line.filename and id(made) not in self.lines:
      self.lines[id(made)] = line
      self._made.append(made)  # As long as it lives its id is its own.

  def line_of(self, made: Any) -> SourceLine:
    """Returns where an optimizer was made, an empty line if not known."""
    return self.lines.get(id(made), SourceLine())

  def optimizers(self) -> List[Any]:
    """Returns the optimizers of TF1 that were made, or applied gradients."""
    found = [made for made in self._made if optimizers.is_v1(made)]
    for update in self.updates:
      if not any(update.optimizer is known for known in found):
        found.append(update.optimizer)
    return found

  @contextlib.contextmanager
  def applying(self):
    """Context of a call of `apply_gradients`.

    Its value is a function of the `Update` that the call is by itself; it adds
    to `updates` what remains of it after the calls inside.
    """
    first, outermost = len(self.updates), not self._depth
    known = {variable.op.name for variable in _global_variables()}
    self._depth += 1

    def done(update: Update) -> None:
      inner = self.updates[first:]
      self.updates[first:] = _joined(update, inner)

    try:
      yield done
    finally:
      self._depth -= 1
      if outermost:
        self.owned.update(
          variable.op.name
          for variable in _global_variables()
          if variable.op.name not in known
        )

  def averages_of(self, variable: Any) -> List[Any]:
    """Returns the moving averages that are kept of a variable."""
    found = [average.average(variable) for average in self.averages]
    return [shadow for shadow in found if shadow is not None]


def _global_variables() -> List[Any]:
  """Returns the variables of the graph, none in eager execution."""
  if tf.executing_eagerly() or hasattr(v1.get_default_graph(), 'captures'):
    return []  # The second is the graph of a function.
  return v1.global_variables()


def _joined(outer: Update, inner: List[Update]) -> List[Update]:
  """Returns the updates of a call, those of the calls inside of it first."""
  found, taken = [], set()
  given = {id(v): g for g, v in zip(outer.gradients, outer.variables)}
  for update in inner:
    gradients = [
      gradient if _is_fetchable(gradient) else given.get(id(variable))
      for gradient, variable in zip(update.gradients, update.variables)
    ]
    taken.update(id(variable) for variable in update.variables)
    found.append(
      dataclasses.replace(
        update,
        gradients=gradients,
        # It runs with the whole, and may be in a branch.
        operation=outer.operation,
        global_step=update.global_step
        if update.global_step is not None
        else outer.global_step,
      )
    )
  rest = [
    (gradient, variable)
    for gradient, variable in zip(outer.gradients, outer.variables)
    if id(variable) not in taken
  ]
  if rest and not (found and all(gradient is None for gradient, _ in rest)):
    found.append(
      dataclasses.replace(
        outer,
        gradients=[gradient for gradient, _ in rest],
        variables=[variable for _, variable in rest],
      )
    )
  return found


def _is_fetchable(gradient: Any) -> bool:
  """Returns whether a session can fetch a gradient of the default graph."""
  if gradient is None or tf.executing_eagerly():
    return True
  graph = v1.get_default_graph()
  tensor = getattr(gradient, 'values', gradient)
  if getattr(tensor, 'graph', graph) is not graph:
    return False
  return not compat.is_in_control_flow(tensor.op)


@interrupts.restoring
def _applications(recording: Recording):
  """Context in which all optimizers of TF1 are recorded, later ones too."""
  base = v1.train.Optimizer
  patched: Dict[Any, Callable[..., Any]] = {}

  def patch(cls: Any) -> None:
    original = vars(cls).get('apply_gradients')
    if inspect.isfunction(original) and cls not in patched:
      patched[cls] = original
      cls.apply_gradients = _recording(original, recording, own=cls is not base)

  # Of a context around this one.
  outer = vars(base).get('__init_subclass__')

  def init_subclass(cls, **kwargs):
    if outer is None:
      super(base, cls).__init_subclass__(**kwargs)
    else:
      outer.__func__(cls, **kwargs)
    patch(cls)

  for cls in [base] + optimizers.derived(base):
    patch(cls)
  base.__init_subclass__ = classmethod(init_subclass)
  try:
    yield
  finally:
    if outer is None:
      del base.__init_subclass__
    else:
      base.__init_subclass__ = outer
    for cls, original in patched.items():
      cls.apply_gradients = original


def _recording(
  original: Callable[..., Any], recording: Recording, own: bool
) -> Callable[..., Any]:
  """Returns an `apply_gradients` that records, in place of the original."""

  @functools.wraps(original)
  def apply_gradients(self, *args, **kwargs):
    if not args and not kwargs:
      return original(self)
    # Whatever the first argument is called.
    if args:
      pairs = list(args[0])
      args = (pairs,) + args[1:]
    else:
      name = 'grads_and_vars'
      name = name if name in kwargs else next(iter(kwargs))
      pairs = kwargs[name] = list(kwargs[name])
    with recording.applying() as done:
      operation = original(self, *args, **kwargs)
      if operation is not None:
        done(
          Update(
            self,
            [gradient for gradient, _ in pairs],
            [variable for _, variable in pairs],
            _argument(original, (self,) + args, kwargs, 'global_step'),
            operation,
            source_lines.user_line(),
            own,
          )
        )
    return operation

  return apply_gradients


def _argument(function, args, kwargs, name: str) -> Any:
  """Returns the value of an argument by its name, None if there is none."""
  try:
    return inspect.signature(function).bind(*args, **kwargs).arguments.get(name)
  except (TypeError, ValueError):
    return kwargs.get(name)


@interrupts.restoring
def _averages(recording: Recording):
  """Context in which moving averages are recorded."""
  average_class = tf.train.ExponentialMovingAverage
  apply = average_class.apply

  def recording_apply(self, var_list=None):
    operation = apply(self, var_list)
    if not any(self is known for known in recording.averages):
      recording.averages.append(self)
    return operation

  average_class.apply = recording_apply
  try:
    yield
  finally:
    average_class.apply = apply


@interrupts.restoring
def recorded(known: Optional[Recording] = None):
  """Context whose value is a `Recording`, which grows.

  It sees all subclasses of `tf.compat.v1.train.Optimizer`, also where
  `minimize` applies the gradients, those with an `apply_gradients` of their own
  included, and `tf.train.ExponentialMovingAverage`.

  Args:
    known: a recording of an earlier context, which goes on.

  Yields:
    The recording.
  """
  recording = Recording() if known is None else known
  with contextlib.ExitStack() as stack:
    stack.enter_context(_applications(recording))
    stack.enter_context(_averages(recording))
    stack.enter_context(optimizers.made(recording.note))
    yield recording


def recording_of_object(optimizer: Any, recording: Recording) -> Any:
  """Returns an `apply_gradients` of any object that is recorded.

  Args:
    optimizer: something with `apply_gradients`, of no class that `recorded`
      sees.
    recording: gets its updates.
  """
  cls: Any = type(optimizer)
  function = cls.apply_gradients
  return functools.partial(_recording(function, recording, True), optimizer)
