"""Finds the variables of an exported graph, and tells what each is for."""

import dataclasses
import re
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.core import errors, observation
from tf_equiv.references.exported import definitions, files
from tf_equiv.references.exported import nodes as nodes_lib

v1 = tf.compat.v1

_READING = re.compile(r'read|ReadVariableOp(_\d+)?')
# Ops, and which of their inputs are weights wherever they are constants.
_WEIGHTS = {
  'BiasAdd': (1,),
  'Conv2D': (1,),
  'Conv2DBackpropInput': (1,),
  'Conv3D': (1,),
  'DepthwiseConv2dNative': (1,),
  'FusedBatchNorm': (1, 2, 3, 4),
  'FusedBatchNormV2': (1, 2, 3, 4),
  'FusedBatchNormV3': (1, 2, 3, 4),
  'MatMul': (0, 1),
  'BatchMatMulV2': (1,),
  'Gather': (0,),
  'GatherV2': (0,),
}
# Smaller constants are more often numbers of the code than weights.
_MIN_WEIGHTS = 8


@dataclasses.dataclass
class Variables:
  """The variables of an exported graph.

  Attributes:
    definitions: a `VariableDef` of each by name, in the order of creation.
    specs: their descriptions by name.
    local: names of local variables, as metrics have.
    owned: names of those that belong to optimizers: slots, powers of beta,
      the global step, moving averages, learning rates.
    constants: values of those that the export has as constants.
    unnamed: constants that may be weights, but are not known to be.
    flags: whether it is known which are trainable.
  """

  definitions: dict[str, Any]
  specs: dict[str, observation.VariableSpec]
  local: set[str]
  owned: set[str]
  constants: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  unnamed: list[str] = dataclasses.field(default_factory=list)
  flags: bool = True

  @property
  def model(self) -> list[str]:
    """Names of the variables that belong to the model."""
    return [n for n in self.definitions if n not in self.owned | self.local]


def find(export: files.Export, nodes, named=()) -> Variables:
  """Finds the variables of an exported graph.

  Args:
    export: the export.
    nodes: its nodes; what a variable lacks is added to them.
    named: names of constants that are variables in any case.

  Returns:
    The variables.

  Raises:
    UsageError: if `named` has a name that is no constant.
  """
  if export.frozen:
    return _find_constants(export, nodes, named)
  collections = {
    key: _definitions(export.meta, key)
    for key in (
      v1.GraphKeys.GLOBAL_VARIABLES,
      v1.GraphKeys.LOCAL_VARIABLES,
      v1.GraphKeys.TRAINABLE_VARIABLES,
    )
  }
  everywhere, local, trainable = collections.values()
  found = Variables({}, {}, set(local) - set(everywhere), set())
  found.flags = bool(trainable)
  for node in list(nodes):
    if node.op not in nodes_lib.VARIABLE_OPS:
      continue
    known = everywhere.get(node.name) or local.get(node.name)
    if node.name in trainable and known is None:
      known = trainable[node.name]
    definition = definitions.complete(nodes, node, known)
    # Before TensorFlow 1.12 only the collection told.
    definition.trainable = node.name in trainable or not (trainable or local)
    found.definitions[node.name] = definition
    found.specs[node.name] = _spec(nodes, node, definition.trainable)
  found.owned = _owned(export, nodes, found, set(trainable))
  return found


def _definitions(meta, key: str) -> dict[str, Any]:
  cls, found = compat.export_messages().VariableDef, {}
  for data in meta.collection_def[key].bytes_list.value:
    definition = cls.FromString(data)
    found[nodes_lib.node_of(definition.variable_name)] = definition
  return found


def _spec(nodes, node, trainable) -> observation.VariableSpec:
  shape = tf.TensorShape(node.attr['shape'].shape)
  return observation.VariableSpec(
    node.name,
    tuple(shape.as_list()) if shape.rank is not None else (),
    tf.as_dtype(node.attr['dtype'].type).name,
    bool(trainable),
  )


def applies(op_type: str) -> bool:
  """Returns whether an op applies gradients to a variable."""
  return bool(re.fullmatch(r'(Resource)?(Sparse)?Apply\w+', op_type))


