"""Interrupts come before or after what must happen as a whole."""

import contextlib
import signal
import threading

from absl.testing import absltest

from tf_equiv.core import interrupts


def interrupt():
  signal.raise_signal(signal.SIGINT)


class DeferredTest(absltest.TestCase):
  def test_an_interrupt_waits_for_the_end(self):
    done = []
    with self.assertRaises(KeyboardInterrupt):
      with interrupts.deferred():
        interrupt()
        with interrupts.deferred():
          interrupt()
        done.append(1)
      done.append(2)
    self.assertEqual(done, [1])
    with self.assertRaises(KeyboardInterrupt):
      interrupt()

  def test_without_an_interrupt(self):
    handler = signal.getsignal(signal.SIGINT)
    with interrupts.deferred():
      self.assertIsNot(signal.getsignal(signal.SIGINT), handler)
    self.assertIs(signal.getsignal(signal.SIGINT), handler)

  def test_an_error_passes(self):
    handler = signal.getsignal(signal.SIGINT)
    with self.assertRaises(ZeroDivisionError), interrupts.deferred():
      1 / 0  # noqa: B018
    self.assertIs(signal.getsignal(signal.SIGINT), handler)

  def test_ignored_interrupts_stay_ignored(self):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    self.addCleanup(signal.signal, signal.SIGINT, handler)
    with interrupts.deferred():
      interrupt()
    self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_IGN)

  def test_in_another_thread(self):
    done = []

    def run():
      with interrupts.deferred():
        done.append(1)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    self.assertEqual(done, [1])


class RestoringTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.state = ['before']

  @interrupts.restoring
  def changed(self, when=''):
    """Changes the state."""
    try:
      if when == 'entered':
        interrupt()
      self.state.append('changed')
      yield self.state
    finally:
      if when == 'left':
        interrupt()
      self.state.remove('changed')

  def test_plain(self):
    with self.changed() as state:
      self.assertEqual(state, ['before', 'changed'])
    self.assertEqual(self.state, ['before'])

  def test_interrupted_while_entered_or_left(self):
    for when in ('entered', 'left'):
      with self.assertRaises(KeyboardInterrupt), self.changed(when):
        pass
      self.assertEqual(self.state, ['before'])

  def test_errors_pass_and_may_be_caught(self):
    with self.assertRaises(ZeroDivisionError), self.changed():
      1 / 0  # noqa: B018
    self.assertEqual(self.state, ['before'])

    @interrupts.restoring
    def catching():
      with contextlib.suppress(ZeroDivisionError):
        yield

    with catching():
      1 / 0  # noqa: B018

  def test_as_a_decorator(self):
    @self.changed()
    def function():
      return list(self.state)

    for _ in range(2):
      self.assertEqual(function(), ['before', 'changed'])
    self.assertEqual(self.state, ['before'])

  def test_it_keeps_name_and_documentation(self):
    self.assertEqual(self.changed.__name__, 'changed')
    self.assertEqual(self.changed.__doc__, 'Changes the state.')


if __name__ == '__main__':
  absltest.main()
