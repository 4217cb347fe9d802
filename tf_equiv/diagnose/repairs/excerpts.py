"""Cuts the ops around a place out of a captured graph, to run them alone."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf

from tf_equiv.compare import repairs
from tf_equiv.diagnose import float64
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side

v1 = tf.compat.v1

# Ops with more values than this are not tried one by one.
_MAX_BYTES = 256 << 20
# What is kept for reports and reproductions.
_MAX_KEPT = 32 << 20
_FEED = 'tf_equiv_feed_%d'
_DOUBLE = {np.dtype(np.float32): np.float64}


@dataclasses.dataclass
class Excerpt:
  """Some ops of one side, and what they read.

  Attributes:
    nodes: the ops as nodes, in program order.
    graph_def: the ops; what they read from outside is a placeholder.
    feeds: values of the placeholders, by name.
    operands: name of the placeholder by (name of the op, number of the
      operand).
    sources: what each placeholder stands for, by its name.
    target: name of the op whose output is wanted.
    output: number of this output.
  """

  nodes: list[graph_lib.Node]
  graph_def: v1.GraphDef
  feeds: dict[str, np.ndarray]
  operands: dict[tuple[str, int], str]
  sources: dict[str, graph_lib.Operand]
  target: str
  output: int = 0

  @property
  def tensor(self) -> str:
    """Name of the tensor that is wanted."""
    return f'{self.target}:{self.output}'

  def feed_of(self, op: str, operand: int) -> np.ndarray | None:
    """Returns the value of an operand, None where an op of it makes that."""
    name = self.operands.get((op, operand))
    return None if name is None else self.feeds[name]

  def kept(self, value: np.ndarray) -> repairs.Excerpt | None:
    """Returns it as plain data, None if that is too large.

    Args:
      value: what it computes.
    """
    size = sum(x.nbytes for x in self.feeds.values())
    if size > _MAX_KEPT:
      return None
    return repairs.Excerpt(
      self.graph_def.SerializeToString(),
      {name + ':0': x for name, x in self.feeds.items()},
      self.tensor,
      value if size + value.nbytes <= _MAX_KEPT else None,
      {
        name + ':0': repairs.Source(x.kind, x.key)
        for name, x in self.sources.items()
      },
    )


def cut(
  side: Side,
  graph_def: v1.GraphDef,
  nodes: Iterable[graph_lib.Node],
  target: graph_lib.Node,
  output: int = 0,
) -> Excerpt | None:
  """Cuts some ops out.

  Args:
    side: what they belong to; its run gives the values that they read.
    graph_def: the graph of the side.
    nodes: the ops.
    target: the op whose output is wanted.
    output: number of this output.

  Returns:
    The excerpt, None where it cannot be run alone: ops of loops, or that read
    other things than numbers.
  """
  nodes = sorted({n.name: n for n in nodes}.values(), key=lambda n: n.position)
  inside = {node.name for node in nodes}
  definitions = {n.name: n for n in graph_def.node if n.name in inside}
  if any(n.nested or n.opaque or n.name not in definitions for n in nodes):
    return None
  made = v1.GraphDef()
  made.versions.CopyFrom(graph_def.versions)
  if any(node.body is not None for node in nodes):
    made.library.CopyFrom(graph_def.library)
  found = Excerpt(nodes, made, {}, {}, {}, target.name, output)
  placeholders: dict[str, str] = {}
  for node in nodes:
    definition = made.node.add()
    definition.CopyFrom(definitions[node.name])
    definition.attr.pop('_class', None)
    del definition.input[:]
    for i, operand in enumerate(node.operands):
      if operand.kind == graph_lib.NODE and operand.key in inside:
        definition.input.append(f'{operand.key}:{operand.output}')
        continue
      if operand.tensor not in placeholders:
        placeholders[operand.tensor] = _FEED % len(placeholders)
        found.sources[placeholders[operand.tensor]] = operand
      name = placeholders[operand.tensor]
      definition.input.append(name)
      found.operands[node.name, i] = name
  dtypes = {tensor: side.run.dtype_of(tensor) for tensor in placeholders}
  if any(dtype in (None, tf.resource, tf.variant) for dtype in dtypes.values()):
    return None
  if sum(map(side.run.size_of, placeholders)) > _MAX_BYTES:
    return None
  values = side.run.fetch(list(placeholders))
  for (tensor, name), value in zip(placeholders.items(), values, strict=True):
    dtype = dtypes[tensor]
    if dtype == tf.float64 and value.dtype == np.float64:
      dtype = _declared(side, tensor)
    node = made.node.add(name=name, op='Placeholder')
    node.attr['dtype'].type = dtype.as_datatype_enum
    shape = tf.TensorShape(value.shape)
    node.attr['shape'].shape.CopyFrom(shape.as_proto())
    found.feeds[name] = value
  return found


def _declared(side: Side, tensor: str) -> tf.DType:
  """Returns the type that a tensor has in the program."""
  try:
    return side.captured.graph.get_tensor_by_name(tensor).dtype.base_dtype
  except (AttributeError, KeyError):  # It was inlined.
    return tf.float32


def run(
  graph_def: v1.GraphDef,
  feeds: Mapping[str, np.ndarray],
  tensors: Iterable[str],
) -> dict[str, np.ndarray]:
  """Runs an excerpt in float64.

  Args:
    graph_def: its graph.
    feeds: values of the placeholders, by name.
    tensors: names of the tensors to fetch.

  Returns:
    Their values by name.
  """
  definition = v1.GraphDef()
  definition.CopyFrom(graph_def)
  for node in definition.node:
    if node.name in feeds:  # A trial may give it another shape.
      shape = tf.TensorShape(feeds[node.name].shape)
      node.attr['shape'].shape.CopyFrom(shape.as_proto())
  rewritten = float64.rewrite(definition)
  names = {name: rewritten.tensors.get(name, name) for name in tensors}
  with tf.Graph().as_default() as graph:
    tf.import_graph_def(rewritten.graph_def, name='')
    config = v1.ConfigProto(use_per_session_threads=False)
    config.graph_options.optimizer_options.opt_level = -1
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with v1.Session(graph=graph, config=config) as session:
      values = session.run(
        list(names.values()),
        {
          name + ':0': np.asarray(value, _DOUBLE.get(value.dtype, value.dtype))
          for name, value in feeds.items()
        },
      )
  return dict(zip(names, values, strict=True))