def _owned(export, nodes, found, trainable) -> set[str]:
  """Names of the variables that belong to optimizers."""
  specs = {n: s for n, s in found.specs.items() if n not in found.local}
  contents = contents_lib.sort_entries(specs, sorted(trainable))
  owned = {
    *contents.counters,
    *contents.averages.values(),
    *contents.parts,
    *(name for slots in contents.slots.values() for name in slots.values()),
    *_definitions(export.meta, v1.GraphKeys.GLOBAL_STEP),
  }
  steps = export.meta.collection_def[v1.GraphKeys.GLOBAL_STEP].node_list.value
  owned.update(nodes_lib.node_of(ref) for ref in steps)
  updated = set()
  for node in nodes:
    if applies(node.op):
      owned.update(nodes_lib.node_of(ref) for ref in node.input[1:])
      updated.add(node.input[0])
  # A learning rate in a variable is read by the updates only.
  readers = nodes.consumers()
  for name in set(specs) - owned - trainable:
    if _is_read_by_updates_only(nodes, readers, name):
      owned.add(name)
  return owned & set(specs) - {nodes_lib.node_of(ref) for ref in updated}


def _is_read_by_updates_only(nodes, readers, name) -> bool:
  seen, pending, found = set(), [name], False
  while pending:
    for node in readers.get(pending.pop(), ()):
      if node.name in seen or node.op in definitions.ASSIGNING:
        continue
      if node.op.startswith(('Save', 'IsVariableInitialized', 'Restore')):
        continue
      seen.add(node.name)
      if applies(node.op):
        found = True
      elif node.op in ('Identity', 'ReadVariableOp', 'Mul', 'Cast'):
        pending.append(node.name)
      else:
        return False
  return found


def _find_constants(export, nodes, named) -> Variables:
  """Turns the constants of a frozen graph that were variables into such."""
  originals = {node.name: node for node in export.meta.graph_def.node}
  constants = {node.name for node in nodes if node.op == 'Const'}
  wrong = sorted(set(named) - constants)
  if wrong:
    close = files.similar(wrong[0], constants)
    raise errors.UsageError(
      'variables names %s, and %s has no such constant%s.'
      % (
        files.listed(wrong),
        export.title,
        '; similar: ' + files.listed(close) if close else '',
      )
    )
  readers, weights = nodes.consumers(), {}
  for name in originals:  # In the order of the graph.
    if name in constants and (
      name in named or _was_variable(name, readers, originals)
    ):
      weights[name] = nodes_lib.constant(nodes[name])
  found = Variables({}, {}, set(), set(), weights, flags=False)
  for name, value in weights.items():
    dtype = tf.as_dtype(nodes[name].attr['dtype'].type)
    del nodes.by_name[name]
    nodes.add(
      'VariableV2',
      name,
      dtype=dtype,
      shape=tf.TensorShape(value.shape),
      container='',
      shared_name='',
    )
    definition = definitions.complete(nodes, nodes[name], frozen=True)
    definition.trainable = dtype.is_floating
    found.definitions[name] = definition
    found.specs[name] = _spec(nodes, nodes[name], definition.trainable)
  for name in sorted(constants - set(weights)):
    dtype = tf.as_dtype(nodes[name].attr['dtype'].type)
    size = tf.TensorShape(
      nodes[name].attr['value'].tensor.tensor_shape
    ).num_elements()
    if (dtype.is_floating or dtype.is_quantized) and size >= _MIN_WEIGHTS:
      found.unnamed.append(name)
  return found


def _was_variable(name, readers, originals) -> bool:
  for reader in readers.get(name, ()):
    last = reader.name.rpartition('/')[2]
    if reader.op == 'Identity' and _READING.fullmatch(last):
      if last != 'read' or reader.name == name + '/read':
        return True
    for index in _WEIGHTS.get(reader.op, ()):
      if index < len(reader.input) and reader.input[index] == name + ':0':
        tensor = originals[name].attr['value'].tensor
        # Indices and sizes are integers.
        if tf.as_dtype(tensor.dtype).is_floating and tensor.tensor_shape.dim:
          return True
    colocated = originals[reader.name].attr['_class'].list.s
    if b'loc:@' + name.encode() in colocated:
      return True
  return False
