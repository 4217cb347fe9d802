"""What moving statistics say of how they are updated."""

from collections.abc import Mapping, Sequence

import numpy as np

# So many channels tell a pattern from chance.
_MIN_CHANNELS = 3
_RTOL = 1e-3


def corrected_count(
  before: np.ndarray, tf1: np.ndarray, tf2: np.ndarray
) -> int | None:
  """Returns n if TF1 keeps the unbiased and TF2 the biased batch variance.

  With the decay d, both sides move from the old value to that of the batch by
  1 - d, and the batch variances differ by n / (n - 1). So the change of TF1 is
  n / (n - 1) times that of TF2, plus a multiple of the old value.

  Args:
    before: the moving variance before the update.
    tf1: after it in TF1.
    tf2: after it in TF2.

  Returns:
    The number of values for each channel, None if that does not explain it.
  """
  before, tf1, tf2 = (np.asarray(x, np.float64) for x in (before, tf1, tf2))
  if before.ndim != 1 or before.size < _MIN_CHANNELS:
    return None
  changes = np.stack([tf2 - before, before], axis=1)
  (ratio, rest), _, rank, _ = np.linalg.lstsq(changes, tf1 - before, rcond=None)
  gap = np.max(np.abs(tf1 - tf2))
  wrong = np.max(np.abs(tf1 - before - changes @ [ratio, rest]))
  if rank < 2 or ratio <= 1 or wrong > _RTOL * gap:
    return None
  count = ratio / (ratio - 1)
  factor = rest / (ratio - 1)
  whole = abs(count - round(count)) <= 0.01 * count
  return round(count) if whole and 0 < factor <= 1 else None


def explain(
  names: Sequence[str],
  sources: Mapping[str, Sequence[str]],
  before: Mapping[str, np.ndarray],
  tf1: Mapping[str, np.ndarray],
  tf2: Mapping[str, np.ndarray],
) -> str:
  """Names the mistake if all that differs are variances without correction.

  Args:
    names: names of the TF2 variables that differ.
    sources: names of the TF1 variables by TF2 name.
    before: values in TF2 before the update.
    tf1: values after it, by TF1 name.
    tf2: values after it, by TF2 name.
  """
  counts = []
  for name in names:
    mine = [tf1[source] for source in sources.get(name, ()) if source in tf1]
    if len(mine) != 1 or name not in before or name not in tf2:
      return ''
    if np.shape(mine[0]) != np.shape(tf2[name]):
      return ''
    counts.append(corrected_count(before[name], mine[0], tf2[name]))
  if not counts or None in counts:
    return ''
  return (
    'TF1 keeps the unbiased variance of the batch, that times n/(n-1) with '
    f'n={counts[0]} values per channel, TF2 the biased one, as unfused and '
    'Keras 3 batch normalization do: the moving_variance differs for good; '
    'pass compare_updates=False, or use the fused layer of tf_keras.'
  )
