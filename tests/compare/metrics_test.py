"""Metrics after each batch: which differ, what is forgiven, what explains."""

import numpy as np
from absl.testing import absltest

from tf_equiv.compare import metrics, tolerances
from tf_equiv.core import metric_values

_TOLERANCE = tolerances.Tolerance()


def made(outputs=(1.0, 1.0), **by_name):
  """Returns the metrics of a side, from numbers."""
  return metric_values.MetricValues(
    {
      name: [np.asarray(x, np.float32) for x in several]
      for name, several in by_name.items()
    },
    [{'': np.float32([x])} for x in outputs],
  )


def compared(tf1, tf2, tolerance=_TOLERANCE):
  return metrics.compare(tf1, tf2, tolerance)


class CompareTest(absltest.TestCase):
  def test_rounding_is_no_difference(self):
    found = compared(made(a=[0.5, 0.25]), made(a=[0.5000001, 0.25]))
    self.assertEmpty(found.differing())
    self.assertIsNone(found.outputs)
    self.assertEqual(found.batches, 2)

  def test_those_that_differ_first_come_first(self):
    found = compared(
      made(a=[0.5, 0.5], b=[1.0, 2.0], c=[3.0, 3.0]),
      made(a=[0.5, 0.6], b=[1.1, 2.0], c=[3.0, 3.0]),
    )
    self.assertEqual([each.name for each in found.differing()], ['b', 'a'])
    self.assertEqual([each.first for each in found.streams], [1, 0, None])

  def test_numbers_of_other_types(self):
    first = made(a=[0.1, 2.0])
    for dtype, second in ((np.float64, [0.1, 2.0]), (np.float64, [0.1, 2.1])):
      other = metric_values.MetricValues(
        {'a': [np.asarray(x, dtype) for x in second]}, first.outputs
      )
      found = compared(first, other)
      self.assertEqual(bool(found.differing()), second[1] != 2.0)

  def test_shapes(self):
    found = compared(made(a=[[1.0, 2.0], [1.0, 2.0]]), made(a=[1.0, 1.0]))
    self.assertIsNotNone(found.streams[0].comparisons[0].problem)

  def test_the_tolerance_of_the_caller(self):
    first, second = made(a=[0.5, 0.5]), made(a=[0.52, 0.5])
    self.assertNotEmpty(compared(first, second).differing())
    wide = tolerances.Tolerance(atol=0.1)
    self.assertEmpty(compared(first, second, wide).differing())

  def test_nan(self):
    first, second = made(a=[np.nan, 1.0]), made(a=[np.nan, 1.0])
    self.assertEqual(compared(first, second).streams[0].first, 0)
    same = tolerances.Tolerance(equal_nan=True)
    self.assertEmpty(compared(first, second, same).differing())

  def test_names(self):
    self.assertEqual(
      metrics.names_of_one_side({'b': 0, 'c': 0, 'a': 0}, {'c': 0, 'd': 0}),
      (['a', 'b'], ['d']),
    )

  def test_zero(self):
    found = compared(made(a=[0.0, 0.0], b=[0, 1]), made(a=[0, 0], b=[0, 1]))
    self.assertEqual([each.is_zero for each in found.streams], [True, False])


class OutputsOfTf1Test(absltest.TestCase):
  def explained(self, outputs, given):
    first = made(a=[0.5, 0.5], b=[1.0, 1.0])
    second = made(a=[0.5, 0.6], b=[1.0, 1.1], outputs=outputs)
    return metrics.with_outputs_of_tf1(
      compared(first, second), given, _TOLERANCE
    )

  def test_forgiven_where_the_outputs_agree(self):
    found = self.explained((1.0, 1.0000001), made(a=[0.5, 0.5], b=[1.0, 1.1]))
    self.assertTrue(found.streams[0].forgiven)
    self.assertFalse(found.streams[1].forgiven)
    self.assertEqual([each.name for each in found.differing()], ['b'])

  def test_explained_where_they_do_not(self):
    found = self.explained((1.0, 1.5), made(a=[0.5, 0.5], b=[1.0, 1.1]))
    self.assertEqual(found.outputs.batch, 1)
    self.assertLen(found.differing(), 2)
    first, second = found.streams
    self.assertEqual(
      [cause.kind for cause in first.causes], [metrics.CauseKind.OUTPUTS]
    )
    self.assertEmpty(second.causes)

  def test_nothing_where_the_metric_still_differs(self):
    found = self.explained((1.0, 1.0), made(a=[0.5, 0.6], b=[1.0, 1.1]))
    self.assertLen(found.differing(), 2)
    self.assertFalse(any(each.causes for each in found.streams))


if __name__ == '__main__':
  absltest.main()
