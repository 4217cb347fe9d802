"""Finds the variables of an exported graph, and tells what each is for."""

import dataclasses
import re
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.core import errors, observation
from tf_equiv.core.text import capped
from tf_equiv.references.exported import files
from tf_equiv.references.exported import nodes as nodes_lib
from tf_equiv.tf1 import checkpoint as checkpoint_lib

v1 = tf.compat.v1

_ASSIGNING = ('Assign', 'AssignVariableOp')
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
    definition = _complete(nodes, node, known)
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


def _complete(nodes, node, known=None, frozen=False):
  """Returns the definition of a variable with all that it needs to have."""
  definition = compat.export_messages().VariableDef()
  if known is not None:
    definition.CopyFrom(known)
  is_resource = node.op == 'VarHandleOp'
  definition.variable_name = node.name + ':0'
  definition.is_resource = is_resource
  dtype = tf.as_dtype(node.attr['dtype'].type)
  if nodes_lib.node_of(definition.initializer_name) not in nodes:
    assign = None if frozen else _first_assign(nodes, node)
    if assign is None:
      assign = _add_initializer(nodes, node, dtype)
    definition.initializer_name = assign.name
    definition.initial_value_name = assign.input[1]
  if nodes_lib.node_of(definition.initial_value_name) not in nodes:
    definition.initial_value_name = nodes[
      nodes_lib.node_of(definition.initializer_name)
    ].input[1]
  if nodes_lib.node_of(definition.snapshot_name) not in nodes:
    read = node.name + '/tf_equiv_read'
    if is_resource:
      nodes.add('ReadVariableOp', read, node.name + ':0', dtype=dtype)
    else:
      nodes.add('Identity', read, node.name + ':0', T=dtype)
    definition.snapshot_name = read + ':0'
  return definition


def _first_assign(nodes, node):
  for each in nodes:
    if (
      each.op in _ASSIGNING
      and each.input[0] == node.name + ':0'
      and each.name.startswith(node.name + '/')
    ):
      return each
  return None


def _add_initializer(nodes, node, dtype):
  """Adds an initializer; its value is always fed."""
  shape = tf.TensorShape(node.attr['shape'].shape)
  value = nodes.add(
    'Placeholder', node.name + '/tf_equiv_value', dtype=dtype, shape=shape
  )
  name = node.name + '/tf_equiv_assign'
  if node.op == 'VarHandleOp':
    nodes.add('AssignVariableOp', name, node.name + ':0', value, dtype=dtype)
  else:
    nodes.add('Assign', name, node.name + ':0', value, T=dtype)
  return nodes[name]


def with_fed_value(nodes, definition):
  """Returns a definition whose initial value is always fed."""
  node = nodes[nodes_lib.node_of(definition.variable_name)]
  dtype = tf.as_dtype(node.attr['dtype'].type)
  assign = _add_initializer(nodes, node, dtype)
  changed = compat.export_messages().VariableDef()
  changed.CopyFrom(definition)
  changed.initializer_name = assign.name
  changed.initial_value_name = assign.input[1]
  return changed


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
      if node.name in seen or node.op in _ASSIGNING:
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
    definition = _complete(nodes, nodes[name], frozen=True)
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


class Values:
  """The values that an export gives its variables."""

  def __init__(self, export: files.Export, variables: Variables):
    """Keeps both; values are read when they are asked for."""
    self._export, self._variables = export, variables

  @property
  def known(self) -> bool:
    """Whether the export has values."""
    return bool(self._export.checkpoint or self._variables.constants)

  def check(self) -> list[str]:
    """Checks that the checkpoint has all variables of the model.

    Returns:
      Names of its entries that the graph has no variable for.

    Raises:
      UsageError: if it lacks one, or has one of another shape or dtype.
    """
    checkpoint, variables = self._export.checkpoint, self._variables
    if checkpoint is None:
      return []
    used = {self._entry(name) for name in variables.definitions}
    extra = sorted(set(checkpoint.entries) - used)
    missing, odd = [], []
    for name in variables.model:
      entry = checkpoint.entries.get(self._entry(name))
      spec = variables.specs[name]
      if entry is None:
        close = files.similar(name, extra)
        missing.append(name + (f' (similar: {close[0]})' if close else ''))
      elif entry.dtype != spec.dtype or entry.shape != self._full_shape(name):
        odd.append(f'{name}: {spec} in the graph, {entry} there')
    if not missing and not odd:
      return extra
    lines = [
      f'The checkpoint {checkpoint.prefix!r} does not fit {self._export.title}:'
    ]
    for title, rows in (
      ('%d variable(s) of the graph are missing in it', missing),
      ('%d are of another shape or dtype', odd),
      ('%d in it have no variable in the graph', extra),
    ):
      if rows:
        lines.append(f'  {title % len(rows)}:')
        lines += [
          '    ' + row for row in capped(sorted(rows), contents_lib.MAX_ROWS)
        ]
    lines.append(
      'Give the checkpoint that was saved with this graph; both have the same '
      'number in their names.'
    )
    raise errors.UsageError('\n'.join(lines))

  def _slice(self, name):
    definition = self._variables.definitions[name]
    if definition.HasField('save_slice_info_def'):
      return definition.save_slice_info_def
    return None

  def _entry(self, name: str) -> str:
    info = self._slice(name)
    return info.full_name if info is not None else name

  def _full_shape(self, name: str) -> tuple:
    info = self._slice(name)
    if info is not None:
      return tuple(info.full_shape)
    return self._variables.specs[name].shape

  def has(self, name: str) -> bool:
    """Returns whether the export has a value for a variable."""
    if name in self._variables.constants:
      return True
    checkpoint = self._export.checkpoint
    return (
      checkpoint is not None
      and name in self._variables.definitions
      and self._entry(name) in checkpoint.entries
    )

  def of(self, name: str) -> np.ndarray:
    """Returns the value of a variable that `has` knows."""
    if name in self._variables.constants:
      return self._variables.constants[name]
    checkpoint, entry = self._export.checkpoint, self._entry(name)
    value = checkpoint.value(entry)
    checkpoint_lib.check_finite(checkpoint, entry, value)
    info = self._slice(name)
    if info is not None:  # A part of a partitioned variable.
      index = tuple(
        slice(start, start + size)
        for start, size in zip(info.var_offset, info.var_shape, strict=True)
      )
      value = value[index]
    return value
