"""The pytest plugin, in processes of pytest as users start them."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))

_LIGHT = """
import os
import sys
import unittest

class LightTest(unittest.TestCase):
  def test_light(self):
    print('VARIABLES', {k: v for k, v in os.environ.items() if 'TF_' in k})
    print('MODULES', sorted({'tensorflow', 'tf_equiv'} & set(sys.modules)))
"""

_SCALE = """
import tf_equiv
import numpy as np
import tensorflow as tf

class ScaleTest(tf_equiv.MigrationTestCase):
  FACTOR = 3.0

  def make_inputs(self):
    return np.arange(1, 5, dtype=np.float32)

  def build_tf1(self, inputs, training):
    return 3.0 * inputs

  def build_tf2(self):
    return lambda x: self.FACTOR * x

  def test_a(self):
    self.assertForwardEquivalent(allow_empty=True)

  def test_b(self):
    self.assertForwardEquivalent(allow_empty=True, atol=1e-3)

  def test_c(self):
    self.assertNoNewVariables(allow_empty=True)

class FaultyTest(ScaleTest):
  FACTOR = 3.5
"""


class PluginTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def write(self, name, text):
    with open(os.path.join(self.folder, name), 'w') as file:
      file.write(text)

  def pytest(self, *arguments, **variables):
    """Runs pytest with no other plugin; returns (exit status, output)."""
    env = {
      name: value
      for name, value in os.environ.items()
      if not name.startswith(('TF_', 'PYTEST_', 'TEST_'))
    }
    env.update(
      PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]),
      PYTEST_DISABLE_PLUGIN_AUTOLOAD='1',
      TF_CPP_MIN_LOG_LEVEL='3',
      **variables,
    )
    done = subprocess.run(
      [
        *(sys.executable, '-m', 'pytest', '-p', 'tf_equiv_pytest'),
        *('-p', 'no:cacheprovider', *arguments),
      ],
      cwd=self.folder,
      env=env,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=600,
    )
    return done.returncode, done.stdout

  def test_costs_nothing_where_it_is_not_used(self):
    self.write('light_test.py', _LIGHT)
    code, out = self.pytest('-s')
    self.assertEqual(code, 0, out)
    self.assertIn('MODULES []', out)
    self.assertNotIn('TF_USE_LEGACY_KERAS', out)
    self.assertRegex(out, r'tf_equiv 0\.1\.0, tensorflow 2\.\d+')
    self.assertNotIn('= tf_equiv =', out)

  def test_options_and_settings(self):
    self.write('light_test.py', _LIGHT)
    self.write('pytest.ini', '[pytest]\ntf_equiv_legacy_keras = true\n')
    self.write(
      'conftest.py', 'import os\nprint("IN", os.environ["TF_USE_LEGACY_KERAS"])'
    )
    code, out = self.pytest(
      *('-s', '--tf-equiv-report-dir', 'reports', '--tf-equiv-update-goldens'),
      *('--tf-equiv-seed-mode', 'constant'),
    )
    self.assertEqual(code, 0, out)
    self.assertIn('IN 1\n', out)
    self.assertIn("'TF_USE_LEGACY_KERAS': '1'", out)
    reports = os.path.join(os.path.realpath(self.folder), 'reports')
    self.assertIn(f"'TF_EQUIV_REPORT_DIR': '{reports}'", out)
    self.assertIn("'TF_EQUIV_UPDATE_GOLDENS': '1'", out)
    self.assertIn("'TF_EQUIV_SEED_MODES': 'constant'", out)
    self.assertIn('TF_USE_LEGACY_KERAS=1', out.split('rootdir')[0])
    self.assertIn('MODULES []', out)

  def test_bad_options(self):
    self.write('light_test.py', _LIGHT)
    code, out = self.pytest('--tf-equiv-seed-mode', 'random')
    self.assertEqual(code, 4, out)
    self.assertIn(
      '--tf-equiv-seed-mode must be one of constant, num_random_ops, got '
      "'random'.",
      out,
    )
    code, out = self.pytest('--tf-equiv-report-dir', 'light_test.py')
    self.assertEqual(code, 4, out)
    self.assertIn("must be a folder, got the file 'light_test.py'", out)

  def test_digest_and_reports(self):
    self.write('scale_test.py', _SCALE)
    arguments = (
      *('-q', '--tf-equiv-report-dir', 'reports', '--junitxml', 'out.xml'),
      *('--deselect', 'scale_test.py::FaultyTest::test_session'),
    )
    for more in ((), ('-p', 'xdist', '-n', '2')):
      with self.subTest(more):
        code, out = self.pytest(*arguments, *more)
        self.assertEqual(code, 1, out)
        head, _, summary = out.partition('= tf_equiv =')
        self.assertIn(
          'FaultyTest: 2 of 3 tests fail, for 1 cause:\n  1. TF1 mul', summary
        )
        self.assertIn('2 tests: test_a, test_b', summary)
        self.assertRegex(summary, r'All reports: \S+/reports/index\.html')
        # It is told once.
        self.assertNotIn('2 of 3 tests fail', head)
        self.assertNotIn('ScaleTest: ', out)
        root = ElementTree.parse(os.path.join(self.folder, 'out.xml'))
        found = {
          (case.get('name'), each.get('name')): each.get('value')
          for case in root.iter('testcase')
          for each in case.iter('property')
          if case.get('classname').endswith('FaultyTest')
        }
        headline = found['test_a', 'tf_equiv_headline']
        self.assertStartsWith(headline, 'Outputs differ: 1 of 1')
        self.assertIn('scale_test.py:', found['test_a', 'tf_equiv_cause'])
        self.assertTrue(os.path.exists(found['test_a', 'tf_equiv_report']))
        self.assertNotIn(('test_c', 'tf_equiv_headline'), found)


if __name__ == '__main__':
  absltest.main()
