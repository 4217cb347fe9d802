"""The first lines of each message name what is at fault, and its line.

Of all planted faults at least 95 % must be named, and all those that are on a
line of user code show this line, or that of the layer that holds it. Clean
pairs part nowhere.
"""

from absl.testing import absltest, parameterized

from tests.planted import catalogue, localization, pair

_PAIRS = catalogue.by_test_name()
_FAULTY = {name: p for name, (_, p) in _PAIRS.items() if p.is_faulty}
_CLEAN = {name: p for name, (_, p) in _PAIRS.items() if not p.is_faulty}

# Faults that are not named as they should be, and why. They are asserted to be
# missing still, so that the list cannot grow old.
_KNOWN_MISSES: dict[str, str] = {}
# Faults that are on no line of the code: what is trained on.
_ON_NO_LINE = ('steps_on_constant_batches',)


class CulpritsTest(parameterized.TestCase):
  @parameterized.named_parameters(*((name, name) for name in _FAULTY))
  def test_is_named(self, name):
    outcome = localization.examine(_FAULTY[name])
    if name in _KNOWN_MISSES:
      self.assertTrue(outcome.problem, 'it is named by now: ' + name)
    else:
      message = '%s:\n%s' % (outcome.problem, outcome.text)
      self.assertFalse(outcome.problem, message)


class CleanTest(parameterized.TestCase):
  @parameterized.named_parameters(*((name, name) for name in _CLEAN))
  def test_parts_nowhere(self, name):
    self.assertEmpty(localization.frontiers(_CLEAN[name]))


class MarksTest(absltest.TestCase):
  def test_at_least_95_percent_are_named(self):
    self.assertLessEqual(len(_KNOWN_MISSES), 0.05 * len(_FAULTY))
    self.assertContainsSubset(_KNOWN_MISSES, _FAULTY)

  def test_each_fault_has_a_line(self):
    names = [found.name for found in _FAULTY.values()]
    self.assertLen(set(names), len(names))
    marked = localization.marked_lines()
    self.assertCountEqual([*marked, *_ON_NO_LINE], names)

  def test_what_is_not_named_is_noticed(self):
    found = pair.faulty('two', pair.FORWARD, 'x', culprit='dense/kernel')
    text = 'Outputs differ\n' + 12 * '  line\n' + 'dense/kernel'
    outcome = localization.read(text, found)
    self.assertFalse(outcome.names_culprit)
    self.assertIsNone(outcome.shows_line)
    self.assertStartsWith(outcome.problem, 'the first lines do not name')
    outcome = localization.read('dense/kernel' + 40 * '\n  line', found)
    self.assertEqual(outcome.problem, 'the message has 41 lines')
    found = _FAULTY['variables_embedding_untied']
    text = 'lm/output at tests/planted/pairs/variables.py:1'
    self.assertStartsWith(
      localization.read(text, found).problem, 'the first lines do not show'
    )


if __name__ == '__main__':
  absltest.main()
