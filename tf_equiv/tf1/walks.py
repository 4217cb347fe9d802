"""Walks over the ops of a graph, for graphs that were built or imported."""

import collections
from typing import Any, Container, Iterable, Iterator, Optional


def ancestors(
  ops: Iterable[Any],
  stop: Optional[Container[str]] = None,
  *,
  control: bool = False,
  nearest_first: bool = False,
) -> Iterator[Any]:
  """Walks from ops to all that they are computed from.

  Args:
    ops: operations where the walk begins.
    stop: names of operations that are neither returned nor passed.
    control: whether to follow control inputs, too: then these are all ops that
      run where the given ones do.
    nearest_first: whether to go by distance from the first ops. Otherwise each
      branch is followed to its end.

  Yields:
    The given operations and what is before them, each once. They are found as
    the walk goes on, so a caller may leave it early.
  """
  seen, pending = set(), collections.deque(ops)
  take = pending.popleft if nearest_first else pending.pop
  while pending:
    op = take()
    if op.name in seen or (stop is not None and op.name in stop):
      continue
    seen.add(op.name)
    yield op
    if control:
      pending.extend(op.control_inputs)
    pending.extend(tensor.op for tensor in op.inputs)
