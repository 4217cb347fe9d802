"""Sends commands to the process of the TF1 side, again if it was replaced."""

import dataclasses
import logging
import os
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_equiv.core import capture_errors, errors, interrupts
from tf_equiv.core import observation as observation_lib
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.references.interpreter import errors as errors_lib
from tf_equiv.references.interpreter import process as process_lib
from tf_equiv.references.interpreter import python as python_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import runner
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import initializers, stored_capture

_log = logging.getLogger('tf_equiv')

# Methods that both sides need, or neither: their name, without the ending that
# restricts them to one side, and whether only training steps use them.
_GO_TOGETHER = (('compute_loss', False), ('clip_gradients', True))
# What the file holds that answers a command.
_RESULTS: dict[str, type] = {
  'describe': observation_lib.Observation,
  'run': observation_lib.Observation,
  'capture': stored_capture.StoredCapture,
  'capture_step': stored_capture.StoredCapture,
  'capture_initializers': dict,
}


@dataclasses.dataclass(frozen=True)
class Settings:
  """What runs where.

  Attributes:
    model: 'module:Class' or 'module'.
    python: the interpreter, None for that of the flag or the environment.
    sys_path: folders to import from.
    timeout: for how many seconds one answer is waited for.
    env: (name, value) of environment variables to set.
  """

  model: str
  python: str | None
  sys_path: tuple[str, ...]
  timeout: float
  env: tuple[tuple[str, str], ...]


class Client:
  """A process that is started when it is needed, and replaced if it ended.

  Attributes:
    title: the reference, for messages.
  """

  def __init__(self, settings: Settings, title: str, beside: str):
    """Takes what to run; nothing is started yet.

    Args:
      settings: what runs where.
      title: the reference, for messages.
      beside: folder that relative ones of `sys_path` may be taken from.
    """
    self.title = title
    self._settings, self._beside = settings, beside
    self._process: process_lib.WorkerProcess | None = None
    self._loading = 0
    # What the model defines, or why it cannot be loaded.
    self._defined: frozenset[str] | Exception | None = None
    self._finalizer: Any = None

  def start(self) -> None:
    """Starts the process, without waiting for it."""
    if self._process is None:
      self._open()

  def close(self) -> None:
    """Ends the process; a later command starts another."""
    with interrupts.deferred():
      if self._process is not None:
        self._finalizer.detach()
        self._process.close()
        self._process = None

  def defines(self, name: str) -> bool:
    """Returns whether the model defines a template method.

    Raises:
      UsageError, EnvironmentSetupError, ModelCodeError: see `Reference.run`.
    """
    self._alive()
    return name in self.defined()

  def send(self, do: str, **arguments) -> tuple[Any, int]:
    """Sends a command to a living process; returns (process, number)."""
    process = self._alive()
    try:
      return process, process.send(do, **arguments)
    except process_lib.WorkerError:
      if process.alive:
        raise
    # It ended on its own since the last assertion.
    process = self._alive()
    return process, process.send(do, **arguments)

  def wait(self, process, number: int) -> Any:
    """Returns the result of a command.

    Raises:
      the errors of `Reference.run`.
    """
    try:
      process.wait_for_start()
      return process.wait(number)
    except process_lib.RemoteError as error:
      raise errors_lib.local(error, self.title, process) from None

  def defined(self) -> frozenset[str]:
    """Names of the template methods that the model defines."""
    if self._defined is None:
      try:
        result = self.wait(self._process, self._loading)
        self._defined = frozenset(result['defined'])
      except Exception as error:
        self._defined = error
    if isinstance(self._defined, Exception):
      raise self._defined
    return self._defined

  def _alive(self):
    if self._process is not None and not self._process.alive:
      _log.info('TF1: the interpreter has ended; starting another')
      self.close()
    if self._process is None:
      self._open()
    return self._process

  def _open(self) -> None:
    settings = self._settings
    python = python_lib.find_python(settings.python)
    folders = [_folder(path, self._beside) for path in settings.sys_path]
    _log.info('TF1: starting %s', python)
    with interrupts.deferred():
      process = process_lib.WorkerProcess(
        python, dict(settings.env), settings.timeout
      )
      self._process, self._defined = process, None
      # Also at the exit of Python, for whoever has no tearDownClass.
      self._finalizer = weakref.finalize(self, process.close)
      self._loading = process.send(
        'load', model=settings.model, sys_path=folders
      )


