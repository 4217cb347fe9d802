"""The process of the other interpreter, where signals are lacking."""

from absl.testing import absltest

from tests.compat.fresh_python import run

_WINDOWS = """
import signal, sys
del signal.SIGUSR1  # as on Windows
import tf_equiv
reference = tf_equiv.Tf1Interpreter('legacy', python=sys.executable)
try:
  reference.start()
except tf_equiv.EnvironmentSetupError as error:
  print(error)
"""


class WithoutSignalsTest(absltest.TestCase):
  def test_only_the_start_of_the_process_is_refused(self):
    status, output = run(_WINDOWS)
    self.assertEqual(status, 0, output)
    self.assertIn('Tf1Interpreter runs on Linux and macOS only', output)
    self.assertIn('tf_equiv.Golden', output)


if __name__ == '__main__':
  absltest.main()
