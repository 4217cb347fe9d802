"""All planted pairs, by family."""

from tests.planted import pair
from tests.planted.pairs import (
  attention,
  averages,
  computations,
  control_flow,
  layers,
  loops,
  losses,
  optimizers,
  randomness,
  recurrent,
  resizing,
  schedules,
  state,
  variables,
)

FAMILIES: dict[str, tuple[pair.Pair, ...]] = {
  'variables': variables.PAIRS,
  'layers': layers.PAIRS,
  'resizing and pooling': resizing.PAIRS,
  'recurrent': recurrent.PAIRS + control_flow.PAIRS,
  'attention and normalization': attention.PAIRS,
  'computations': computations.PAIRS,
  'losses': losses.PAIRS,
  'optimizers': optimizers.PAIRS + loops.PAIRS,
  'schedules': schedules.PAIRS,
  'randomness': randomness.PAIRS,
  'state': state.PAIRS + averages.PAIRS,
}


def by_test_name() -> dict[str, tuple[str, pair.Pair]]:
  """Returns {part of a test's name: (family, pair)}, in order."""
  return {
    '%s_%s' % (family.split(' ')[0], found.name): (family, found)
    for family, pairs in FAMILIES.items()
    for found in pairs
  }
