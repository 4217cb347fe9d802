"""Tests of the lines that show differences, on records alone."""

import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import difference, structures
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.report import differences

_FILES = ('A', 'B')


class TextTest(parameterized.TestCase):
  @parameterized.parameters(
    (
      Difference(Kind.ATTRIBUTE, 'epsilon', 1e-12, 0.001),
      'epsilon: TF1 1e-12, TF2 0.001',
    ),
    (
      Difference(Kind.ATTRIBUTE, 'strides', (1, 2), (1, 1)),
      'strides: TF1 [1, 2], TF2 [1, 1]',
    ),
    (
      Difference(Kind.CONSTANT, tf1=(0.5,), tf2=(1, 2), operand=1),
      'constant (operand 1): TF1 0.5, TF2 [1, 2]',
    ),
    (
      Difference(Kind.SHAPE, tf1=(1, None), tf2=None),
      'shape: TF1 [1, None], TF2 unknown',
    ),
    (
      difference.one_sided(Kind.NUMBERS, 0, (0.1, 1.5, 2.0, 3.0, 4.0)),
      'numbers only in TF1: 0.1, 1.5, 2, 3',
    ),
    (
      difference.one_sided(
        Kind.STOPS_GRADIENT, 1, 'stop', subject='add', detail='a.py:1  x'
      ),
      'only TF2 stops the gradient of add: stop at a.py:1  x',
    ),
    (
      difference.one_sided(Kind.ASSIGNS, 0, 'op', subject='w'),
      'only TF1 assigns w, by the op above',
    ),
    (
      difference.one_sided(Kind.LEAVES_ALONE, 1, 'a.py:1', subject='w'),
      'TF2 makes the variable at a.py:1, and leaves it alone',
    ),
    (
      Difference(Kind.DECAY, tf1=0.1 + 1e-9, tf2=0.99),
      'decay: TF1 0.1, TF2 0.99',
    ),
    (
      Difference(Kind.ASSIGNED_BY, 'w', 'a', 'b'),
      'w is assigned by a in TF1, by b in TF2',
    ),
    (
      Difference(Kind.INITIAL_VALUES, 'w', (0.0, 1.0), (0.5, 2.0)),
      'initial values of w: TF1 mean 0, deviation 1, TF2 mean 0.5, deviation 2',
    ),
    (
      difference.one_sided(Kind.KEYS, 0, ('a', 1), subject='outputs'),
      "outputs: keys missing on the TF2 side: 'a', 1",
    ),
    (
      difference.one_sided(Kind.NOT_TRAINED, 0, 'w'),
      'TF1 does not train w',
    ),
  )
  def test_text(self, record, expected):
    self.assertEqual(differences.describe(record), expected)

  @parameterized.parameters(*Kind)
  def test_each_kind_has_a_text(self, kind):
    self.assertIn(kind, differences._TEXTS)


class SidesTest(parameterized.TestCase):
  @parameterized.parameters(
    (
      Difference(Kind.STRUCTURE, 'outputs', 'None', 'a tensor'),
      'outputs: A returns None, B returns a tensor',
    ),
    (
      Difference(Kind.ITEM_COUNT, 'outputs', 1, 2),
      'outputs: A returns 1 items, B returns 2',
    ),
    (
      difference.one_sided(Kind.KEYS, 0, (1, 'b'), subject='outputs'),
      "outputs: keys missing on the B side: 1, 'b'",
    ),
    (
      difference.one_sided(Kind.KEYS, 1, ('a',), subject='outputs'),
      "outputs: keys only on the B side: 'a'",
    ),
    (
      Difference(Kind.KEY_ORDER, 'outputs', ('a', 'b'), ('b', 'a')),
      "outputs: the OrderedDicts have another order: A 'a', 'b', B 'b', 'a'",
    ),
    (
      Difference(Kind.OUTPUT, 'outputs', 'int8[]', 'bool[]'),
      'outputs: A int8[], B bool[]',
    ),
    (
      Difference(Kind.FACTOR, 'x', 0.125, 1.0),
      'what differs is 0.125 times x in A, 1 times it in B',
    ),
    (Difference(Kind.MULTIPLE, tf2=2.0), 'B is 2 times A everywhere'),
    (
      Difference(
        Kind.NORMALIZES, 'x', ('variance', (3,)), ('variance', (1, 2))
      ),
      'x is divided by the root of the variance over axes [3] in A, of the '
      'variance over axes [1, 2] in B',
    ),
    (
      difference.one_sided(Kind.OVERFLOW, 1, True, subject='Exp'),
      'overflow: Exp exceeds what float32 holds in B; in float64 the sides '
      'agree',
    ),
    (difference.one_sided(Kind.READS, 0, ('w',)), 'only A reads w'),
    (difference.one_sided(Kind.READS, 1, ('w',)), 'only B reads w'),
  )
  def test_text(self, record, expected):
    self.assertEqual(differences.describe(record, _FILES), expected)

  @parameterized.parameters(*Kind)
  def test_no_kind_has_names_of_its_own(self, kind):
    one = kind.name in {
      *('READS', 'NUMBERS', 'LOOP_OPS', 'STOPS_GRADIENT', 'ASSIGNS', 'KEYS'),
      *('LEAVES_ALONE', 'REGULARIZES', 'NOT_TRAINED', 'OVERFLOW'),
    }
    numbers = kind.name in {'DECAY', 'INITIALIZER_NUMBER'}
    value = 0.5 if numbers else (0.5, 1.0)
    if kind is Kind.OPERAND_ORDER:
      value = ('a', 'b')
    if kind is Kind.NORMALIZES:
      value = ('mean', (0, 1))
    record = Difference(kind, 'x', value, None if one else value, operand=0)
    self.assertNotRegex(differences.describe(record, _FILES), 'TF[12]')

  def test_values_are_not_renamed(self):
    found = structures.spec_differences(
      [('TF1/x', np.zeros(1))], [('TF1/x', np.zeros(2))]
    )
    self.assertIn('outputsTF1/x', differences.describe(found[0], _FILES))


if __name__ == '__main__':
  absltest.main()
