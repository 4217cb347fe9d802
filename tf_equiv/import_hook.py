"""Has TensorFlow set up by `compat` right after it is imported.

`import tf_equiv` does not import TensorFlow. What a user imports after it, such
as tf_slim, still needs the repairs of `compat`.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

_TENSORFLOW, _SET_UP = 'tensorflow', 'tf_equiv.compat'


class Finder(importlib.abc.MetaPathFinder):
  """Finds TensorFlow as others do, once, and adds something to its import."""

  def find_spec(
    self,
    fullname: str,
    path: Sequence[str] | None = None,
    target: ModuleType | None = None,
  ) -> importlib.machinery.ModuleSpec | None:
    """Returns where TensorFlow is; leaves other modules to other finders."""
    del path, target
    if fullname != _TENSORFLOW:
      return None
    remove()
    spec = importlib.util.find_spec(fullname)
    if spec is None or spec.loader is None:
      return None
    execute = spec.loader.exec_module

    def exec_module(module: ModuleType) -> None:
      execute(module)
      importlib.import_module(_SET_UP)

    spec.loader.exec_module = exec_module  # type: ignore[method-assign]
    return spec


def install() -> None:
  """Waits for the import of TensorFlow; if that is over, there is no need."""
  if _TENSORFLOW in sys.modules:
    importlib.import_module(_SET_UP)
  elif not any(isinstance(each, Finder) for each in sys.meta_path):
    sys.meta_path.insert(0, Finder())


def remove() -> None:
  """Waits no more."""
  sys.meta_path[:] = [x for x in sys.meta_path if not isinstance(x, Finder)]
