"""Tests of plots."""

import math
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
from absl.testing import absltest

from tests.report import planted_verdicts as planted
from tf_equiv.compare import divergence
from tf_equiv.report import document, plots


def parse(svg):
  return ElementTree.fromstring('<div>%s</div>' % svg)


def texts(svg):
  return [node.text for node in parse(svg).iter() if node.tag.endswith('text')]


class PlotsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.document = document.build(planted.full())

  def test_layers(self):
    svg = plots.layers(self.document)
    found = texts(svg)
    for label in ('error', 'too large', 'tolerance', 'noise floor'):
      self.assertEqual(found.count(label), 2)  # narrow and wide

  def test_no_noise_no_curve(self):
    verdict = planted.full()
    verdict.divergence.layers = [planted.layer(i, 0.5) for i in range(3)]
    found = texts(plots.layers(document.build(verdict)))
    self.assertIn('tolerance', found)
    self.assertNotIn('noise floor', found)

  def test_training(self):
    found = texts(plots.training(self.document))
    for label in ('TF1', 'TF2', 'loss', 'gradients', 'variables', 'limit'):
      self.assertIn(label, found)

  def test_nothing_to_plot(self):
    empty = document.build(planted.make('assertX'))
    self.assertEqual(plots.layers(empty), '')
    self.assertEqual(plots.training(empty), '')

  def test_any_number(self):
    steps = [planted.step(1), planted.step(2, math.nan)]
    verdict = planted.full(steps=steps)
    verdict.divergence.layers = [
      planted.layer(i, x)
      for i, x in enumerate((math.nan, math.inf, 0.0, 1e300, 5e-324))
    ] + [divergence.LayerError('a', 'a', 'Relu', (), 0.0, 0.0, 0.0)]
    found = document.build(verdict)
    self.assertNotEmpty(texts(plots.layers(found)))
    self.assertNotEmpty(texts(plots.training(found)))

  def test_names_are_text(self):
    pair = planted.compare('outputs' + planted.EVIL, 1.0, 2.0)
    verdict = planted.full(steps=[{'outputs': [pair]}])
    svg = plots.training(document.build(verdict))
    self.assertIn('outputs' + planted.EVIL, texts(svg))

  def test_colors_are_those_of_the_page(self):
    for svg in (plots.layers(self.document), plots.training(self.document)):
      self.assertIn('var(--first)', svg)
      self.assertIn('currentColor', svg)
      self.assertEmpty(re.findall(r'(?:fill|stroke): #(?!f{6})', svg))
      self.assertNotIn('#ffffff', svg)

  def test_plots_of_a_page_do_not_share_names(self):
    svg = plots.layers(self.document) + plots.training(self.document)
    names = [node.get('id') for node in parse(svg).iter() if node.get('id')]
    self.assertNotEmpty(names)
    self.assertLen(set(names), len(names))
    for target in re.findall(r'(?:href="|url\()#([^")]+)', svg):
      self.assertIn(target, names)

  def test_the_same_each_time(self):
    self.assertEqual(plots.layers(self.document), plots.layers(self.document))

  def test_settings_of_the_process_are_left_alone(self):
    with matplotlib.rc_context({'font.size': 40, 'text.usetex': True}):
      before = dict(matplotlib.rcParams)
      svg = plots.layers(self.document)
      self.assertEqual(dict(matplotlib.rcParams), before)
    self.assertEqual(svg, plots.layers(self.document))

  def test_no_pyplot(self):
    code = (
      'import sys\n'
      'from tests.report import planted_verdicts as planted\n'
      'from tf_equiv.report import document, plots\n'
      'assert plots.layers(document.build(planted.full()))\n'
      'assert "matplotlib.backends.backend_svg" in sys.modules\n'
      'print("matplotlib.pyplot" in sys.modules)\n'
    )
    done = subprocess.run(
      [
        sys.executable,
        '-c',
        'import sys; sys.path[:0] = %r\n' % sys.path + code,
      ],
      capture_output=True,
      text=True,
      timeout=120,
    )
    self.assertEqual(done.stdout, 'False\n', done.stderr)


if __name__ == '__main__':
  absltest.main()
