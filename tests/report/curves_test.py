"""Tests of what is said and shown of free training."""

import dataclasses
import math
from xml.etree import ElementTree

import numpy as np
from absl.testing import absltest

from tests.report import planted_verdicts as planted
from tf_equiv.compare import envelopes, equivalence, tolerances
from tf_equiv.compare.outcome import Kind
from tf_equiv.report import curve_text, document, html, plots, telling, text

_STEPS = 50


def texts(svg):
  nodes = ElementTree.fromstring(f'<div>{svg}</div>').iter()
  return [node.text for node in nodes if node.tag.endswith('text')]


def _series(name, tf1, tf2, spread=0.0):
  tf1, tf2 = np.asarray(tf1, float), np.asarray(tf2, float)
  spreads = np.full(len(tf1), spread)
  return envelopes.Series(
    name,
    tf1,
    tf2,
    spreads,
    envelopes.envelope(tf1, spreads, 10.0, tolerances.Tolerance()),
  )


def _found(factor=1.01, name='loss', **fields):
  """Returns curves that part at step 31, if the factor is not 1."""
  steps = np.arange(1, _STEPS + 1)
  tf1 = 1.0 + 1.0 / steps
  tf2 = np.where(steps > 30, factor, 1.0) * tf1
  series = (_series('learning rate', tf1, tf1), _series(name, tf1, tf2, 1e-6))
  not_finite = tuple(
    n
    for s in series
    for side, curve in (('TF1', s.tf1), ('TF2', s.tf2))
    for n in envelopes.first_not_finite(s.name, side, curve)
  )
  fields = {'horizon': _STEPS, 'not_finite': not_finite, **fields}
  return envelopes.Found(
    series, 3, 10.0, leaves=envelopes.leaves(series), **fields
  )


def _verdict(found, kind=Kind.CURVES):
  outcome = planted.make('assertTrainingCurvesMatch').outcome
  return telling.tell(dataclasses.replace(outcome, kind=kind, curves=found))


def _message(found, kind=Kind.CURVES):
  return text.failure(_verdict(found, kind))


class TextTest(absltest.TestCase):
  def test_headline(self):
    self.assertStartsWith(
      _message(_found()),
      'Training curves part at step 31 of 50 in the loss: TF1 1.03226, TF2 '
      '1.04258, 909 times what is allowed',
    )

  def test_numbers_of_steps_begin_with_the_first_one(self):
    message = _message(_found(start_step=1000))
    self.assertIn('part at step 1031 (1001 to 1050) in the', message)
    self.assertIn('step 1001 to 1050, ^ at 1031', message)

  def test_curves_as_text(self):
    lines = _message(_found(factor=1.5)).splitlines()
    (title,) = [line for line in lines if '#: both' in line]
    self.assertIn('loss (1: TF1, 2: TF2', title)
    drawn = [line for line in lines if ' |' in line]
    self.assertLen(drawn, 10)
    self.assertIn('2', ''.join(line.split('|')[1] for line in drawn))
    self.assertTrue(all(len(line) <= 80 for line in drawn))

  def test_table_has_the_step_and_its_neighbours(self):
    lines = _message(_found()).splitlines()
    start = next(i for i, x in enumerate(lines) if x.split()[-1:] == ['times'])
    steps = [line.split()[0] for line in lines[start + 1 : start + 8]]
    self.assertEqual(steps, ['1', '16', '30', '31', '32', '40', '50'])

  def test_what_was_allowed_and_why(self):
    message = _message(_found())
    self.assertIn(
      'allowed at step 31: 1.14e-05; TF1 trained from weights one', message
    )
    self.assertIn('by up to 1e-06 until there (3 runs), and 10 times', message)

  def test_located(self):
    message = _message(_found(located='Gradients differ'))
    self.assertIn('located: Gradients differ', message)
    self.assertNotIn('located', _message(_found()))

  def test_nan_of_tf2(self):
    message = _message(_found(factor=math.nan))
    self.assertStartsWith(
      message,
      'Training fails in TF2 alone: its loss is NaN at step 31 of 50, that of '
      'TF1 is not',
    )
    self.assertIn('TF2: loss is NaN from step 31 on', message)
    self.assertNotIn('TF1 itself:', message)

  def test_nan_of_tf1(self):
    bad = np.array([1.0, 2.0, np.nan])
    series = _series('loss', bad, bad)
    found = envelopes.Found(
      (series,),
      3,
      10.0,
      horizon=2,
      not_finite=(
        envelopes.NotFinite('loss', 'TF1', 2, math.nan),
        envelopes.NotFinite('loss', 'TF2', 2, math.nan),
      ),
    )
    message = _message(found)
    self.assertStartsWith(
      message,
      'Training fails in TF1 itself: its loss is NaN at step 3 of 3; only the '
      '2 step(s) before could be compared, and they agree',
    )

  def test_horizon(self):
    (note,) = curve_text.notes(_found(1.0, horizon=37))
    self.assertIn('TF1 agrees with itself to 1e-05 up to step 37', note)
    (note,) = curve_text.notes(_found(1.0))
    self.assertIn('in all 50 steps', note)
    (note,) = curve_text.notes(_found(1.0, horizon=0))
    self.assertIn('does not agree with itself to 1e-05 in any step', note)

  def test_chaos_is_said(self):
    steps = np.arange(1, _STEPS + 1)
    chaos = _series('loss', np.ones(_STEPS), np.ones(_STEPS))
    chaos = envelopes.Series(
      'loss', chaos.tf1, chaos.tf2, 1e-3 * steps, 1e-2 * steps
    )
    found = envelopes.Found((chaos,), 3, 10.0)
    notes = curve_text.notes(found)
    self.assertIn(
      'from step 11 on TF1 differs from itself by more than 1%', notes[1]
    )

  def test_no_repetition_is_said(self):
    notes = curve_text.notes(_found(1.0, repeats=0.02, repeated=5))
    self.assertIn('TF1 does not repeat itself', notes[1])
    self.assertIn('up to 0.02 of their size within 5 step(s)', notes[1])


