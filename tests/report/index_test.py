"""Tests of the page that lists the reports of a directory."""

import json
import os
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from tests.report import page_parser
from tests.report import planted_verdicts as planted
from tf_equiv.compare import divergence, repairs
from tf_equiv.report import files, html, index, writer

_LINES = 'legacy.py:3  net = bn(net)', 'net.py:7  net = bn(net)'


def place(op='net/bn/add', lines=_LINES, value=0.5, **fields):
  """Makes a place with a repair."""
  found = divergence.Divergence(
    divergence.Place(op, 'Add', lines[0]),
    divergence.Place('model/' + op, 'Add', lines[1]),
    comparison=planted.compare('x', 1.0, 2.0),
    tried=True,
    repair=repairs.Repair(
      (
        repairs.Change(
          repairs.ChangeKind.ATTRIBUTE, op, 'epsilon', value, 1e-5
        ),
      ),
      0.0,
    ),
  )
  for name, value in fields.items():
    setattr(found, name, value)
  return found


def failure(test, *places, headline='Outputs differ', **fields):
  return planted.make(
    headline=headline, test=test, divergences=places, **fields
  )


class IndexTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def write(self, *verdicts):
    """Writes reports, each a second after the one before, and the index."""
    for i, verdict in enumerate(verdicts):
      path, _ = writer.write(verdict, self.folder, render=lambda _: b'page')
      os.utime(path.removesuffix('html') + 'json', (i + 1, i + 1))
    return self.page(index.write(self.folder))

  def page(self, path):
    self.assertEqual(path, os.path.join(self.folder, 'index.html'))
    with open(path, 'rb') as file:
      page = page_parser.Page(file.read())
    self.assertEmpty(page.unbalanced)
    return page

  def headline(self, page):
    (found,) = page.texts['h1']
    return found

  def links(self, page):
    return [
      attributes['href'] for tag, attributes in page.elements if tag == 'a'
    ]


class ContentTest(IndexTestCase):
  def test_newest_first(self):
    page = self.write(
      planted.make(test='m.A.test_a', assertion='assertX'),
      failure('m.B.test_b', place(), assertion='assertY'),
      planted.make(test='m.C.test_c'),
    )
    self.assertEqual(
      self.links(page),
      [
        './C.test_c-assertX.html',
        './B.test_b-assertY.html',
        './A.test_a-assertX.html',
      ],
    )
    rows = page.rows('report-table')
    self.assertEqual([row[1] for row in rows], ['pass', 'FAIL', 'pass'])
    self.assertEqual(rows[1][0], 'm.B.test_bassertY')
    self.assertEqual(rows[1][2], 'Outputs differ')
    self.assertEqual(
      self.headline(page), '1 failed assertion in 1 test, for 1 cause'
    )

  def test_each_cause_once_with_its_place(self):
    page = self.write(
      failure('m.A.test_a', place()),
      failure('m.A.test_b', place()),
      failure('m.B.test_c', place(), place('net/out', value=0.7)),
      failure('m.B.test_c', place()),
    )
    self.assertEqual(
      self.headline(page), '4 failed assertions in 3 tests, for 2 causes'
    )
    self.assertLen(page.texts['li'], 2)
    first, second = page.texts['li']
    self.assertIn('net/bn/add (Add)', first)
    for line in _LINES:
      self.assertIn(' '.join(line.split()), first)
    self.assertIn('repair: epsilon 0.5 for 1e-05', first)
    self.assertEndsWith(first, '3 tests: m.A.test_a, m.A.test_b, m.B.test_c')
    self.assertIn('net/out (Add)', second)
    self.assertEndsWith(second, '1 test: m.B.test_c')

  def test_no_failure(self):
    page = self.write(planted.make(test='m.A.test_a'))
    self.assertEqual(
      self.headline(page), '1 report, none of a failed assertion'
    )
    self.assertNotIn('Causes', page.texts['h2'])

  def test_names_are_no_markup(self):
    evil = planted.EVIL
    page = self.write(
      failure(
        f'm.A.{evil}',
        place(evil, (evil, evil), mistake=evil),
        headline=evil,
        conditions=evil,
      )
    )
    self.assertNotIn('script', [tag for tag, _ in page.elements])
    self.assertIn(evil, page.texts['code'])
    for link in self.links(page):
      self.assertRegex(link, r'^\./[\w.-]+\.html$')

  def test_link_without_a_page(self):
    def fails(_):
      raise ValueError

    writer.write(planted.make(test='m.A.test_a'), self.folder, render=fails)
    page = self.page(index.write(self.folder))
    self.assertEqual(self.links(page), ['./A.test_a-assertX.json'])


