"""Arguments that name nothing, and test files that end the program."""

import contextlib
import io
import os
import sys
import tempfile

from absl.testing import absltest, parameterized

from tf_equiv.cli import main

_IMPORTING = """
import tf_equiv  # isort: skip
import numpy as np


class NetTest(tf_equiv.MigrationTestCase):
  def make_inputs(self):
    return np.arange(3.0)

  def build_tf1(self, inputs, training):
    return inputs + inputs

  def build_tf2(self):
    return lambda x: 2 * x

  def test_forward(self):
    self.assertForwardEquivalent()
"""


class ExitsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.enter_context(absltest.mock.patch.object(sys, 'path', [*sys.path]))
    self.golden = os.path.join(self.folder, 'a.golden')

  def record(self, target):
    """Returns (exit code, what was printed)."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
      code = main.main(['record', target, '-o', self.golden])
    return code, out.getvalue()

  def write(self, name, text):
    path = os.path.join(self.folder, name)
    with open(path, 'w') as file:
      file.write(text)
    self.addCleanup(sys.modules.pop, name[:-3], None)
    return path

  @parameterized.parameters(
    ('', ''),
    (':', ':'),
    (':Y', ':Y'),
    ('.x:Y', '.x'),
    ('..', '..'),
    ('a..b:C', 'a..b'),
    ('a b', 'a b'),
    ('1x:C', '1x'),
  )
  def test_no_name(self, target, quoted):
    code, text = self.record(target)
    self.assertEqual(code, 2)
    self.assertStartsWith(text, f'tf_equiv: {quoted!r} is no name of a module')
    self.assertFalse(os.path.exists(self.golden))

  @parameterized.parameters('0', '3', "'why'", '')
  def test_exit_while_importing(self, argument):
    text = f'{_IMPORTING}\nimport sys\nsys.exit({argument})\n'
    path = self.write(
      f'exits_{len(argument)}_{argument[:1].isdigit()}_a.py', text
    )
    code, text = self.record(path + ':NetTest')
    self.assertEqual(code, 2)
    self.assertIn(f'called sys.exit({argument or None}) while it was', text)
    self.assertIn("belongs below `if __name__ == '__main__':`", text)
    self.assertFalse(os.path.exists(self.golden))

  def test_exit_of_a_class(self):
    path = self.write(
      'exits_class.py',
      _IMPORTING
      + '\n  @classmethod\n  def setUpClass(cls):\n    raise SystemExit(0)\n',
    )
    code, text = self.record(path + ':NetTest')
    self.assertEqual(code, 2)
    self.assertIn('the code that was run called sys.exit(0)', text)

  def test_exit_of_a_test(self):
    path = self.write(
      'exits_test_method.py',
      _IMPORTING.replace(
        'self.assertF', 'import sys; sys.exit(0); self.assertF'
      ),
    )
    code, _ = self.record(path + ':NetTest')
    self.assertEqual(code, 2)
    self.assertFalse(os.path.exists(self.golden))

  def test_clean(self):
    path = self.write('exits_clean.py', _IMPORTING)
    code, text = self.record(path + ':NetTest')
    self.assertEqual(code, 0, text)
    self.assertTrue(os.path.exists(self.golden))


if __name__ == '__main__':
  absltest.main()
