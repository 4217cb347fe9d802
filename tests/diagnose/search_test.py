"""The op at fault is named, and clean pairs have none."""

import re

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.planted import pair

v1 = tf.compat.v1


def dense(x, units, name):
  return v1.layers.dense(x, units, name=name)


def network(x, epsilon=1e-3, activation=tf.nn.relu, factor=1.0, swap=False):
  net = v1.layers.batch_normalization(
    dense(x, 8, 'first'), epsilon=epsilon, name='norm'
  )
  left = dense(activation(net), 4, 'left')
  right = dense(net, 4, 'right') * factor
  both = [right, left] if swap else [left, right]
  return dense(tf.concat(both, -1), 3, 'out')


def case_of(tf2, tf1=network, **methods):
  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(4, 5),
      build_tf1=lambda x, training: tf1(x),
      build_tf2=pair.shim(lambda x, training: tf2(x)),
      **methods,
    )
  )


class LocateTest(parameterized.TestCase):
  def test_clean(self):
    verdict = case_of(network).locateDivergence()
    self.assertIsNone(verdict.divergence)
    self.assertIn('1 result(s) agree in float64', str(verdict))
    self.assertRegex(
      str(verdict), r'float32 itself errs by up to \d\S* in outp'
    )
    self.assertLen(verdict.noise.layers, 18)

  def test_variables_that_do_not_correspond(self):
    case = case_of(lambda x: dense(x, 3, 'a'), lambda x: dense(x, 3, 'b'))
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      'locateDivergence needs variables that correspond. Variables differ: '
      '2 missing in TF2, 2 extra in TF2. .*rename_variable',
    ):
      case.locateDivergence()

  def test_far_below_float32(self):
    case = case_of(lambda x: network(x, epsilon=1.000001e-3))
    self.assertTrue(case.assertForwardEquivalent().passed)
    verdict = case.locateDivergence()
    self.assertEqual(verdict.kind, 'real')
    self.assertIn('norm/batchnorm/add', verdict.divergence.tf1.name)
    self.assertIn('constant (operand 1): TF1 0.001', str(verdict))

  @parameterized.named_parameters(
    ('epsilon', {'epsilon': 1e-2}, 'norm/batchnorm', 'epsilon'),
    ('activation', {'activation': tf.nn.elu}, 'Elu', 'The activation is Relu'),
    ('factor', {'factor': 0.5}, 'mul', 'constant (operand 1): TF1 1, TF2 0.5'),
    ('order', {'swap': True}, 'concat', 'order of operands'),
  )
  def test_names_the_fault(self, changed, name, text):
    case = case_of(lambda x: network(x, **changed))
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    lines = str(caught.exception).splitlines()
    self.assertEqual(lines[1], '  first divergence:')
    self.assertIn(name, '\n'.join(lines[:12]))
    self.assertIn(text, str(caught.exception))
    self.assertIn('search_test.py:', lines[2])
    self.assertIn('real: it remains in float64', str(caught.exception))
    self.assertLess(len(lines), 41)

  def test_gradient_that_is_stopped(self):
    case = case_of(
      lambda x: dense(dense(x, 4, 'a'), 2, 'b'),
      lambda x: dense(
        0.5 * dense(x, 4, 'a') + tf.stop_gradient(0.5 * dense_again(x)), 2, 'b'
      ),
    )
    with self.assertRaises(AssertionError) as caught:
      case.assertGradientsClose()
    self.assertIn('A tf.stop_gradient of TF1 is missing', str(caught.exception))

  def test_noise(self):
    case = case_of(
      lambda x: (dense(x, 3, 'd') + 3e4) - 3e4,
      lambda x: dense(x, 3, 'd') + 0.0,
    )
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    text = str(caught.exception)
    lines = text.splitlines()
    self.assertStartsWith(lines[1], '  noise: the difference vanishes in float')
    self.assertRegex(
      lines[2],
      r'rounding grows \de\+0\d-fold in TF2 at .*sub \(Sub\)  at .*:',
    )
    self.assertRegex(
      lines[3], r'float32 itself errs by up to 0.00\d+ in outputs'
    )
    atol = re.search(r'pass atol=([\d.e-]+), or order', lines[-1])
    verdict = case.assertForwardEquivalent(atol=float(atol[1]))
    self.assertLess(2 * verdict.largest().difference, 3 * float(atol[1]))
    with self.assertRaises(AssertionError):
      case.assertForwardEquivalent(atol=float(atol[1]) / 8)

  def test_difference_that_is_not_in_the_graph(self):
    def eager_only(x):
      return dense(x, 3, 'd') + (0.5 if tf.executing_eagerly() else 0.0)

    case = case_of(eager_only, lambda x: dense(x, 3, 'd') + 0.0)
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    self.assertIn(
      'traced as a graph, the TF2 side agrees with TF1', str(caught.exception)
    )
    self.assertNotIn('noise', str(caught.exception))

  def test_in_a_training_step(self):
    case = case_of(
      lambda x: network(x, factor=0.5),
      lambda x: network(x, factor=1.0),
    )
    with self.assertRaises(AssertionError) as caught:
      case.assertTrainingEquivalent(steps=2)
    self.assertIn('TF1 1, TF2 0.5', str(caught.exception))

  def test_what_cannot_be_traced_is_recorded(self):
    def untraceable(x):
      return dense(x, 3, 'd') * (2.0 + 0.0 * float(np.sum(x.numpy())))

    case = case_of(untraceable, lambda x: dense(x, 3, 'd'))
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    self.assertIn('its ops were recorded as they', str(caught.exception))
    self.assertIn('numbers only in TF2: 2', str(caught.exception))


