"""Tests of what an agreement proves, on arrays alone."""

import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import vacuity
from tf_equiv.compare.vacuity import Reason
from tf_equiv.core.observation import Observation, VariableSpec
from tf_equiv.core.plan import RunPlan

_INPUTS = np.float32([[1, 2], [3, 4]])


def _observe(outputs, **fields):
  return Observation('TF1', outputs=[('', np.asarray(outputs))], **fields)


def _find(outputs, inputs=_INPUTS, gradients=False, tf2=None, **fields):
  return vacuity.find_vacuity(
    RunPlan(inputs, gradients=gradients),
    _observe(outputs, **fields),
    tf2 or Observation('TF2'),
  )


class FindVacuityTest(parameterized.TestCase):
  @parameterized.parameters(
    ([[0.0], [0.0]], Reason.ZERO_OUTPUTS),
    ([[2.0], [2.0]], Reason.EQUAL_ELEMENTS),
    ([[1.0, 2.0], [1.0, 2.0]], Reason.EQUAL_EXAMPLES),
  )
  def test_constant_outputs(self, outputs, reason):
    self.assertIs(_find(outputs).reason, reason)
    self.assertIsNone(_find(outputs, gradients=True))

  @parameterized.parameters(
    ([[1.0], [2.0]],), ([[1], [1]],), (['a', 'a'],), ([np.nan, np.nan],)
  )
  def test_outputs_that_mean_something_or_cannot_be_told(self, outputs):
    self.assertIsNone(_find(outputs))

  def test_equal_inputs_explain_equal_outputs(self):
    self.assertIsNone(_find([[1.0, 2.0]] * 2, inputs=np.ones((2, 2))))

  @parameterized.parameters((np.float32, True), (np.int32, False))
  def test_rounding_noise(self, dtype, inputs_moved):
    found = _find(
      [[1.0], [2.5]], inputs=_INPUTS.astype(dtype), jitter={'': 0.5}
    )
    self.assertIs(found.reason, Reason.NOISY_OUTPUTS)
    self.assertAlmostEqual(found.value, 0.2)
    self.assertEqual(found.inputs_moved, inputs_moved)

  def test_whole_numbers_jump(self):
    self.assertIsNone(_find([[1.0], [2.0]], jitter={'': 1.0}))

  def test_no_response(self):
    tf2 = Observation('TF2', sensitivity={'w': 0.0, 'v': 1e-9})
    found = _find([[1.0], [2.0]], tf2=tf2)
    self.assertEqual((found.reason, found.count), (Reason.NO_RESPONSE, 2))


class ResponseTest(absltest.TestCase):
  def test_layers(self):
    found = vacuity.Response({'a/w': 0.5, 'a/b': 0.0, 'c/w': 0.0, 'd': np.nan})
    self.assertEqual(found.count, 2)
    self.assertEqual(found.silent, ('a/b', 'c/w'))
    self.assertEqual(
      [(x.name, x.silent, x.count) for x in found.silent_layers],
      [('a', ('a/b',), 2), ('c', ('c/w',), 1)],
    )
    self.assertEqual(found.layers, (2, 3))

  def test_updates_count(self):
    spec = VariableSpec('m', (1,), 'float32', False)
    tf2 = Observation(
      'TF2',
      variables=[spec],
      weights=[np.zeros(1)],
      sensitivity={'m': 0.0},
      updated={'m': np.ones(1)},
    )
    found = vacuity.respond(tf2)
    self.assertEqual((found.updated, found.silent), (('m',), ()))
    self.assertIsNone(vacuity.respond(Observation('TF2')))


class GradientPowerTest(absltest.TestCase):
  def test_zero_and_missing(self):
    names = ('z', 'n', 'g')
    tf2 = Observation(
      'TF2',
      variables=[VariableSpec(n, (1,), 'float32', True) for n in names],
      gradients=[np.zeros(1), None, np.ones(1)],
    )
    self.assertEqual(
      vacuity.gradient_power(tf2), vacuity.GradientPower(3, ('n', 'z'))
    )


if __name__ == '__main__':
  absltest.main()
