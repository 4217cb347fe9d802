"""Finds the first op that differs where the TF2 side was recorded.

What ran op by op is read as a graph, so that it can be aligned with the graph
of TF1. Both compute in float32 here: eager code cannot be rewritten.
"""

from collections import defaultdict, deque
from typing import Any

import numpy as np

from tf_equiv import compat
from tf_equiv.compare import difference
from tf_equiv.core import random_value
from tf_equiv.diagnose import (
  agreement,
  alignment,
  graph,
  replay,
  shared_draws,
  sketches,
)
from tf_equiv.diagnose import search as search_lib
from tf_equiv.diagnose.control_flow import descent
from tf_equiv.diagnose.result import Result
from tf_equiv.diagnose.side import Side
from tf_equiv.tf1.capture import capture
from tf_equiv.tf2 import eager_capture

# How much more than TF1's own rounding errors still counts as agreement.
_SLACK = 4.0
# Attributes of these kinds are types or functions, and say nothing.
_NOT_PLAIN = ('type', 'list(type)', 'func', 'list(func)', 'tensor')


def find(
  tf1: capture.Capture,
  recording: eager_capture.Recording,
  labels: list[capture.Label],
  tf1_name_of: dict[str, str],
  sketcher: sketches.Sketcher,
  reason: str,
) -> Result:
  """Finds the first op that differs from what TF1 computes.

  Args:
    tf1: the reference.
    recording: the ops that TF2 ran, summarized by `sketcher`.
    labels: results to look at; both sides have them.
    tf1_name_of: name of the TF1 variable by that of the TF2 variable.
    sketcher: makes summaries of arrays.
    reason: why the TF2 side could not be traced.

  Returns:
    The result, in float32.
  """

  def search(first: capture.Capture, second: eager_capture.Recording) -> Result:
    return _search(first, second, labels, tf1_name_of, sketcher)

  result = descent.descend(search(tf1, recording), (tf1, recording), search)
  if result.divergence is not None:
    result.divergence.recorded = True
    note = (
      f'TF2 cannot be traced ({reason}), so its ops were recorded as they ran, '
      'in float32'
    )
    notes = [note, result.divergence.note]
    result.divergence.note = '; '.join(filter(None, notes))
  return result


def _search(
  tf1: capture.Capture,
  recording: eager_capture.Recording,
  labels: list[capture.Label],
  tf1_name_of: dict[str, str],
  sketcher: sketches.Sketcher,
) -> Result:
  reader = _Reader(recording, tf1_name_of, sketcher)
  graphs = graph.read(tf1, labels, {}), reader.read(labels)
  run = _Run(recording, reader)
  with replay.Replay(tf1, double=False) as single:
    draws = _share_draws(graphs, single, run)
    names = [tf1.targets[label].name for label in labels]
    results = dict(zip(labels, single.fetch(names), strict=True))
    with replay.Replay(tf1, double=True) as double:
      double.fix(single.fixed)
      precise = dict(zip(labels, double.fetch(names), strict=True))
    distances, noise = {}, 0.0
    for label in labels:
      mine = sketcher.sketch(results[label])
      theirs = recording.summaries[recording.targets[label]]
      distances[label] = sketches.distance(mine, theirs)
      own = sketches.distance(mine, sketcher.sketch(precise[label]))
      noise = max(noise, own)
    tolerance = max(agreement.SINGLE, _SLACK * noise)
    failing = [label for label in labels if not distances[label] <= tolerance]
    result = Result(
      None,
      max(distances.values(), default=0.0),
      (results, {}),
      recorded=True,
    )
    result.fixed = single.fixed, {}
    mine, _ = sketches.of_run(single, tf1, graphs[0], labels, sketcher)
    result.alignment = alignment.Alignment(
      graphs, (mine, reader.sketches), draws, tolerance, failing
    )
    if failing:
      sides = (
        Side(tf1, graphs[0], single, mine, results),
        Side(recording, graphs[1], run, reader.sketches),
      )
      search_lib.explain(result, sides, failing, tf1_name_of)
  return result


def _share_draws(
  graphs: tuple[graph.Graph, graph.Graph], single: replay.Replay, run: '_Run'
) -> dict[str, str]:
  """Pairs the draws, and lets TF1 compute with those of TF2."""
  drawn = dict(
    zip(graphs[0].draws, single.fetch(graphs[0].draws, drawn=True), strict=True)
  )
  waiting = defaultdict(deque)
  for name in graphs[1].draws:
    waiting[shared_draws.kind_of(graphs[1], name, run.fetch([name])[0])].append(
      name
    )
  pairs = {}
  for name, value in drawn.items():
    same = waiting[shared_draws.kind_of(graphs[0], name, value)]
    if same:
      pairs[name] = same.popleft()
      if value.dtype.kind in 'fV':
        drawn[name] = run.fetch([pairs[name]])[0]
  single.fix(drawn)
  return pairs


