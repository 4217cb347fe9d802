"""A golden that was recorded on TensorFlow 1.15.5 replays on any TF2.

It is recorded anew, in a folder with a Python 3.7 and TensorFlow 1.15.5, by

    python -m tf_equiv record tests/references/golden_net.py:RecordedNet \
      -o tests/references/testdata/tf115.golden --anew \
      --tf1_python tf115/bin/python --model golden_legacy \
      --sys_path tests/references
"""

import contextlib
import io
import os
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

from tests.references import golden_legacy, golden_net
from tf_equiv.cli import main
from tf_equiv.golden import archive

_PATH = os.path.join(
  os.path.dirname(os.path.abspath(__file__)), golden_net.RECORDED
)


class ReplayTest(golden_net.RecordedNet):
  """The tests of `RecordedNet`, all of which compare with TF 1.15.5."""

  def test_what_is_compared(self):
    verdict = self.assertForwardEquivalent(seed_mode='num_random_ops')
    self.assertIn('recorded on TensorFlow 1.15.5', '\n'.join(verdict.notes))
    # The initializers draw the same numbers as those of 1.15.5, bit for bit.
    self.assertLen(verdict.comparisons['weights'], 8)
    for pair in verdict.comparisons['weights']:
      self.assertEqual(pair.difference, 0, pair.name)

  def test_fault_is_located(self):
    case = type(self)()
    case.build_tf2 = lambda: golden_net.Net(epsilon=1e-5)
    with self.assertRaises(AssertionError) as caught:
      case.assertForwardEquivalent()
    text = str(caught.exception)
    self.assertIn('epsilon: TF1 0.001, TF2 1e-05', text)
    self.assertRegex(
      text,
      r'TF1 net/bn/FusedBatchNormV3 .*  at .*golden_legacy\.py:\d+  '
      r'x = v1\.layers\.batch_normalization\(',
    )


class LiveNet(golden_net.NetCase):
  """The same tests, with the TF1 side in this process."""

  def build_tf1(self, inputs, training):
    return golden_legacy.net(inputs, training)

  def build_tf1_optimizer(self):
    return golden_legacy.build_tf1_optimizer()


class DiffTest(absltest.TestCase):
  def test_equals_what_is_computed_here(self):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    path = os.path.join(folder, 'here.golden')
    for name in (n for n in dir(golden_net.RecordedNet) if n[:5] == 'test_'):
      if name != 'test_session':
        case = LiveNet()
        case.tf1_reference = tf_equiv.Golden(path, update=True)
        getattr(golden_net.RecordedNet, name)(case)
    with contextlib.redirect_stdout(io.StringIO()) as out:
      code = main.main(['diff', _PATH, path])
    self.assertEqual(code, 0, out.getvalue())
    self.assertIn('TensorFlow 1.15.5, Python 3.7', out.getvalue())
    self.assertIn('exactly equal: 8 of 8 weights', out.getvalue())
    self.assertIn('8 plan(s) are equal within the', out.getvalue())


class FileTest(absltest.TestCase):
  def test_manifest(self):
    (made_by,) = archive.read_index(_PATH)['manifests'].values()
    self.assertEqual(made_by['tensorflow'], '1.15.5')
    self.assertStartsWith(made_by['python'], '3.7.')
    self.assertEqual(made_by['reference'], "Tf1Interpreter('golden_legacy')")

  def test_intact_and_small(self):
    self.assertGreater(archive.check(_PATH), 50)
    self.assertLess(os.path.getsize(_PATH), 100_000)


if __name__ == '__main__':
  absltest.main()