class GroupTest(IndexTestCase):
  """What is one cause, and what is not."""

  def count(self, *verdicts):
    page = self.write(*verdicts)
    return len(page.texts.get('li', []))

  def test_other_op_of_the_same_line_and_change(self):
    self.assertEqual(
      self.count(
        failure('m.A.test_a', place()),
        failure('m.A.test_b', place('net/bn/fused')),
      ),
      1,
    )

  def test_other_change_of_the_same_line(self):
    self.assertEqual(
      self.count(
        failure('m.A.test_a', place()),
        failure('m.A.test_b', place('net/bn/fused', value=0.7)),
      ),
      2,
    )

  def test_what_two_have_in_common_with_a_third(self):
    third = place('net/bn/fused', value=0.5, mistake='known')
    self.assertEqual(
      self.count(
        failure('m.A.test_a', place()),
        failure('m.A.test_b', place('net/x', value=0.7, mistake='known')),
        failure('m.A.test_c', third),
      ),
      1,
    )

  def test_same_names_at_other_lines(self):
    other = 'legacy.py:3  net = bn(net)', 'other.py:1  net = bn(net)'
    self.assertEqual(
      self.count(
        failure('m.A.test_a', place()),
        failure('m.B.test_b', place(lines=other)),
      ),
      2,
    )

  def test_same_names_without_lines_in_other_classes(self):
    unknown = place(lines=('', ''))
    self.assertEqual(
      self.count(
        failure('m.A.test_a', unknown),
        failure('m.A.test_b', unknown),
        failure('m.B.test_b', unknown),
      ),
      2,
    )

  def test_same_headline_in_other_classes(self):
    self.assertEqual(
      self.count(
        failure('m.A.test_a', headline='Variables differ: 1 missing in TF2'),
        failure('m.A.test_b', headline='Variables differ: 1 missing in TF2'),
        failure('m.B.test_b', headline='Variables differ: 1 missing in TF2'),
      ),
      2,
    )

  def test_optimizers_that_differ_in_two_things(self):
    def optimizer(name):
      change = repairs.Change(
        repairs.ChangeKind.HYPERPARAMETER, 'SGD', name, 0.9, 0.8
      )
      return place(
        'Momentum',
        comparison=None,
        mistake=f'{name} differs',
        repair=repairs.Repair((change,), 0.0, name, 0.9),
      )

    self.assertEqual(
      self.count(
        failure('m.A.test_a', optimizer('momentum')),
        failure('m.A.test_b', optimizer('momentum'), optimizer('epsilon')),
      ),
      2,
    )


class RobustnessTest(IndexTestCase):
  def test_other_files_are_left_out(self):
    names = {
      'list.json': b'[1, 2]',
      'empty.json': b'',
      'bytes.json': b'\xff\xfe',
      'half.json': b'{"format": "tf_equiv report 1", "test": ',
      'deep.json': b'{"format": "tf_equiv report 1", "test": ' + b'[' * 9999,
      'other.json': b'{"format": "other", "test": "m.A.test_x"}',
      'later.json': b'{"format": "tf_equiv report 12", "test": "m.A.test_x"}',
    }
    for name, content in names.items():
      with open(os.path.join(self.folder, name), 'wb') as file:
        file.write(content)
    os.mkdir(os.path.join(self.folder, 'folder.json'))
    page = self.write(planted.make(test='m.A.test_a'))
    self.assertEqual(self.links(page), ['./A.test_a-assertX.html'])

  def test_fields_that_are_something_else(self):
    fields = {
      'result': 'fail',
      'places': [3, {'tf1': 'x', 'differences': 'y', 'repair': []}],
      'headline': 7,
      'test': None,
    }
    with open(os.path.join(self.folder, 'a "b".json'), 'w') as file:
      json.dump({'format': 'tf_equiv report 1', **fields}, file)
    page = self.page(index.write(self.folder))
    self.assertEqual(self.links(page), ['./a%20%22b%22.json'])
    self.assertStartsWith(self.headline(page), '1 failed assertion')

  def test_a_file_of_somebody_else_is_kept(self):
    path = os.path.join(self.folder, 'index.html')
    with open(path, 'w') as file:
      file.write('<title>mine</title>')
    with self.assertRaisesRegex(FileExistsError, 'is no list of reports'):
      index.write(self.folder)
    with open(path) as file:
      self.assertEqual(file.read(), '<title>mine</title>')

  def test_without_jinja(self):
    with mock.patch.object(html, 'missing_packages', lambda: ['Jinja2']):
      self.assertEqual(index.write(self.folder), '')
    self.assertEmpty(os.listdir(self.folder))

  def test_reports_that_come_meanwhile(self):
    others = [planted.make(test=f'm.B.test_{i}') for i in range(2)]

    def replace(path, content):
      if others:  # Another process writes a report.
        writer.write(others.pop(), self.folder, render=lambda _: b'')
      files.write(path, content)

    with mock.patch.object(files, 'replace', replace):
      page = self.write(planted.make(test='m.A.test_a'))
    self.assertLen(self.links(page), 3)

  def test_nothing_is_left_behind(self):
    self.write(planted.make(test='m.A.test_a'))
    names = set(os.listdir(self.folder))
    with mock.patch.object(files.os, 'replace', side_effect=OSError):
      with self.assertRaises(OSError):
        index.write(self.folder)
    self.assertEqual(set(os.listdir(self.folder)), names)


if __name__ == '__main__':
  absltest.main()
