"""Files with the inputs and weights for which a dormant difference shows."""

import os
import tempfile

import numpy as np

from tf_equiv.dormant import points as points_lib


def save(
  directory: str, inputs: points_lib.Values, weights: points_lib.Values
) -> str:
  """Writes what was changed into a new file.

  Args:
    directory: where to, made where it is missing; '' for a temporary folder.
    inputs: the changed inputs, by path.
    weights: the changed weights, by TF1 name.

  Returns:
    Path of the file, '' if there is nothing to write, or it cannot be written.
  """
  arrays = {f'inputs{p}': _plain(x) for p, x in inputs.items()}
  arrays.update((f'weights/{n}', _plain(x)) for n, x in weights.items())
  arrays = {n: x for n, x in arrays.items() if x.dtype.kind != 'O'}
  if not arrays:
    return ''
  try:
    if directory:
      os.makedirs(directory, exist_ok=True)
    handle, path = tempfile.mkstemp(
      '.npz', 'tf_equiv_witness_', directory or None
    )
    with os.fdopen(handle, 'wb') as file:
      np.savez(file, **arrays)  # type: ignore[arg-type]
  except OSError:
    return ''  # The message says all the same what was changed.
  return path


def _plain(array: np.ndarray) -> np.ndarray:
  array = np.asarray(array)
  # A file of NumPy does not know it.
  return array.astype(np.float32) if array.dtype.name == 'bfloat16' else array
