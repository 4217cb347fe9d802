"""Sees objects of other packages being made."""

import functools
from typing import Any, Callable, Iterable, Iterator

from tf_equiv.core import interrupts


@interrupts.restoring
def seen(
  classes: Iterable[type],
  callback: Callable[[Any], None],
  *,
  when_made: bool = False,
) -> Iterator[None]:
  """Calls back with each object that is made, while active.

  Args:
    classes: classes whose own constructors are looked at, as are those of
      derived classes that call them.
    callback: takes the object.
    when_made: whether it is called when the constructor has ended, and not
      before it begins.

  Yields:
    None.
  """
  patched = {}
  for cls in classes:
    original = vars(cls).get('__init__')
    if original is not None and cls not in patched:
      patched[cls] = original
      cls.__init__ = _calling_back(original, callback, when_made)
  try:
    yield
  finally:
    for cls, original in patched.items():
      cls.__init__ = original


def _calling_back(
  original: Callable[..., None],
  callback: Callable[[Any], None],
  when_made: bool,
) -> Callable[..., None]:
  @functools.wraps(original)
  def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
    if not when_made:
      callback(self)
    original(self, *args, **kwargs)
    if when_made:
      callback(self)

  return __init__
