"""Carries out the commands that another process sends: the TF1 side's part.

A command is a dict with `id`, `do` (a method of `Service`) and `arguments`.
Each is answered by `begin` with that number, any number of times by `stage`,
which says what is being done, and in the end by `id` with either `result` or
`error`. Arrays are in files of a folder that both sides know.
"""

import errno
import faulthandler
import logging
import os
import signal
import traceback
import unittest
from typing import Any, Callable, Dict

from tf_equiv.core import capture_errors, errors, nest, own_json
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import (
  free_training,
  garbage,
  metrics,
  runner,
  shared_graphs,
  source_lines,
  step_graph,
  training,
)
from tf_equiv.tf1.capture import (
  capture,
  initializers,
  step_capture,
  stored_capture,
)
from tf_equiv.tf1.worker import shared_file, user_model

_MAX_LINE = 1000  # characters of a line of code
_MAX_FRAMES = 200
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def serve(
  next_command: Callable[[], Dict[str, Any]],
  reply: Callable[..., None],
  folder: str,
) -> None:
  """Carries out commands, one after another, for as long as the process lives.

  Args:
    next_command: waits for the next command.
    reply: sends an answer.
    folder: where files with arrays are.
  """
  # A file of its own, because user code may close or redirect stderr.
  trace = os.fdopen(os.dup(2), 'w')
  faulthandler.enable(trace)
  # Where this signal arrives, all threads write where they are.
  faulthandler.register(signal.SIGUSR1, trace, all_threads=True)
  log = logging.getLogger('tf_equiv')
  log.setLevel(logging.INFO)
  log.propagate = False
  log.addHandler(_Stages(reply))
  service = Service(folder)
  while True:
    command = next_command()
    reply(begin=command['id'])
    try:
      result = getattr(service, command['do'])(**command['arguments'])
    # SystemExit and KeyboardInterrupt as well, for user code may raise them.
    except BaseException as error:
      service.end_copies()
      reply(id=command['id'], error=describe(error))
    else:
      reply(id=command['id'], result=result)


class _Stages(logging.Handler):
  """Reports what is logged as the stage that has been reached."""

  def __init__(self, reply):
    super().__init__()
    self._reply = reply

  def emit(self, record):
    self._reply(stage=record.getMessage())


class Service:
  """The commands; what they take and return is plain JSON and file names."""

  def __init__(self, folder: str):
    self._folder = folder
    self._files = 0
    self._model: Any = None
    self._load_error: Any = None
    self._graphs = shared_graphs.SharedGraphs()
    # Signature and graph of the training step that was used last.
    self._step = ('', None)
    self._captured: Any = None
    self._process = os.getpid()

  def end_copies(self) -> None:
    """Ends this process if user code has forked it, and came back here."""
    if os.getpid() != self._process:
      os._exit(0)

  def load(self, model, sys_path):
    """Imports the user's model; returns which template methods it has."""
    logging.getLogger('tf_equiv').info('TF1: importing %s', model)
    try:
      self._model = user_model.load(model, sys_path)
    except BaseException as error:
      self._load_error = error
      raise
    return {'defined': self._model.defined()}

  def describe(self, plan, program):
    """Builds the graph of a plan; returns the file of its description."""
    plan = self._take(plan)
    program = self._program(program)
    built = self._built(program, plan)
    if not plan.batches or plan.metrics:
      return self._give(runner.list_variables(program, plan, built))
    return self._give(training.describe(built))

  def run(self, plan, program, weights):
    """Runs a plan with given or seeded weights; returns the observation."""
    plan = self._take(plan)
    values = self._take(weights) if weights else {}
    program = self._program(program, values)
    if plan.metrics:
      observed = metrics.run(program, plan)
      return self._give(_without(observed, values if weights else {}))
    built = self._built(program, plan)
    if plan.free_runs:
      observed = free_training.run(program, plan, built)
    elif plan.batches:
      observed = training.run(program, plan, built)
    else:
      observed = runner.run(program, plan, built)
      observed.seconds['TF1 build'] = built.seconds
    return self._give(_without(observed, values if weights else {}))

  def capture(self, plan, program, weights):
    """Captures the graph of a forward pass; returns the stored capture."""
    plan, values = self._take(plan), self._take(weights)
    program = self._program(program, values)
    logging.getLogger('tf_equiv').info('TF1: capturing the graph')
    return self._give_capture(
      capture.capture(program, plan, values, self._built(program, plan))
    )

  def capture_step(self, plan, program, weights, state):
    """Captures the graph of a training step; returns the stored capture."""
    plan = self._take(plan)
    values, state = self._take(weights), self._take(state)
    logging.getLogger('tf_equiv').info('TF1: capturing the training step')
    return self._give_capture(
      step_capture.capture(self._program(program), plan, values, state)
    )

  def capture_initializers(self, plan, program):
    """Returns the file of what makes the initial values, by variable."""
    plan, program = self._take(plan), self._program(program)
    built = self._built(program, plan)
    return self._give(initializers.capture(program, plan, built))

  def _give_capture(self, captured):
    self._captured = captured
    garbage.released()  # The one before.
    return self._give(stored_capture.dump(captured, with_lines=False))

  def line(self, op):
    """Returns the line that made an op of the graph that was captured last."""
    line = stored_capture.with_text(self._captured.line_that_made(op))
    return [line.filename, line.lineno, line.function, line.text]

  def _program(self, arguments, values=None):
    if self._load_error is not None:
      raise self._load_error
    return self._model.program(
      arguments, lambda name, shape, dtype: values[name]
    )

  def _built(self, program, plan):
    if not plan.batches or plan.metrics:
      # The code that was imported does not change.
      key = shared_graphs.key_of(plan), repr(program.behavior)
      return self._graphs.get(program, plan, key)
    signature = _signature(program, plan)
    if self._step[0] != signature:
      self._step = ('', None)  # Before the next takes as much memory.
      garbage.released()
      self._step = signature, step_graph.build(program, plan)
    return self._step[1]

  def _take(self, name: str) -> Any:
    return shared_file.read(os.path.join(self._folder, name))

  def _give(self, value: Any) -> str:
    self.end_copies()
    _keep_standard_descriptors()
    self._files += 1
    name = f'reply{self._files}'
    logging.getLogger('tf_equiv').info('TF1: handing over the results')
    shared_file.write(os.path.join(self._folder, name), value)
    return name


