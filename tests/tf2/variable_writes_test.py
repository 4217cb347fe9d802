"""The ops that assign a model's variables are found by tracing a call."""

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.tf2 import variable_writes


class Counting(tf.Module):
  def __init__(self):
    super().__init__()
    self.count = tf.Variable(0.0, name='count')
    self.other = tf.Variable(1.0, name='other')

  def __call__(self, x):
    self.count.assign_add(1.0)
    return x * self.other


class FindTest(absltest.TestCase):
  def test_names_op_and_line(self):
    model = Counting()
    watched = {'count': model.count, 'other': model.other}
    found = variable_writes.find(model, tf.ones([2]), watched)
    self.assertCountEqual(found, ['count'])
    self.assertStartsWith(found['count'], 'AssignAddVariableOp at ')
    self.assertIn('self.count.assign_add(1.0)', found['count'])

  def test_code_that_cannot_be_traced(self):
    def call(x):
      raise ValueError('no graph, please')

    self.assertEqual(variable_writes.find(call, tf.ones([2]), {}), {})


if __name__ == '__main__':
  del tf_equiv
  absltest.main()
