"""Runs both captured sides in double precision and says where they part."""

import contextlib
import dataclasses
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.compare import divergence, tolerances, values
from tf_equiv.locate import (
  align,
  differences,
  inside,
  mistakes,
  replay,
)
from tf_equiv.locate import frontier as frontier_lib
from tf_equiv.locate import nodes as nodes_lib
from tf_equiv.locate import sketches as sketches_lib
from tf_equiv.tf1 import capture as capture_lib
from tf_equiv.tf1 import random_values

# Distances (see `sketches.distance`) up to which values agree in float64.
# Constants that were rounded to float32 in another way are 1e-8 apart.
_TIGHT, _ROUNDED = 1e-10, 1e-7
# With ops that only compute in float32.
SINGLE = 3e-6
# Values are fetched in parts of about this many bytes.
_PART = 128 << 20
_MOST_LONE = 8
_MOST_PLACES = 5
_LARGEST_CONSTANT = 64


@dataclasses.dataclass
class Found:
  """What was found.

  Attributes:
    divergence: the first place where the sides part; None if they agree in
      float64.
    distance: largest distance of the results in float64.
    precise: whether all ops computed in float64.
    results: for each side, values of the results in float64 by label.
    single: where nothing was found, TF2's results as its graph gives them in
      float32.
    recorded: whether TF2 was recorded as it ran, in float32.
    frontier: the ops of the divergence.
    alignment: which ops correspond.
    graphs: the ops of each side.
    fixed: for each side, values of random draws by name of the tensor.
  """

  divergence: divergence.Divergence | None
  distance: float
  precise: bool
  results: tuple[dict, dict]
  single: dict = dataclasses.field(default_factory=dict)
  recorded: bool = False
  frontier: frontier_lib.Frontier | None = None
  alignment: align.Alignment | None = None
  graphs: tuple[nodes_lib.Graph, nodes_lib.Graph] | None = None
  fixed: tuple[dict, dict] = ({}, {})

  @property
  def is_real(self) -> bool:
    """Whether what was found cannot be rounding.

    In float64 it never is; else it must exceed by far what float32 rounds.
    """
    if self.divergence is None or self.alignment is None:
      return False
    return not self.recorded or self.distance > 100 * self.alignment.tolerance


def find(
  tf1: capture_lib.Capture,
  tf2: capture_lib.Capture,
  labels: Sequence[capture_lib.Label],
  tf1_name_of: Mapping[str, str],
  same_draws: bool = True,
) -> Found:
  """Finds the first op in which two captured computations part.

  Args:
    tf1: the reference.
    tf2: the candidate.
    labels: results to look at; both sides have them.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
    same_draws: whether TF2 is to compute with the random numbers of TF1 where
      draws correspond.

  Returns:
    What was found.
  """
  start = time.time()

  def search(first, second):
    return _search(first, second, labels, tf1_name_of, same_draws)

  found = inside.look(search(tf1, tf2), (tf1, tf2), search)
  if found.divergence is not None:
    found.divergence.seconds = time.time() - start
  return found


def _search(tf1, tf2, labels, tf1_name_of, same_draws) -> Found:
  """Finds the first op in which two graphs part, loops being one op."""
  graphs = (
    nodes_lib.read(tf1, labels, {}),
    nodes_lib.read(tf2, labels, tf1_name_of),
  )
  with contextlib.ExitStack() as stack:
    replays = [
      stack.enter_context(replay.Replay(captured, double=True))
      for captured in (tf1, tf2)
    ]
    draws = _share_draws(graphs, replays, same_draws)
    results = tuple(
      dict(
        zip(labels, run.fetch([c.targets[x].name for x in labels]), strict=True)
      )
      for run, c in zip(replays, (tf1, tf2), strict=True)
    )
    sketcher = sketches_lib.Sketcher()
    apart = {
      label: sketches_lib.distance(
        *(sketcher.sketch(side[label]) for side in results)
      )
      for label in labels
    }
    distance = max(apart.values(), default=0.0)
    precise = not any(run.fallbacks for run in replays)
    tolerance = _tolerance(distance, precise)
    failing = [label for label in labels if apart[label] > tolerance]
    found = Found(None, distance, precise, results)
    if failing:
      sketches = [
        summarize(graph, run, sketcher)
        for graph, run in zip(graphs, replays, strict=True)
      ]
      alignment = align.Alignment(*graphs, sketches, draws, tolerance, failing)
      found.fixed = tuple(run.fixed for run in replays)
      explain(
        found, graphs, alignment, (tf1, tf2), replays, failing, tf1_name_of
      )
    else:
      found.single = _in_single_precision(tf2, labels, replays[1])
  return found


