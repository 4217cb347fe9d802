"""Tests of the page of a report."""

import re
import sys
from unittest import mock

from absl.testing import absltest, parameterized

from tests.report import page_parser
from tests.report import planted_verdicts as planted
from tf_equiv.compare import variables
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.report import document, html


def render(verdict):
  source = html.render(document.build(verdict))
  return source, page_parser.Page(source)


class PageTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.document = document.build(planted.full())
    self.source = html.render(self.document)
    self.page = page_parser.Page(self.source)

  def test_well_formed(self):
    self.assertEmpty(self.page.unbalanced)
    names = [a['id'] for _, a in self.page.elements if 'id' in a]
    self.assertLen(set(names), len(names))
    targets = [a['href'][1:] for t, a in self.page.elements if t == 'a']
    self.assertContainsSubset(targets, names)
    self.assertStartsWith(self.source.lstrip().lower(), b'<!doctype html>')

  def test_verdict_and_advice(self):
    self.assertEqual(self.page.texts['h1'], [self.document.headline])
    self.assertEqual(
      self.page.texts['title'], ['fail: net_test.NetTest.test_it']
    )
    for text in ('do this', 'or that', 'TF1 outputs[0] is ' + planted.EVIL):
      self.assertIn(text, self.page.texts['p'] + self.page.texts['li'])
    self.assertIn('real', self.page.texts['span'])

  def test_sections(self):
    self.assertEqual(
      self.page.texts['h2'],
      [
        'First divergence',
        'Error per layer',
        'Steps of this test',
        'Compared values',
        'Training steps',
        'Variables',
        'Gradients',
        'Random draws',
        'Conditions',
        'Run it again',
        'Message',
      ],
    )

  def test_tables_hold_what_the_document_holds(self):
    for table, rows, columns in (
      (
        'variable-table',
        self.document.variables,
        lambda row: [row.tf1, 'differs'],
      ),
      (
        'gradient-table',
        self.document.comparisons[Key(Quantity.GRADIENTS)],
        lambda row: [row.name + ' gradients', 'differs', 'over'],
      ),
      (
        'layer-table',
        self.document.layers,
        lambda row: [
          row.tf1.rpartition('_')[2],
          '%s TF2 %s' % (row.tf1, row.tf2),
          'Relu',
          'differs' if row.differs else 'agrees',
          '%.3g' % (row.difference / row.scale),
        ],
      ),
    ):
      found = self.page.rows(table)
      self.assertLen(found, len(rows))
      for cells, row in zip(found, rows, strict=True):
        expected = columns(row)
        cells = [cell.replace('TF2', ' TF2') for cell in cells]
        cells = [' '.join(cell.split()) for cell in cells]
        cells[0] = cells[0].replace('gradients', ' gradients')
        self.assertEqual(cells[: len(expected)], expected)

  def test_draws_side_by_side(self):
    rows = self.page.rows('draw-table')
    self.assertLen(rows, len(self.document.draws))
    self.assertIn('TF2 makes it as draw 1', rows[0][1])
    self.assertEqual(rows[0][3], 'no draw')
    self.assertEqual([row[-1] for row in rows].count('differs'), 2)

  def test_message_and_command(self):
    pre = self.page.texts['pre']
    self.assertEqual(
      pre,
      [
        'python -m pytest net_test.py::NetTest::test_it',
        ' '.join(self.document.message.split()),
      ],
    )

  def test_user_text_is_text(self):
    self.assertNotIn(b'<script>alert', self.source)
    self.assertIn(b'&lt;script&gt;alert', self.source)
    self.assertEqual([t for t, _ in self.page.elements].count('script'), 1)

  def test_no_network(self):
    for tag, attributes in self.page.elements:
      for name in ('src', 'href', 'xlink:href', 'action', 'srcset'):
        self.assertRegex(attributes.get(name, '#'), '^(#|data:)', tag)
    style = self.page.texts['style'][0]
    self.assertNotIn('url(', style)
    self.assertNotIn('@import', style)
    policy = next(
      a['content'] for _, a in self.page.elements if 'http-equiv' in a
    )
    self.assertStartsWith(policy, "default-src 'none'")

  def test_accessible(self):
    elements = self.page.elements
    inputs = [a['id'] for t, a in elements if t == 'input']
    labels = [a['for'] for t, a in elements if t == 'label']
    self.assertNotEmpty(inputs)
    self.assertCountEqual(inputs, labels)
    for tag, attributes in elements:
      if tag == 'th':
        self.assertIn(attributes.get('scope'), ('row', 'col'))
      if tag == 'figure':
        self.assertTrue(attributes['aria-label'])
      if attributes.get('class') == 'scroll':
        self.assertEqual(attributes['tabindex'], '0')
        self.assertTrue(attributes['aria-label'])
    self.assertIn(('html', {'lang': 'en'}), elements)

  @parameterized.parameters('light', 'dark')
  def test_contrast(self, mode):
    """At least 4.5 to 1 for text, as WCAG 2 asks (level AA)."""
    style = self.page.texts['style'][0]
    light, dark = re.findall(r':root \{[^}]*?--page[^}]*\}', style)
    colors = dict(re.findall(r'--([\w-]+): (#\w{6})', light))
    if mode == 'dark':
      colors.update(re.findall(r'--([\w-]+): (#\w{6})', dark))
    for text, ground in (
      ('ink', 'page'),
      ('ink', 'card'),
      ('ink', 'bad-back'),
      ('soft', 'page'),
      ('soft', 'card'),
      ('soft', 'bad-back'),
      ('link', 'page'),
      ('good', 'page'),
      ('good', 'good-back'),
      ('bad', 'page'),
      ('bad', 'bad-back'),
    ):
      with self.subTest('%s on %s' % (text, ground)):
        self.assertGreater(contrast(colors[text], colors[ground]), 4.5)

  def test_noise(self):
    _, page = render(planted.noisy())
    self.assertIn('Where rounding grows', page.texts['h2'])
    self.assertIn('TF1', page.texts['dt'])
    for text in (
      'net/sub (Sub) net.py:5 a - b',
      '1.23e+03-fold, of the relative error',
      'outputs: float32 errs by up to 0.25, values go up to 8',
      'atol=0.5',
    ):
      self.assertIn(
        text, [dd.replace(')net', ') net') for dd in page.texts['dd']]
      )
    self.assertLen(page.rows('layer-table'), 2)

  def test_empty(self):
    source, page = render(planted.make('assertX', summary='pass assertX'))
    self.assertEmpty(page.unbalanced)
    self.assertEqual(
      page.texts['h2'], ['Steps of this test', 'Conditions', 'Message']
    )
    self.assertLess(len(source), 20000)

  def test_many_rows_are_capped(self):
    specs = [planted.spec('v%d' % i) for i in range(4100)]
    table = variables.match_variables(specs, specs)
    source, page = render(planted.make('assertX', headline='x', table=table))
    self.assertLen(page.rows('variable-table'), 4000)
    self.assertIn(b'4000 of 4100 rows; the JSON file has the rest.', source)

  def test_lone_surrogates(self):
    source, _ = render(planted.make('assertX', headline='x', notes=['\ud800']))
    self.assertIn(b'\\ud800', source)


