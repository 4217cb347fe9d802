import numpy as np
from absl.testing import absltest

from tf_equiv.compare import moving_statistics

BEFORE = np.array([1.0, 1.0, 0.5, 2.0])
BATCH = np.array([0.3, 1.7, 0.9, 0.2])  # biased variances of a batch


def after(variance, decay=0.9):
  return decay * BEFORE + (1 - decay) * variance


class CorrectedCountTest(absltest.TestCase):
  def test_unbiased_and_biased(self):
    found = moving_statistics.corrected_count(
      BEFORE, after(BATCH * 12 / 11), after(BATCH)
    )
    self.assertEqual(found, 12)

  def test_another_decay_is_no_correction(self):
    self.assertIsNone(
      moving_statistics.corrected_count(
        BEFORE, after(BATCH), after(BATCH, 0.99)
      )
    )

  def test_the_wrong_way_round(self):
    self.assertIsNone(
      moving_statistics.corrected_count(
        BEFORE, after(BATCH), after(BATCH * 12 / 11)
      )
    )

  def test_a_factor_of_no_whole_number(self):
    self.assertIsNone(
      moving_statistics.corrected_count(
        BEFORE, after(1.3 * BATCH), after(BATCH)
      )
    )

  def test_too_few_channels_to_tell(self):
    self.assertIsNone(
      moving_statistics.corrected_count(
        BEFORE[:2], after(BATCH * 12 / 11)[:2], after(BATCH)[:2]
      )
    )


class ExplainTest(absltest.TestCase):
  def _explain(self, names, tf2):
    return moving_statistics.explain(
      names,
      {'n/moving_variance': ('v',), 'n/moving_mean': ('m',)},
      {'n/moving_variance': BEFORE, 'n/moving_mean': BEFORE},
      {'v': after(BATCH * 12 / 11), 'm': after(BATCH)},
      tf2,
    )

  def test_names_the_number_of_values(self):
    text = self._explain(
      ['n/moving_variance'], {'n/moving_variance': after(BATCH)}
    )
    self.assertIn('n/(n-1) with n=12 values', text)

  def test_not_where_the_mean_differs_too(self):
    both = ['n/moving_mean', 'n/moving_variance']
    tf2 = {'n/moving_variance': after(BATCH), 'n/moving_mean': 2 * BEFORE}
    self.assertEqual(self._explain(both, tf2), '')
    self.assertEqual(self._explain([], tf2), '')


if __name__ == '__main__':
  absltest.main()
