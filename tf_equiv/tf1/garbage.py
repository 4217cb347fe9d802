"""When Python looks for garbage, and when memory is given back."""

import ctypes
import gc

from tf_equiv.core import interrupts


@interrupts.restoring
def collection_paused():
  """Context in which Python does not look for cyclic garbage.

  To build a model makes millions of objects, all of which stay. The collector
  would walk over them again and again, for a fifth of the time of the build.

  Yields:
    None.
  """
  was_enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_enabled:
      gc.enable()


def released() -> None:
  """Gives back the memory of graphs that nothing needs any longer.

  Ops and graphs refer to each other, so they stay until Python looks for
  cycles, which it does ever more seldom in a process with many objects. What
  they leave is in small pieces, which the allocator would keep for itself.
  """
  gc.collect()
  try:
    trim = ctypes.CDLL(None).malloc_trim
  except (AttributeError, OSError, TypeError):  # Another allocator.
    return
  trim(0)
