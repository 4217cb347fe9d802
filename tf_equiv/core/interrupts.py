"""Ctrl-C comes before or after what must happen as a whole.

Python raises `KeyboardInterrupt` between any two steps, also in the middle of
a change of global state, or of its restoration.
"""

import contextlib
import functools
import signal
import threading
from typing import Any, Callable, Iterator, List, Optional


@contextlib.contextmanager
def deferred() -> Iterator[None]:
  """Context at whose end an interrupt arrives that came inside.

  Keep it short. Other threads are never interrupted.
  """
  handler = signal.getsignal(signal.SIGINT)
  if threading.current_thread() is not threading.main_thread() or not callable(
    handler
  ):
    yield
    return
  came: List[Any] = []
  try:
    signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    yield
  finally:
    signal.signal(signal.SIGINT, handler)
    if came:
      handler(*came[0])


class _Restoring(contextlib.ContextDecorator):
  """A context manager that is entered and left without interrupts."""

  def __init__(self, make: Callable[[], Any]):
    self._make = make
    self._inner: Optional[Any] = None

  def _recreate_cm(self) -> '_Restoring':
    return _Restoring(self._make)

  def __enter__(self) -> Any:
    try:
      with deferred():
        inner = self._make()
        value = inner.__enter__()
        self._inner = inner
      return value
    except BaseException as error:
      # It came while this was entered, so nobody is going to leave it.
      self._leave(type(error), error, error.__traceback__)
      raise

  def __exit__(self, *exc_info: Any) -> Optional[bool]:
    return self._leave(*exc_info)

  def _leave(self, *exc_info: Any) -> Optional[bool]:
    try:
      with deferred():
        inner, self._inner = self._inner, None
        return None if inner is None else inner.__exit__(*exc_info)
    except KeyboardInterrupt:
      with deferred():
        inner, self._inner = self._inner, None
        if inner is not None:  # It came before the first step.
          inner.__exit__(*exc_info)
      raise


def restoring(
  function: Callable[..., Iterator[Any]],
) -> Callable[..., _Restoring]:
  """Like `contextlib.contextmanager`, for contexts that change global state.

  An interrupt does not arrive while the context is entered or left: the state
  is changed and restored as a whole.

  Args:
    function: the generator.
  """
  manager = contextlib.contextmanager(function)

  @functools.wraps(function)
  def make(*args: Any, **kwargs: Any) -> _Restoring:
    return _Restoring(lambda: manager(*args, **kwargs))

  return make
