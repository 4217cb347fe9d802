"""The TF1 side in another interpreter, where a real TensorFlow 1.x is."""

import dataclasses
import logging
import os
import shutil
import sys
import unittest
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.core import observation as observation_lib
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.references import awaited, base
from tf_equiv.references.interpreter import process as process_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import runner
from tf_equiv.tf1.capture import step_capture, stored_capture

_log = logging.getLogger('tf_equiv')

PYTHON_VARIABLE = 'TF_EQUIV_TF1_PYTHON'
PYTHON_FLAG = 'tf1_python'
if PYTHON_FLAG not in flags.FLAGS:
  flags.DEFINE_string(
    PYTHON_FLAG,
    None,
    'Interpreter with TensorFlow 1.x for tf_equiv.Tf1Interpreter; by default '
    f'that of the environment variable {PYTHON_VARIABLE}.',
  )

# Methods that both sides need, or neither: their name, without the ending that
# restricts them to one side, and whether only training steps use them.
_GO_TOGETHER = (('compute_loss', False), ('clip_gradients', True))
_FAILURES = {
  cls.__name__: cls
  for cls in (
    errors.UsageError,
    errors.EnvironmentSetupError,
    errors.ModelCodeError,
    errors.VariableCreationError,
  )
}
_HOW_TO_MAKE = (
  'With Python 3.7, such an interpreter is made by\n'
  '  python3.7 -m venv tf115\n'
  "  tf115/bin/python -m pip install 'pip<24.1'\n"
  "  tf115/bin/python -m pip install tensorflow==1.15.5 'protobuf<3.21' "
  "'numpy<1.19'\n"
)


