"""Dormant faults are found and named, and rewrites do not alarm.

A part of the pairs: `python -m tests.planted.dormant_score` examines them all.
"""

from absl.testing import absltest, parameterized

from tests.planted import dormant_pair  # isort: skip (before tensorflow)
from tests.planted import dormant_score

_PAIRS = {p.name: p for p in (*dormant_score.FAULTS, *dormant_score.CLEAN)}
# One or two of each family.
_NAMES = (
  'relu_for_relu6',
  'log_plus_epsilon',
  'mask_of_1e4',
  'padding_counted',
  'negative_ids_not_clipped',
  'squeeze_of_all',
  'padding_of_even_sizes',
  'truncated_division',
  'last_of_ties',
  'gate_of_zero',
  'global_norm_lost',
  'boundary_at_2000',
  'relu6_of_relu',
  'clip_of_sigmoid',
  'product_by_einsum',
  'rows_by_one_hot',
  'network_of_images',
  'global_norm_of_the_optimizer',
)


class DormantTest(parameterized.TestCase):
  @parameterized.named_parameters(*((name, name) for name in _NAMES))
  def test_pair(self, name):
    problem, text = dormant_pair.examine(_PAIRS[name])
    self.assertEmpty(problem, text)


class PairsTest(absltest.TestCase):
  def test_there_are_enough(self):
    self.assertGreaterEqual(len(dormant_score.FAULTS), 60)
    self.assertGreaterEqual(len(dormant_score.CLEAN), 40)
    self.assertLen(_PAIRS, len(dormant_score.FAULTS) + len(dormant_score.CLEAN))

  def test_score(self):
    problems = {
      'relu_for_relu6': '',
      'clip_lost': 'missed',
      'cap_lost': "does not name 'Minimum'",
      'swish': 'false alarm',
    }
    self.assertEqual(
      dormant_score.line(problems),
      'dormant faults: 2 of 3 found, 1 named; 1 of 1 clean rewrites alarm',
    )


if __name__ == '__main__':
  absltest.main()
