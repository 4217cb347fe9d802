"""Tests of the command lines that run a test again."""

import os

from absl.testing import absltest

from tf_equiv.report import rerun


class CommandsTest(absltest.TestCase):
  def test_absltest_and_pytest(self):
    path = os.path.abspath('some/net_test.py')
    found = rerun.commands(path, 'NetTest', 'test_a', {})
    self.assertEqual(
      list(found.items()),
      [
        ('absltest', 'python some/net_test.py NetTest.test_a'),
        ('pytest', 'python -m pytest some/net_test.py::NetTest::test_a'),
      ],
    )

  def test_the_runner_in_use_comes_first(self):
    environ = {'PYTEST_CURRENT_TEST': 'x', 'TF_EQUIV_SEED_MODES': 'constant'}
    found = rerun.commands('/a b/net_test.py', 'Net.Test', 'test_a', environ)
    self.assertEqual(
      list(found.items()),
      [
        (
          'pytest',
          'TF_EQUIV_SEED_MODES=constant python -m pytest '
          "'/a b/net_test.py::Net::Test::test_a'",
        ),
        (
          'absltest',
          "TF_EQUIV_SEED_MODES=constant python '/a b/net_test.py' "
          'Net.Test.test_a',
        ),
      ],
    )
    environ = {'TEST_TARGET': '//net:net_test'}
    found = rerun.commands('net_test.py', 'NetTest', 'test_a', environ)
    self.assertEqual(
      next(iter(found.items())),
      ('Bazel', 'bazel test //net:net_test --test_filter=NetTest.test_a'),
    )

  def test_what_cannot_be_called_by_name(self):
    self.assertEmpty(rerun.commands('a.py', 'f.<locals>.Test', 'test_a', {}))
    self.assertEmpty(rerun.commands('a.py', 'Test', '', {}))
    self.assertEmpty(rerun.commands('', 'Test', 'test_a', {}))

  def test_source_file(self):
    self.assertEndsWith(rerun.source_file(__name__), 'rerun_test.py')
    self.assertEqual(rerun.source_file('no.such.module'), '')


if __name__ == '__main__':
  absltest.main()