def explain(found, graphs, alignment, captures, replays, failing, tf1_name_of):
  """Adds to what was found the first op that differs.

  Args:
    found: the `Found`.
    graphs: the ops of each side.
    alignment: which of them correspond.
    captures: the sides.
    replays: what gives their values.
    failing: labels of the results that differ.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
  """
  places = frontier_lib.find(*graphs, alignment, failing)
  found.divergence = _explain(
    places, alignment, captures, replays, graphs, failing
  )
  found.divergence.differences += _unchanged(
    found.divergence, captures, tf1_name_of
  )
  found.divergence.mistake = mistakes.recognize(found.divergence)
  found.frontier = places[0] if places else None
  found.alignment, found.graphs = alignment, graphs


def _in_single_precision(captured, labels, double) -> dict:
  """Results with the draws of the run in float64."""
  with replay.Replay(captured, double=False) as run:
    run.fix(double.fixed)
    names = [captured.targets[label].name for label in labels]
    return dict(zip(labels, run.fetch(names), strict=True))


def _tolerance(distance: float, precise: bool) -> float:
  """What still counts as agreement when the results are `distance` apart."""
  if not precise:
    return SINGLE
  return float(np.clip(distance * 1e-3, _TIGHT, _ROUNDED))


def _share_draws(graphs, replays, same_draws) -> dict[str, str]:
  """Pairs the draws, and makes them repeatable and equal."""
  drawn = [
    dict(zip(graph.draws, run.fetch(graph.draws, drawn=True), strict=True))
    for graph, run in zip(graphs, replays, strict=True)
  ]
  waiting = defaultdict(deque)
  for name, value in drawn[1].items():
    waiting[kind_of(graphs[1], name, value)].append(name)
  pairs = {}
  for name, value in drawn[0].items():
    same = waiting[kind_of(graphs[0], name, value)]
    if same:
      pairs[name] = same.popleft()
  if same_draws:
    for first, second in pairs.items():
      if drawn[0][first].dtype.kind not in 'fV':
        continue  # The range of integers may be what differs.
      drawn[1][second] = drawn[0][first]
  for run, given in zip(replays, drawn, strict=True):
    run.fix(given)
  return pairs


def kind_of(graph, tensor, value):
  """Returns what must be equal of two draws that correspond."""
  family = random_values.family_of(graph.draw_types[tensor])
  return family, value.dtype.name, value.shape


def summarize(graph, run, sketcher):
  """Sketches of the outputs of each node, in parts of bounded memory."""
  found = {name: [] for name in graph.nodes}
  for part in _parts(graph):
    arrays = run.fetch([tensor for _, tensor in part])
    for (name, _), array in zip(part, arrays, strict=True):
      found[name].append(sketcher.sketch(array))
  return found


def _parts(graph):
  part, size = [], 0
  for name, node in graph.nodes.items():
    elements = int(np.prod([d or 1 for d in node.shape or ()]))
    for tensor in node.outputs:
      part.append((name, tensor))
    size += 8 * elements * len(node.outputs)
    if size > _PART:
      yield part
      part, size = [], 0
  if part:
    yield part


def _explain(places, alignment, captures, replays, graphs, failing):
  """Turns places into what a reader needs to know of them."""
  made = [
    _place(found, alignment, captures, replays)
    for found in places[:_MOST_PLACES]
  ]
  first = made[0] if made else _results_only(captures, graphs, failing[0])
  first.differences += _stopped(graphs, alignment, captures)
  first.others = made[1:]
  first.layers = _layers(alignment, graphs)
  return first


