"""What ops assign to variables is written down as tensors."""

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest

from tf_equiv import compat
from tf_equiv.tf1.capture import assignments

v1 = tf.compat.v1


def variable(name, value):
  return v1.get_variable(
    name, initializer=tf.constant(value), use_resource=True, trainable=False
  )


class FindTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.graph = tf.Graph()
    self.enter_context(self.graph.as_default())
    self.total = variable('total', 4.0)
    self.other = variable('other', 10.0)

  def _find(self, *operations):
    names = {v.op.name: v.op.name for v in (self.total, self.other)}
    running = assignments.running(o.op for o in operations)
    running.sort(key=compat.op_position)
    found = assignments.find(self.graph, running, names)
    with v1.Session(graph=self.graph) as session:
      session.run(v1.global_variables_initializer())
      return found, session.run(found.values)

  def test_new_values(self):
    found, values = self._find(
      self.total.assign_sub(1.5), self.other.assign(self.other * 2.0)
    )
    self.assertEqual(values, {'total': 2.5, 'other': 20.0})
    self.assertEqual(found.ops['total'][1], 'AssignSubVariableOp')
    (helper,) = found.aliases
    self.assertEqual(found.aliases[helper], found.ops['total'])
    self.assertEqual(found.counts, {'total': 1, 'other': 1})

  def test_one_after_another(self):
    with tf.control_dependencies([self.total.assign_add(1.0)]):
      second = self.total.assign_add(2.0)
    _, values = self._find(second)
    self.assertEqual(values, {'total': 7.0})

  def test_what_only_reads(self):
    found, _ = self._find(self.total.read_value() + self.other)
    self.assertEmpty(found.ops)

  def test_an_optimizer(self):
    w = v1.get_variable('w', initializer=tf.constant(1.0), use_resource=True)
    train = v1.train.GradientDescentOptimizer(0.1).minimize(w * w)
    found = assignments.operations([train], {'w': 'w'})
    self.assertEqual(found['w'][1], 'ResourceApplyGradientDescent')


if __name__ == '__main__':
  absltest.main()
