"""What all forms of the TF1 side have in common."""

import abc
from collections.abc import Mapping

import numpy as np

from tf_equiv.core import capture_errors
from tf_equiv.core import observation as observation_lib
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import initializers

# Values of variables by their name on the TF1 side.
Values = Mapping[str, np.ndarray]


class Run(abc.ABC):
  """One run of the TF1 side, which may still be going on."""

  @abc.abstractmethod
  def result(self) -> observation_lib.Observation:
    """Returns what the run left behind; waits for it.

    Raises:
      UsageError, EnvironmentSetupError, ModelCodeError: see
        `Reference.submit`.
    """

  def capture(
    self, plan: plan_lib.RunPlan, weights: Values
  ) -> capture_lib.Capture:
    """Captures the forward pass as a graph.

    Args:
      plan: what was run, or its forward pass.
      weights: values of the variables by name.

    Raises:
      CannotCaptureError: if there is no such graph here.
    """
    del plan, weights
    raise _cannot_capture()

  def capture_step(
    self, plan: plan_lib.RunPlan, weights: Values, state: Values
  ) -> capture_lib.Capture:
    """Captures a training step as a graph.

    Args:
      plan: a plan whose `inputs` are the batch of the step.
      weights: values of the model's variables before the step by name.
      state: the same of all others: slots, counters, averages.

    Raises:
      CannotCaptureError: if there is no such graph here, or more than one.
    """
    del plan, weights, state
    raise _cannot_capture()

  def capture_initializers(
    self, plan: plan_lib.RunPlan
  ) -> Mapping[str, initializers.Initializer]:
    """Returns what makes the initial value of each variable, by its name.

    Args:
      plan: what was run.

    Raises:
      CannotCaptureError: if that is not known here.
    """
    del plan
    raise _cannot_capture()


def _cannot_capture() -> capture_errors.CannotCaptureError:
  return capture_errors.CannotCaptureError(
    'where TF1 runs here, training steps and initializers cannot be looked into'
  )


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
  def submit(self, program: program_lib.Program, plan: plan_lib.RunPlan) -> Run:
    """Begins to run a plan: a forward pass, or training steps if it has any.

    Args:
      program: the template methods of the test case.
      plan: what to run.

    Returns:
      The run, whose result may have to be waited for.

    Raises:
      UsageError: for an unusable template method, or a plan that this
        reference cannot run. As the next two, it is raised here or, where the
        run goes on elsewhere, by its `result`.
      EnvironmentSetupError, ModelCodeError: if the code cannot run.
    """

  def measures_metrics(self) -> bool:
    """Returns whether plans can be run whose batches are for metrics."""
    return False

  def defines(self, name: str) -> bool | None:
    """Returns whether a template method is defined on the side of TF1.

    Args:
      name: name of a template method, e.g. 'train_tf1'.

    Returns:
      None where that is for the test case to say.
    """
    del name
    return None

  def advise_own_step(self) -> str:
    """Returns how to have the training step of TF1 with a `train_tf2`."""
    return ''

  def list_step_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> list[str]:
    """Returns the names of all variables of a training step.

    Args:
      program: the template methods of the test case.
      plan: a plan with batches.
    """
    observed = self.list_variables(program, plan)
    names = [spec.name for spec in observed.variables]
    return names + observed.optimizer_variables

  def close(self) -> None:  # noqa: B027  (most keep nothing)
    """Releases what is kept; a later run starts anew."""
