"""Tests of the texts that users read."""

import ml_dtypes
import numpy as np
from absl.testing import absltest, parameterized

from tests.report import planted_verdicts as planted
from tf_equiv.compare import draws as draws_lib
from tf_equiv.compare import renames, tolerances, values, variables
from tf_equiv.core.draw import Draw
from tf_equiv.core.observation import VariableSpec
from tf_equiv.core.source_line import SourceLine
from tf_equiv.report import numbers, text

_MAX_LINES = 62


def _compare(name, tf1, tf2, **kwargs):
  tolerance = tolerances.Tolerance(**kwargs)
  return values.compare_arrays(
    name, np.asarray(tf1), np.asarray(tf2), tolerance
  )


def _message(*comparisons, group='outputs', **kwargs):
  kwargs.setdefault('headline', 'Outputs differ')
  kwargs.setdefault('advice', ['look there'])
  return text.failure(
    planted.make('assertX', comparisons={group: list(comparisons)}, **kwargs)
  )


def _spec(name, shape=(2, 3), dtype='float32', trainable=True, line=None):
  line = line or SourceLine()
  return VariableSpec(name, tuple(shape), dtype, trainable, line)


def _table_message(tf1, tf2, **kwargs):
  table = variables.match_variables(tf1, tf2, **kwargs)
  return text.failure(
    planted.make('assertX', headline='Variables differ', table=table)
  )


def _draw(index, op='dropout', variable='', file='model.py'):
  line = SourceLine(file, index + 1)
  return Draw(index, index, op, (2,), variable, '', line, 'graph')


