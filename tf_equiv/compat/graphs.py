"""Graphs and their ops: traced, looked into, and what is registered."""

import functools
import importlib
import types

import tensorflow as tf

from tf_equiv.core import interrupts

v1 = tf.compat.v1


def traced_graph(function, arguments):
  """Traces a function into a graph, once, with nested functions inlined.

  `wrap_function` would drop the updates of variables, which only automatic
  control dependencies keep, and a `tf.function` would keep nested functions
  as ops that hide what is inside. So it is traced by the private function
  behind both.

  Args:
    function: takes and returns nests of tensors; creates no variables.
    arguments: a nest of eager tensors for its single argument.

  Returns:
    (graph, placeholders of the arguments, what the function returned).
  """
  func_graph = importlib.import_module('tensorflow.python.framework.func_graph')
  found = {}

  def keep(inputs):
    found['inputs'] = inputs
    found['outputs'] = function(inputs)
    return found['outputs']

  eager = tf.config.functions_run_eagerly()
  tf.config.run_functions_eagerly(True)
  try:
    graph = func_graph.func_graph_from_py_func(
      'tf_equiv_capture',
      keep,
      args=(arguments,),
      kwargs={},
      add_control_dependencies=True,
    )
  finally:
    tf.config.run_functions_eagerly(eager)
  return graph, found['inputs'], found['outputs']


def captured_tensors(graph):
  """Returns (tensor outside, placeholder inside) of a traced graph."""
  return list(graph.captures)


def function_traceback(graph, function, node_name):
  """Returns the traceback of a node of a function that a graph calls.

  Nodes of a function may have other names than the ops they were made of, but
  they are in the same order. A `FunctionDef`, which is all that is public, has
  no tracebacks.

  Args:
    graph: the graph.
    function: name of the function.
    node_name: name of a node of its `FunctionDef`.

  Returns:
    A list of frames as that of `tf.Operation.traceback`, empty if unknown.
  """
  found = graph._get_function(function)
  inner = getattr(found, 'graph', None)
  if inner is None:  # Imported, or of TF 1.15.
    return []
  nodes = found.cached_definition.node_def
  made = {op.name: op for op in inner.get_operations()}
  given = {tensor.op.name for tensor in inner.inputs}
  ops = [op for op in inner.get_operations() if op.name not in given]
  if [op.type for op in ops] == [node.op for node in nodes]:
    made = {node.name: op for node, op in zip(nodes, ops)}
  op = made.get(node_name)
  return [] if op is None else op.traceback


def is_in_control_flow(op) -> bool:
  """Returns whether an op is inside a v1 loop or conditional.

  `is_fetchable` says yes for some of them, and fetching those crashes.
  """
  return op._get_control_flow_context() is not None


def set_seed_of_op(op, op_seed: int) -> None:
  """Gives a random op of a graph another operation seed.

  Sessions that ran the op before go on with the old one. A graph has no public
  way to change an attribute, and to build it again takes seconds.
  """
  value = v1.AttrValue(i=op_seed)
  op._set_attr('seed2', value)


def op_stack(op):
  """Returns where an op was made, as (file, line number, function).

  In TF1, `op.traceback` looks up the text of each line, which takes two
  milliseconds for an op.
  """
  if not tf.__version__.startswith('1.'):
    return [(frame[0], frame[1], frame[2]) for frame in op.traceback or ()]
  return [
    (frame.filename, frame.lineno, frame.name)
    if hasattr(frame, 'filename')
    else (frame[0], frame[1], frame[2])
    for frame in op._traceback
  ]


def op_position(op) -> int:
  """Returns the position of an op in the order of creation.

  The public `get_operations` gives the order, too, but takes the whole graph.
  """
  return op._id


@interrupts.restoring
def ops_replaced(graph, replace):
  """Context in which ops of a graph may be others than were asked for.

  Whoever makes an op in Python comes through this private method, which is the
  only place that knows all of them: many functions make placeholders.

  Args:
    graph: the graph.
    replace: takes type, full name and attributes (by name, as messages) of an
      op that is to be made; returns the op to use, None to make it.

  Yields:
    None.
  """
  create = graph._create_op_internal

  def creating(op_type, inputs, *args, **kwargs):
    given = dict(zip(('dtypes', 'input_types', 'name', 'attrs'), args))
    given.update(kwargs)
    name, attrs = given.get('name') or op_type, given.get('attrs') or {}
    is_whole = name.endswith('/')
    full = name[:-1] if is_whole else graph.unique_name(name, False)
    found = replace(op_type, full, attrs)
    return create(op_type, inputs, *args, **kwargs) if found is None else found

  graph._create_op_internal = creating
  try:
    yield
  finally:
    if hasattr(create, '__self__'):  # It is that of the class.
      del graph._create_op_internal
    else:
      graph._create_op_internal = create


@interrupts.restoring
def op_callback(callback):
  """Lets a callback see, and in graphs replace, the outputs of each new op.

  TensorFlow's debugger is made of these callbacks; they are not public.
  """
  callbacks = importlib.import_module(
    'tensorflow.python.framework.op_callbacks'
  )
  callbacks.add_op_callback(callback)
  try:
    yield
  finally:
    callbacks.remove_op_callback(callback)


def op_definition(op_type):
  """Returns the `OpDef` of a type of op, None if it is not registered.

  In public only an op that exists has its definition.
  """
  registry = importlib.import_module(
    'tensorflow.python.framework.op_def_registry'
  )
  if not hasattr(registry, 'get'):  # TF1
    return registry.get_registered_ops().get(op_type)
  return registry.get(op_type)


def export_messages():
  """Returns the classes of messages in exported files that `tf` leaves out.

  The modules of protocol buffers are no part of the public API.
  """
  names = (
    ('core.protobuf.saved_model_pb2', 'SavedModel'),
    ('core.framework.variable_pb2', 'VariableDef'),
    ('core.protobuf.control_flow_pb2', 'CondContextDef'),
    ('core.protobuf.control_flow_pb2', 'WhileContextDef'),
    ('core.protobuf.tensor_bundle_pb2', 'BundleEntryProto'),
  )
  return types.SimpleNamespace(
    **{
      name: getattr(importlib.import_module('tensorflow.' + module), name)
      for module, name in names
    }
  )


@functools.lru_cache(maxsize=None)  # What is registered does not change.
def cpu_kernels(op_type):
  """Returns the constraints of an op's CPU kernels.

  Each is a dict of the types that an attribute may have, by its name. There is
  no public list of kernels.
  """
  kernels = importlib.import_module('tensorflow.python.framework.kernels')
  return [
    {c.name: list(c.allowed_values.list.type) for c in kernel.constraint}
    for kernel in kernels.get_registered_kernels_for_op(op_type).kernel
    if kernel.device_type == 'CPU'
  ]


@interrupts.restoring
def gradients_replaced(op_types, replace):
  """Context in which types of ops have other gradients.

  The registry refuses to replace what it has, so its private dict is changed.

  Args:
    op_types: types of ops; those that have no gradient are left alone.
    replace: takes the function that computes the gradients of an op, and
      returns the one to use.

  Yields:
    None.
  """
  ops = importlib.import_module('tensorflow.python.framework.ops')
  entries = ops.gradient_registry._registry
  before = {name: entries[name] for name in op_types if name in entries}
  for name, entry in before.items():
    entries[name] = {**entry, 'type': replace(entry['type'])}
  try:
    yield
  finally:
    entries.update(before)
