"""Compares the structure of outputs, before any number is compared."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import difference, tolerances, values
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.core import nest

# Each of these is compared with each other one.
_MAX_EXCHANGED = 30


def structure_differences(
  tf1: nest.Structure, tf2: nest.Structure, path: str = 'outputs'
) -> list[Difference]:
  """Lists where two structures differ, each with its path.

  Lists and tuples are the same kind. Keys of mappings must be the same; their
  order counts only where both sides are an `OrderedDict`, as it does for
  Python's `==`.

  Args:
    tf1: the reference.
    tf2: the candidate.
    path: where they are, for the messages.

  Returns:
    The differences; empty if there is none.
  """
  if tf1.kind != tf2.kind:
    return [Difference(Kind.STRUCTURE, path, _kind(tf1), _kind(tf2))]
  if tf1.kind == nest.SEQUENCE and len(tf1.keys) != len(tf2.keys):
    return [Difference(Kind.ITEM_COUNT, path, len(tf1.keys), len(tf2.keys))]
  found = []
  if tf1.kind == nest.MAPPING:
    found.extend(_key_differences(tf1, tf2, path))
  items = dict(zip(tf2.keys, tf2.children, strict=True))
  for key, child in zip(tf1.keys, tf1.children, strict=True):
    if key in items:
      found.extend(structure_differences(child, items[key], f'{path}[{key!r}]'))
  return found


def _key_differences(
  tf1: nest.Structure, tf2: nest.Structure, path: str
) -> list[Difference]:
  found = []
  for i, (these, those) in enumerate(
    ((tf1.keys, tf2.keys), (tf2.keys, tf1.keys))
  ):
    keys = tuple(key for key in these if key not in those)
    if keys:
      found.append(difference.one_sided(Kind.KEYS, i, keys, subject=path))
  ordered = tf1.ordered and tf2.ordered
  if ordered and not found and list(tf1.keys) != list(tf2.keys):
    keys = tuple(tf1.keys), tuple(tf2.keys)
    found.append(Difference(Kind.KEY_ORDER, path, *keys))
  return found


def spec_differences(
  tf1: Sequence[tuple[str, np.ndarray]], tf2: Sequence[tuple[str, np.ndarray]]
) -> list[Difference]:
  """Lists outputs whose dtype or shape differs.

  Args:
    tf1: (path, value) of the reference's outputs.
    tf2: the same of the candidate; paths are those of `tf1`.

  Returns:
    The differences; if the outputs look like a permutation of the reference's,
    that comes first.
  """
  others = dict(tf2)
  found = []
  for path, value in tf1:
    spec, other = _spec(value), _spec(others[path])
    if spec != other:
      found.append(Difference(Kind.OUTPUT, f'outputs{path}', spec, other))
  specs1 = [_spec(value) for _, value in tf1]
  specs2 = [_spec(others[path]) for path, _ in tf1]
  if found and sorted(specs1) == sorted(specs2):
    found.insert(0, Difference(Kind.PERMUTED))
  return found


def has_other_dtype(found: Difference) -> bool:
  """Returns whether an output of kind OUTPUT has another dtype."""
  return _split(found.tf1)[0] != _split(found.tf2)[0]


def has_other_shape(found: Difference) -> bool:
  """Returns whether an output of kind OUTPUT has another shape."""
  return _split(found.tf1)[1] != _split(found.tf2)[1]


def _split(spec: str) -> tuple[str, str]:
  """Splits what `_spec` made."""
  dtype, _, shape = spec.partition('[')
  return dtype, shape


@dataclasses.dataclass(frozen=True)
class EqualOutputs:
  """An output that equals another one of the other side.

  Attributes:
    tf1: the output of TF1, e.g. 'outputs[0]'.
    tf2: that of TF2.
  """

  tf1: str
  tf2: str


def find_permutation(
  comparisons: Sequence[values.ValueComparison],
  tf1: dict[str, np.ndarray],
  tf2: dict[str, np.ndarray],
  tolerance: tolerances.Tolerance,
) -> list[EqualOutputs]:
  """Finds outputs that differ but equal another output of the other side.

  Args:
    comparisons: comparisons of the outputs, named 'outputs' and the path.
    tf1: outputs of the reference by path.
    tf2: outputs of the candidate by path.
    tolerance: what may differ.

  Returns:
    The exchanged outputs.
  """
  failed = [
    c.name[len('outputs') :]
    for c in comparisons
    if not c.passed and c.count > 1
  ][:_MAX_EXCHANGED]
  found = []
  for path in failed:
    for other in failed:
      if other == path or tf1[path].shape != tf2[other].shape:
        continue
      if values.compare_arrays(path, tf1[path], tf2[other], tolerance).passed:
        found.append(EqualOutputs(f'outputs{path}', f'outputs{other}'))
        break
  return found


def _spec(value: np.ndarray) -> str:
  return f'{values.dtype_name(value)}{list(value.shape)}'


def _kind(structure: nest.Structure) -> str:
  if structure.kind == nest.NONE:
    return 'None'
  if structure.kind == nest.LEAF:
    return 'a tensor'
  return f'a {structure.type_name} of {len(structure.keys)} items'