class _Reader:
  """Reads a recording as a graph.

  Attributes:
    sketches: of the outputs of each node, by its name.
    constants: identity of each tensor that does not depend on the data.
  """

  def __init__(
    self,
    recording: eager_capture.Recording,
    tf1_name_of: dict[str, str],
    sketcher: sketches.Sketcher,
  ):
    self._recording, self._names = recording, tf1_name_of
    self._operands: dict[int, graph.Operand] = {
      identity: graph.Operand(graph.INPUT, path)
      for identity, path in recording.inputs.items()
    }
    for identity, name in recording.handles.items():
      self._operands[identity] = self._variable(name)
    self._by_shape = defaultdict(list)
    for name, value in recording.variables.values():
      sketch = sketcher.sketch(value)
      self._by_shape[sketch.shape].append((self._variable(name), sketch))
    for identity, operand in list(self._operands.items()):
      sketch = recording.summaries.get(identity)
      if sketch is not None:
        self._by_shape[sketch.shape].append((operand, sketch))
    self._used = set()
    self.sketches: dict[str, list[sketches.Sketch]] = {}
    self.constants: dict[str, int] = {}

  def _variable(self, name: str) -> graph.Operand:
    return graph.Operand(graph.VARIABLE, self._names.get(name, name))

  def read(self, labels: list[capture.Label]) -> graph.Graph:
    """Returns the graph of all that was recorded."""
    nodes, draws = {}, {}
    for position, record in enumerate(self._recording.records):
      operands = [self._operand(identity) for identity in record.inputs]
      if random_value.family_of(record.op_type):
        tensor = record.name + ':0'
        draws[tensor] = record.op_type
        self.constants[tensor] = record.outputs[0]
        self._operands[record.outputs[0]] = graph.Operand(
          graph.RANDOM, tensor, 0, tensor
        )
      elif record.op_type in graph.PASS_THROUGH and operands:
        for i, identity in enumerate(record.outputs):
          self._operands[identity] = operands[i % len(operands)]
      elif record.op_type not in graph.OF_SHAPES and any(
        operand.kind != graph.CONSTANT for operand in operands
      ):
        nodes[record.name] = self._node(record, position, operands)
    results = {
      label: self._operand(self._recording.targets[label]) for label in labels
    }
    return graph.Graph(nodes, results, list(draws), draws, {})

  def _node(
    self,
    record: eager_capture.Record,
    position: int,
    operands: list[graph.Operand],
  ) -> graph.Node:
    outputs = list(enumerate(record.outputs))
    if graph.FIRST_OUTPUT.match(record.op_type):
      outputs = outputs[:1]
    summaries = self._recording.summaries
    kept = [(i, x) for i, x in outputs if x in summaries]
    for i, identity in outputs:
      operand = graph.Operand(graph.NODE, record.name, i, f'{record.name}:{i}')
      self._operands[identity] = operand
      if identity in summaries:
        sketch = summaries[identity]
        self._by_shape[sketch.shape].append((operand, sketch))
    self.sketches[record.name] = [summaries[x] for _, x in kept]
    return graph.Node(
      record.name,
      record.op_type,
      position,
      record.shape,
      record.dtype,
      operands,
      _plain(record),
      [f'{record.name}:{i}' for i, _ in kept],
    )

  def _operand(self, identity: int) -> graph.Operand:
    """Returns where a tensor comes from, by its value if that is not known.

    Kernels read variables without an op that could be seen, and Python code
    passes values that way, too.
    """
    if identity not in self._operands:
      self._operands[identity] = self._by_value(identity)
    return self._operands[identity]

  def _by_value(self, identity: int) -> graph.Operand:
    sketch = self._recording.summaries.get(identity)
    if sketch is not None and sketch.size > 1:
      same = [
        operand
        for operand, other in self._by_shape[sketch.shape]
        if sketches.distance(sketch, other) == 0.0
      ]
      # Variables that are equal are read in their order.
      same.sort(key=lambda operand: operand.key in self._used)
      if same:
        self._used.add(same[0].key)
        return same[0]
    name = f'constant_{identity}'
    self.constants[name] = identity
    return graph.Operand(graph.CONSTANT, name, 0, name)


def _plain(record: eager_capture.Record) -> dict[str, Any]:
  """Returns the plain attributes of a record as `graph.attributes_of` does."""
  definition = compat.op_definition(record.op_type)
  kinds = {attr.name: attr.type for attr in definition.attr}
  found = {}
  for key, value in record.attributes.items():
    if kinds.get(key, 'type') in _NOT_PLAIN or value is None:
      continue
    if isinstance(value, bytes):
      value = value.decode('utf-8', 'replace')
    elif kinds[key] == 'float':
      value = difference.plain(float(value))
    elif kinds[key] == 'bool':
      value = bool(value)
    elif isinstance(value, (list, tuple)):
      value = [x.decode() if isinstance(x, bytes) else x for x in value]
    elif kinds[key] == 'shape':
      value = str(value)
    found[key] = value
  return found


class _Run:
  """Gives values of a recording, as `replay.Replay` does of a graph."""

  def __init__(self, recording: eager_capture.Recording, reader: _Reader):
    self._recording, self._reader = recording, reader

  def is_small(self, name: str, most: int) -> bool:
    """Returns whether a constant has few elements."""
    identity = self._reader.constants.get(name)
    value = self._recording.values.get(identity)
    return value is not None and value.size <= most

  def fetch(self, names: list[str]) -> list[np.ndarray]:
    """Returns values; runs again for those that are not kept."""
    found, wanted = {}, {}
    for name in names:
      if name in self._reader.constants:
        found[name] = self._recording.values[self._reader.constants[name]]
      else:
        op_name, _, output = name.rpartition(':')
        wanted[name] = op_name, int(output)
    if wanted:
      values = self._recording.again(set(wanted.values()))
      found.update((name, values[place]) for name, place in wanted.items())
    return [found[name] for name in names]
