import numpy as np
from absl.testing import absltest

from tf_equiv.compare import divergence
from tf_equiv.diagnose import cells
from tf_equiv.report import differences

KERNEL = np.arange(24.0).reshape(6, 4)
BIAS = np.array([1.0, 2.0, 3.0, 4.0])


class Side:
  def __init__(self, **variables):
    self.variables = {name: (name, value) for name, value in variables.items()}


def describe(tf1, tf2, op_type='While'):
  place = divergence.Divergence(
    divergence.Place('rnn/while', op_type), None, variables=tuple(tf1)
  )
  found = cells.describe(place, (Side(**tf1), Side(**tf2)), {'k2': 'k'})
  assert all(each.kind in cells.EVIDENCE for each in found)
  return [differences.describe(each) for each in found]


class DescribeTest(absltest.TestCase):
  def test_bias_that_was_only_reordered(self):
    found = describe({'b': BIAS}, {'b': BIAS[[0, 2, 1, 3]]})
    self.assertEqual(found, ['b holds the same numbers in both'])
    self.assertEmpty(describe({'b': BIAS}, {'b': BIAS + [0, 0, 1, 0]}))

  def test_kernel_that_was_not_reordered(self):
    text = ['k has its columns in the order of TF1 in TF2, too']
    self.assertEqual(describe({'k': KERNEL}, {'k2': KERNEL[:4]}), text)
    self.assertEqual(describe({'k': KERNEL}, {'k2': KERNEL[-2:]}), text)
    turned = KERNEL[:4, [0, 2, 1, 3]]
    self.assertEmpty(describe({'k': KERNEL}, {'k2': turned}))

  def test_two_rows_of_biases(self):
    found = describe({'b': BIAS}, {'b': np.stack([BIAS, 0 * BIAS])})
    self.assertEqual(found, ['b has one row in TF1, two in TF2'])

  def test_no_loop(self):
    self.assertEmpty(describe({'b': BIAS}, {'b': BIAS}, 'MatMul'))


if __name__ == '__main__':
  absltest.main()
