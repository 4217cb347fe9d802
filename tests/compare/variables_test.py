"""Tests of the matching of variables."""

import re

import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import variables
from tf_equiv.core import errors
from tf_equiv.core.observation import VariableSpec


def _spec(name, shape=(2, 3), dtype='float32', trainable=True):
  return VariableSpec(name, tuple(shape), dtype, trainable)


def _names(pairs):
  return [(first.name, second.name) for first, second in pairs]


class MatchVariablesTest(parameterized.TestCase):
  def test_same_in_another_order(self):
    one, two = _spec('net/a'), _spec('net/b')
    table = variables.match_variables([one, two], [two, one])
    self.assertTrue(table.passed)
    self.assertFalse(table.blocks_values)
    self.assertEqual(
      _names(table.pairs), [('net/a', 'net/a'), ('net/b', 'net/b')]
    )
    self.assertEqual(table.agreeing(), 2)
    self.assertEqual(
      table.tf1_names_of(), {'net/a': ('net/a',), 'net/b': ('net/b',)}
    )

  def test_nothing(self):
    table = variables.match_variables([], [])
    self.assertTrue(table.passed)
    self.assertEmpty(table.pairs)

  def test_missing_and_extra(self):
    table = variables.match_variables(
      [_spec('a'), _spec('gone', [5])], [_spec('a'), _spec('new', [7])]
    )
    self.assertFalse(table.passed)
    self.assertTrue(table.blocks_values)
    self.assertEqual(
      [(s.name, wanted) for s, wanted in table.missing], [('gone', 'gone')]
    )
    self.assertEqual([s.name for s in table.extra], ['new'])
    self.assertEmpty(table.suggestion.names)
    self.assertEqual(table.agreeing(), 1)

  def test_rename(self):
    table = variables.match_variables(
      [_spec('old/w')], [_spec('new/w')], lambda n: n.replace('old', 'new')
    )
    self.assertTrue(table.passed)
    self.assertEqual(_names(table.pairs), [('old/w', 'new/w')])
    self.assertEqual(table.tf1_names_of(), {'new/w': ('old/w',)})

  def test_suffix_of_tensors_is_dropped(self):
    table = variables.match_variables(
      [_spec('w')], [_spec('v')], lambda n: 'v:0'
    )
    self.assertTrue(table.passed)

  def test_missing_says_the_wanted_name(self):
    table = variables.match_variables([_spec('a')], [], lambda n: 'x/' + n)
    self.assertEqual(table.missing, [(_spec('a'), 'x/a')])

  @parameterized.parameters(tuple, list)
  def test_one_to_many(self, container):
    table = variables.match_variables(
      [_spec('lstm/kernel', [4, 8])],
      [_spec('lstm/k', [2, 8]), _spec('lstm/r', [2, 8])],
      lambda n: container(['lstm/k', 'lstm/r']),
      lambda tf1_name, value, tf2_name: value[:2],
    )
    self.assertTrue(table.passed)
    self.assertEqual(
      _names(table.pairs),
      [('lstm/kernel', 'lstm/k'), ('lstm/kernel', 'lstm/r')],
    )

  def test_dropped_on_purpose(self):
    table = variables.match_variables(
      [_spec('a'), _spec('counter')],
      [_spec('a')],
      lambda n: None if n == 'counter' else n,
    )
    self.assertTrue(table.passed)

  @parameterized.parameters(5, [()], [('a', 1)], [[None]], [{'a': 'b'}])
  def test_other_results_of_rename(self, result):
    with self.assertRaisesRegex(
      errors.UsageError, r"^rename_variable\('a'\) returned .*expected a name"
    ):
      variables.match_variables([_spec('a')], [], lambda n: result)

  def test_two_variables_with_one_new_name(self):
    with self.assertRaisesRegex(
      errors.UsageError,
      "gives 'a' and 'b' the TF2 name 'x'. Where several TF1 variables become "
      'one, convert_variable must return for each an array of the shape',
    ):
      variables.match_variables(
        [_spec('a'), _spec('b')], [_spec('x')], lambda n: 'x'
      )

  def test_duplicates(self):
    table = variables.match_variables([_spec('a')], [_spec('a'), _spec('a')])
    self.assertEqual(table.duplicates, ['a'])
    self.assertTrue(table.blocks_values)

  def test_transposed(self):
    table = variables.match_variables(
      [_spec('a', [2, 3])], [_spec('a', [3, 2])]
    )
    ((first, shape, second),) = table.shapes
    self.assertEqual(
      (first.shape, shape, second.shape), ((2, 3),) * 2 + ((3, 2),)
    )
    self.assertTrue(table.blocks_values)
    self.assertEqual(table.agreeing(), 0)

  def test_converted_shape_counts(self):
    asked = []

    def convert(tf1_name, value, tf2_name):
      asked.append((tf1_name, tf2_name))
      return value.T

    table = variables.match_variables(
      [_spec('a', [2, 3])],
      [_spec('a', [3, 2])],
      convert=convert,
    )
    self.assertTrue(table.passed)
    self.assertEqual(asked, [('a', 'a')])

  def test_value_to_convert_has_the_dtype(self):
    given = []

    def convert(tf1_name, value, tf2_name):
      given.append(value.dtype)
      return value

    for dtype in ('float16', 'string'):
      spec = _spec('a', dtype=dtype)
      variables.match_variables([spec], [spec], convert=convert)
    self.assertEqual(given, [np.float16, object])

  def test_rank_counts(self):
    for shape in ([6], [2, 3, 1], []):
      table = variables.match_variables([_spec('a')], [_spec('a', shape)])
      self.assertLen(table.shapes, 1)

  def test_dtype(self):
    table = variables.match_variables(
      [_spec('a')], [_spec('a', dtype='float64')]
    )
    self.assertEqual(
      [(a.dtype, b.dtype) for a, b in table.dtypes], [('float32', 'float64')]
    )
    self.assertTrue(table.blocks_values)

  def test_trainable_fails_but_values_can_be_compared(self):
    table = variables.match_variables(
      [_spec('a')], [_spec('a', trainable=False)]
    )
    self.assertLen(table.trainable, 1)
    self.assertFalse(table.passed)
    self.assertFalse(table.blocks_values)

  def test_untracked_is_kept(self):
    table = variables.match_variables([], [], untracked=[_spec('lost')])
    self.assertEqual([s.name for s in table.untracked], ['lost'])