class SeedsTest(absltest.TestCase):
  _TF1 = (1.0, 1.2, 0.9, 1.1, 1.05)

  def _found(self, tf2, share=0.5):
    return _found(1.0, seeds=equivalence.compare(self._TF1, tf2, share))

  def test_equivalent(self):
    (_, note) = curve_text.notes(self._found(self._TF1))
    self.assertIn('over 5 seeds the final loss of TF2 differs', note)
    self.assertIn(
      'the new version ends where the old one does, to within 0.5', note
    )

  def test_different(self):
    message = _message(
      self._found([x + 0.5 + 1e-3 * i for i, x in enumerate(self._TF1)]),
      Kind.SEEDS,
    )
    self.assertStartsWith(
      message, 'Final losses over 5 seeds differ: that of TF2 is 0.502 higher'
    )
    self.assertIn('final losses of TF1: 1, 1.2, 0.9, 1.1, 1.05', message)
    self.assertNotIn('ends where the old one does, to', message)

  def test_undecided(self):
    noise = (0.3, -0.3, 0.2, -0.2, 0.1)
    tf2 = [x + n for x, n in zip(self._TF1, noise, strict=True)]
    message = _message(self._found(tf2), Kind.SEEDS)
    self.assertStartsWith(message, 'Final losses over 5 seeds do not decide')
    self.assertIn('too few seeds to tell; about ', message)

  def test_not_finite(self):
    message = _message(self._found((1.0, 1.2, math.nan, 1.1, 1.05)), Kind.SEEDS)
    self.assertStartsWith(
      message, 'Final losses are not finite for some seeds on one side alone'
    )


class ReportTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.document = document.build(_verdict(_found(name='norm', horizon=20)))

  def test_the_curve_that_parts_comes_first(self):
    curves = self.document.curves
    self.assertEqual([c.name for c in curves], ['norm', 'learning rate'])
    self.assertEqual([c.parts for c in curves], [31, None])
    self.assertEqual(curves[0].steps, list(range(1, _STEPS + 1)))
    self.assertEqual(self.document.horizon, 20)

  def test_nothing_of_other_assertions(self):
    found = document.build(planted.full())
    self.assertEqual((found.curves, found.horizon), ([], None))
    self.assertEqual(plots.curves(found), '')

  def test_plot(self):
    labels = texts(plots.curves(self.document))
    for label in ('TF1', 'TF2', 'norm', 'allowed', 'horizon', 'they part'):
      self.assertIn(label, labels)

  def test_plot_of_what_is_not_finite(self):
    bad = document.build(_verdict(_found(factor=math.nan)))
    self.assertIn('loss', texts(plots.curves(bad)))

  def test_page(self):
    page = html.render(self.document).decode()
    self.assertIn('<h2 id="curves">Training curves</h2>', page)
    self.assertIn('TF1 agrees with itself to 1e-5 up to step 20.', page)
    other = html.render(document.build(planted.full())).decode()
    self.assertNotIn('Training curves', other)


if __name__ == '__main__':
  absltest.main()
