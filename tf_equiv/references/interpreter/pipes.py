"""Pipes to another process: made, written to, and read in a thread."""

import collections
import contextlib
import os
import selectors
import threading
import time

_FIRST = 3  # descriptor that is none of stdin, stdout and stderr
_KEPT = 16 * 1024  # bytes of what came last
_SECONDS = 1.0


def open_pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
  """Opens a pipe whose ends are not inherited.

  Where the process has closed its stdout or stderr, a new descriptor would take
  its number: what TensorFlow logs would go into the pipe, and the number means
  something else in a child.

  Args:
    stack: closes both ends.

  Returns:
    The descriptors to read from, and to write to.
  """
  # Windows, where this is not called, has no such module.
  import fcntl  # noqa: PLC0415

  ends = os.pipe()
  try:
    first, second = [
      fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FIRST) for end in ends
    ]
    stack.callback(os.close, first)
    stack.callback(os.close, second)
  finally:
    for end in ends:
      os.close(end)
  return first, second


def write_all(descriptor: int, data: bytes) -> None:
  """Writes all of some bytes."""
  while data:
    data = data[os.write(descriptor, data) :]


class Output:
  """Keeps the last part of what comes out of a pipe, which a thread reads."""

  def __init__(self, descriptor: int, written: int):
    """Starts to read.

    Args:
      descriptor: where to read, which this closes.
      written: the other end, to end the thread although others still have it.
    """
    self._descriptor, self._written = descriptor, written
    self._parts: collections.deque[bytes] = collections.deque()
    self._lock = threading.Lock()
    self._until: float | None = None
    self._thread = threading.Thread(
      target=self._read, name='tf_equiv output', daemon=True
    )
    self._thread.start()

  def _read(self) -> None:
    size = 0
    with os.fdopen(self._descriptor, 'rb', buffering=0) as stream:
      while data := stream.read(4096):
        with self._lock:
          self._parts.append(data)
          size += len(data)
          while size - len(self._parts[0]) > _KEPT:
            size -= len(self._parts.popleft())
        if self._until is not None and not self._goes_on(stream):
          return

  def _goes_on(self, stream) -> bool:
    with selectors.DefaultSelector() as selector:
      selector.register(stream, selectors.EVENT_READ)
      return bool(selector.select(0)) and time.monotonic() < self._until

  def close(self) -> None:
    """Ends the thread, when all that has come is read."""
    self._until = time.monotonic() + _SECONDS
    # Where it waits for more.
    with contextlib.suppress(OSError):
      os.write(self._written, b'\n')
    os.close(self._written)
    self._thread.join(_SECONDS)

  def text(self) -> str:
    """Returns what has come last."""
    with self._lock:
      return b''.join(self._parts).decode('utf-8', 'replace')