def _without(observed, given):
  """Leaves weights out of an observation that the other side has given."""
  observed.weights = [
    value
    for spec, value in zip(observed.variables, observed.weights)
    if spec.name not in given
  ]
  return observed


def _keep_standard_descriptors() -> None:
  """Opens 0 to 2 where user code closed them, lest a file gets their number.

  TensorFlow would write its log into it.
  """
  for descriptor in range(3):
    try:
      os.fstat(descriptor)
    except OSError:
      os.open(os.devnull, os.O_RDWR)


def _signature(program, plan: plan_lib.RunPlan) -> str:
  """What the graph of a step depends on: all of a plan but for values."""
  inputs = [
    (path, array.dtype.str, array.shape)
    for path, array in nest.flatten(plan.inputs)
  ]
  return own_json.dumps(
    [
      inputs,
      repr(nest.describe(plan.inputs)),
      plan.training,
      plan.seed_mode.value,
      plan.seed,
      repr(program.behavior),
      program.update_ops,
    ]
  )


def describe(error: BaseException) -> Dict[str, Any]:
  """Describes an error for another process.

  Returns:
    Its `kind` (a class of `errors`, 'assertion', 'SkipTest', 'cannot capture',
    'disk', or 'other'), its `message`, and the `frames` of the user's code,
    outermost first, as (file, line number, function, text).
  """
  stack = traceback.extract_tb(error.__traceback__)
  frames = [
    _frame(frame)
    for frame in stack
    if not source_lines.is_library_file(frame.filename)
  ]
  message, kind = f'{type(error).__name__}: {error}', 'other'
  if isinstance(error, SyntaxError):  # It is said where, too.
    lines = traceback.format_exception_only(type(error), error)
    message = ''.join(lines).strip()
  elif isinstance(error, errors.EquivalenceError):
    kind, message = type(error).__name__, str(error)
  elif isinstance(error, (AssertionError, unittest.SkipTest)):
    kind = 'SkipTest' if isinstance(error, unittest.SkipTest) else 'assertion'
    message = str(error)
  elif isinstance(error, capture_errors.NotOneGraphError):
    kind, message = 'cannot capture', str(error)
  elif isinstance(error, OSError) and error.errno in _DISK_ERRORS:
    kind = 'disk' if not frames else 'other'
  if kind == 'other' and not frames:
    frames = [_frame(frame) for frame in stack[-3:]]
  return {
    'kind': kind,
    'message': errors.cut(message),
    'frames': frames[-_MAX_FRAMES:],
  }


def _frame(frame):
  line = errors.cut(frame.line or '', _MAX_LINE)
  return [frame.filename, frame.lineno, frame.name, line]