def dense_again(x):
  with v1.variable_scope(v1.get_variable_scope(), reuse=True):
    return dense(x, 4, 'a')


class Float64Test(absltest.TestCase):
  def test_agrees_with_a_model_in_float64(self):
    """The rewritten graph gives what the same code gives in float64."""
    from tf_equiv.diagnose import replay
    from tf_equiv.tf1.capture import capture

    def build(dtype):
      graph = tf.Graph()
      with graph.as_default():
        x = v1.placeholder(dtype, [2, 4, 4, 3])
        y = tf.nn.conv2d(x, tf.ones([3, 3, 3, 2], dtype) / 7, 1, 'SAME')
        y = tf.while_loop(
          lambda i, _: i < 3, lambda i, z: (i + 1, tf.sin(z) * 2), [0, y]
        )[1]
      return graph, x, y

    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    results = []
    for dtype in (tf.float32, tf.float64):
      graph, given, y = build(dtype)
      fed = x.astype(dtype.as_numpy_dtype)
      captured = capture.Capture(
        'TF1',
        graph,
        {('outputs', 'outputs'): y},
        {given.name: fed},
        {given.name: ''},
        {},
      )
      with replay.Replay(captured, double=dtype == tf.float32) as run:
        self.assertEmpty(run.fallbacks)
        results.append(run.fetch([y.name])[0])
    self.assertEqual(results[0].dtype, np.float64)
    # 1 / 7 is rounded to float32 in one of them only.
    np.testing.assert_allclose(*results, rtol=1e-6)

  def test_batch_norm(self):
    from tf_equiv.diagnose import replay
    from tf_equiv.tf1.capture import capture

    x = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    for training in (True, False):
      graph = tf.Graph()
      with graph.as_default():
        given = v1.placeholder(tf.float32, x.shape)
        scale, offset = tf.constant([1.5, 0.5]), tf.constant([0.1, -0.2])
        mean, variance = ([], []) if training else ([0.3, 0.1], [2.0, 0.7])
        outputs = v1.nn.fused_batch_norm(
          given,
          scale,
          offset,
          mean or None,
          variance or None,
          is_training=training,
        )
        (gradient,) = tf.gradients(tf.square(outputs[0]), [given])
      captured = capture.Capture(
        'TF1', graph, {}, {given.name: x}, {given.name: ''}, {}
      )
      names = [tensor.name for tensor in (*outputs, gradient)]
      with replay.Replay(captured, double=True) as run:
        double = run.fetch(names)
      with replay.Replay(captured, double=False) as run:
        single = run.fetch(names)
      for a, b in zip(double, single, strict=True):
        self.assertEqual(a.dtype, np.float64)
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


if __name__ == '__main__':
  absltest.main()
