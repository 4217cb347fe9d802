"""A capture as plain data, to be handed to another process or kept in a file.

`storage.save` and `storage.load` write and read it.
"""

import dataclasses
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.core.source_line import SourceLine
from tf_equiv.core.text import listed
from tf_equiv.tf1 import runner
from tf_equiv.tf1.capture import capture, refused_nodes

v1 = tf.compat.v1

_MAX_TYPES = 5  # of ops, in a message


@dataclasses.dataclass
class StoredCapture:
  """A `Capture` without TensorFlow objects.

  Attributes:
    side: 'TF1' or 'TF2'.
    graph_def: the serialized `GraphDef`, uint8.
    targets: name of the tensor of each result, by label.
    feeds: what to feed, by name of the tensor.
    inputs: path of each input of the model, by name of its tensor.
    variables: (name of the variable, value) by name of its op.
    layer_lines: line that made a Keras layer, by name of the layer.
    lines: the different lines of user code that made ops, with their text.
    line_of: index into `lines` by name of the op, where one is known.
    has_lines: whether the lines were wanted. Golden files hold it, so it stays
      although nothing reads it.
    assigned: see `Capture`.
    aliases: see `Capture`.
  """

  side: str
  graph_def: np.ndarray
  targets: Dict[capture.Label, str]
  feeds: Dict[str, np.ndarray]
  inputs: Dict[str, str]
  variables: Dict[str, Tuple[str, np.ndarray]]
  layer_lines: Dict[str, SourceLine] = dataclasses.field(default_factory=dict)
  lines: List[SourceLine] = dataclasses.field(default_factory=list)
  line_of: Dict[str, int] = dataclasses.field(default_factory=dict)
  has_lines: bool = True
  assigned: Dict[capture.Label, Tuple[str, str]] = dataclasses.field(
    default_factory=dict
  )
  aliases: Dict[str, Tuple[str, str]] = dataclasses.field(default_factory=dict)


def dump(captured: capture.Capture, with_lines: bool = True) -> StoredCapture:
  """Turns a capture into plain data.

  Args:
    captured: the capture.
    with_lines: whether to look up which line of the user's code made each op
      of the graph. Where the process stays alive, `load` can be given a
      function that asks it instead.

  Returns:
    The data; its arrays are those of the capture, not copies.

  Raises:
    UsageError: if the graph is larger than what a `GraphDef` can hold (2 GB).
  """
  try:
    data = captured.graph.as_graph_def().SerializeToString(deterministic=True)
  except Exception as error:  # ValueError, EncodeError, or of TensorFlow.
    raise errors.UsageError(
      'the graph cannot be stored, probably because its constants take more '
      f'than 2 GB ({type(error).__name__}: {error})'
    ) from error
  stored = StoredCapture(
    side=captured.side,
    graph_def=np.frombuffer(data, np.uint8),
    targets={label: t.name for label, t in captured.targets.items()},
    feeds=dict(captured.feeds),
    inputs=dict(captured.inputs),
    variables=dict(captured.variables),
    layer_lines={
      name: with_text(line) for name, line in captured.layer_lines.items()
    },
    has_lines=bool(with_lines),
    assigned=dict(captured.assigned),
    aliases=dict(captured.aliases),
  )
  if with_lines:
    names = [op.name for op in captured.graph.get_operations()]
    stored.lines, stored.line_of = _lines_of(captured, names)
  return stored


def _lines_of(captured, names):
  lines: List[SourceLine] = []
  line_of: Dict[str, int] = {}
  index: Dict[SourceLine, int] = {}
  for name in names:
    line = captured.line_that_made(name)
    if not line.filename:
      continue
    if line not in index:
      index[line] = len(lines)
      lines.append(with_text(line))
    line_of[name] = index[line]
  return lines, line_of


def with_text(line: SourceLine) -> SourceLine:
  """Returns a line with its text, for readers who do not have the file."""
  return dataclasses.replace(line, text=line.code)


def load(
  stored: StoredCapture,
  known_lines: Optional[Callable[[str], SourceLine]] = None,
  trust_ops: Optional[Sequence[str]] = (),
  origin: str = 'The graph',
  needed: Sequence[str] = (),
  timeout: float = 0.0,
) -> capture.Capture:
  """Makes a capture from plain data.

  Args:
    stored: what `dump` returned.
    known_lines: returns the line of user code that made an op, by its name;
      by default the lines that were stored.
    trust_ops: types of ops that may run although they reach outside of the
      graph, see `allowed_ops`; None for all, where the graph is that of the
      user's own code.
    origin: what the graph is, for messages.
    needed: names of ops that are wanted besides the targets.
    timeout: for how many seconds a run of the graph may last; 0 for any time.

  Returns:
    The capture, with a graph of its own.

  Raises:
    UsageError: if a target depends on an op that is not allowed.
    EnvironmentSetupError: if this TensorFlow cannot import the graph.
  """
  graph_def = graph_of(stored, origin)
  if trust_ops is not None:
    wanted = [name.split(':')[0] for name in stored.targets.values()]
    graph_def = refused_nodes.without_refused(
      graph_def, [*wanted, *needed], trust_ops, origin
    )
  graph = tf.Graph()
  try:
    with graph.as_default():
      tf.import_graph_def(graph_def, name='')
      if timeout:
        runner.limit_runs(graph, timeout)
  except Exception as error:  # ValueError, or what the C++ code raises.
    raise errors.EnvironmentSetupError(_why_not(graph_def, error)) from error
  if known_lines is None:
    known_lines = _stored_lines(stored)
  return capture.Capture(
    stored.side,
    graph,
    {
      label: graph.get_tensor_by_name(name)
      for label, name in stored.targets.items()
    },
    dict(stored.feeds),
    dict(stored.inputs),
    {name: tuple(pair) for name, pair in stored.variables.items()},
    dict(stored.layer_lines),
    known_lines,
    assigned=dict(stored.assigned),
    aliases=dict(stored.aliases),
  )


def graph_of(stored: StoredCapture, origin: str = 'The graph') -> Any:
  """Returns the `GraphDef` of a stored capture.

  Raises:
    UsageError: if it is damaged.
  """
  try:
    return v1.GraphDef.FromString(stored.graph_def.tobytes())
  except Exception as error:  # DecodeError, of the protocol buffers.
    raise errors.UsageError(
      f'{origin} is damaged: its graph is no GraphDef ({error}).'
    ) from error


def _stored_lines(stored):
  def line_of(name):
    index = stored.line_of.get(name)
    return SourceLine() if index is None else stored.lines[index]

  return line_of


def _why_not(graph_def, error: Exception) -> str:
  types = {node.op for node in graph_def.node}
  functions = {f.signature.name for f in graph_def.library.function}
  for function in graph_def.library.function:
    types.update(node.op for node in function.node_def)
  missing = sorted(
    t for t in types - functions if compat.op_definition(t) is None
  )
  if missing:
    return (
      f'TensorFlow {tf.__version__} lacks the op(s) '
      f'{listed(missing, _MAX_TYPES)}, which the graph uses'
    )
  lines = str(error).strip().splitlines() or ['']
  return (
    f'TensorFlow {tf.__version__} cannot import the graph '
    f'({type(error).__name__}: {lines[0]})'
  )
