import numpy as np
from absl.testing import absltest

from tests.diagnose.rules.rule_cases import Case, RuleTestCase
from tf_equiv.diagnose import facts
from tf_equiv.diagnose.rules import sequences

_LENGTHS = (5, 2, 3, 1)
_REPEATS = 'zero in TF1, and repeat the last output in TF2: pass zero_output'
_LOST = 'do not reach the layer in TF2'


def _whole():
  return np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)


def _ended(repeats=False):
  """Outputs that are zero, or repeated, after the end of each sequence."""
  values = _whole()
  for value, length in zip(values, _LENGTHS, strict=True):
    value[length:] = value[length - 1] if repeats else 0
  return values


def _outputs(tf1, tf2):
  return facts.Outputs({"['y']": tf1}, {"['y']": tf2})


def _turned(values):
  return np.swapaxes(values, 0, 1)


def _scaled_last():
  """As `_whole`, but the sequence without padding differs, too."""
  values = _whole()
  values[0, 1] *= 2
  return values


CASES = (
  Case(
    sequences.padded_steps,
    (
      (_outputs(_ended(), _ended(repeats=True)), _REPEATS),
      (_outputs(_turned(_ended()), _turned(_ended(repeats=True))), _REPEATS),
      (
        _outputs(_ended(repeats=True), _ended()),
        'zero in TF2, and repeat the last output in TF1.',
      ),
    ),
    (
      _outputs(_ended(), _whole()),
      _outputs(_whole(), _whole()),
      _outputs(_ended()[:, :, 0], _ended(repeats=True)[:, :, 0]),
      _outputs(_ended(), 2 * _ended(repeats=True)),
    ),
  ),
  Case(
    sequences.lost_lengths,
    (
      (_outputs(_ended(), _whole()), _LOST),
      (_outputs(_turned(_ended()), _turned(_whole())), _LOST),
      (_outputs(_whole(), _ended()), 'do not reach the layer in TF1'),
    ),
    (
      _outputs(_ended(), _ended(repeats=True)),
      _outputs(_whole(), 2 * _whole()),
      # Where there is no padding, they differ, too.
      _outputs(_ended(), _scaled_last()),
      # All end at the same step: a filter, say, or a cut.
      _outputs(
        np.where(np.arange(5)[:, np.newaxis] < 3, _whole(), 0), _whole()
      ),
    ),
  ),
)


class SequencesTest(RuleTestCase):
  cases = CASES

  def test_sorted_lengths(self):
    whole = _whole()
    ended, repeated = whole.copy(), whole.copy()
    for i, length in enumerate((5, 4, 2, 1)):
      ended[i, length:] = 0
      repeated[i, length:] = whole[i, length - 1]
    for turn in (lambda x: x, _turned):
      record = _outputs(turn(ended), turn(repeated))
      self.assertIn(_REPEATS, sequences.padded_steps(record))
      self.assertEqual(sequences.lost_lengths(record), '')


if __name__ == '__main__':
  absltest.main()
