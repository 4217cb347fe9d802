"""Tests of who shares a process, and who comes first."""

from absl.testing import absltest

from tests import scheduling

_PLANTED = 'tests/planted/%s_test.py::%s::test_%s'


class SchedulingTest(absltest.TestCase):
  def test_a_class_is_a_scope(self):
    self.assertEqual(
      scheduling.scope('tests/core/nest_test.py::NestTest::test_a'),
      'tests/core/nest_test.py::NestTest',
    )
    self.assertEqual(
      scheduling.scope('tests/a_test.py::test'), 'tests/a_test.py'
    )

  def test_one_large_network_at_a_time(self):
    file = 'examples/inception_resnet_v2/migration_test.py'
    for cls in ('GuideTest', 'RandomInputsTest'):
      self.assertEqual(scheduling.scope('%s::%s::test_a' % (file, cls)), file)

  def test_what_ran_in_another_process_serves_all(self):
    for test in ('slim_test.py::ATest::test', 'keras_test.py::BTest::test'):
      self.assertEqual(scheduling.scope('tests/compat/' + test), 'tests/compat')

  def test_what_is_asked_of_one_pair_is_in_a_row(self):
    tests = [
      _PLANTED % ('planted', 'PairsTest', 'pair_state_counted_twice'),
      _PLANTED % ('culprits', 'CulpritsTest', 'is_named_state_counted_twice'),
      _PLANTED
      % ('causes', 'CausesTest', 'is_named_moving_on__state_counted_twice'),
      _PLANTED
      % ('causes', 'CausesTest', 'is_not_named_layers__state_counted_twice'),
      _PLANTED % ('culprits', 'CleanTest', 'parts_nowhere_state_counted_twice'),
    ]
    for test in tests:
      with self.subTest(test):
        self.assertEqual(scheduling.scope(test), 'tests/planted/state')
        self.assertEqual(scheduling.rank(test)[1], 'state_counted_twice')

  def test_other_tests_of_these_files(self):
    test = _PLANTED % ('culprits', 'MarksTest', 'each_fault_has_a_line')
    self.assertEqual(
      scheduling.scope(test), 'tests/planted/culprits_test.py::MarksTest'
    )
    self.assertEqual(scheduling.rank(test)[1], '')

  def test_long_ones_come_first(self):
    tests = [
      'tests/core/nest_test.py::NestTest::test_a',
      'tests/runner_test.py::FailureTest::test_a',
      'examples/inception_resnet_v2/migration_test.py::GuideTest::test_a',
    ]
    self.assertEqual(sorted(tests, key=scheduling.rank), tests[::-1])


if __name__ == '__main__':
  absltest.main()
