"""Tests of the distance between results of both sides."""

import numpy as np
from absl.testing import absltest

from tf_equiv.dormant import sizes, twins

NAN, INF = float('nan'), float('inf')


class ApartTest(absltest.TestCase):
  def test_over_the_scale(self):
    distance, values = twins.apart(np.array([1.0, 100.0]), np.array([1.5, 100]))
    self.assertAlmostEqual(distance, 0.005)
    self.assertEqual(values, (1.0, 1.5))

  def test_at_least_over_what_is_given(self):
    first, second = np.array([1e-9]), np.array([2e-9])
    self.assertEqual(twins.apart(first, second)[0], 0.5)
    self.assertLess(twins.apart(first, second, 1.0)[0], 1e-8)

  def test_one_side_that_is_not_finite(self):
    first, second = np.array([1.0, NAN, INF]), np.array([1.0, NAN, 3.0])
    self.assertEqual(twins.apart(first, second), (INF, (INF, 3.0)))

  def test_neither_side_is_finite(self):
    array = np.array([NAN, INF, 2.0])
    self.assertEqual(twins.apart(array, np.array([INF, NAN, 2.0]))[0], 0.0)

  def test_other_shapes(self):
    self.assertEqual(twins.apart(np.zeros([2]), np.zeros([2, 1]))[0], INF)

  def test_nothing_to_compare(self):
    for array in (np.zeros([0]), np.array([b'a'])):
      self.assertEqual(twins.apart(array, array)[0], 0.0)


class SizesTest(absltest.TestCase):
  def test_batches_and_lengths(self):
    inputs = {
      'ids': np.arange(8).reshape(2, 4),
      'mask': np.ones([2, 4], np.float32),
      'x': np.zeros([2, 4, 3], np.float32),
    }
    found = [
      {name: array.shape for name, array in each.inputs.items()}
      for each in sizes.others(inputs)
    ]
    self.assertEqual(
      found,
      [
        {'ids': (1, 4), 'mask': (1, 4), 'x': (1, 4, 3)},
        {'ids': (3, 4), 'mask': (3, 4), 'x': (3, 4, 3)},
        {'ids': (2, 5), 'mask': (2, 5), 'x': (2, 5, 3)},
      ],
    )

  def test_channels_stay(self):
    images = np.zeros([1, 8, 6, 3], np.float32)
    shapes = [each.inputs.shape for each in sizes.others(images)]
    self.assertEqual(shapes, [(2, 8, 6, 3), (1, 9, 6, 3), (1, 8, 7, 3)])

  def test_scalars_have_no_sizes(self):
    self.assertEmpty(list(sizes.others(np.float32(1.0))))


if __name__ == '__main__':
  absltest.main()
