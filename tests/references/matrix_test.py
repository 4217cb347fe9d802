"""TensorFlow 1.15 and this TensorFlow compute the same, to the last bit or two.

`python -m benchmarks.matrix` prints all of it; here is what takes no long time.
"""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
from absl.testing import absltest, parameterized

from benchmarks import matrix
from tests.references import tf115

_SMALL = (('lenet', matrix.Lenet), ('lstm', matrix.Lstm))


@tf115.needed
class MatrixTest(parameterized.TestCase):
  @classmethod
  def tearDownClass(cls):
    for case in (matrix.Lenet, matrix.Lstm, matrix.InceptionOnes):
      case.tf1_reference.close()
    super().tearDownClass()

  @parameterized.named_parameters(*_SMALL)
  def test_forward(self, case):
    for mode in tf_equiv.SeedMode:
      for training in (False, True):
        row = matrix.compare(case, mode, training)
        self.assertStartsWith(row.versions[0], '1.15')
        self.assertStartsWith(row.versions[1], '2.')
        self.assertGreater(row.weights, 4)
        self.assertEqual(row.equal, row.weights, row)
        self.assertLess(row.difference, 1e-6 * max(row.scale, 0.1), row)
        self.assertStartsWith(row.verdict, 'pass ', row)

  @parameterized.named_parameters(*_SMALL)
  def test_steps(self, case):
    self.assertStartsWith(matrix.steps(case), 'pass ')

  def test_weights_and_inference_of_inception(self):
    row = matrix.compare(
      matrix.InceptionOnes, 'num_random_ops', training=False, judge=False
    )
    self.assertEqual((row.equal, row.weights), (1114, 1114))
    self.assertLess(row.difference, 1e-6 * row.scale, row)
    self.assertTrue(np.isfinite(row.scale))


if __name__ == '__main__':
  absltest.main()
