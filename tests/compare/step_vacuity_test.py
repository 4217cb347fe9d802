import numpy as np
from absl.testing import absltest

from tf_equiv.compare import step_vacuity
from tf_equiv.core import observation, plan
from tf_equiv.tf1.optimizers import OptimizerSpec

SGD = OptimizerSpec('SGD', 'gradient descent', {})


def steps(losses=(3.0, 2.0), gradient=1.0, jitter=None, **variables):
  """An observation of training steps."""
  variables = variables or {'w': [1.0, 2.0], 'v': [5.0, 5.0]}
  found = observation.Observation(
    'TF1',
    [observation.VariableSpec(name, (), 'float32', True) for name in variables],
    weights=[np.float32(0.5), np.float32(5.0)],
    outputs=[('', np.array([1.5, 2.25], np.float32))],
    jitter={'': 1e-7, 'loss': 1e-7} if jitter is None else jitter,
  )
  found.steps = [
    observation.StepObservation(
      loss=np.float32(loss),
      updates=[observation.UpdateObservation(SGD, {'w': np.full(2, gradient)})],
      variables={name: np.float32(v[i]) for name, v in variables.items()},
    )
    for i, loss in enumerate(losses)
  ]
  return found


class VacuousTest(absltest.TestCase):
  def _reason(self, **arguments):
    return step_vacuity.vacuous(
      plan.RunPlan(np.zeros(2, np.float32), training=True),
      steps(**arguments),
      observation.Observation('TF2'),
    )

  def test_steps_that_mean_something(self):
    self.assertEqual(self._reason(), '')

  def test_no_gradient(self):
    self.assertEqual(
      self._reason(gradient=0.0), 'all gradients are zero in all 2 step(s)'
    )

  def test_constant_loss(self):
    self.assertStartsWith(
      self._reason(losses=(2.0, 2.0)), 'the loss is the same in all 2 steps (2)'
    )
    self.assertEqual(self._reason(losses=(2.0,)), '')

  def test_noise(self):
    self.assertStartsWith(
      self._reason(jitter={'': 1.0}), 'in the first step, 1 of 1 outputs are'
    )
    self.assertStartsWith(
      self._reason(jitter={'loss': 0.5}), 'the loss of the first step is round'
    )


class DescribeTest(absltest.TestCase):
  def test_names_what_does_not_change(self):
    self.assertEqual(
      step_vacuity.describe(steps()),
      'the steps change 1 of 2 trained variables, not v',
    )


if __name__ == '__main__':
  absltest.main()
