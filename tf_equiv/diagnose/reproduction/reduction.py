"""Makes a case smaller as long as the sides still differ in it."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_equiv.compare import repairs
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.reproduction import case as case_lib

v1 = tf.compat.v1

# So often something smaller is tried.
_MAX_TRIES = 24
# Up to so many examples, each number is tried.
_FEW = 4
# What may have a batch dimension.
_OF_DATA = (graph_lib.NODE, graph_lib.INPUT, graph_lib.RANDOM)


def reduce(case: case_lib.Case) -> case_lib.Case:
  """Returns the smallest case found that still differs.

  Args:
    case: a case that differs.
  """
  case = _pruned(case)
  case = _ended_early(case)
  case = _cut_off(case)
  return _with_small_batch(case)


def _pruned(case: case_lib.Case) -> case_lib.Case:
  """Returns a case without ops and values that nothing reads."""
  graphs = []
  for i, graph in enumerate(case.graphs):
    by_name = {node.name: node for node in graph.node}
    needed, pending = set(), [_name(case.target_of(i))]
    while pending:
      name = pending.pop()
      if name not in needed:
        needed.add(name)
        pending += [_name(ref) for ref in by_name[name].input]
    made = v1.GraphDef()
    made.CopyFrom(graph)
    del made.node[:]
    made.node.extend(node for node in graph.node if node.name in needed)
    graphs.append(made)
  used = {node.name for graph in graphs for node in graph.node}
  return dataclasses.replace(
    case,
    tf1=graphs[0],
    tf2=graphs[1],
    repaired=graphs[2] if graphs[2:] else None,
    feeds={name: x for name, x in case.feeds.items() if name in used},
  )


def _name(ref: str) -> str:
  return ref.lstrip('^').partition(':')[0]


def _ended_early(case: case_lib.Case) -> case_lib.Case:
  """Returns a case that ends where the sides first differ.

  Only a repair tells that ops of the same type are meant to be the same.
  """
  if case.repaired is None or case.takes_tf1:
    return case
  pairs = [
    (first.name + ':0', second.name + ':0')
    for first in case_lib.ops_of(case.tf1)
    for second in case_lib.ops_of(case.tf2)
    if first.op == second.op
  ]
  for targets in pairs[:_MAX_TRIES]:
    smaller = _pruned(dataclasses.replace(case, targets=targets))
    if smaller.size < case.size and smaller.differs():
      return smaller
  return case


def _cut_off(case: case_lib.Case) -> case_lib.Case:
  """Returns a case without the ops at its start that compute the same."""
  tries = 0
  while case.size > 2 and tries < _MAX_TRIES:
    for name, others, value in _agreeing(case):
      tries += 1
      smaller = _pruned(_with_value(case, name, others, value))
      if smaller.size < case.size and smaller.differs():
        case = smaller
        break
      if tries >= _MAX_TRIES:
        break
    else:
      return case
  return case


def _agreeing(
  case: case_lib.Case,
) -> Iterator[tuple[str, str, np.ndarray]]:
  """Yields ops of TF1 and TF2 that compute the same, and what they do."""
  computed = []
  for i, graph in enumerate((case.tf1, case.tf2)):
    names = [
      node.name
      for node in case_lib.ops_of(graph)
      if node.name != _name(case.targets[i])
    ]
    tensors = [name + ':0' for name in names]
    try:
      found = case_lib.run(graph, case.feeds, tensors) if names else []
    except (tf.errors.OpError, ValueError, TypeError):
      return
    computed.append(list(zip(names, found, strict=True)))
  for name, value in reversed(computed[0]):
    for other, found in reversed(computed[1]):
      if value.dtype == found.dtype and np.array_equal(value, found):
        yield name, other, value
        break


def _with_value(
  case: case_lib.Case, name: str, other: str, value: np.ndarray
) -> case_lib.Case:
  """Returns a case in which an op of both sides is a value."""
  made = []
  for i, graph in enumerate(case.graphs):
    is_tf1 = i == 0 or (i == 2 and case.takes_tf1)
    made.append(_replaced(graph, name if is_tf1 else other, value, name))
  feed = _feed_of(name)
  return dataclasses.replace(
    case,
    tf1=made[0],
    tf2=made[1],
    repaired=made[2] if made[2:] else None,
    feeds={**case.feeds, feed: value},
    sources={
      **case.sources,
      feed: repairs.Source(graph_lib.NODE, name),
    },
  )


def _feed_of(name: str) -> str:
  return 'tf_equiv_value/' + name


def _replaced(
  graph: v1.GraphDef, name: str, value: np.ndarray, source: str
) -> v1.GraphDef:
  made = v1.GraphDef()
  made.CopyFrom(graph)
  for node in made.node:
    for i, ref in enumerate(node.input):
      if ref in (name, name + ':0'):
        node.input[i] = _feed_of(source)
  node = made.node.add(name=_feed_of(source), op='Placeholder')
  dtype = tf.as_dtype(value.dtype)
  node.attr['dtype'].type = dtype.as_datatype_enum
  node.attr['shape'].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
  return made


def _with_small_batch(case: case_lib.Case) -> case_lib.Case:
  """Returns a case with the fewest examples that still differ."""
  sizes = [
    value.shape[0]
    for name, value in case.feeds.items()
    if value.ndim and case.sources[name].kind in _OF_DATA
  ]
  for batch in sorted(set(sizes), key=sizes.count, reverse=True):
    count = 1
    while count < batch:
      smaller = _with_rows(case, batch, _worst_row(case, batch), count)
      if smaller.differs():
        return smaller
      count += 1 if count < _FEW else count
  return case


def _worst_row(case: case_lib.Case, batch: int) -> int:
  """Returns the example that differs most."""
  first, second = case.values()[:2]
  if first.shape != second.shape or first.shape[:1] != (batch,):
    return 0
  gaps = [case_lib.distance(a, b) for a, b in zip(first, second, strict=True)]
  return int(np.argmax(gaps))


def _with_rows(
  case: case_lib.Case, batch: int, first: int, count: int
) -> case_lib.Case:
  rows = np.arange(first, first + count) % batch
  feeds = {
    name: value[rows]
    if value.shape[:1] == (batch,) and case.sources[name].kind in _OF_DATA
    else value
    for name, value in case.feeds.items()
  }
  return dataclasses.replace(case, feeds=feeds)
