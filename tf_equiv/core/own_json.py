"""JSON for this package alone: code of a user may replace parts of `json`.

Legacy code makes `json` write NumPy numbers, or puts another package in its
place. What two processes tell each other must not depend on that.
"""

import importlib
import sys
from typing import Any, Dict


def _fresh_copy() -> Any:
  """Imports `json` once more, and leaves the one that all others share."""

  def imported() -> Dict[str, Any]:
    return {
      name: module
      for name, module in list(sys.modules.items())
      if name.partition('.')[0] == 'json'
    }

  shared = imported()
  for name in shared:
    del sys.modules[name]
  try:
    return importlib.import_module('json')
  finally:
    for name in imported():
      del sys.modules[name]
    sys.modules.update(shared)


_copy = _fresh_copy()
dumps = _copy.dumps
loads = _copy.loads
