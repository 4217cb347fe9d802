"""What all forms of the TF1 side have in common."""

import abc
import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from tf_equiv.core import observation as observation_lib
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import initializers


class CannotCaptureError(Exception):
  """The TF1 side cannot be looked into; the message says why."""


def _cannot(*unused_arguments):
  raise CannotCaptureError(
    'where TF1 runs here, training steps and initializers cannot be looked into'
  )


@dataclasses.dataclass
class Run:
  """One run of the TF1 side.

  Attributes:
    observation: what it left behind.
    capture: called with a plan (what was run, or its forward pass) and the
      values of variables by name, returns the TF1 side as a `Capture`, or
      raises `CannotCaptureError`.
    capture_step: the same for a training step. It is called with a plan whose
      `inputs` are the batch, the values of the model's variables, and those of
      all others.
    capture_initializers: called with a plan, returns what makes the initial
      value of each variable, an `Initializer` by name.
  """

  observation: observation_lib.Observation
  capture: Callable[
    [plan_lib.RunPlan, Mapping[str, np.ndarray]], capture_lib.Capture
  ]
  capture_step: Callable[..., capture_lib.Capture] = _cannot
  capture_initializers: Callable[
    [plan_lib.RunPlan], Mapping[str, initializers.Initializer]
  ] = _cannot

  def later(self) -> observation_lib.Observation:
    """The observation, which is waited for only when it is looked at.

    What fails on the TF1 side is then raised there.
    """
    return self.observation


class Reference(abc.ABC):
  """Where the TF1 side of a test case runs.

  One reference serves all tests of a class, each with a program of its own.
  """

  def start(self) -> None:  # noqa: B027  (most have nothing to start)
    """Begins, without waiting, what takes time before the first run.

    Called when a test class begins.

    Raises:
      EnvironmentSetupError: if that cannot be done; so would the first run.
    """

  def prepare(  # noqa: B027
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> None:
    """Begins, without waiting, what `list_variables` will be asked for."""

  @abc.abstractmethod
  def list_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> observation_lib.Observation:
    """Describes the variables of the TF1 side.

    Args:
      program: the template methods of the test case.
      plan: what is to run.

    Returns:
      An observation with `variables` and `draws`, and without values.

    Raises:
      UsageError: for an unusable template method, or a plan that this
        reference cannot run.
      EnvironmentSetupError, ModelCodeError: if the code cannot run.
    """

  @abc.abstractmethod
  def run(self, program: program_lib.Program, plan: plan_lib.RunPlan) -> Run:
    """Runs a plan: a forward pass, or training steps if it has batches.

    Args:
      program: the template methods of the test case.
      plan: what to run.

    Returns:
      The run.

    Raises:
      UsageError: for an unusable template method, or a plan that this
        reference cannot run.
      EnvironmentSetupError, ModelCodeError: if the code cannot run.
    """

  def defines(self, name: str) -> bool | None:
    """Tells whether a template method is defined on the side of TF1.

    Args:
      name: name of a template method, e.g. 'train_tf1'.

    Returns:
      None where that is for the test case to say.
    """
    del name
    return None

  def close(self) -> None:  # noqa: B027  (most keep nothing)
    """Releases what is kept; a later run starts anew."""
