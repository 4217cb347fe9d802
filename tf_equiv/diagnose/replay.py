"""Runs a captured graph again, and returns the tensors that are asked for."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from tf_equiv.diagnose import courses, float64, handles, partition, walks
from tf_equiv.diagnose.control_flow import v1_frames
from tf_equiv.tf1 import runner
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1

# Values are fetched, and variables are set, in parts of about so many bytes.
_PART = 96 << 20
_MAX_KEPT = 512 << 20
# Attributes that are the type of the output.
_OF_OUTPUT = ('DstT', 'output_type', 'Tparams', 'dtype', 'T')
# Ops that fill lookup tables.
_TABLES = (
  'InitializeTable',
  'InitializeTableV2',
  'InitializeTableFromTextFile',
  'InitializeTableFromTextFileV2',
  'LookupTableImport',
  'LookupTableImportV2',
)


class Replay:
  """A captured graph in a session of its own; a context manager.

  Attributes:
    fixed: values that tensors have in all runs, by name.
    fallbacks: types of ops that compute in float32 although double precision
      was asked for.
  """

  def __init__(
    self,
    captured: capture.Capture,
    double: bool,
    results: Sequence[str] = (),
    loose: Collection[str] = (),
    graph_def: v1.GraphDef | None = None,
  ):
    """Prepares the graph.

    Args:
      captured: what to run.
      double: whether it computes in float64.
      results: names of the tensors that the rest serves; what they do not
        depend on cannot be fetched. Without them everything can be.
      loose: names of ops that are not run, but are given values of any shape.
      graph_def: the graph in another version, with the same names; it is not
        changed.
    """
    copied = v1.GraphDef()
    copied.CopyFrom(graph_def or captured.graph.as_graph_def())
    graph_def = handles.add(copied, captured.variables)
    if results:
      roots = [name.split(':')[0] for name in results]
      roots += [node.name for node in graph_def.node if node.op in _TABLES]
      graph_def = _pruned(graph_def, roots)
    if loose:  # What they are computed from stays, and can be fetched.
      _loosen(graph_def, loose)
    self._captured, self._double = captured, double
    self._original = {node.name for node in graph_def.node}
    unchanged = float64.unchanged_variables(graph_def)
    self._tensors = {}
    self.fallbacks = set()
    if double:
      rewritten = float64.rewrite(graph_def, unchanged)
      graph_def = rewritten.graph_def
      self._tensors, self.fallbacks = rewritten.tensors, rewritten.fallbacks
    self.fixed: dict[str, np.ndarray] = {}
    self._graph = tf.Graph()
    with self._graph.as_default():
      tf.import_graph_def(graph_def, name='')
    self._setters = self._make_setters()
    self._changed = {
      n: s for n, s in self._setters.items() if n not in unchanged
    }
    # What is to be set before the next run.
    self._waiting = dict(self._setters)
    config = runner.session_config(captured.graph)
    # A graph that runs once is not optimized in vain.
    config.graph_options.optimizer_options.opt_level = -1
    self._session = v1.Session(graph=self._graph, config=config)
    self._session.run(
      [op for op in self._graph.get_operations() if op.type in _TABLES]
    )
    self._nested: set[str] | None = None
    self._course: courses.Course | None = None
    self._feed = {}
    for name, value in captured.feeds.items():
      if self.has(name):
        self._feed[name] = self._wide(value)

  def __enter__(self) -> 'Replay':
    return self

  def __exit__(self, *exc_info) -> None:
    self._session.close()

  def has(self, name: str) -> bool:
    """Returns whether the graph has a tensor of this name."""
    try:
      self._graph.get_tensor_by_name(name)
    except KeyError:
      return False
    return True

  def _wide(self, value: np.ndarray) -> np.ndarray:
    if self._double and value.dtype == np.float32:
      return value.astype(np.float64)
    return value

  def _make_setters(
    self,
  ) -> dict[str, tuple[tf.Operation, tf.Tensor, np.ndarray]]:
    """Returns (op that sets it, placeholder, value) of each variable."""
    setters = {}
    with self._graph.as_default(), v1.name_scope('tf_equiv_set'):
      for name, (_, value) in self._captured.variables.items():
        try:
          op = self._graph.get_operation_by_name(name)
        except KeyError:
          continue  # Nothing that is wanted reads it.
        given = fed = v1.placeholder(value.dtype, value.shape)
        dtype = tf.as_dtype(op.get_attr('dtype'))
        if dtype != given.dtype:
          # Inside, so that no wide copy of all variables is kept.
          given = tf.cast(fed, dtype)
        if op.type == 'VarHandleOp':
          setter = tf.raw_ops.AssignVariableOp(
            resource=op.outputs[0], value=given
          )
        else:
          setter = v1.assign(op.outputs[0], given).op
        setters[name] = setter, fed, value
    return setters

  def _set_variables(self, others: Mapping[str, np.ndarray]) -> None:
    """Gives the variables their values, where they may have others."""
    overridden = {n: self._setters[n] for n in others if n in self._setters}
    waiting = [
      (operation, fed, others.get(name, value))
      for name, (operation, fed, value) in {
        **self._waiting,
        **overridden,
      }.items()
    ]
    self._waiting = {**self._changed, **overridden}
    while waiting:
      operations, values, size = [], {}, 0
      while waiting and size <= _PART:
        operation, fed, value = waiting.pop()
        operations.append(operation)
        values[fed] = value
        size += value.nbytes
      self._session.run(operations, values)

  def dtype_of(self, name: str) -> tf.DType | None:
    """Returns the type that a tensor has in the runs, None if there is none."""
    name = self._tensors.get(name, name)
    if not self.has(name):
      return None
    return self._graph.get_tensor_by_name(name).dtype.base_dtype

  def size_of(self, name: str) -> int:
    """Returns the bytes of a tensor, as far as its shape is known."""
    name = self._tensors.get(name, name)
    return partition.size_of(self._graph.get_tensor_by_name(name))

  def is_small(self, name: str, most: int) -> bool:
    """Returns whether a tensor has a known shape of few elements."""
    tensor = self._graph.get_tensor_by_name(self._tensors.get(name, name))
    if tensor.dtype in (tf.resource, tf.variant):
      return False
    count = tensor.shape.num_elements()
    return count is not None and count <= most

  def fix(self, values: dict[str, np.ndarray]) -> None:
    """Lets tensors have given values in all runs that follow.

    Args:
      values: by name of the tensor; random draws are in the dtype in which
        they are drawn, other tensors as they are in the runs.
    """
    self.fixed.update(values)
    for name, value in values.items():
      if value.dtype == np.float64:  # No draw is, where tensors have moved.
        name = self._tensors.get(name, name)
      if self.takes(name, value):
        self._feed[name] = value

  def takes(self, name: str, value: np.ndarray) -> bool:
    """Returns whether a tensor may be given a value, by its static shape."""
    name = self._tensors.get(name, name)
    if not self.has(name):
      return False
    tensor = self._graph.get_tensor_by_name(name)
    return tensor.shape.is_compatible_with(value.shape)

  def fetch(
    self,
    names: Sequence[str],
    drawn: bool = False,
    constants: Mapping[str, np.ndarray] | None = None,
    variables: Mapping[str, np.ndarray] | None = None,
  ) -> list[np.ndarray]:
    """Runs the graph from its initial state.

    Args:
      names: names of tensors of the captured graph.
      drawn: whether random draws are fetched in the dtype in which they are
        drawn, and not as what they are cast to.
      constants: values of tensors for this run only, by name.
      variables: values of variables for this run only, by name of the handle.

    Returns:
      Their values.
    """
    if drawn:
      if not names:
        return []
      self._set_variables({})
      return self._session.run(list(names), self._feed)
    if self._course is not None and not constants and not variables:
      found = self._fetched_near(names)
    else:
      found = dict(self.stream(names, constants or {}, variables or {}))
    return [found[name] for name in names]

  def _fetched_near(self, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Fetches tensors, each from the part of the remembered run it is in."""
    by_part: dict[int, list[str]] = {}
    for name in dict.fromkeys(names):
      part = self._course.part_of(self._tensors.get(name, name))
      by_part.setdefault(part, []).append(name)
    found = {}
    for part, mine in by_part.items():
      self._set_variables({})
      feed = {**self._feed, **self._course.starts[part]}
      tensors = [self._tensors.get(name, name) for name in mine]
      found.update(zip(mine, self._session.run(tensors, feed), strict=True))
    return found

  def stream(
    self,
    names: Sequence[str],
    constants: Mapping[str, np.ndarray] = MappingProxyType({}),
    variables: Mapping[str, np.ndarray] = MappingProxyType({}),
    remember: bool = False,
  ) -> Iterator[tuple[str, np.ndarray]]:
    """Runs the graph from its initial state, in parts of bounded memory.

    Args:
      names: names of tensors of the captured graph.
      constants: values of tensors for this run only, by name.
      variables: values of variables for this run only, by name of the handle.
      remember: whether later runs may go on from within this one.

    Yields:
      (name, value) of each; those of one part in no particular order.
    """
    asked = self._asked(names)
    if not asked:
      return
    feed = {
      **self._feed,
      **{self._tensors.get(n, n): value for n, value in constants.items()},
    }
    course = courses.Course(
      partition.divide(
        self._graph, list(asked), feed, self._is_nested, _PART, _MAX_KEPT
      ),
      remember,
    )
    yield from self._run(course, asked, feed, variables)
    self._course = course if remember and course.is_whole else self._course

  def stream_behind(
    self, names: Sequence[str], fixed: Sequence[str]
  ) -> Iterator[tuple[str, np.ndarray]]:
    """Goes on with the remembered run from tensors that were fixed since.

    Args:
      names: names of tensors of the captured graph.
      fixed: names of the tensors that were fixed.

    Yields:
      (name, value) of each.
    """
    if self._course is None:
      yield from self.stream(names)
      return
    asked = self._asked(names)
    start = min(
      self._course.part_of(self._tensors.get(name, name)) for name in fixed
    )
    yield from self._run(self._course, asked, self._feed, {}, start)
    if not self._course.is_whole:
      self._course = None

  def _asked(self, names: Sequence[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
      asked.setdefault(self._tensors.get(name, name), []).append(name)
    return asked

  def _run(
    self,
    course: courses.Course,
    asked: Mapping[str, list[str]],
    feed: Mapping[str, np.ndarray],
    variables: Mapping[str, np.ndarray],
    start: int = 0,
  ) -> Iterator[tuple[str, np.ndarray]]:
    """Runs the parts of a course, one after another.

    Args:
      course: the parts.
      asked: names under which tensors are wanted, by their names here.
      feed: values of tensors.
      variables: values of variables, by name of the handle.
      start: number of the first part.

    Yields:
      (name, value) of each tensor that is wanted.
    """
    handed_on = dict(course.starts[start])
    for i, part in enumerate(course.parts[start:], start):
      course.begin(i, handed_on)
      wanted = [tensor for tensor in part.wanted if tensor in asked]
      tensors = [*wanted, *part.kept]
      if tensors:
        self._set_variables(variables)
        values = self._session.run(tensors, {**feed, **handed_on})
        handed_on.update(zip(part.kept, values[len(wanted) :], strict=True))
        del values[len(wanted) :]
        for name in reversed(wanted):
          value = values.pop()
          for each in asked[name]:
            yield each, value
          del value
      for name in part.done:
        handed_on.pop(name, None)

  def _is_nested(self, name: str) -> bool:
    if self._nested is None:
      self._nested = v1_frames.nested(self._graph.get_operations())
    return name in self._nested


def _loosen(graph_def: v1.GraphDef, names: Collection[str]) -> None:
  """Makes placeholders of some ops with one output."""
  for node in graph_def.node:
    if node.name in names and any(key in node.attr for key in _OF_OUTPUT):
      placeholder = v1.NodeDef(name=node.name, op='Placeholder')
      kinds = [node.attr[key].type for key in _OF_OUTPUT if key in node.attr]
      placeholder.attr['dtype'].type = kinds[0]
      placeholder.attr['shape'].shape.unknown_rank = True
      node.CopyFrom(placeholder)


def _pruned(graph_def: v1.GraphDef, roots: Sequence[str]) -> v1.GraphDef:
  """Returns the subgraph that some ops depend on."""
  nodes = {node.name: node for node in graph_def.node}

  def before(name: str) -> list[str]:
    return [ref.lstrip('^').split(':')[0] for ref in nodes[name].input]

  kept_names = set(walks.ancestors(roots, before))
  pruned = v1.GraphDef()
  pruned.versions.CopyFrom(graph_def.versions)
  pruned.library.CopyFrom(graph_def.library)
  for node in graph_def.node:
    if node.name in kept_names:
      kept = pruned.node.add()
      kept.CopyFrom(node)
      kept.attr.pop('_class', None)  # It may name what is left out.
  return pruned