class FailureTest(parameterized.TestCase):
  def test_verdict_first_advice_last(self):
    message = _message(
      _compare('outputs', [1.0], [2.0]),
      conditions='inference, fixed weights',
      evidence=['TF1 outputs[0] equals TF2 outputs[1]'],
      advice=['do this', 'or that'],
    )
    self.assertEqual(
      message.splitlines(),
      [
        'Outputs differ (inference, fixed weights)',
        '  TF1 outputs[0] equals TF2 outputs[1]',
        '  outputs: 1 of 1 differ',
        '    outputs  float64[1]: 1 of 1 elements differ',
        '      worst at [0] TF1 1, TF2 2; difference 1 > 1.1e-12 allowed; '
        'would pass with atol=1',
        'Next: do this',
        '      or that',
      ],
    )

  def test_no_advice_no_next(self):
    message = text.failure(
      planted.make('assertX', headline='Nothing', advice=[])
    )
    self.assertEqual(message, 'Nothing')

  def test_names_come_once(self):
    message = _message(_compare("outputs['logits']", [1.0], [2.0]))
    self.assertIn("    outputs['logits']  float64[1]", message)
    self.assertNotIn('outputsoutputs', message)

  def test_passed_items_are_not_listed(self):
    message = _message(
      _compare('outputs[0]', [1.0], [1.0]), _compare('outputs[1]', [1.0], [2.0])
    )
    self.assertNotIn('outputs[0]', message)
    self.assertIn('outputs: 1 of 2 differ', message)

  def test_groups_that_pass_are_not_listed(self):
    message = text.failure(
      planted.make(
        'assertX',
        headline='Outputs differ',
        comparisons={
          'weights': [_compare('w', [1.0], [1.0])],
          'outputs': [_compare('outputs', [1.0], [2.0])],
        },
      )
    )
    self.assertNotIn('weights', message)

  def test_problems_have_no_numbers(self):
    message = _message(_compare('loss', np.zeros(2), np.zeros(3)))
    self.assertIn('    loss: shape: TF1 [2], TF2 [3]\n', message)
    self.assertNotIn('worst', message)

  def test_scalar_has_no_place(self):
    message = _message(_compare('loss', 1.0, 2.0))
    self.assertIn('  loss  float64[]: 1 of 1 elements differ', message)
    self.assertIn('      worst TF1 1, TF2 2; difference', message)

  def test_nan(self):
    message = _message(_compare('x', [np.nan], [np.nan]))
    self.assertIn('worst at [0] TF1 nan, TF2 nan; NaN never equals', message)
    self.assertIn('equal_nan=True', message)
    self.assertNotIn('would pass', message)

  def test_infinity(self):
    message = _message(_compare('x', [np.inf], [1.0]))
    self.assertIn('TF1 inf, TF2 1; difference inf >', message)
    self.assertNotIn('would pass', message)

  @parameterized.parameters(
    (np.int32([4]), np.int32([9]), 'TF1 4, TF2 9; must be equal'),
    (np.uint64([2**63]), np.uint64([0]), 'TF1 9223372036854775808, TF2 0'),
    (np.array([True]), np.array([False]), 'TF1 True, TF2 False'),
    (np.array([b'a']), np.array(['b']), "TF1 b'a', TF2 'b'"),
    (np.array(['x' * 100]), np.array(['']), "TF1 '%s..., TF2 ''" % ('x' * 36)),
    (np.float32([0.1]), np.float32([0.2]), 'TF1 0.100000001, TF2 0.200000003;'),
    (np.array([1 + 2j]), np.array([1 - 2j]), 'TF1 1+2j, TF2 1-2j; difference'),
    (
      np.array([1], ml_dtypes.bfloat16),
      np.array([3], ml_dtypes.bfloat16),
      'TF1 1, TF2 3; difference 2 > 0.048 allowed',
    ),
  )
  def test_values(self, tf1, tf2, expected):
    self.assertIn('worst at [0] ' + expected, _message(_compare('x', tf1, tf2)))

  def test_no_array_is_dumped(self):
    message = _message(_compare('x', np.zeros((50, 50)), np.ones((50, 50))))
    self.assertLess(len(message), 400)
    self.assertIn('x  float64[50, 50]: 2500 of 2500 elements differ', message)
    self.assertIn('worst at [0, 0] TF1 0, TF2 1', message)

  def test_long_group_is_cut(self):
    message = _message(
      *(_compare('outputs[%d]' % i, [1.0], [2.0]) for i in range(1000))
    )
    self.assertIn('outputs: 1000 of 1000 differ', message)
    self.assertIn('    ... and 990 more\n', message)
    self.assertIn('outputs[9]', message)
    self.assertNotIn('outputs[10]', message)

  def test_just_short_enough_is_not_cut(self):
    message = _message(*(_compare('%d' % i, [1.0], [2.0]) for i in range(10)))
    self.assertNotIn('more', message)

  def test_what_follows_is_cut_to_two(self):
    first = [_compare('outputs', [1.0], [2.0])]
    later = [_compare('w%d' % i, [1.0], [2.0]) for i in range(9)]
    message = text.failure(
      planted.make(
        'assertX',
        headline='Outputs differ',
        comparisons={'outputs': first, 'gradients': later},
      )
    )
    self.assertIn('w1', message)
    self.assertNotIn('w2', message)
    self.assertIn('    ... and 7 more', message)

  def test_evidence_is_cut(self):
    evidence = ['call %d: variable' % i for i in range(1000)]
    message = text.failure(
      planted.make('assertX', headline='x', evidence=evidence)
    )
    self.assertIn('  call 9: variable\n  ... and 990 more', message)
    self.assertNotIn('call 10', message)


