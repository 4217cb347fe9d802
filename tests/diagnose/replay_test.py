"""Parts of a graph give what the whole gives, and compute it once."""

from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.diagnose import partition, replay
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1


class Network:
  """Some layers with a variable, a loop of TF1 and a variable that changes."""

  def __init__(self):
    self.graph, self.calls = tf.Graph(), []
    values = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
    with self.graph.as_default():
      v1.disable_control_flow_v2()
      try:
        self.x = v1.placeholder(tf.float32, [4, 4], 'x')
        weights = v1.get_variable('w', [4, 4], use_resource=True)
        count = v1.get_variable('count', [4, 4], use_resource=True)
        net, self.names = self.x, []
        for i in range(6):
          net = tf.tanh(net @ weights, name='tanh%d' % i)
          if i == 2:
            net = tf.while_loop(
              lambda j, _: j < 3, lambda j, y: (j + 1, tf.sin(y)), [0, net]
            )[1]
          if i == 3:
            with tf.control_dependencies([count.assign_add(net)]):
              net = tf.identity(net) + count.read_value()
          if i == 4:
            net = tf.ensure_shape(
              v1.py_func(self._called, [net], tf.float32), [4, 4]
            )
          self.names.append(net.name)
      finally:
        v1.enable_control_flow_v2()
    self.captured = capture.Capture(
      'TF1',
      self.graph,
      {('outputs', 'outputs'): net},
      {'x:0': values[0]},
      {'x:0': ''},
      {'w': ('w', values[1]), 'count': ('count', np.ones((4, 4), 'f'))},
    )

  def _called(self, array):
    self.calls.append(1)
    return array.astype(np.float32)  # As code of users does.


class ReplayTest(parameterized.TestCase):
  @parameterized.product(double=[True, False], most=[0, 130, 1 << 20])
  def test_parts_give_what_the_whole_gives(self, double, most):
    network = Network()
    results = [network.names[-1]]
    with replay.Replay(network.captured, double, results) as run:
      whole = run.fetch(network.names)
      network.calls.clear()
      with mock.patch.object(replay, '_PART', most):
        found = dict(run.stream(network.names))
    self.assertLen(network.calls, 1)
    self.assertCountEqual(found, network.names)
    for name, value in zip(network.names, whole, strict=True):
      np.testing.assert_array_equal(found[name], value)
      self.assertEqual(value.dtype, np.float64 if double else np.float32)

  def test_what_is_too_large_to_hand_on_is_computed_again(self):
    network = Network()
    with replay.Replay(network.captured, True) as run:
      whole = run.fetch(network.names)
      network.calls.clear()
      with mock.patch.multiple(replay, _PART=0, _MAX_KEPT=0):
        found = dict(run.stream(network.names))
    self.assertLen(network.calls, 2)
    for name, value in zip(network.names, whole, strict=True):
      np.testing.assert_array_equal(found[name], value)

  def test_parts_end_where_their_size_is_reached(self):
    graph = tf.Graph()
    with graph.as_default():
      net = v1.placeholder(tf.float32, [10], 'x')
      names = []
      for _ in range(6):
        net = tf.sin(net)
        names.append(net.name)
    found = partition.divide(
      graph, names, ['x:0'], lambda name: False, 79, 1000
    )
    self.assertEqual(
      [part.wanted for part in found], [names[:2], names[2:4], names[4:]]
    )
    self.assertEqual(
      [part.kept for part in found], [[names[1]], [names[3]], []]
    )
    self.assertEqual(
      [part.done for part in found], [[], [names[1]], [names[3]]]
    )

  def test_only_variables_that_change_are_wide(self):
    network = Network()
    with replay.Replay(network.captured, True, [network.names[-1]]) as run:
      dtypes = {
        name: run._graph.get_operation_by_name(name).get_attr('dtype')
        for name in ('w', 'count')
      }
    self.assertEqual(dtypes, {'w': tf.float32, 'count': tf.float64})

  def test_values_for_a_single_run(self):
    network = Network()
    first, last = network.names[0], network.names[-1]
    with replay.Replay(network.captured, True) as run:
      before = run.fetch([first, last])
      x, w = network.captured.feeds['x:0'], network.captured.variables['w'][1]
      other = run.fetch([first], variables={'w': 2 * w})[0]
      np.testing.assert_allclose(other, np.tanh(x @ (2 * w)), rtol=1e-5)
      fed = run.fetch([last], constants={first: 0 * other})[0]
      self.assertFalse(np.allclose(fed, before[1]))
      for old, new in zip(before, run.fetch([first, last]), strict=True):
        np.testing.assert_array_equal(old, new)

  def test_what_no_result_needs_is_left_out(self):
    network = Network()
    with replay.Replay(network.captured, True, [network.names[0]]) as run:
      with self.assertRaises(KeyError):
        run.fetch([network.names[-1]])
      self.assertLen(run.fetch([network.names[0]]), 1)


del tf_equiv

if __name__ == '__main__':
  absltest.main()
