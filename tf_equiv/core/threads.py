"""One thread at a time: what is patched is patched for the whole process."""

import threading
from typing import Iterator, Optional

from tf_equiv.core import errors, interrupts


class _Holder:
  """The thread that may patch, and how many contexts it has entered."""

  def __init__(self) -> None:
    self._guard = threading.Lock()
    self._thread: Optional[threading.Thread] = None
    self._depth = 0

  def enter(self) -> None:
    """Takes it, without waiting for another thread."""
    current = threading.current_thread()
    with self._guard:
      if self._depth and self._thread is not current:
        holder = self._thread.name if self._thread else ''
        raise errors.UsageError(
          f'tf_equiv is at work in the thread {holder!r}, and '
          f'cannot begin in the thread {current.name!r}: seeds and behaviours '
          'of TensorFlow are those of the whole process. Run the tests one '
          'after another, or in processes (pytest -n), not in threads.'
        )
      self._thread = current
      self._depth += 1

  def leave(self) -> None:
    """Gives it back."""
    with self._guard:
      self._depth -= 1
      if not self._depth:
        self._thread = None


_holder = _Holder()


@interrupts.restoring
def alone() -> Iterator[None]:
  """Context that only one thread of the process may be in.

  That thread may enter it again.

  Raises:
    UsageError: if another thread is in it.
  """
  _holder.enter()
  try:
    yield
  finally:
    _holder.leave()