class TableTest(absltest.TestCase):
  def test_missing_with_likely_rename(self):
    message = _table_message(
      [_spec('a'), _spec('old/kernel')],
      [_spec('a'), _spec('new/kernel')],
      rename=lambda n: 'tf2/kernel' if n != 'a' else n,
    )
    self.assertIn('  1 variable(s) agree.', message)
    self.assertIn(
      '  missing in TF2:\n    old/kernel  float32[2,3]  (expected as '
      'tf2/kernel)  -> new/kernel?\n',
      message,
    )
    self.assertIn('  extra in TF2:\n    new/kernel  float32[2,3]\n', message)
    self.assertIn("        'old/kernel': 'new/kernel',", message)

  def test_extra_has_its_line(self):
    line = SourceLine('models/net.py', 12)
    message = _table_message([], [_spec('v', trainable=False, line=line)])
    self.assertIn('v  float32[2,3] not trainable  at models/net.py:12', message)

  def test_specs(self):
    message = _table_message(
      [_spec('t'), _spec('s'), _spec('d'), _spec('f'), _spec('twice')],
      [
        _spec('t', (3, 2)),
        _spec('s', (3, 3)),
        _spec('d', dtype='float64'),
        _spec('f', trainable=False),
        _spec('twice'),
        _spec('twice'),
      ],
    )
    for expected in (
      't: TF1 [2, 3], TF2 [3, 2]  (transposed)',
      's: TF1 [2, 3], TF2 [3, 3]\n',
      'd: TF1 float32, TF2 float64',
      'f: TF1 trainable=True, TF2 trainable=False',
      'several TF2 variables have the name:\n    twice',
    ):
      self.assertIn(expected, message)

  def test_untracked(self):
    message = _table_message([_spec('v')], [], untracked=[_spec('v')])
    self.assertIn(
      'created by TF2, but not among the variables of the model:\n    v ',
      message,
    )

  def test_converted_shape_is_shown(self):
    message = _table_message(
      [_spec('v', (4, 5))],
      [_spec('v', (6,))],
      convert=lambda tf1_name, value, tf2_name: value.reshape(-1),
    )
    self.assertIn('v: TF1 [20], TF2 [6]', message)

  def test_table_is_left_out_where_numbers_were_compared(self):
    table = variables.match_variables([_spec('v')], [_spec('v')])
    message = _message(_compare('x', [1.0], [2.0]), table=table)
    self.assertNotIn('agree', message)


class LedgerTest(absltest.TestCase):
  def _message(self, tf1, tf2):
    ledger = draws_lib.compare_ledgers(tf1, tf2)
    return text.failure(planted.make('assertX', headline='x', ledger=ledger))

  def test_moved(self):
    message = self._message(
      [_draw(0), _draw(1, 'random_normal', 'w')],
      [_draw(0, 'random_normal', 'w', 'new.py'), _draw(1, file='new.py')],
    )
    self.assertIn(
      '  random draws: TF1 makes 2, TF2 makes 2; the first difference is draw '
      '0\n'
      '  same draw at another place:\n'
      '    dropout[2] in the forward pass: TF1 draw 0, TF2 draw 1\n'
      '      TF1 model.py:1\n'
      '      TF2 new.py:2',
      message,
    )

  def test_only_on_one_side(self):
    message = self._message([_draw(0)], [_draw(0, 'random_uniform')])
    self.assertIn('only in TF1:\n    draw 0: dropout[2] in the', message)
    self.assertIn('only in TF2:\n    draw 0: random_uniform[2] in', message)

  def test_replaced(self):
    message = self._message(
      [_draw(0, 'random_normal', 'w')], [_draw(0, 'random_uniform', 'w')]
    )
    self.assertIn(
      'TF1 draw 0: random_normal[2] initial value of w; '
      'TF2 draw 0: random_uniform[2] initial value of w',
      message,
    )


