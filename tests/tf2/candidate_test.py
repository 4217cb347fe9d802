"""The TF2 side runs in phases, between which nothing of it is left."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv import compat
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf2 import candidate, shared_models, training, variants
from tf_equiv.tf2 import program as program_lib

_INPUTS = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)


class Model(tf.Module):
  def __init__(self):
    super().__init__()
    self.w = tf.Variable([[1.0], [1.0]], name='w')
    self.b = tf.Variable([5.0], name='b')

  def __call__(self, x):
    return tf.matmul(x, self.w) + self.b


_PROGRAM = program_lib.Program(
  build=Model,
  call=lambda model, x, training: model(x),
  build_optimizer=lambda: tf.keras.optimizers.SGD(0.5),
)


def outputs(observed):
  ((_, value),) = observed.outputs
  return value[:, 0].tolist()


class CandidateTest(parameterized.TestCase):
  @parameterized.parameters('eager', 'function')
  def test_given_values_and_initial_ones(self, variant):
    prepared = candidate.prepare(_PROGRAM, plan_lib.RunPlan(_INPUTS), variant)
    names = [spec.name for spec in prepared.variables.variables]
    self.assertCountEqual(names, ['w', 'b'])
    self.assertFalse(compat.get_seed_is_patched())
    observed = prepared.run({'w': np.array([[2.0], [0.0]], np.float32)})
    self.assertEqual(outputs(observed), [7.0, 11.0])
    self.assertIsNotNone(prepared.forward)

  def test_without_values_the_variables_stay_as_they_are(self):
    prepared = candidate.prepare(_PROGRAM, plan_lib.RunPlan(_INPUTS))
    prepared.model.b.assign([0.0])
    self.assertEqual(outputs(prepared.run()), [3.0, 2.0])

  def test_seeded_weights_are_the_initial_ones(self):
    plan = plan_lib.RunPlan(_INPUTS, weights=plan_lib.SEEDED)
    prepared = candidate.prepare(_PROGRAM, plan)
    observed = prepared.run({'b': np.zeros(1, np.float32)})
    self.assertEqual(outputs(observed), [8.0, 7.0])
    self.assertEqual(observed.weight_of()['b'].tolist(), [5.0])

  def test_a_model_is_lent_until_the_run_is_over(self):
    models, plan = shared_models.SharedModels(), plan_lib.RunPlan(_INPUTS)
    first = candidate.prepare(_PROGRAM, plan, models=models)
    other = candidate.prepare(_PROGRAM, plan, models=models)
    self.assertIsNot(first.model, other.model)
    other.run()
    third = candidate.prepare(_PROGRAM, plan, models=models)
    self.assertIs(third.model, other.model)

  def test_variants_that_do_not_exist_for_steps(self):
    plan = plan_lib.RunPlan(_INPUTS, training=True, batches=(_INPUTS,))
    with self.assertRaisesRegex(tf_equiv.UsageError, "variant 'mirrored'"):
      training.prepare(_PROGRAM, plan, variants.MIRRORED)


class StepsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    plan = plan_lib.RunPlan(
      _INPUTS, training=True, batches=(_INPUTS, _INPUTS, _INPUTS)
    )
    self.candidate = training.prepare(_PROGRAM, plan)

  def test_steps_go_on_from_their_own_state(self):
    self.assertFalse(compat.get_seed_is_patched())
    observed = self.candidate.run({'b': np.zeros(1, np.float32)})
    self.assertEqual(observed.weight_of()['b'].tolist(), [0.0])
    after = [step.variables['b'].item() for step in observed.steps]
    self.assertLen(set(after), 3)
    self.assertFalse(compat.get_seed_is_patched())

  def test_steps_go_on_from_the_states_that_are_given(self):
    zero = {
      'w': np.zeros((2, 1), np.float32),
      'b': np.zeros(1, np.float32),
    }
    observed = self.candidate.run(zero, None, [(zero, {})] * 3)
    after = [step.variables['b'].item() for step in observed.steps]
    self.assertEqual(after, [0.0] * 3)  # There the gradient is zero.
    one = {**zero, 'b': np.ones(1, np.float32)}
    observed = self.candidate.run(zero, None, [(one, {}), (zero, {})])
    after = [step.variables['b'].item() for step in observed.steps]
    self.assertEqual(after[0], 0.0)
    self.assertNotEqual(after[1], 1.0)
    self.assertEqual(after[2], 0.0)


if __name__ == '__main__':
  absltest.main()
