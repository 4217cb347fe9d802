"""The ops of code that cannot be traced are recorded as they run."""

from tf_equiv.core.seed_mode import SeedMode

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.core import observation, plan
from tf_equiv.tf2 import eager_capture
from tf_equiv.tf2 import program as program_lib

_INPUTS = np.array([[1.0, 2.0, 3.0]], np.float32)


class Model(tf.Module):
  def __init__(self):
    super().__init__()
    self.kernel = tf.Variable(np.full((3, 100), 2.0, np.float32), name='kernel')

  def __call__(self, x):
    net = tf.matmul(x, self.kernel)
    if net.numpy().sum() > 0:
      net = tf.exp(-net)
    return inner(net)


@tf.function
def inner(net):
  return tf.sin(net)


def recorded():
  run_plan = plan.RunPlan(
    inputs=_INPUTS,
    training=False,
    weights=plan.FIXED,
    seed_mode=SeedMode.CONSTANT,
  )
  program = program_lib.Program(
    build=Model,
    call=lambda model, x, training: model(x),
    takes_training=lambda model: False,
  )

  def weights_for(observed):
    return [np.full(spec.shape, 0.5, 'f') for spec in observed.variables]

  return eager_capture.record(
    program, run_plan, weights_for, observation.Observation('TF1'), np.sum
  )


class EagerCaptureTest(absltest.TestCase):
  def test_records(self):
    recording = recorded()
    types = [record.op_type for record in recording.records]
    order = [types.index(name) for name in ('MatMul', 'Neg', 'Exp', 'Sin')]
    self.assertEqual(order, sorted(order))
    product = recording.records[types.index('MatMul')]
    self.assertFalse(product.attributes['transpose_a'])
    self.assertEqual((product.shape, product.dtype), ((1, 100), 'float32'))
    self.assertIn('tf.matmul', recording.line_of(product.name).code)
    # The function is seen op by op, too.
    sine = recording.records[types.index('Sin')]
    self.assertIn('tf.sin', recording.line_of(sine.name).code)
    self.assertEqual(sine.inputs, recording.records[order[2]].outputs)

  def test_keeps_little(self):
    recording = recorded()
    product = next(r for r in recording.records if r.op_type == 'MatMul')
    (output,) = product.outputs
    self.assertAlmostEqual(recording.summaries[output], 300.0, places=3)
    self.assertNotIn(output, recording.values)
    found = recording.again({(product.name, 0)})
    np.testing.assert_allclose(found[product.name, 0], np.full((1, 100), 3.0))

  def test_what_it_takes(self):
    recording = recorded()
    self.assertEqual(list(recording.inputs.values()), [''])
    self.assertEqual(list(recording.handles.values()), ['kernel'])
    np.testing.assert_allclose(recording.variables['kernel'][1], 0.5)
    self.assertEqual(list(recording.targets), [('outputs', 'outputs')])

  def test_leaves_no_trace(self):
    recorded()
    self.assertFalse(tf.config.functions_run_eagerly())
    count = len(recorded().records)
    inner(tf.constant(1.0))
    self.assertEqual(len(recorded().records), count)


del tf_equiv

if __name__ == '__main__':
  absltest.main()
