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


_CLOSED = """
import contextlib, os
from tf_equiv.references.interpreter import pipes
kept = os.dup(1)
for descriptor in range(3):
  os.close(descriptor)
with contextlib.ExitStack() as stack:
  ends = pipes.open_pipe(stack)
  pipes.write_all(ends[1], b'text')
  text = os.read(ends[0], 10).decode()
os.write(kept, f'{min(ends) > 2} {text}\\n'.encode())
os._exit(0)
"""


class PipesTest(absltest.TestCase):
  def test_no_pipe_takes_the_number_of_a_closed_stdout(self):
    status, output = run(_CLOSED)
    self.assertEqual(status, 0, output)
    self.assertIn('True text', output)


class WithoutSignalsTest(absltest.TestCase):
  def test_only_the_start_of_the_process_is_refused(self):
    status, output = run(_WINDOWS)
    self.assertEqual(status, 0, output)
    self.assertIn('Tf1Interpreter runs on Linux and macOS only', output)
    self.assertIn('tf_equiv.Golden', output)


if __name__ == '__main__':
  absltest.main()