class IgnoredTest(parameterized.TestCase):
  def test_leaves_out_on_both_sides(self):
    table = variables.match_variables(
      [_spec('a'), _spec('tf1/step')],
      [_spec('a'), _spec('tf2/step')],
      ignored=[r'/step$', '^tf'],
    )
    self.assertTrue(table.passed)

  def test_rename_is_not_asked_for_ignored_ones(self):
    asked = []

    def rename(name):
      asked.append(name)
      return name

    variables.match_variables(
      [_spec('a'), _spec('b')], [_spec('a')], rename, ignored=['b']
    )
    self.assertEqual(asked, ['a'])

  @parameterized.parameters('net/kernal', re.compile('net/kernal'))
  def test_matching_nothing_is_an_error(self, pattern):
    with self.assertRaisesRegex(
      errors.UsageError, 'matches no variable of either side.*net/kernel'
    ):
      variables.match_variables(
        [_spec('net/kernel')], [_spec('net/kernel')], ignored=(pattern,)
      )

  @parameterized.parameters('(', '*a', 5, None)
  def test_invalid_expression(self, pattern):
    with self.assertRaisesRegex(errors.UsageError, 'which is no regular expr'):
      variables.match_variables([_spec('a')], [], ignored=(pattern,))

  def test_plain_string(self):
    with self.assertRaisesRegex(errors.UsageError, r"is the string 'step'"):
      variables.match_variables([_spec('step')], [], ignored='step')


class LikelyRenamesTest(absltest.TestCase):
  def test_only_one_fits(self):
    table = variables.match_variables(
      [_spec('layer/w', [3]), _spec('x', [4])], [_spec('q', [3])]
    )
    self.assertEqual(table.suggestion.names, {'layer/w': 'q'})

  def test_most_similar_of_several(self):
    table = variables.match_variables(
      [_spec('conv1/kernel'), _spec('conv2/kernel')],
      [_spec('net/conv2/kernel'), _spec('net/conv1/kernel')],
    )
    self.assertEqual(
      table.suggestion.names,
      {
        'conv1/kernel': 'net/conv1/kernel',
        'conv2/kernel': 'net/conv2/kernel',
      },
    )

  def test_none_similar_of_several(self):
    table = variables.match_variables(
      [_spec('aaaa')], [_spec('bbbb'), _spec('cccc')]
    )
    self.assertEmpty(table.suggestion.names)

  def test_other_shape_or_dtype_does_not_fit(self):
    table = variables.match_variables(
      [_spec('w')], [_spec('w1', [9]), _spec('w2', dtype='float64')]
    )
    self.assertEmpty(table.suggestion.names)

  def test_surplus_without_evidence(self):
    table = variables.match_variables([_spec('a1'), _spec('a2')], [_spec('a')])
    self.assertEmpty(table.suggestion.names)


if __name__ == '__main__':
  absltest.main()