class WithoutPackagesTest(absltest.TestCase):
  def test_without_matplotlib(self):
    blocked = {
      name: None for name in sys.modules if name.startswith('matplotlib')
    }
    with mock.patch.dict(sys.modules, {'matplotlib': None, **blocked}):
      self.assertEqual(html.missing_packages(), ['Matplotlib'])
      source, page = render(planted.full())
    self.assertNotIn(b'<svg', source)
    self.assertIn(
      'There are no plots: Matplotlib is not installed: '
      "pip install 'tf_equiv[report]'",
      page.texts['p'],
    )
    self.assertLen(page.rows('layer-table'), 3)

  def test_plot_that_fails(self):
    from tf_equiv.report import plots

    with mock.patch.object(
      plots, 'layers', side_effect=ValueError('no <font>')
    ):
      _, page = render(planted.full())
    self.assertIn('There are no plots: ValueError: no <font>', page.texts['p'])

  def test_without_jinja(self):
    with mock.patch.dict(sys.modules, {'jinja2': None}):
      self.assertEqual(html.missing_packages(), ['Jinja2'])
      with self.assertRaises(ImportError):
        render(planted.full())

  def test_nothing_is_missing_here(self):
    self.assertEmpty(html.missing_packages())


def contrast(first, second):
  """Contrast of two colours like '#ffffff', by WCAG 2."""

  def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
      c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
      for c in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

  high, low = sorted((luminance(first), luminance(second)), reverse=True)
  return (high + 0.05) / (low + 0.05)


if __name__ == '__main__':
  absltest.main()
