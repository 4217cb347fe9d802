"""Runs a graph again with inputs a hair away: what is noise then moves."""

import dataclasses
from typing import Any, Callable, Dict, List

import numpy as np


@dataclasses.dataclass(frozen=True)
class Ran:
  """What ran in a session.

  Attributes:
    session: the session.
    fetches: outputs by path.
    results: what they were.
    feed: the inputs, by placeholder.
    draws: values of the random draws.
  """

  session: Any
  fetches: Dict[str, Any]
  results: Dict[str, Any]
  feed: Dict[Any, np.ndarray]
  draws: Dict[Any, np.ndarray]


def measure(
  ran: Ran,
  values: List[np.ndarray],
  assign: Callable[[List[np.ndarray]], None],
  repeatable: bool,
) -> Dict[str, float]:
  """Moves the inputs, or the weights, by one unit in the last place.

  Args:
    ran: what ran. Where none of its inputs is a floating-point number (token
      ids), the weights are moved instead.
    values: the weights.
    assign: sets the weights of the session.
    repeatable: whether a second run with the same draws gives the same.

  Returns:
    By how much each floating-point output moves, by path: the median of the
    elements that are not zero, so that a few that jump (`round`, `argmax`)
    do not count.
  """
  session, feed, draws = ran.session, ran.feed, ran.draws
  generator, moved = np.random.RandomState(0), {**feed, **draws}
  outputs = {
    path: tensor
    for path, tensor in ran.fetches.items()
    if tensor.dtype.is_floating
  }
  inputs = movable(feed)
  if not outputs or not (inputs or any(_can_move(x) for x in values)):
    return {}
  moved.update((tensor, _moved(feed[tensor], generator)) for tensor in inputs)
  if not inputs:
    assign([_moved(x, generator) if _can_move(x) else x for x in values])
  elif not repeatable:
    assign(values)  # The first run may have assigned others.
  found = session.run(outputs, moved)
  if not (inputs and repeatable):
    assign(values)
  before = ran.results
  changes = {path: _change(x, before[path]) for path, x in found.items()}
  if any(changes.values()) and not repeatable:
    # Random numbers inside of loops cannot be held.
    again = session.run(outputs, {**feed, **draws})
    if any(not np.array_equal(x, before[p]) for p, x in again.items()):
      return {}
  return changes


def movable(feed: Dict[Any, np.ndarray]) -> List[Any]:
  """Returns the inputs that may move by a unit in the last place.

  A mask is not among them: it is multiplied by large numbers, and what is
  between zero and one is no mask.

  Args:
    feed: the inputs, by placeholder.
  """
  found = [tensor for tensor, array in feed.items() if _can_move(array)]
  masks = [tensor for tensor in found if _is_mask(feed[tensor], len(feed))]
  return [tensor for tensor in found if not any(tensor is m for m in masks)]


def _is_mask(array, inputs) -> bool:
  """Returns whether an input holds zeros and ones.

  Ones alone may be an image of a constant where there is no other input.
  """
  array = np.asarray(array)
  ones = array == 1
  return bool((ones | (array == 0)).all() and (inputs > 1 or not ones.all()))


def _can_move(array) -> bool:
  return np.asarray(array).dtype.kind == 'f'


def _moved(array, generator):
  signs = generator.choice([-1, 1], np.shape(array))
  return np.nextafter(array, (signs * np.inf).astype(array.dtype))


def _change(value, before) -> float:
  value, before = np.asarray(value, np.float64), np.asarray(before, np.float64)
  changes = np.abs(value - before)[(value != 0) | (before != 0)]
  return float(np.median(changes)) if changes.size else 0.0