class LengthTest(parameterized.TestCase):
  """A thousand of everything still fits on a screen or so."""

  def _check(self, message):
    lines = message.splitlines()
    self.assertLessEqual(len(lines), _MAX_LINES)
    self.assertLess(max(map(len, lines)), 300)
    self.assertStartsWith(lines[-3], 'Next: ')

  _ADVICE = ['one', 'two', 'three']

  def test_values(self):
    groups = (
      'weights',
      'outputs',
      'regularization losses',
      'loss',
      'gradients',
    )
    bad = [_compare('w%d' % i, [1.0], [2.0]) for i in range(1000)]
    verdict = planted.make(
      'assertX',
      headline='Initial weights differ',
      comparisons={group: bad for group in groups},
      evidence=['TF1 outputs equals TF2 outputs'] * 1000,
      advice=self._ADVICE,
    )
    self._check(text.failure(verdict))

  def test_values_and_draws(self):
    bad = [_compare('w%d' % i, [1.0], [2.0]) for i in range(1000)]
    for tf1, tf2 in (
      ([_draw(i, 'a') for i in range(1000)], []),
      (
        [_draw(i, 'a') for i in range(500)],
        [_draw(i, 'b', 'v%d' % i) for i in range(500)],
      ),
      (
        [_draw(i, 'a', 'v%d' % i) for i in range(50)],
        [_draw(i, 'a', 'v%d' % (49 - i)) for i in range(50)],
      ),
    ):
      verdict = planted.make(
        'assertX',
        headline='Initial weights differ',
        comparisons={g: bad for g in ('weights', 'outputs', 'gradients')},
        ledger=draws_lib.compare_ledgers(tf1, tf2),
        advice=self._ADVICE,
      )
      self._check(text.failure(verdict))

  def test_table(self):
    tf1, tf2 = [], []
    for i in range(1000):
      tf1 += [_spec('%s%d' % (kind, i)) for kind in 'msdft']
      tf2 += [
        _spec('e%d' % i, (1, i)),
        _spec('s%d' % i, (i,)),
        _spec('d%d' % i, dtype='float64'),
        _spec('f%d' % i, trainable=False),
        _spec('t%d' % i),
        _spec('t%d' % i),
      ]
    table = variables.match_variables(tf1, tf2, untracked=tf2)
    table.suggestion = renames.RenameSuggestion(
      {'a%d' % i: 'b' for i in range(1000)}, hints=('x',) * 1000
    )
    verdict = planted.make(
      'assertX', headline='Variables', table=table, advice=self._ADVICE
    )
    message = text.failure(verdict)
    self._check(message)
    # Code to paste has none.
    self.assertEqual(message.count('... and'), 7)


class SummaryTest(absltest.TestCase):
  def test_pass(self):
    verdict = planted.make(
      'assertForwardEquivalent',
      conditions='inference, fixed weights',
      comparisons={
        'outputs': [_compare("outputs['x']", [1.0], [1.5], atol=1.0)]
      },
      compared={'variables': 3, 'outputs': 1, 'loss': 1, 'gradients': 0},
      seconds=1.25,
    )
    self.assertEqual(
      text.summary(verdict),
      'pass assertForwardEquivalent (inference, fixed weights): 3 variables, '
      "1 outputs; largest difference 0.5 of 1 allowed (outputs['x']); 1.2 s",
    )

  def test_fail(self):
    verdict = planted.make('assertX', headline='The loss differs', seconds=2.0)
    self.assertEqual(
      text.summary(verdict), 'FAIL assertX: The loss differs; 2.0 s'
    )

  def test_is_one_line(self):
    bad = [_compare('w%d' % i, [1.0], [np.nan]) for i in range(100)]
    verdict = planted.make(
      'assertX', headline='x', comparisons={'weights': bad}
    )
    self.assertNotIn('\n', text.summary(verdict))
    self.assertIn('largest difference nan', text.summary(verdict))


class NumberUpTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.0, '0'),
    (1.0, '1'),
    (1.0000001, '1.01'),
    (0.999, '0.999'),
    (0.9991, '1'),
    (1.23401e-7, '1.24e-07'),
    (123456.0, '1.24e+05'),
    (5e-324, '4.94e-324'),
  )
  def test_examples(self, value, shown):
    self.assertEqual(numbers.number_up(value), shown)

  def test_never_below(self):
    generator = np.random.default_rng(0)
    values = 10.0 ** generator.uniform(-300, 300, 2000)
    rounded = np.array([float('%.3g' % v) for v in values])
    for value in (*values, *rounded, *np.nextafter(rounded, np.inf)):
      shown = float(numbers.number_up(value))
      self.assertGreaterEqual(shown, value)
      self.assertLessEqual(shown, value * 1.0101)


class ControlCharactersTest(absltest.TestCase):
  def test_names_of_files_do_not_command_a_terminal(self):
    found = _message(_compare('w\x1b[2J\u202e', [1.0], [2.0]))
    self.assertIn(r'w\x1b[2J\u202e', found)
    self.assertTrue(found.replace('\n', '').isprintable())


if __name__ == '__main__':
  absltest.main()
