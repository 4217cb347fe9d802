"""Tests of writing reports of verdicts made by hand."""

import json
import os
import sys
import tempfile
import warnings
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest, parameterized

from tests.report import planted_verdicts as planted
from tf_equiv.report import html, writer


class WriteReportTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def test_page_and_json(self):
    verdict = planted.full()
    path = tf_equiv.write_report(verdict, self.folder)
    self.assertEqual(
      path,
      os.path.join(self.folder, 'NetTest.test_it-assertGradientsClose.html'),
    )
    self.assertEqual(verdict.report, path)
    with open(path[: -len('html')] + 'json', encoding='utf-8') as file:
      self.assertEqual(json.load(file)['headline'], verdict.headline)
    with open(path, encoding='utf-8') as file:
      self.assertIn('Outputs differ: 2 of 3', file.read())

  def test_again(self):
    paths = [tf_equiv.write_report(planted.full(), self.folder) for _ in '12']
    self.assertEndsWith(paths[1], 'assertGradientsClose-2.html')

  @parameterized.parameters(
    ('net_test.NetTest.test_a', 'NetTest.test_a-assertX'),
    ('TwiceTest', 'TwiceTest-assertX'),
    ('', '-assertX'),
    ('m.A.test_a.<locals>.B.test_b', 'B.test_b-assertX'),
    ('m.A.test_a0 (1, "/")', 'A.test_a0_1_-assertX'),
  )
  def test_name(self, test, expected):
    name = writer.name_of(planted.make('assertX', test=test))
    self.assertEqual(name, expected.lstrip('-'))

  def test_without_jinja(self):
    with mock.patch.dict(sys.modules, {'jinja2': None}):
      with self.assertWarnsRegex(
        UserWarning,
        r'Jinja2 is not installed, so there is no HTML page; for it: pip '
        r"install 'tf_equiv\[report\]'",
      ):
        path = tf_equiv.write_report(planted.full(), self.folder)
    self.assertEndsWith(path, '.json')
    self.assertLen(os.listdir(self.folder), 1)

  def test_without_matplotlib(self):
    with mock.patch.dict(sys.modules, {'matplotlib': None}):
      path, problem = writer.write(planted.full(), self.folder)
    self.assertEndsWith(path, '.html')
    self.assertEqual(
      problem,
      'Matplotlib is not installed, so the page has no plots; for them: '
      + html.INSTALL,
    )

  def test_without_both(self):
    blocked = {'matplotlib': None, 'jinja2': None}
    with mock.patch.dict(sys.modules, blocked):
      path, problem = writer.write(planted.full(), self.folder)
    self.assertEndsWith(path, '.json')
    self.assertStartsWith(problem, 'Jinja2 and Matplotlib are not installed')

  def test_page_that_cannot_be_made(self):
    def fails(document):
      raise ValueError('in the template\nline 3')

    path, problem = writer.write(planted.full(), self.folder, render=fails)
    self.assertEndsWith(path, '.json')
    self.assertEqual(
      problem,
      'the HTML page could not be made: ValueError: in the template',
    )

  def test_folder_that_cannot_be_made(self):
    path = os.path.join(self.folder, 'file')
    with open(path, 'w', encoding='utf-8'):
      pass
    with self.assertRaises(OSError):
      tf_equiv.write_report(planted.full(), path)

  def test_no_warning_otherwise(self):
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      tf_equiv.write_report(planted.full(), self.folder)


if __name__ == '__main__':
  absltest.main()
