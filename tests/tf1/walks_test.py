import tensorflow as tf

import tf_equiv  # noqa: F401  # isort: skip (before tensorflow)
from absl.testing import absltest

from tf_equiv.tf1 import walks


class AncestorsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    with tf.Graph().as_default():
      self.a = tf.constant(1.0, name='a')
      self.b = tf.constant(2.0, name='b')
      c = tf.add(self.a, self.b, name='c')
      self.d = tf.multiply(c, self.a, name='d')
      with tf.control_dependencies([tf.no_op(name='before')]):
        self.e = tf.add(self.d, c, name='e')

  def _names(self, *args, **kwargs):
    return [op.name for op in walks.ancestors(*args, **kwargs)]

  def test_each_op_is_found_once(self):
    self.assertCountEqual(self._names([self.e.op]), 'abcde')

  def test_the_last_input_is_followed_first(self):
    self.assertEqual(self._names([self.e.op]), ['e', 'c', 'b', 'a', 'd'])

  def test_nearest_first(self):
    self.assertEqual(
      self._names([self.e.op], nearest_first=True), ['e', 'd', 'c', 'a', 'b']
    )

  def test_control_inputs_are_followed_on_request(self):
    self.assertNotIn('before', self._names([self.e.op]))
    self.assertIn('before', self._names([self.e.op], control=True))

  def test_ops_that_stop_the_walk_are_not_found(self):
    self.assertEqual(self._names([self.d.op], {'c'}), ['d', 'a'])
    self.assertEqual(self._names([self.d.op], {'d'}), [])

  def test_a_walk_may_be_left_early(self):
    walk = walks.ancestors([self.e.op])
    self.assertEqual(next(walk).name, 'e')


if __name__ == '__main__':
  absltest.main()
