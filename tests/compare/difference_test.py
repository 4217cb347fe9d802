import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import difference
from tf_equiv.compare.difference import Difference, Kind


class PlainTest(parameterized.TestCase):
  @parameterized.parameters(
    (np.float32(0.1), 0.1),
    (float(np.float32(0.1)), 0.1),
    (np.float64(0.1), 0.1),
    (np.float64(1.0 + 1e-9), 1.0 + 1e-9),
    (1e300, 1e300),
    (np.float32(1e-12), 1e-12),
    (np.int64(3), 3),
    (np.array(True), True),
    (np.array([[1, 2], [3, 4]]), ((1, 2), (3, 4))),
    (['a', 0.5], ('a', 0.5)),
    (b'x', b'x'),
    (np.inf, np.inf),
    (None, None),
  )
  def test_plain(self, value, expected):
    found = difference.plain(value)
    self.assertEqual(found, expected)
    self.assertIs(type(found), type(expected))

  def test_nothing_of_float32_is_lost(self):
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    plain = np.array(difference.plain(values))
    np.testing.assert_array_equal(plain.astype(np.float32), values)


class DifferenceTest(parameterized.TestCase):
  def test_side(self):
    found = difference.one_sided(Kind.READS, 1, ('a', 'b'))
    self.assertEqual(found, Difference(Kind.READS, tf2=('a', 'b')))
    self.assertEqual((found.side, found.one_sided), ('TF2', ('a', 'b')))
    self.assertEqual(difference.one_sided(Kind.READS, 0, ()).side, 'TF1')
    self.assertEqual(Difference(Kind.DECAY, tf1=0.5, tf2=0.0).side, '')
    self.assertEqual(Difference(Kind.PERMUTED).side, '')

  @parameterized.parameters(
    (0.5, 2, (0.5, 2.0)),
    ((0.5,), ((2,),), (0.5, 2.0)),
    ((0.5, 1.0), 2, None),
    (True, False, None),
    ('a', 2, None),
    (None, 2, None),
  )
  def test_numbers(self, tf1, tf2, expected):
    found = Difference(Kind.CONSTANT, tf1=tf1, tf2=tf2, operand=0)
    self.assertEqual(found.numbers, expected)

  def test_renamed(self):
    found = Difference(Kind.OPERAND_ORDER, 's/x', ('s/a', 1), 's/b', 3, 's/c')
    self.assertEqual(
      found.renamed(lambda name: name.replace('s/', '')),
      Difference(Kind.OPERAND_ORDER, 'x', ('a', 1), 'b', 3, 'c'),
    )

  def test_can_be_hashed(self):
    value = difference.plain(np.zeros((2, 2)))
    self.assertLen({Difference(Kind.CONSTANT, tf1=value) for _ in 'ab'}, 1)


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
    self.assertEqual(str(record), expected)

  @parameterized.parameters(*Kind)
  def test_each_kind_has_a_text(self, kind):
    self.assertIn(kind, difference._TEXTS)


if __name__ == '__main__':
  absltest.main()
