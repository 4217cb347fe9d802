"""Each planted fault is found by its step, and no clean pair alarms."""

import dataclasses

from absl.testing import absltest, parameterized

from tests.planted import catalogue, pair, score

_PAIRS = catalogue.by_test_name()
_MIN_FAULTY, _MIN_CLEAN = 40, 20


class PairsTest(parameterized.TestCase):
  """One test for each pair; prints the score of those that ran."""

  problems: dict[str, str] = {}

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.problems = {}

  @classmethod
  def tearDownClass(cls):
    super().tearDownClass()
    if cls.problems:
      print('\n'.join(['', 'Planted pairs', *score.lines(cls.problems)]))

  @parameterized.named_parameters(*((name, name) for name in _PAIRS))
  def test_pair(self, name):
    problem = pair.examine(_PAIRS[name][1])
    self.problems[name] = problem
    self.assertFalse(problem, problem)


class CatalogueTest(absltest.TestCase):
  def test_there_are_enough(self):
    faulty = [p for _, p in _PAIRS.values() if p.is_faulty]
    self.assertGreaterEqual(len(faulty), _MIN_FAULTY)
    self.assertGreaterEqual(len(_PAIRS) - len(faulty), _MIN_CLEAN)

  def test_each_family_has_both(self):
    self.assertLen(catalogue.FAMILIES, 11)
    for family, pairs in catalogue.FAMILIES.items():
      kinds = {found.is_faulty for found in pairs}
      self.assertEqual(kinds, {True, False}, family)

  def test_each_step_is_the_first_to_find_some(self):
    found = {p.first_step for _, p in _PAIRS.values() if p.is_faulty}
    self.assertEqual(found, set(pair.STEPS))

  def test_names_are_unique(self):
    self.assertLen(_PAIRS, sum(map(len, catalogue.FAMILIES.values())))

  def test_no_pair_can_ask_for_another_tolerance(self):
    for name in ('rtol', 'atol', 'assertForwardEquivalent', 'compare_updates'):
      with self.assertRaisesRegex(ValueError, 'nothing to override'):
        pair.clean('lenient', **{name: 1.0})


class ExamineTest(absltest.TestCase):
  """The judge of the pairs would notice if they were not found."""

  def _pair(self, name, **changes):
    return dataclasses.replace(_PAIRS[name][1], **changes)

  def test_missed_fault(self):
    found = self._pair('layers_leaky_relu', first_step=pair.FORWARD)
    self.assertStartsWith(pair.examine(found), 'missed by ')

  def test_false_alarm(self):
    found = self._pair('layers_leaky_relu_of_keras', first_step='')
    self.assertStartsWith(pair.examine(found), 'false alarm')

  def test_found_too_early(self):
    found = self._pair('layers_leaky_relu_of_keras', first_step=pair.GRADIENTS)
    self.assertStartsWith(pair.examine(found), 'found too early')

  def test_message_that_does_not_help(self):
    found = self._pair('layers_leaky_relu_of_keras', message=('the slope',))
    self.assertStartsWith(pair.examine(found), 'the message does not mention')

  def test_score(self):
    names = 'layers_leaky_relu', 'layers_leaky_relu_of_keras'
    self.assertEqual(
      score.lines(dict.fromkeys(names, '')),
      [
        'layers: 1 of 1 faults found first where they must be, 0 of 1 clean '
        'pairs alarm',
        'total: 1 of 1 faults found first where they must be, 0 of 1 clean '
        'pairs alarm (2 of %d pairs ran)' % len(_PAIRS),
      ],
    )
    self.assertStartsWith(
      score.lines(dict.fromkeys(names, 'wrong'))[0],
      'layers: 0 of 1 faults found first where they must be, 1 of 1 clean',
    )


if __name__ == '__main__':
  absltest.main()
