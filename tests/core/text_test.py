import numpy as np
from absl.testing import absltest

from tf_equiv.core import text


class TextTest(absltest.TestCase):
  def test_a_short_list_is_written_in_full(self):
    self.assertEqual(text.listed([], 2), '')
    self.assertEqual(text.listed(['a'], 2), 'a')
    self.assertEqual(text.listed(['a', 'b'], 2), 'a, b')

  def test_a_long_list_says_how_many_names_are_not_written(self):
    self.assertEqual(text.listed('abcde', 2), 'a, b and 3 more')
    self.assertEqual(text.listed((c for c in 'abc'), 2), 'a, b and 1 more')

  def test_rows_are_kept_up_to_the_limit(self):
    self.assertEqual(text.capped([], 2), [])
    self.assertEqual(text.capped(['a', 'b'], 2), ['a', 'b'])

  def test_a_last_row_counts_those_that_were_cut(self):
    rows = ['a', 'b', 'c']
    self.assertEqual(text.capped(rows, 2), ['a', 'b', '... and 1 more'])
    self.assertEqual(rows, ['a', 'b', 'c'])

  def test_rounded_up_numbers_are_not_less(self):
    self.assertEqual(text.rounded_up(1e-5), '1.1e-05')  # It is a bit more.
    self.assertEqual(text.rounded_up(0.121), '0.13')
    self.assertEqual(text.rounded_up(0.25), '0.25')
    self.assertEqual(text.rounded_up(np.float32(7)), '7')


if __name__ == '__main__':
  absltest.main()
