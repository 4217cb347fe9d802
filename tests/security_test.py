"""The tests that SECURITY.md names are there."""

import ast
import os
import re

from absl.testing import absltest

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NAMED = re.compile(r'`(tests/[\w/]+_test\.py)(?:::(\w+))?`')


class SecurityTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    with open(os.path.join(_ROOT, 'SECURITY.md')) as file:
      self.text = file.read()

  def test_the_tests_exist(self):
    if 'TEST_SRCDIR' in os.environ:
      self.skipTest('Bazel shows a test no others.')
    named = _NAMED.findall(self.text)
    self.assertGreater(len(named), 15)
    for path, name in named:
      with self.subTest(path):
        with open(os.path.join(_ROOT, path)) as file:
          tree = ast.parse(file.read())
        classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
        self.assertNotEmpty(classes)
        if name:
          self.assertIn(name, [each.name for each in classes])

  def test_each_promise_names_one(self):
    rows = self.text.split('\n## Tests\n')[1].split('\n## ')[0].splitlines()
    promises = [row for row in rows if row.startswith('| ')][1:]
    self.assertGreater(len(promises), 10)
    for row in promises:
      self.assertRegex(row, _NAMED)


if __name__ == '__main__':
  absltest.main()
