"""The pytest plugin, in processes of pytest as users start them."""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

import tf_equiv_pytest
from tf_equiv.certificate import files

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
  allow_dormant = True

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
    arguments = ('-q', '--junitxml', 'out.xml', '-k', 'Faulty and not session')
    # A report of one process, and none of several: they take a while.
    for more, reports in (
      (('--tf-equiv-report-dir', 'reports'), True),
      (('-p', 'xdist', '-n', '2'), False),
    ):
      with self.subTest(more):
        code, out = self.pytest(*arguments, *more)
        self.assertEqual(code, 1, out)
        head, _, summary = out.partition('= tf_equiv =')
        self.assertIn(
          'FaultyTest: 2 of 3 tests fail, for 1 cause:\n  1. TF1 mul', summary
        )
        self.assertIn('2 tests: test_a, test_b', summary)
        # It is told once.
        self.assertNotIn('2 of 3 tests fail', head)
        root = ElementTree.parse(os.path.join(self.folder, 'out.xml'))
        found = {
          (case.get('name'), each.get('name')): each.get('value')
          for case in root.iter('testcase')
          for each in case.iter('property')
        }
        headline = found['test_a', 'tf_equiv_headline']
        self.assertStartsWith(headline, 'Outputs differ: 1 of 1')
        self.assertIn('scale_test.py:', found['test_a', 'tf_equiv_cause'])
        if reports:
          self.assertRegex(summary, r'All reports: \S+/reports/index\.html')
          self.assertTrue(os.path.exists(found['test_a', 'tf_equiv_report']))
        else:
          self.assertNotIn('All reports', out)
          self.assertNotIn(('test_a', 'tf_equiv_report'), found)
        self.assertNotIn(('test_c', 'tf_equiv_headline'), found)

  def test_certificate_of_several_processes(self):
    self.write('scale_test.py', _SCALE)
    arguments = ('-q', '-p', 'xdist', '-n', '2')
    code, out = self.pytest(
      *arguments,
      *('-k', 'not session and not test_b'),
      *('--tf-equiv-certificate', 'out/equivalence.json'),
    )
    self.assertEqual(code, 1, out)  # One test is faulty.
    self.assertIn('Certificate: out/equivalence.json', out)
    entries = files.read(os.path.join(self.folder, 'out', 'equivalence.json'))
    self.assertEqual(
      [(e['class'], e['test']) for e in entries],
      [
        ('scale_test.FaultyTest', 'test_c'),
        ('scale_test.ScaleTest', 'test_a'),
        ('scale_test.ScaleTest', 'test_c'),
      ],
    )

  def test_certificate_without_a_test_of_ours(self):
    self.write('light_test.py', _LIGHT)
    code, out = self.pytest('-s', '--tf-equiv-certificate', 'out.json')
    self.assertEqual(code, 0, out)
    self.assertIn('Certificate: none, as no test of tf_equiv has passed', out)
    self.assertRegex(out, r"'TF_EQUIV_CERTIFICATE': '/.*out\.json'")
    self.assertIn('MODULES []', out)
    code, out = self.pytest('--tf-equiv-certificate', self.folder)
    self.assertEqual(code, 4, out)
    self.assertIn('must be a file, got the folder', out)


class AnnotationsTest(absltest.TestCase):
  def test_lines_of_github(self):
    place = {'name': 'mul', 'op_type': 'Mul', 'line': 'src/net.py:16  x * 2'}
    data = {
      'result': 'fail',
      'headline': 'Outputs differ: 50 % of 2',
      'places': [{'tf1': {**place, 'line': 'old.py:3  x'}, 'tf2': place}],
    }
    failure = {'data': data, 'properties': [('headline', data['headline'])]}
    # The same place of two tests is one annotation.
    (line,) = tf_equiv_pytest.annotations([failure, failure])
    self.assertStartsWith(
      line, '::error file=src/net.py,line=16::Outputs differ: 50 %25 of 2'
    )
    self.assertNotIn('old.py', line)
    # A failure without a place has no line to be shown at.
    nowhere = {**failure, 'data': {**data, 'places': []}}
    self.assertEmpty(tf_equiv_pytest.annotations([nowhere]))


if __name__ == '__main__':
  absltest.main()
