"""Partitions a graph into parts that run one after another.

A part computes what is wanted of it, and what later parts read, which are
given that instead of computing it again. So each op runs about once, and no
more is in memory than what one part computes and what crosses its ends.
"""

import dataclasses
from collections.abc import Callable, Collection, Sequence

import tensorflow as tf

from tf_equiv.diagnose import walks

VARIABLES = ('VarHandleOp', 'VariableV2', 'Variable')
# Their values are not kept for later parts, because they cost nothing.
_SOURCES = ('Const', 'Placeholder', *VARIABLES)
_READS = ('ReadVariableOp', 'Identity', 'Cast')


@dataclasses.dataclass
class Part:
  """Some ops of a graph.

  Attributes:
    wanted: names of the tensors that are asked for.
    kept: names of those that later parts read.
    done: names of those that no later part reads any more.
    ops: names of its ops.
  """

  wanted: list[str] = dataclasses.field(default_factory=list)
  kept: list[str] = dataclasses.field(default_factory=list)
  done: list[str] = dataclasses.field(default_factory=list)
  ops: list[str] = dataclasses.field(default_factory=list)


def divide(
  graph: tf.Graph,
  wanted: Sequence[str],
  given: Collection[str],
  is_nested: Callable[[str], bool],
  most: int,
  most_kept: int,
) -> list[Part]:
  """Partitions the ops that some tensors depend on.

  Args:
    graph: its order of ops is that of its edges.
    wanted: names of the tensors.
    given: names of the tensors that are fed.
    is_nested: returns whether an op, given by name, is inside a loop or branch
      of TF1, out of which nothing can be kept.
    most: bytes of wanted tensors and of variables after which a part ends.
    most_kept: bytes that may be kept from one part to the next; what is
      more is computed again.

  Returns:
    The parts.
  """
  ops = _needed(graph, wanted, given)
  asked = {}
  for name in wanted:
    asked.setdefault(name.split(':')[0], []).append(name)
  parts, size = [Part()], 0
  of_op, sources, last_use = {}, set(), {}
  for op in ops:
    if size > most:
      parts.append(Part())
      size = 0
    of_op[op.name] = len(parts) - 1
    parts[-1].ops.append(op.name)
    parts[-1].wanted += asked.get(op.name, ())
    size += sum(
      size_of(graph.get_tensor_by_name(t)) for t in asked.get(op.name, ())
    )
    if op.type == 'ReadVariableOp' or op.type in VARIABLES[1:]:
      size += 2 * size_of(op.outputs[0])  # A wide copy may be made.
    if op.type in _SOURCES or (
      op.type in _READS and all(t.op.name in sources for t in op.inputs)
    ):
      sources.add(op.name)
    for tensor in op.inputs:
      if tensor.op.name not in sources and tensor.name not in given:
        last_use[tensor.name] = len(parts) - 1
  kept = [0] * len(parts)
  for name, last in last_use.items():
    tensor = graph.get_tensor_by_name(name)
    first = of_op.get(tensor.op.name, last)  # A loop goes back.
    if first >= last or not _can_be_fed(tensor) or is_nested(tensor.op.name):
      continue
    if max(kept[first:last]) + size_of(tensor) > most_kept:
      continue
    for i in range(first, last):
      kept[i] += size_of(tensor)
    parts[first].kept.append(name)
    parts[last].done.append(name)
  return parts


def _needed(
  graph: tf.Graph, wanted: Sequence[str], given: Collection[str]
) -> list[tf.Operation]:
  """Returns the ops that have to run, in the order of the graph."""

  def before(op: tf.Operation) -> list[tf.Operation]:
    read = [t.op for t in op.inputs if t.name not in given]
    return [*read, *op.control_inputs]

  start = [graph.get_operation_by_name(name.split(':')[0]) for name in wanted]
  walk = walks.ancestors(start, before, lambda op: op.name)
  needed = {op.name for op in walk}
  return [op for op in graph.get_operations() if op.name in needed]


def _can_be_fed(tensor: tf.Tensor) -> bool:
  dtype = tensor.dtype.base_dtype
  is_numeric = dtype.is_floating or dtype.is_integer or dtype.is_bool
  return is_numeric or dtype.is_complex


def size_of(tensor: tf.Tensor) -> int:
  """Returns the bytes of a tensor, with 1 for dimensions not known."""
  count = 1
  for dimension in tensor.shape.as_list() if tensor.shape.rank else ():
    count *= dimension or 1
  return count * max(tensor.dtype.size or 1, 1)
