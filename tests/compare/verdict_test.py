"""Tests of verdicts."""

import dataclasses

from absl.testing import absltest

from tf_equiv.compare import divergence, vacuity
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.compare.values import ValueComparison
from tf_equiv.compare.verdict import Verdict, Words

_OUTPUTS, _GRADIENTS = Key(Quantity.OUTPUTS), Key(Quantity.GRADIENTS)


def _pair(name, difference, allowed, passed=True, **kwargs):
  kwargs.setdefault('rtol', 1e-6)
  return ValueComparison(
    name, passed, difference=difference, allowed=allowed, **kwargs
  )


def _verdict(*outputs, **fields):
  comparisons = fields.pop('comparisons', {_OUTPUTS: list(outputs)})
  return Verdict(Outcome('a', comparisons=comparisons, **fields))


class VerdictTest(absltest.TestCase):
  def test_passes_by_its_outcome(self):
    passed, failed = _verdict(), _verdict(kind=Kind.VALUES)
    self.assertTrue(passed.passed)
    self.assertTrue(passed)
    self.assertFalse(failed.passed)
    self.assertFalse(failed)

  def test_failed(self):
    good, bad = _pair('good', 0, 1), _pair('bad', 2, 1, False)
    found = _verdict(good, bad)
    self.assertEqual(found.failed('outputs'), [bad])
    self.assertEqual(found.failed(_OUTPUTS), [bad])
    self.assertEmpty(found.failed('weights'))

  def test_groups_have_names(self):
    pairs = [_pair('w', 0, 1)]
    slots = Key(Quantity.SLOTS, 2, 'momentum')
    found = _verdict(
      comparisons={_GRADIENTS: pairs, slots: pairs}, steps=({slots: pairs},)
    )
    self.assertEqual(
      found.comparisons,
      {'gradients': pairs, 'step 2: slots (momentum)': pairs},
    )
    self.assertEqual(found.steps, [{'slots (momentum)': pairs}])

  def test_largest_is_relative_to_what_is_allowed(self):
    found = _verdict(
      comparisons={
        _OUTPUTS: [_pair('big', 10.0, 100.0)],
        _GRADIENTS: [_pair('close', 1e-9, 2e-9)],
      },
    )
    self.assertEqual(found.largest().name, 'close')

  def test_largest_leaves_out_what_must_be_equal(self):
    exact = _pair('int', 5.0, 0.0, rtol=0.0)
    self.assertIsNone(_verdict(exact).largest())
    found = _verdict(exact, _pair('float', 0.0, 1.0))
    self.assertEqual(found.largest().name, 'float')

  def test_nan_is_larger_than_all(self):
    nan = _pair('nan', float('nan'), 1.0, False)
    others = [_pair('first', 1.0, 2.0), _pair('last', 3.0, 2.0, False)]
    for pairs in ([nan, *others], [others[0], nan, others[1]], [*others, nan]):
      self.assertEqual(_verdict(*pairs).largest().name, 'nan')

  def test_nothing_allowed(self):
    pairs = [_pair('zero', 0.0, 0.0), _pair('half', 0.5, 0.0, False)]
    self.assertEqual(_verdict(*pairs).largest().name, 'half')

  def test_str_is_the_summary(self):
    words = Words(summary='pass a')
    self.assertEqual(str(Verdict(Outcome('a'), words=words)), 'pass a')
    self.assertIn('assertX', str(Verdict(Outcome('assertX'))))

  def test_kind_is_that_of_the_diagnosis_before_that_of_the_outcome(self):
    found = _verdict(
      vacuity=vacuity.Vacuity(vacuity.Reason.ZERO_OUTPUTS), kind=Kind.VACUOUS
    )
    self.assertEqual(found.kind, 'vacuous')
    noise = Diagnosis(divergence.NOISE)
    found = dataclasses.replace(found, diagnosis=noise)
    self.assertEqual(found.kind, 'noise')
    self.assertEqual(_verdict().kind, '')

  def test_divergence_is_the_first(self):
    places = tuple(
      divergence.Divergence(divergence.Place(name, 'Add'), None)
      for name in 'ab'
    )
    found = Verdict(Outcome('a'), Diagnosis(divergences=places))
    self.assertIs(found.divergence, places[0])
    self.assertIsNone(Verdict(Outcome('a')).divergence)

  def test_nothing_can_be_set(self):
    with self.assertRaises(dataclasses.FrozenInstanceError):
      _verdict().outcome = None
    with self.assertRaises(AttributeError):
      _verdict().headline = 'x'


if __name__ == '__main__':
  absltest.main()