class Call:
  """One plan on its way through the process."""

  _first: '_Sent | None' = None

  def __init__(self, client: Client, program, plan, do: str):
    self._client, self._program, self._plan = client, program, plan
    weights = {'weights': None} if do == 'run' else {}
    self._first = self._send(do, plan, **weights)

  def __del__(self):
    if self._first is not None:
      self._first.process.abandon(self._first.number)

  def read_first(self) -> observation_lib.Observation:
    """Waits for the answer to the first command."""
    first, self._first = self._first, None
    return self._read(first)

  def observed(self) -> observation_lib.Observation:
    """Waits for what the run leaves behind."""
    first = self.read_first()
    if self._plan.weights != plan_lib.FIXED:
      return first
    specs = [
      spec
      for spec in first.variables
      if not self._program.leaves_alone(spec.name)
    ]
    values = runner.fixed_weights(self._program.reset_weights, specs)
    names = [spec.name for spec in specs]
    given = dict(zip(names, values, strict=True))
    observed = self._read(
      self._send('run', self._plan, weights=process_lib.File(given))
    )
    # It sends those that it did not get.
    others = iter(observed.weights)
    observed.weights = [
      given[spec.name] if spec.name in given else next(others)
      for spec in observed.variables
    ]
    return observed

  def read_initializers(
    self, plan: plan_lib.RunPlan
  ) -> Mapping[str, initializers.Initializer]:
    """Returns what makes the initial values, by name of the variable."""
    return self._read(self._send('capture_initializers', plan))

  def captured(
    self, do: str, plan: plan_lib.RunPlan, **values: dict[str, np.ndarray]
  ) -> capture_lib.Capture:
    """Returns the graph that a command captures."""
    files = {name: process_lib.File(v) for name, v in values.items()}
    sent = self._send(do, plan, **files)
    stored = self._read(sent)
    known: dict[str, SourceLine] = {}

    def line_of(op_name):
      if op_name not in known:
        known[op_name] = self._line(sent.process, op_name)
      return known[op_name]

    try:
      # The code that made the graph is the user's own, and has run there.
      return stored_capture.load(stored, line_of, trust_ops=None)
    except errors.EnvironmentSetupError as error:
      raise capture_errors.CannotCaptureError(
        f'the graph of {self._client.title} cannot be looked into here: {error}'
      ) from error

  def _line(self, process, op_name) -> SourceLine:
    number = process.send('line', op=op_name)
    return SourceLine(*self._client.wait(process, number))

  def _arguments(self):
    program = self._program
    behavior = None
    if program.behavior != program_lib.TF1Behavior():
      behavior = dataclasses.asdict(program.behavior)
    return {
      'behavior': behavior,
      'update_ops': program.update_ops,
      'ignored': list(program.ignored),
    }

  def _send(self, do: str, plan, **arguments) -> '_Sent':
    arguments['plan'] = process_lib.File(plan)
    arguments['program'] = self._arguments()
    process, number = self._client.send(do, **arguments)
    return _Sent(process, number, do, arguments)

  def _read(self, sent: '_Sent') -> Any:
    try:
      return self._wait(sent)
    except process_lib.WorkerError:
      if not sent.process.ended_idle:
        raise
    # It ended since the last assertion, which was not yet known.
    sent.process, sent.number = self._client.send(sent.do, **sent.arguments)
    return self._wait(sent)

  def _wait(self, sent: '_Sent') -> Any:
    self._check_defined()
    name = self._client.wait(sent.process, sent.number)
    result = sent.process.read(name)
    if not isinstance(result, _RESULTS[sent.do]):
      raise errors.EnvironmentSetupError(
        f'{name}, a file of the interpreter of the TF1 side, holds a '
        f'{type(result).__name__} where a {_RESULTS[sent.do].__name__} was '
        'expected: something has changed it.'
      )
    return result

  def _check_defined(self) -> None:
    """Refuses a loss or clipping that only one side would have.

    Raises:
      UsageError: see above.
    """
    there, here = self._client.defined(), self._program.defined
    plan = self._plan
    if plan.metrics or (plan.batches and 'train_tf1' in there):
      return
    for name, in_steps in _GO_TOGETHER:
      if not (plan.batches or (plan.gradients and not in_steps)):
        continue
      both = [name, name + '_tf1']
      of_case = [n for n in [*both, name + '_tf2'] if n in here]
      of_model = [n for n in both if n in there]
      if of_case and not of_model:
        raise errors.UsageError(
          f'The test case defines {of_case[0]}, but {self._client.title}, '
          f'where the TF1 side runs, defines neither {name} nor {name}_tf1: '
          'only TF2 would have it. Define it there, too.'
        )
      if of_model and not of_case:
        raise errors.UsageError(
          f'{self._client.title}, where the TF1 side runs, defines '
          f'{of_model[0]}, but the test case defines neither {name} nor '
          f'{name}_tf2: only TF1 would have it. Define it in the test class, '
          'too.'
        )


@dataclasses.dataclass
class _Sent:
  """A command that was sent, and all it takes to send it again."""

  process: process_lib.WorkerProcess
  number: int
  do: str
  arguments: dict[str, Any]


def _folder(path: str, beside: str) -> str:
  tried = [os.path.abspath(path), os.path.abspath(os.path.join(beside, path))]
  for folder in tried:
    if os.path.isdir(folder) or folder.endswith(('.zip', '.egg')):
      return folder
  raise errors.UsageError(
    f'sys_path of Tf1Interpreter holds {path!r}, but there is no folder '
    f'{" nor ".join(dict.fromkeys(tried))}.'
  )
