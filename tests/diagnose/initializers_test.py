import numpy as np
from absl.testing import absltest

from tf_equiv.diagnose import initializers
from tf_equiv.report import differences
from tf_equiv.tf1.capture.initializers import Initializer

VALUES = np.ones(3), np.zeros(3)


def compare(first, second):
  return initializers.compare('w', first, second, VALUES)


class CompareTest(absltest.TestCase):
  def test_the_same(self):
    first = Initializer('w/normal', 'TruncatedNormal', {'stddev': 0.1})
    self.assertIsNone(compare(first, first))

  def test_what_is_drawn(self):
    found = compare(
      Initializer('w/normal', 'TruncatedNormal', {'stddev': 0.1}),
      Initializer('w', 'RandomUniform', {'min': -1.0}),
    )
    self.assertEqual(
      differences.describe(found.differences[0]),
      'initializer: TF1 TruncatedNormal, TF2 RandomUniform',
    )
    self.assertIn(
      'TF1 mean 1, deviation 0, TF2 mean 0',
      differences.describe(found.differences[1]),
    )
    self.assertIn('draws TruncatedNormal in TF1', found.mistake)

  def test_numbers(self):
    found = compare(
      Initializer('w/normal', 'TruncatedNormal', {'mean': 0.0, 'stddev': 0.1}),
      Initializer('w', 'TruncatedNormal', {'mean': 0.0, 'stddev': 0.05}),
    )
    self.assertEqual(
      differences.describe(found.differences[0]), 'stddev: TF1 0.1, TF2 0.05'
    )
    self.assertIn('takes other numbers (stddev', found.mistake)

  def test_a_finished_value(self):
    found = compare(Initializer('w/normal', 'RandomNormal'), Initializer('w'))
    self.assertEqual(found.tf2.op_type, 'tf.Variable')
    self.assertEqual(found.mistake, '')


if __name__ == '__main__':
  absltest.main()
