"""A golden that was recorded before the modules had their names replays.

Stored objects name their classes, not the modules of these. The file is not
recorded anew: it stands for those of users.
"""

import os

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

from tests.references import golden_net

_FOLDER = os.path.dirname(os.path.abspath(__file__))


class ReplayTest(golden_net.RecordedNet):
  """The tests of `RecordedNet`, all of which compare with the recording."""

  tf1_reference = tf_equiv.Golden(
    os.path.join(_FOLDER, 'testdata', 'tf221.golden')
  )

  def test_what_is_compared(self):
    verdict = self.assertForwardEquivalent(seed_mode='num_random_ops')
    self.assertIn('recorded on TensorFlow 2.21.0', '\n'.join(verdict.notes))
    self.assertLen(verdict.comparisons['weights'], 8)

  def test_the_stored_graph_is_searched(self):
    case = type(self)()
    case.build_tf2 = lambda: golden_net.Net(epsilon=1e-5)
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    text = str(caught.exception)
    self.assertIn('epsilon: TF1 0.001, TF2 1e-05', text)
    self.assertRegex(text, r'golden_legacy\.py:\d+  x = v1\.layers\.batch_')

  def test_stored_initializers_explain_other_weights(self):
    case = type(self)()
    case.build_tf2 = lambda: golden_net.Net(stddev=0.5)
    with self.assertRaisesRegex(AssertionError, 'stddev|truncated|Truncated'):
      case.assertForwardEquivalent(seed_mode='num_random_ops')


if __name__ == '__main__':
  absltest.main()
