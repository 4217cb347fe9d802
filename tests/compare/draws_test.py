"""Tests of the comparison of random draws."""

from absl.testing import absltest

from tf_equiv.compare import draws
from tf_equiv.core.draw import Draw
from tf_equiv.core.source_line import SourceLine


def _ledger(*rows):
  """Makes draws of (op, variable) or (op, variable, shape)."""
  return [
    Draw(
      index=i,
      seed=i,
      op=row[0],
      shape=row[2] if len(row) > 2 else (2,),
      variable=row[1],
      layer='',
      line=SourceLine(),
      context='graph',
    )
    for i, row in enumerate(rows)
  ]


_A = ('random_uniform', 'a')
_B = ('random_uniform', 'b')
_C = ('random_uniform', 'c')
_DROPOUT = ('dropout', '')


def _places(pairs):
  return [(first.index, second.index) for first, second in pairs]


class CompareLedgersTest(absltest.TestCase):
  def test_identical(self):
    rows = (_A, _DROPOUT, _B)
    self.assertIsNone(draws.compare_ledgers(_ledger(*rows), _ledger(*rows)))
    self.assertIsNone(draws.compare_ledgers([], []))

  def test_dropout_after_all_initializers(self):
    found = draws.compare_ledgers(
      _ledger(_A, _DROPOUT, _B), _ledger(_A, _B, _DROPOUT)
    )
    self.assertEqual(_places(found.moved), [(1, 2)])
    self.assertEqual(found.moved[0][0].op, 'dropout')
    self.assertEmpty(found.only_tf1)
    self.assertEmpty(found.only_tf2)
    self.assertEmpty(found.replaced)
    self.assertTrue(found.initializers_first)
    self.assertTrue(found.changes_order)
    self.assertEqual(found.first(), 1)
    self.assertEqual((found.tf1_count, found.tf2_count), (3, 3))

  def test_dropout_is_named_even_where_more_initializers_moved(self):
    found = draws.compare_ledgers(
      _ledger(_DROPOUT, _A, _B, _C), _ledger(_A, _B, _C, _DROPOUT)
    )
    self.assertEqual(_places(found.moved), [(0, 3)])

  def test_dropout_moved_to_the_front_is_not_initializers_first(self):
    found = draws.compare_ledgers(
      _ledger(_A, _DROPOUT, _B), _ledger(_DROPOUT, _A, _B)
    )
    self.assertFalse(found.initializers_first)
    self.assertEqual(_places(found.moved), [(1, 0)])
    self.assertEqual(found.first(), 0)

  def test_initializers_in_another_order(self):
    found = draws.compare_ledgers(_ledger(_A, _B), _ledger(_B, _A))
    self.assertLen(found.moved, 1)
    self.assertFalse(found.initializers_first)
    self.assertTrue(found.changes_order)

  def test_extra_draw(self):
    found = draws.compare_ledgers(_ledger(_A, _B), _ledger(_A, _DROPOUT, _B))
    self.assertEmpty(found.moved)
    self.assertEmpty(found.only_tf1)
    self.assertEqual([d.index for d in found.only_tf2], [1])
    self.assertEqual(found.first(), 1)
    self.assertTrue(found.changes_order)

  def test_missing_draw(self):
    found = draws.compare_ledgers(_ledger(_A, _DROPOUT), _ledger(_A))
    self.assertEqual([d.op for d in found.only_tf1], ['dropout'])
    self.assertEmpty(found.only_tf2)
    self.assertEqual((found.tf1_count, found.tf2_count), (2, 1))

  def test_no_draws_at_all_on_one_side(self):
    found = draws.compare_ledgers(_ledger(_A, _B), [])
    self.assertLen(found.only_tf1, 2)
    self.assertFalse(found.initializers_first)

  def test_another_initializer_keeps_the_order(self):
    found = draws.compare_ledgers(
      _ledger(_A, _B, _C), _ledger(_A, ('random_normal', 'b'), _C)
    )
    self.assertEqual(_places(found.replaced), [(1, 1)])
    self.assertEmpty(found.moved)
    self.assertFalse(found.changes_order)
    self.assertEqual(found.first(), 1)

  def test_another_shape_is_another_draw(self):
    found = draws.compare_ledgers(
      _ledger(('dropout', '', (2, 3))), _ledger(('dropout', '', (3, 2)))
    )
    self.assertLen(found.only_tf1, 1)
    self.assertLen(found.only_tf2, 1)

  def test_seed_and_line_do_not_matter(self):
    tf1, tf2 = _ledger(_A), _ledger(_A)
    tf2 = [
      Draw(0, 99, d.op, d.shape, d.variable, 'x', SourceLine('f', 1), '')
      for d in tf2
    ]
    self.assertIsNone(draws.compare_ledgers(tf1, tf2))


if __name__ == '__main__':
  absltest.main()
