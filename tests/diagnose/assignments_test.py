"""What assigns a variable is named, with the decay of a moving average."""

import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.compare.difference import Kind
from tf_equiv.diagnose import assignments
from tf_equiv.report import differences
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1
LABEL = ('updates', 'mean')


def assigning(side, update=None):
  """A graph that assigns the variable 'mean' what `update` makes of it."""
  graph, targets, assigned = tf.Graph(), {}, {}
  with graph.as_default():
    if update is not None:
      mean = v1.get_variable('mean', [3], use_resource=True)
      targets[LABEL] = update(mean, v1.placeholder(tf.float32, [3]))
      tf.no_op(f'{side}/assign')
      assigned[LABEL] = (f'{side}/assign', 'AssignVariableOp')
  captured = capture.Capture(side, graph, targets, {}, {}, {})
  captured.assigned.update(assigned)
  return captured


def of_tensorflow(decay):
  return lambda old, new: old - (old - new) * tf.constant(1 - decay)


def of_keras_3(decay):
  return lambda old, new: old * decay + new * (1 - decay)


def computed(decay):
  return lambda old, new: old - (old - new) * (1.0 - tf.constant(decay))


class DescribeTest(parameterized.TestCase):
  @parameterized.parameters(of_tensorflow, of_keras_3, computed)
  def test_decay(self, form):
    found = assignments.describe(
      (assigning('TF1', of_tensorflow(0.9)), assigning('TF2', form(0.99))),
      LABEL,
    )
    self.assertEqual([d.kind for d in found], [Kind.DECAY, Kind.ASSIGNED_BY])
    np.testing.assert_allclose(found[0].numbers, (0.9, 0.99), rtol=1e-6)
    self.assertEqual(differences.describe(found[0]), 'decay: TF1 0.9, TF2 0.99')
    self.assertEqual(
      differences.describe(found[1]),
      'mean is assigned by TF1/assign in TF1, by TF2/assign in TF2',
    )

  @parameterized.parameters(of_keras_3, computed)
  def test_same_decay(self, form):
    (found,) = assignments.describe(
      (assigning('TF1', of_tensorflow(0.9)), assigning('TF2', form(0.9))),
      LABEL,
    )
    self.assertEqual(found.kind, Kind.ASSIGNED_BY)

  def test_what_is_no_average(self):
    both = (
      assigning('TF1', of_tensorflow(0.9)),
      assigning('TF2', lambda old, new: old + new),
    )
    (found,) = assignments.describe(both, LABEL)
    self.assertEqual(found.kind, Kind.ASSIGNED_BY)

  def test_one_side_only(self):
    both = assigning('TF1', of_tensorflow(0.9)), assigning('TF2')
    self.assertEmpty(assignments.describe(both, LABEL))


class OneSidedTest(absltest.TestCase):
  def test_tf1(self):
    both = assigning('TF1', of_tensorflow(0.9)), assigning('TF2')
    found = assignments.one_sided(both, LABEL, ('a.py:1', 'b.py:2'))
    self.assertEqual(found.tf1.name, 'TF1/assign')
    self.assertIsNone(found.tf2)
    self.assertEqual(
      [*map(differences.describe, found.differences)],
      [
        'only TF1 assigns mean, by the op above',
        'TF2 makes the variable at b.py:2, and leaves it alone',
      ],
    )

  def test_tf2_without_lines(self):
    both = assigning('TF1'), assigning('TF2', of_tensorflow(0.9))
    found = assignments.one_sided(both, LABEL, ('', ''))
    self.assertEqual([d.side for d in found.differences], ['TF2'])

  def test_both_or_neither(self):
    for update in (None, of_tensorflow(0.9)):
      both = assigning('TF1', update), assigning('TF2', update)
      self.assertIsNone(assignments.one_sided(both, LABEL, ('', '')))

  def test_of_both(self):
    both = tuple(assigning(s, of_tensorflow(0.9)) for s in ('TF1', 'TF2'))
    found = assignments.of_both(both, LABEL)
    self.assertEqual(
      (found.tf1.name, found.tf2.name, found.group),
      ('TF1/assign', 'TF2/assign', 'updates'),
    )
    self.assertIn(
      'what mean starts from differs',
      differences.describe(found.differences[0]),
    )


if __name__ == '__main__':
  absltest.main()
