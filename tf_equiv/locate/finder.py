"""Runs both captured sides in double precision and says where they part."""

import contextlib
import dataclasses
import time
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tf_equiv.compare import divergence, tolerances, values
from tf_equiv.locate import (
  align,
  differences,
  frontier,
  mistakes,
  recurrent,
  replay,
  rounding,
)
from tf_equiv.locate import nodes as nodes_lib
from tf_equiv.locate import sketches as sketches_lib
from tf_equiv.tf1 import capture as capture_lib
from tf_equiv.tf1 import random_values

# Distances (see `sketches.distance`) up to which values agree in float64.
# Constants that were rounded to float32 in another way are 1e-8 apart.
_TIGHT, _ROUNDED = 1e-10, 1e-7
# With ops that only compute in float32.
_SINGLE = 3e-6
# Gradients so far below the largest one are zero (that of a bias before a
# normalization or a softmax) but for rounding in float64.
_ZERO = 1e-12
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
    assigned: where nothing was found, the ops that assign what differs.
  """

  divergence: divergence.Divergence | None
  distance: float
  precise: bool
  results: tuple[dict, dict]
  single: dict = dataclasses.field(default_factory=dict)
  assigned: divergence.Divergence | None = None


def find(
  tf1: capture_lib.Capture,
  tf2: capture_lib.Capture,
  labels: Sequence[capture_lib.Label],
  tf1_name_of: Mapping[str, str],
  same_draws: bool = True,
  converted: Collection[str] = (),
) -> Found:
  """Finds the first op in which two captured computations part.

  Args:
    tf1: the reference.
    tf2: the candidate.
    labels: results to look at; both sides have them.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
    same_draws: whether TF2 is to compute with the random numbers of TF1 where
      draws correspond.
    converted: TF1 names of the variables that `convert_variable` changed, and
      may have rounded.

  Returns:
    What was found.
  """
  start = time.time()
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
    nothing = _nothing(labels, results[0])
    failing = [
      label
      for label in labels
      if apart[label] > tolerance and label not in nothing
    ]
    if failing and distance <= rounding.LARGEST:
      floors = rounding.floors(
        graphs, replays, (tf1, tf2), results, failing, converted, sketcher
      )
      failing = [label for label in failing if apart[label] > floors[label]]
    found = Found(None, distance, precise, results)
    if failing:
      sketches = [
        _sketches(graph, run, sketcher)
        for graph, run in zip(graphs, replays, strict=True)
      ]
      alignment = align.Alignment(*graphs, sketches, draws, tolerance, failing)
      places = frontier.find(*graphs, alignment, failing)
      found.divergence = _explain(
        places, alignment, (tf1, tf2), replays, graphs, sketches, failing
      )
      found.divergence.differences += recurrent.describe(
        found.divergence, (tf1, tf2), tf1_name_of
      )
      found.divergence.mistake = mistakes.recognize(found.divergence)
    else:
      found.single = _in_single_precision(tf2, labels, replays[1])
  if found.divergence is not None:
    found.divergence.seconds = time.time() - start
  return found


def _nothing(labels, results) -> set:
  """Gradients that are zero but for rounding, beside the largest one."""
  sizes = {
    label: float(np.max(np.abs(results[label]), initial=0.0))
    for label in labels
    if label[0] == capture_lib.GRADIENT
  }
  largest = max(sizes.values(), default=0.0)
  return {label for label, size in sizes.items() if size < _ZERO * largest}


def _in_single_precision(captured, labels, double) -> dict:
  """Results with the draws of the run in float64."""
  with replay.Replay(captured, double=False) as run:
    run.fix(double.fixed)
    names = [captured.targets[label].name for label in labels]
    return dict(zip(labels, run.fetch(names), strict=True))


def _tolerance(distance: float, precise: bool) -> float:
  """What still counts as agreement when the results are `distance` apart."""
  if not precise:
    return _SINGLE
  return float(np.clip(distance * 1e-3, _TIGHT, _ROUNDED))


def _share_draws(graphs, replays, same_draws) -> dict[str, str]:
  """Pairs the draws, and makes them repeatable and equal."""
  drawn = [
    dict(zip(graph.draws, run.fetch(graph.draws, drawn=True), strict=True))
    for graph, run in zip(graphs, replays, strict=True)
  ]
  waiting = defaultdict(deque)
  for name, value in drawn[1].items():
    waiting[_kind(graphs[1], name, value)].append(name)
  pairs = {}
  for name, value in drawn[0].items():
    same = waiting[_kind(graphs[0], name, value)]
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


def _kind(graph, tensor, value):
  family = random_values.family_of(graph.draw_types[tensor])
  return family, value.dtype.name, value.shape


def _sketches(graph, run, sketcher):
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


def _explain(places, alignment, captures, replays, graphs, sketches, failing):
  """Turns places into what a reader needs to know of them."""
  made = [
    _place(found, alignment, captures, replays)
    for found in places[:_MOST_PLACES]
  ]
  first = made[0] if made else _results_only(captures, failing[0])
  if failing[0][0] in (capture_lib.GRADIENT, capture_lib.INPUT_GRADIENT):
    first.differences += _stopped(graphs, alignment, captures)
  first.others = made[1:]
  first.group = failing[0][0]
  first.layers = _layers(alignment, graphs, sketches)
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


def place(captured, op) -> divergence.Place:
  """Returns an op of a captured graph as a place."""
  # A helper of ours goes by the name of the op that it stands for.
  name, op_type = captured.aliases.get(op.name, (op.name, op.type))
  return divergence.Place(name, op_type, _line(captured, name))


def results(captures, label) -> divergence.Divergence:
  """Returns the ops that compute a result on both sides."""
  return divergence.Divergence(
    *(place(captured, captured.targets[label].op) for captured in captures)
  )


def _results_only(captures, label):
  """Says at least what computes a result that differs."""
  found = results(captures, label)
  found.note = 'no op before the result itself could be told apart'
  return found


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
    [_at(captures[0], n) for n in found.only_tf1[:_MOST_LONE]],
    [_at(captures[1], n) for n in found.only_tf2[:_MOST_LONE]],
    tuple(variables),
  )


def _at(captured, node) -> divergence.Place:
  # A helper of ours goes by the name of the op that it stands for.
  name, op_type = captured.aliases.get(node.name, (node.name, node.op_type))
  return divergence.Place(name, op_type, _line(captured, name))


def _line(captured, op_name) -> str:
  line, made = captured.line_of(op_name), captured.made_line_of(op_name)
  if not line.filename:
    return ''
  if made.filename and made != line:
    return '%s  (layer made at %s)' % (line, made)
  return str(line)


def _constants(run, nodes):
  """Returns a function that gives the values of the constants of nodes."""
  names = sorted(
    {
      o.key
      for node in nodes
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


def _layers(alignment, graphs, sketches):
  layers = []
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