class Tf1Interpreter(base.Reference):
  """Runs the TF1 side in another interpreter, e.g. one with TensorFlow 1.15.

  There, the code of the TF1 side is a class or module of its own: it defines
  `build_tf1(inputs, training)`, and optionally `compute_loss_tf1` (or
  `compute_loss`), `build_tf1_optimizer`, `clip_gradients_tf1` (or
  `clip_gradients`), `train_tf1` and `tf1_update_ops`, as `MigrationTestCase`
  does. It imports TensorFlow and what it needs, but not tf_equiv. Of this
  package nothing needs to be installed there; TensorFlow 1.13 to 1.15, or any
  2.x, and NumPy do. The values of the variables, the inputs and everything on
  the side of TF2 come from the test case.

  One process serves all tests of a class. It is started with the class, builds
  and runs while TF2 does, keeps the graphs that it built last, and ends with
  the class. One that crashed or was ended is replaced at the next assertion.

  Example:
    >>> import os, sys, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with open(os.path.join(folder.name, 'legacy.py'), 'w') as file:
    ...   _ = file.write('def build_tf1(inputs, training): return inputs / 2')
    >>> class HalfTest(MigrationTestCase):
    ...   tf1_reference = Tf1Interpreter(
    ...     python=sys.executable, model='legacy', sys_path=[folder.name]
    ...   )
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0])
    ...   def build_tf2(self):
    ...     return lambda x: 0.5 * x
    >>> HalfTest().assertForwardEquivalent().passed
    True
    >>> HalfTest.tf1_reference.close()  # As tearDownClass does.
    >>> folder.cleanup()
  """

  def __init__(
    self,
    model: str,
    *,
    python: str | os.PathLike | None = None,
    sys_path: Sequence[str | os.PathLike] = (),
    timeout: float = 600,
    env: Mapping[str, str] | None = None,
  ):
    """Says what to run where; nothing is started yet.

    Args:
      model: 'module:Class', instantiated without arguments, or 'module' for
        functions of a module.
      python: the interpreter; None for that of the flag --tf1_python, or else
        of the environment variable TF_EQUIV_TF1_PYTHON.
      sys_path: folders to import from there. A relative one is taken from the
        current folder, or else from that of the module that calls this.
      timeout: for how many seconds an assertion waits for one answer.
      env: environment variables to set there, besides those of this process.
        Those that tell Python where modules are (PYTHONPATH) are not handed on.

    Raises:
      UsageError: for an argument of another type.
    """
    if not isinstance(model, str) or not model.partition(':')[0].strip():
      raise errors.UsageError(
        f"model is {model!r}; expected 'module:Class', or 'module' for "
        'functions of a module, as text: it is imported in the other '
        'interpreter.'
      )
    if isinstance(sys_path, (str, os.PathLike)):
      raise errors.UsageError(
        f'sys_path is {sys_path!r}; expected a list of folders.'
      )
    if isinstance(timeout, bool) or not (
      isinstance(timeout, (int, float)) and timeout > 0
    ):
      raise errors.UsageError(
        f'timeout is {timeout!r}; expected a positive number of seconds.'
      )
    self._model, self._timeout = model, float(timeout)
    self._python = os.fspath(python) if python is not None else None
    self._sys_path = tuple(os.fspath(folder) for folder in sys_path)
    self._env = dict(env or {})
    self._beside = os.path.dirname(sys._getframe(1).f_code.co_filename)
    self._process: process_lib.WorkerProcess | None = None
    self._loading = 0
    # What the model defines, or why it cannot be loaded.
    self._defined: frozenset[str] | Exception | None = None
    self._prepared: tuple[Any, _Call] | None = None
    self._finalizer: Any = None

  def _key(self):
    return (
      self._model,
      self._python,
      self._sys_path,
      self._timeout,
      tuple(sorted(self._env.items())),
    )

  def __eq__(self, other):
    if not isinstance(other, Tf1Interpreter):
      return NotImplemented
    return self._key() == other._key()

  def __hash__(self):
    return hash(self._key())

  def __repr__(self) -> str:
    python = '' if self._python is None else f', python={self._python!r}'
    return f'Tf1Interpreter({self._model!r}{python})'

  def start(self) -> None:
    """Starts the process, without waiting for it; see `Reference`."""
    if self._process is None:
      self._open()

  def list_variables(self, program, plan):
    """Describes the variables; see `Reference`."""
    if self._prepared is None or self._prepared[0] is not plan:
      self.prepare(program, plan)
    _, call = self._prepared
    self._prepared = None
    return call.read_first()

  def prepare(self, program, plan):
    """Builds the graph of a plan, without waiting; see `Reference`."""
    self._prepared = plan, _Call(self, program, plan, 'describe')

  def run(self, program, plan):
    """Runs a plan; see `Reference`."""
    # The values of fixed weights are up to the test case, once it knows names.
    fixed = plan.weights == plan_lib.FIXED
    return _AwaitedRun(
      _Call(self, program, plan, 'describe' if fixed else 'run')
    )

  def defines(self, name):
    """Tells whether the model defines a template method; see `Reference`.

    Raises:
      UsageError, EnvironmentSetupError, ModelCodeError: see `run`.
    """
    self._alive()
    return name in self.defined()

  def close(self) -> None:
    """Ends the process; a later run starts another."""
    self._prepared = None
    if self._process is not None:
      self._finalizer.detach()
      self._process.close()
      self._process = None

  # What follows is for `_Call`.

  @property
  def model(self) -> str:
    """What was given as `model`."""
    return self._model

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
      UsageError, EnvironmentSetupError, ModelCodeError: see `run`.
    """
    try:
      process.wait_for_start()
      return process.wait(number)
    except process_lib.RemoteError as error:
      raise _local(error, self, process) from None

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
    python = _check_python(self._python)
    folders = [_folder(path, self._beside) for path in self._sys_path]
    _log.info('TF1: starting %s', python)
    process = process_lib.WorkerProcess(python, self._env, self._timeout)
    self._process, self._defined = process, None
    # Also at the exit of Python, for whoever has no tearDownClass.
    self._finalizer = weakref.finalize(self, process.close)
    self._loading = process.send('load', model=self._model, sys_path=folders)


class _Call:
  """One plan on its way through the process."""

  def __init__(self, reference: Tf1Interpreter, program, plan, do: str):
    self._reference, self._program, self._plan = reference, program, plan
    self._first: _Sent | None = None
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
    specs = first.variables
    # This may happen amid the seeded run of TF2.
    with compat.get_seed_unpatched():
      values = runner.fixed_weights(self._program.reset_weights, specs)
    names = [spec.name for spec in specs]
    given = dict(zip(names, values, strict=True))
    observed = self._read(
      self._send('run', self._plan, weights=process_lib.File(given))
    )
    observed.weights = values
    return observed

  def captured(self, plan, weights: Mapping[str, np.ndarray]):
    """Returns the graph of a forward pass."""
    return self._captured('capture', plan, weights=dict(weights))

  def captured_step(self, plan, weights, state):
    """Returns the graph of a training step."""
    return self._captured(
      'capture_step', plan, weights=dict(weights), state=dict(state)
    )

  def captured_initializers(self, plan):
    """Returns what makes the initial values, by name of the variable."""
    return self._read(self._send('capture_initializers', plan))

  def _captured(self, do, plan, **values):
    files = {name: process_lib.File(v) for name, v in values.items()}
    sent = self._send(do, plan, **files)
    stored = self._read(sent)
    known: dict[str, SourceLine] = {}

    def line_of(op_name):
      if op_name not in known:
        known[op_name] = self._line(sent.process, op_name)
      return known[op_name]

    try:
      return stored_capture.load(stored, line_of)
    except errors.EnvironmentSetupError as error:
      raise base.CannotCaptureError(
        f'the graph of {self._reference} cannot be looked into here: {error}'
      ) from error

  def _line(self, process, op_name) -> SourceLine:
    number = process.send('line', op=op_name)
    return SourceLine(*self._reference.wait(process, number))

  def _arguments(self):
    program = self._program
    behavior = None
    if program.behavior != program_lib.TF1Behavior():
      behavior = dataclasses.asdict(program.behavior)
    return {'behavior': behavior, 'update_ops': program.update_ops}

  def _send(self, do: str, plan, **arguments) -> '_Sent':
    arguments['plan'] = process_lib.File(plan)
    arguments['program'] = self._arguments()
    process, number = self._reference.send(do, **arguments)
    return _Sent(process, number, do, arguments)

  def _read(self, sent: '_Sent') -> Any:
    try:
      return self._wait(sent)
    except process_lib.WorkerError:
      if not sent.process.ended_idle:
        raise
    # It ended since the last assertion, which was not yet known.
    sent.process, sent.number = self._reference.send(sent.do, **sent.arguments)
    return self._wait(sent)

  def _wait(self, sent: '_Sent') -> Any:
    self._check_defined()
    name = self._reference.wait(sent.process, sent.number)
    return sent.process.read(name)

  def _check_defined(self) -> None:
    """Refuses a loss or clipping that only one side would have.

    Raises:
      UsageError: see above.
    """
    there, here = self._reference.defined(), self._program.defined
    plan = self._plan
    if plan.batches and 'train_tf1' in there:
      return
    for name, in_steps in _GO_TOGETHER:
      if not (plan.batches or (plan.gradients and not in_steps)):
        continue
      both = [name, name + '_tf1']
      of_case = [n for n in [*both, name + '_tf2'] if n in here]
      of_model = [n for n in both if n in there]
      if of_case and not of_model:
        raise errors.UsageError(
          f'The test case defines {of_case[0]}, but {self._reference}, where '
          f'the TF1 side runs, defines neither {name} nor {name}_tf1: only '
          'TF2 would have it. Define it there, too.'
        )
      if of_model and not of_case:
        raise errors.UsageError(
          f'{self._reference}, where the TF1 side runs, defines '
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


class _AwaitedRun(base.Run):
  """A run that is still going on."""

  def __init__(self, call: _Call):
    self._call = call
    self._outcome: Any = None
    self.capture = call.captured
    self.capture_step = call.captured_step
    self.capture_initializers = call.captured_initializers

  @property
  def observation(self) -> observation_lib.Observation:
    """What the run left behind; waits for it."""
    if self._outcome is None:
      try:
        self._outcome = self._call.observed()
      except Exception as error:
        self._outcome = error
    if isinstance(self._outcome, Exception):
      raise self._outcome
    return self._outcome

  def later(self) -> observation_lib.Observation:
    """See `Run`."""
    return awaited.AwaitedObservation(lambda: self.observation)


def python_of(given: str | None = None) -> str | None:
  """Returns the interpreter that is given, or that flag or environment name."""
  flag = flags.FLAGS[PYTHON_FLAG].value
  return given or flag or os.environ.get(PYTHON_VARIABLE) or None


def _check_python(given: str | None) -> str:
  python = python_of(given)
  if python is None:
    raise errors.EnvironmentSetupError(
      'Tf1Interpreter needs an interpreter with TensorFlow 1.x. Name it: '
      f'python= of Tf1Interpreter, the flag --{PYTHON_FLAG}, or the '
      f'environment variable {PYTHON_VARIABLE}.\n'
      f'{_HOW_TO_MAKE}'
    )
  python = os.path.expanduser(python)
  found = shutil.which(python)
  if found:
    return os.path.abspath(found)
  if os.path.isdir(python):
    problem = (
      'is a folder; its Python is probably '
      f'{os.path.join(python, "bin", "python")}'
    )
  elif os.path.exists(python):
    problem = 'is not executable'
  elif os.path.islink(python):
    problem = f'is a link to {os.readlink(python)}, which does not exist'
  else:
    problem = 'does not exist'
  raise errors.EnvironmentSetupError(
    f'The interpreter of the TF1 side, {python} (from {_origin(given)}), '
    f'{problem}.\n'
    f'{_HOW_TO_MAKE}'
  )


def _origin(given) -> str:
  if given:
    return 'python= of Tf1Interpreter'
  if flags.FLAGS[PYTHON_FLAG].value:
    return f'the flag --{PYTHON_FLAG}'
  return f'the environment variable {PYTHON_VARIABLE}'


def _folder(path: str, beside: str) -> str:
  tried = [os.path.abspath(path), os.path.abspath(os.path.join(beside, path))]
  for folder in tried:
    if os.path.isdir(folder) or folder.endswith(('.zip', '.egg')):
      return folder
  raise errors.UsageError(
    f'sys_path of Tf1Interpreter holds {path!r}, but there is no folder '
    f'{" nor ".join(dict.fromkeys(tried))}.'
  )


def _local(error: process_lib.RemoteError, reference, process) -> Exception:
  """Makes an error of this process of one in the other."""
  there = f'in {reference}'
  versions = process.environment
  if versions:
    there = (
      f'where the TF1 side runs (Python {versions["python"]}, TensorFlow '
      f'{versions["tensorflow"]})'
    )
  if error.kind in _FAILURES:
    return _FAILURES[error.kind](error.message)
  if error.kind == 'cannot capture':
    return step_capture.CannotCaptureError(error.message)
  if error.kind == 'SkipTest':
    return unittest.SkipTest(error.message)
  if error.kind == 'unsuitable':
    return errors.EnvironmentSetupError(
      f'The interpreter of the TF1 side, {process.python}, is not suitable: '
      f'{error.message}.\n'
      f'{_HOW_TO_MAKE}'
    )
  if error.kind == 'disk':
    return errors.EnvironmentSetupError(
      f'The results of the TF1 side cannot be written: {error.message}. '
      f'{process_lib.ROOM_ADVICE}'
    )
  if error.kind == 'assertion':  # It already says where.
    return AssertionError(f'{error.message}\nThis was {there}.')
  text = '\n  '.join(error.message.splitlines())
  frames = ''.join(
    '  %s%s\n'
    % (
      SourceLine(filename, lineno, function, code or ''),
      f'  (in {function})',
    )
    for filename, lineno, function, code in error.frames
  )
  return errors.ModelCodeError(
    'The TF1 code failed %s; nothing was compared.\n  %s\n%s'
    % (
      there,
      text,
      frames and 'Traceback of your code, innermost line last:\n' + frames,
    )
  )
