"""Tests of verdicts."""

from absl.testing import absltest

from tf_equiv.compare import verdict
from tf_equiv.compare.values import ValueComparison


def _pair(name, difference, allowed, passed=True, **kwargs):
  kwargs.setdefault('rtol', 1e-6)
  return ValueComparison(
    name, passed, difference=difference, allowed=allowed, **kwargs
  )


class VerdictTest(absltest.TestCase):
  def test_passes_without_a_headline(self):
    passed, failed = verdict.Verdict('a'), verdict.Verdict('a', headline='no')
    self.assertTrue(passed.passed)
    self.assertTrue(passed)
    self.assertFalse(failed.passed)
    self.assertFalse(failed)

  def test_failed(self):
    good, bad = _pair('good', 0, 1), _pair('bad', 2, 1, False)
    found = verdict.Verdict('a', comparisons={'outputs': [good, bad]})
    self.assertEqual(found.failed('outputs'), [bad])
    self.assertEmpty(found.failed('weights'))

  def test_largest_is_relative_to_what_is_allowed(self):
    found = verdict.Verdict(
      'a',
      comparisons={
        'outputs': [_pair('big', 10.0, 100.0)],
        'gradients': [_pair('close', 1e-9, 2e-9)],
      },
    )
    self.assertEqual(found.largest().name, 'close')

  def test_largest_leaves_out_what_must_be_equal(self):
    exact = _pair('int', 5.0, 0.0, rtol=0.0)
    found = verdict.Verdict('a', comparisons={'outputs': [exact]})
    self.assertIsNone(found.largest())
    found.comparisons['outputs'].append(_pair('float', 0.0, 1.0))
    self.assertEqual(found.largest().name, 'float')

  def test_nan_is_larger_than_all(self):
    nan = _pair('nan', float('nan'), 1.0, False)
    others = [_pair('first', 1.0, 2.0), _pair('last', 3.0, 2.0, False)]
    for pairs in ([nan, *others], [others[0], nan, others[1]], [*others, nan]):
      found = verdict.Verdict('a', comparisons={'outputs': pairs})
      self.assertEqual(found.largest().name, 'nan')

  def test_nothing_allowed(self):
    pairs = [_pair('zero', 0.0, 0.0), _pair('half', 0.5, 0.0, False)]
    found = verdict.Verdict('a', comparisons={'outputs': pairs})
    self.assertEqual(found.largest().name, 'half')

  def test_str_is_the_summary(self):
    self.assertEqual(str(verdict.Verdict('a', summary='pass a')), 'pass a')
    self.assertIn('assertX', str(verdict.Verdict('assertX')))

  def test_containers_are_not_shared(self):
    verdict.Verdict('a').evidence.append('x')
    self.assertEmpty(verdict.Verdict('a').evidence)


if __name__ == '__main__':
  absltest.main()