def _stopped(graphs, alignment, captures) -> list[str]:
  """Says which gradients are stopped on one side only."""
  lines = []
  for i, side in enumerate(('TF1', 'TF2')):
    paired = alignment.pairs if i == 0 else alignment.inverse
    for read, name in graphs[i].stopped.items():
      others = graphs[1 - i].stopped
      if not others or (read in paired and paired[read] not in others):
        lines.append(
          'only %s stops the gradient of %s: %s at %s'
          % (side, read, name, captures[i].line_of(name))
        )
  return lines


def _unchanged(place, captures, tf1_name_of) -> list[str]:
  """Says which biases of loops are the same numbers on both sides."""
  if place.tf1 is None or 'hile' not in place.tf1.op_type:
    return []
  mine = {name: value for name, value in captures[0].variables.values()}
  lines = []
  for name, value in captures[1].variables.values():
    first = tf1_name_of.get(name, name)
    if first in place.variables and value.ndim == 1:
      same = mine[first].size == value.size
      if same and np.array_equal(np.sort(mine[first]), np.sort(value)):
        lines.append('%s holds the same numbers in both' % first)
  return lines


def _results_only(captures, graphs, label):
  """Says at least what computes a result that differs."""
  places = []
  for captured, graph in zip(captures, graphs, strict=True):
    result = graph.results[label]
    if result.kind == nodes_lib.NODE:
      places.append(_at(captured, graph.nodes[result.key]))
    else:
      places.append(divergence.Place(result.key, result.kind))
  return divergence.Divergence(
    *places, note='no op before the result itself could be told apart'
  )


def _place(found, alignment, captures, replays):
  values_of = tuple(
    _constants(run, (node, *lone))
    for run, node, lone in zip(
      replays,
      (found.tf1, found.tf2),
      (found.only_tf1, found.only_tf2),
      strict=True,
    )
  )
  nodes = found.tf1, *found.only_tf1
  variables = sorted(set().union(*(n.variables for n in nodes)))
  return divergence.Divergence(
    _at(captures[0], found.tf1),
    _at(captures[1], found.tf2),
    _compare(found, replays),
    differences.describe(found, alignment, values_of),
    [_at(captures[0], n) for n in found.only_tf1[-_MOST_LONE:]],
    [_at(captures[1], n) for n in found.only_tf2[-_MOST_LONE:]],
    tuple(variables),
  )


def _at(captured, node) -> divergence.Place:
  return divergence.Place(node.name, node.op_type, _line(captured, node.name))


def _line(captured, op_name) -> str:
  line = captured.line_of(op_name)
  return str(line) if line.filename else ''


def _constants(run, nodes):
  """Returns a function that gives the values of the constants of nodes."""
  names = sorted(
    {
      o.key
      for node in nodes
      if not node.nested and node.op_type not in ('Exit', 'Merge')
      for o in node.operands
      if o.kind == nodes_lib.CONSTANT and run.is_small(o.key, _LARGEST_CONSTANT)
    }
  )
  return dict(zip(names, run.fetch(names), strict=True)).get


def _compare(found, replays):
  """Compares the first output that differs, if there is one."""
  a, b = found.tf1, found.tf2
  compared = None
  for mine, theirs in zip(a.outputs, b.outputs, strict=False):
    arrays = replays[0].fetch([mine])[0], replays[1].fetch([theirs])[0]
    compared = values.compare_arrays(a.name, *arrays, tolerances.Tolerance())
    if not compared.passed:
      return dataclasses.replace(compared, dtype=a.dtype)
  return None


def _layers(alignment, graphs):
  layers, sketches = [], alignment.sketches
  for name, node in graphs[0].nodes.items():
    distance = alignment.distance(name)
    if distance is None or not sketches[0][name]:
      continue
    scale = sketches[0][name][0].magnitude
    layers.append(
      divergence.LayerError(
        name,
        alignment.pairs[name],
        node.op_type,
        sketches[0][name][0].shape,
        distance * scale,
        alignment.tolerance * scale,
        scale,
      )
    )
  return layers
