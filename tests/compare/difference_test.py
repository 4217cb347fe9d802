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


if __name__ == '__main__':
  absltest.main()
