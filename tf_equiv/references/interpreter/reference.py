"""The TF1 side in another interpreter, where a real TensorFlow 1.x is."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tf_equiv.core import arguments, errors
from tf_equiv.core import observation as observation_lib
from tf_equiv.core import plan as plan_lib
from tf_equiv.references import base
from tf_equiv.references.interpreter import client as client_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import source_lines
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import initializers


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
    """Takes what to run where; nothing is started yet.

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
    if not isinstance(sys_path, (list, tuple)):
      raise arguments.wrong('sys_path', 'a list of folders', sys_path)
    self._settings = client_lib.Settings(
      model,
      None if python is None else arguments.check_path(python, 'python'),
      tuple(
        arguments.check_path(folder, f'sys_path[{i}]')
        for i, folder in enumerate(sys_path)
      ),
      arguments.check_seconds(timeout, 'timeout'),
      tuple(sorted(_check_env(env).items())),
    )
    beside = source_lines.calling_frame().f_code.co_filename
    self._client = client_lib.Client(
      self._settings, repr(self), os.path.dirname(beside)
    )
    self._prepared: tuple[Any, client_lib.Call] | None = None

  def __eq__(self, other):
    if not isinstance(other, Tf1Interpreter):
      return NotImplemented
    return self._settings == other._settings

  def __hash__(self):
    return hash(self._settings)

  def __repr__(self) -> str:
    model, python = self._settings.model, self._settings.python
    shown = '' if python is None else f', python={python!r}'
    return f'Tf1Interpreter({model!r}{shown})'

  def start(self) -> None:
    """Starts the process, without waiting for it; see `Reference`."""
    self._client.start()

  def list_variables(self, program, plan):
    """Describes the variables; see `Reference`."""
    if self._prepared is None or self._prepared[0] is not plan:
      self.prepare(program, plan)
    _, call = self._prepared
    self._prepared = None
    return call.read_first()

  def prepare(self, program, plan):
    """Builds the graph of a plan, without waiting; see `Reference`."""
    self._prepared = (
      plan,
      client_lib.Call(self._client, program, plan, 'describe'),
    )

  def submit(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> 'InterpreterRun':
    """Sends a plan, without waiting; see `Reference`."""
    # The values of fixed weights are up to the test case, once it knows names.
    fixed = plan.weights == plan_lib.FIXED
    return InterpreterRun(
      client_lib.Call(
        self._client, program, plan, 'describe' if fixed else 'run'
      )
    )

  def measures_metrics(self) -> bool:
    """Returns that it does; see `Reference`."""
    return True

  def defines(self, name):
    """Returns whether the model defines a template method; see `Reference`.

    Raises:
      UsageError, EnvironmentSetupError, ModelCodeError: see `run`.
    """
    return self._client.defines(name)

  def close(self) -> None:
    """Ends the process; a later run starts another."""
    self._prepared = None
    self._client.close()


def _check_env(env: Any) -> dict[str, str]:
  """Returns environment variables."""
  if env is None:
    return {}
  if not isinstance(env, Mapping) or not all(
    isinstance(each, str) and '\0' not in each
    for pair in env.items()
    for each in pair
  ):
    raise arguments.wrong('env', 'a dict of strings', env)
  for name in env:
    if not name or '=' in name:
      raise arguments.wrong(
        'env', 'a dict of strings by the names of variables', env
      )
  return dict(env)


class InterpreterRun(base.Run):
  """A run in the other process."""

  def __init__(self, call: client_lib.Call):
    """Takes the call, which has been sent."""
    self._call = call
    self._outcome: observation_lib.Observation | Exception | None = None

  def result(self) -> observation_lib.Observation:
    """Returns what the run left behind; waits for it the first time."""
    if self._outcome is None:
      try:
        self._outcome = self._call.observed()
      except Exception as error:
        self._outcome = error
    if isinstance(self._outcome, Exception):
      raise self._outcome
    return self._outcome

  def capture(
    self, plan: plan_lib.RunPlan, weights: base.Values
  ) -> capture_lib.Capture:
    """Captures the forward pass; see `Run`."""
    return self._call.captured('capture', plan, weights=dict(weights))

  def capture_step(
    self, plan: plan_lib.RunPlan, weights: base.Values, state: base.Values
  ) -> capture_lib.Capture:
    """Captures a training step; see `Run`."""
    return self._call.captured(
      'capture_step', plan, weights=dict(weights), state=dict(state)
    )

  def capture_initializers(
    self, plan: plan_lib.RunPlan
  ) -> Mapping[str, initializers.Initializer]:
    """Describes the initializers; see `Run`."""
    return self._call.read_initializers(plan)
