"""Tests of what a training is reduced to."""

import ml_dtypes
import numpy as np
from absl.testing import absltest

from tf_equiv.core import curves, observation


def _update(gradients, rate=None):
  return observation.UpdateObservation(None, gradients, learning_rate=rate)


class RecorderTest(absltest.TestCase):
  def test_norms_are_squares_of_each_variable(self):
    recorder = curves.Recorder({'w': np.array([1.0, 2.0], np.float32)})
    recorder.add(
      observation.StepObservation(
        loss=np.float32(0.5),
        updates=[_update({'w': np.array([3.0, 4.0])}, np.float32(0.25))],
        variables={'w': np.array([1.0, 0.0], np.float32)},
        slots={'momentum': {'w': np.array([2.0, 0.0])}},
      )
    )
    found = recorder.curve().values
    self.assertEqual(found[curves.LOSS][''].tolist(), [0.5])
    self.assertEqual(found[curves.RATES]['w'].tolist(), [0.25])
    self.assertEqual(found[curves.GRADIENTS]['w'].tolist(), [25.0])
    self.assertEqual(found[curves.WEIGHTS]['w'].tolist(), [1.0])
    self.assertEqual(found[curves.CHANGE]['w'].tolist(), [4.0])
    self.assertEqual(found[curves.SLOTS + 'momentum']['w'].tolist(), [4.0])

  def test_a_variable_that_is_trained_twice_adds_up(self):
    recorder = curves.Recorder({})
    recorder.add(
      observation.StepObservation(
        updates=[_update({'w': np.array([1.0])}), _update({'w': np.array([2])})]
      )
    )
    found = recorder.curve().values[curves.GRADIENTS]['w']
    self.assertEqual(found.tolist(), [5.0])

  def test_what_is_missing_in_a_step_is_a_gap(self):
    recorder = curves.Recorder({})
    recorder.add(observation.StepObservation(loss=np.float32(1)))
    recorder.add(
      observation.StepObservation(
        loss=np.float32(2), updates=[_update({'w': np.ones(1), 'v': None})]
      )
    )
    curve = recorder.curve()
    self.assertEqual(curve.steps, 2)
    gradients = curve.values[curves.GRADIENTS]
    np.testing.assert_array_equal(gradients['w'], [np.nan, 1.0])
    self.assertNotIn('v', gradients)

  def test_only_scalars_among_the_outputs(self):
    recorder = curves.Recorder({})
    outputs = [
      ("['a']", np.float32(1)),
      ("['b']", np.ones(2, np.float32)),
      ("['n']", np.int32(3)),
    ]
    recorder.add(observation.StepObservation(outputs=outputs))
    self.assertEqual(list(recorder.curve().values[curves.OUTPUTS]), ["['a']"])

  def test_small_floats_do_not_overflow(self):
    big = np.array([300.0], np.float16)
    recorder = curves.Recorder({'w': big, 'b': big.astype(ml_dtypes.bfloat16)})
    recorder.add(
      observation.StepObservation(
        variables={'w': big, 'b': big.astype(ml_dtypes.bfloat16)}
      )
    )
    weights = recorder.curve().values[curves.WEIGHTS]
    self.assertEqual(weights['w'].tolist(), [90000.0])
    self.assertEqual(weights['b'].tolist(), [90000.0])

  def test_nothing(self):
    self.assertEqual(curves.Recorder({}).curve().steps, 0)


if __name__ == '__main__':
  absltest.main()
