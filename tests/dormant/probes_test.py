"""Tests of the inputs and weights that are tried."""

import numpy as np
from absl.testing import absltest

from tf_equiv.compare.dormant import Changed
from tf_equiv.dormant import points as points_lib
from tf_equiv.dormant import probes


def base_of(weights=None, trained=(), **inputs):
  return points_lib.Base(inputs, weights or {}, frozenset(trained))


def numbers(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def every(base, ids=None):
  return [*probes.mild(base), *probes.further(base, ids or {})]


class ProbesTest(absltest.TestCase):
  def test_shapes_and_dtypes_stay(self):
    base = base_of(
      {'w': numbers(3, 2), 'n': np.asarray(3, np.int64)},
      ['w'],
      x=numbers(4, 3),
      half=numbers(4).astype(np.float16),
      ids=np.arange(5, dtype=np.int32),
      small=np.arange(5, dtype=np.uint8),
      flags=np.array([True, False]),
      words=np.array([b'a']),
    )
    found = every(base, {'ids': 9})
    self.assertGreater(len(found), 40)
    for point in found:
      self.assertNotEmpty(point.changes)
      self.assertTrue(point.inputs or point.weights)
      for name, values in (
        ('inputs', point.inputs),
        ('weights', point.weights),
      ):
        for key, array in values.items():
          given = getattr(base, name)[key]
          self.assertEqual(
            (array.shape, array.dtype), (given.shape, given.dtype)
          )
          self.assertNotEqual(key, 'words')

  def test_masks_stay_masks(self):
    base = base_of(mask=np.ones([4, 6], np.float32), x=numbers(4, 6))
    found = [p.inputs['mask'] for p in every(base) if 'mask' in p.inputs]
    self.assertTrue(all(points_lib.is_binary(mask) for mask in found))
    self.assertEqual({float(m.mean()) for m in found} & {0.0, 1.0}, {0.0, 1.0})
    self.assertTrue(any(0 < m.mean() < 1 for m in found))

  def test_labels_stay_one_hot(self):
    labels = np.eye(4, dtype=np.float32)[[0, 1, 3]]
    found = [p.inputs['y'] for p in every(base_of(y=labels))]
    self.assertNotEmpty(found)
    for each in found:
      np.testing.assert_array_equal(each.sum(-1), 1)

  def test_first_ids_are_in_range(self):
    ids = np.array([[1, 5], [3, 2]], np.int32)
    found = [p.inputs['ids'] for p in probes.mild(base_of(ids=ids))]
    self.assertTrue(all(0 <= x.min() and x.max() <= 5 for x in found))
    self.assertTrue(any(np.all(x == 0) for x in found))
    self.assertTrue(any(np.all(x == 5) for x in found))

  def test_further_ids_leave_the_range(self):
    ids = np.array([[1, 5], [3, 2]], np.int32)
    found = [
      p for p in probes.further(base_of(ids=ids), {'ids': 9}) if p.inputs
    ]
    values = set(np.concatenate([p.inputs['ids'].ravel() for p in found]))
    self.assertContainsSubset({-1, 8, 9}, values)
    self.assertFalse(any(p.is_valid for p in found))

  def test_statistics_stay_positive(self):
    variance = np.abs(numbers(50)) + 1e-3
    base = base_of({'variance': variance, 'w': numbers(50)}, ['w'])
    for point in every(base):
      if 'variance' in point.weights:
        self.assertGreater(point.weights['variance'].min(), 0)

  def test_zeros_become_numbers(self):
    base = base_of({'bias': np.zeros(5, np.float32)}, ['bias'])
    point = probes.drawn_weights(base, 1.0, 0)
    self.assertTrue(np.all(point.weights['bias']))
    self.assertEqual(point.changes[0].what, Changed.WEIGHTS_DRAWN)

  def test_counters_count_on(self):
    base = base_of({'step': np.asarray(0, np.int64)})
    found = {int(p.weights['step']) for p in probes.mild(base)}
    self.assertContainsSubset({1, 1000, 10**6}, found)

  def test_kinks_are_not_generic(self):
    for point in every(base_of(x=numbers(4, 3))):
      array = point.inputs['x']
      if not np.any(array) or np.ptp(array) == 0:
        self.assertFalse(point.is_generic, point.changes)

  def test_jitter_is_small(self):
    base = base_of({'w': numbers(3)}, ['w'], x=numbers(4, 3))
    moved = points_lib.jittered(base, points_lib.Point(), 1e-3)
    for given, array in (
      (base.inputs['x'], moved.inputs['x']),
      (base.weights['w'], moved.weights['w']),
    ):
      self.assertFalse(np.array_equal(given, array))
      np.testing.assert_allclose(given, array, rtol=1.1e-3)


if __name__ == '__main__':
  absltest.main()
