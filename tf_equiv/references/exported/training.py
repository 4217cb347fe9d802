"""Reads off an imported train op what the optimizers in it do.

The optimizer of an exported graph is no Python object any more. What it does is
in the ops that apply gradients (`ApplyAdam`, ...), whose inputs are the
variable, its slots, the hyperparameters and the gradient.
"""

import re
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.references.exported import files
from tf_equiv.references.exported import nodes as nodes_lib
from tf_equiv.references.exported import variables as variables_lib
from tf_equiv.tf1 import updates as updates_lib
from tf_equiv.tf1 import walks

v1 = tf.compat.v1

# For each algorithm: pattern of the op, name of the class in
# tf.compat.v1.train, slot by argument of the op, and argument of the
# constructor by argument or attribute of the op.
_ALGORITHMS = (
  (r'GradientDescent', 'GradientDescentOptimizer', {}, {}),
  (
    r'Momentum',
    'MomentumOptimizer',
    {'accum': 'momentum'},
    {'momentum': 'momentum', 'use_nesterov': 'use_nesterov'},
  ),
  (
    r'Adam(WithAmsgrad)?',
    'AdamOptimizer',
    {'m': 'm', 'v': 'v', 'vhat': 'vhat'},
    {'beta1': 'beta1', 'beta2': 'beta2', 'epsilon': 'epsilon'},
  ),
  (
    r'AdaMax',
    'AdaMaxOptimizer',
    {'m': 'm', 'v': 'v'},
    {'beta1': 'beta1', 'beta2': 'beta2', 'epsilon': 'epsilon'},
  ),
  (
    r'(Centered)?RMSProp',
    'RMSPropOptimizer',
    {'ms': 'rms', 'mom': 'momentum', 'mg': 'mg'},
    {'rho': 'decay', 'momentum': 'momentum', 'epsilon': 'epsilon'},
  ),
  (r'Adagrad(V2)?', 'AdagradOptimizer', {'accum': 'accumulator'}, {}),
  (
    r'Adadelta',
    'AdadeltaOptimizer',
    {'accum': 'accum', 'accum_update': 'accum_update'},
    {'rho': 'rho', 'epsilon': 'epsilon'},
  ),
  (
    r'Ftrl(V2)?',
    'FtrlOptimizer',
    {'accum': 'accum', 'linear': 'linear'},
    {
      'lr_power': 'learning_rate_power',
      'l1': 'l1_regularization_strength',
      'l2': 'l2_regularization_strength',
      'l2_shrinkage': 'l2_shrinkage_regularization_strength',
    },
  ),
)
_RATES = ('lr', 'alpha')
_GRADIENTS = ('grad', 'delta')
_AVERAGE = '/ExponentialMovingAverage'
_UPDATE = '/update_'
_WRITING = re.compile(r'(Resource)?(Sparse)?Apply|Assign|(Resource)?Scatter')


class _ImportedOptimizer:
  """Stands for an optimizer: its algorithm, hyperparameters and slots.

  It has what `optimizers` looks at in one of `tf.compat.v1.train`, whose class
  it is named after.
  """

  stands_for_v1 = True

  def __init__(self):
    self._slots: dict[str, dict[str, Any]] = {}
    self._non_slot_dict: dict[str, Any] = {}
    self._lr_t = None

  def get_slot_names(self):
    """Returns the names of the slots, sorted."""
    return sorted(self._slots)

  def get_slot(self, variable, name):
    """Returns a slot of a variable, None if it has none."""
    return self._slots.get(name, {}).get(variable.op.name)

  def add_slot(self, variable, name, slot) -> None:
    """Adds a slot of a variable."""
    self._slots.setdefault(name, {})[variable.op.name] = slot

  def add_power(self, name, variable) -> None:
    """Adds a power of beta."""
    self._non_slot_dict[name] = variable

  def learn(self, argument, value) -> None:
    """Sets an argument of the constructor, or 'lr_t', the learning rate."""
    setattr(self, '_' + argument, value)

  def suffixes(self) -> dict[str, str]:
    """Returns the names of slots by what the names of their variables add."""
    return {
      slot.op.name[len(owner) :]: name
      for name, slots in self._slots.items()
      for owner, slot in slots.items()
      if slot.op.name.startswith(owner + '/')
    }


class _ImportedAverages:
  """Stands for a `tf.train.ExponentialMovingAverage`."""

  def __init__(self, shadows: dict[str, Any]):
    self._shadows = shadows

  def average(self, variable):
    return self._shadows.get(variable.op.name)


def choose_train_op(export: files.Export, nodes, given: str) -> str:
  """Returns the train op, '' if the graph has none.

  Args:
    export: the export.
    nodes: its nodes.
    given: the one that was asked for, '' for that of the collection.

  Raises:
    UsageError: if the collection has several.
  """
  if given:
    return given
  found = list(
    dict.fromkeys(
      export.meta.collection_def[v1.GraphKeys.TRAIN_OP].node_list.value
    )
  )
  names = {ref: ref.split(':')[0] for ref in found}
  found = [ref for ref in found if names[ref] in nodes]
  if len(found) < 2:
    return found[0] if found else ''
  # tf_slim's train op contains that of the optimizer.
  outer = [
    ref
    for ref in found
    if set(names.values()) <= set(nodes.ancestors(['^' + names[ref]]))
  ]
  if len(outer) == 1:
    return outer[0]
  raise errors.UsageError(
    f'{export.title} has {len(found)} train ops: {files.listed(found)}. Say '
    f'which of them takes a training step: train_op={found[0]!r}.'
  )


def updates(train_op, owned, recording) -> list[str]:
  """Records what an imported train op does, as if it were being built.

  Args:
    train_op: the operation.
    owned: names of the variables that belong to optimizers.
    recording: gets the updates and averages.

  Returns:
    Names of the trainable variables that it updates by ops of its own, so that
    gradients and slots are not known; sorted.
  """
  variables = {v.op.name: v for v in v1.global_variables()}
  ops = _ancestors(train_op)
  groups: dict[tuple[str, str], _Group] = {}
  written = set()
  for op in ops:
    name = op.inputs[0].op.name if op.inputs else ''
    if name not in variables or not _WRITING.match(op.type):
      continue
    written.add(name)
    if variables_lib.applies(op.type):
      key = _algorithm(op)[1], op.name.partition(_UPDATE)[0]
      _describe(op, groups.setdefault(key, _Group(key[0])), variables)
  trainable = [n for n, v in variables.items() if v.trainable]
  known = {v.op.name for group in groups.values() for v in group.variables}
  for name in trainable:
    if name in written - known and _describe_sparse(
      name, ops, groups, variables
    ):
      known.add(name)
  counter = _counter(ops, variables, owned)
  for group in groups.values():
    recording.updates.append(
      updates_lib.Update(
        group.optimizer, group.gradients, group.variables, counter, train_op
      )
    )
  shadows = {
    name[: -len(_AVERAGE)]: variable
    for name, variable in variables.items()
    if name.endswith(_AVERAGE) and name[: -len(_AVERAGE)] in variables
  }
  if shadows:
    recording.averages.append(_ImportedAverages(shadows))
  return sorted(set(trainable) & written - known)


class _Group:
  """What one optimizer updates.

  Attributes:
    optimizer: stands for the optimizer.
    gradients: the gradients that are applied.
    variables: the variables, in the same order.
  """

  def __init__(self, kind: str):
    self.optimizer = type(kind, (_ImportedOptimizer,), {})()
    self.gradients: list[Any] = []
    self.variables: list[Any] = []

  def add(self, gradient, variable) -> None:
    """Adds an update."""
    self.gradients.append(gradient)
    self.variables.append(variable)


def _ancestors(op):
  return sorted(walks.ancestors([op], control=True), key=compat.op_position)


def _algorithm(op):
  name = re.sub(r'^(Resource)?(Sparse)?Apply', '', op.type)
  for entry in _ALGORITHMS:
    if re.fullmatch(entry[0], name):
      return entry
  return name, name + 'Optimizer', {}, {}


def _describe(op, group, variables) -> None:
  """Adds what an op that applies a gradient tells of its optimizer."""
  _, _, slot_names, arguments = _algorithm(op)
  names = [arg.name for arg in compat.op_definition(op.type).input_arg]
  given = dict(zip(names, op.inputs, strict=True))
  variable = variables[op.inputs[0].op.name]
  for name, tensor in list(given.items())[1:]:
    if tensor.op.type in nodes_lib.VARIABLE_OPS:
      slot = variables.get(tensor.op.name)
      if slot is not None:
        group.optimizer.add_slot(variable, slot_names.get(name, name), slot)
  for name, argument in arguments.items():
    value = given.get(name)
    if value is None and name in op.node_def.attr:
      value = op.get_attr(name)
    if value is not None:
      group.optimizer.learn(argument, value)
  if 'RMSProp' in op.type:
    group.optimizer.learn('centered', 'Centered' in op.type)
  for name in _RATES:
    if name in given:
      group.optimizer.learn('lr_t', given[name])
  for name in ('beta1_power', 'beta2_power'):
    power = _variable_behind(given.get(name), variables)
    if power is not None:
      group.optimizer.add_power(name, power)
  gradient = next(given[name] for name in _GRADIENTS if name in given)
  if 'indices' in given:
    gradient = _sparse(gradient, given['indices'], variable)
  group.add(gradient, variable)


def _sparse(values, indices, variable):
  shape = tf.constant(variable.shape.as_list())
  return tf.IndexedSlices(values, indices, shape)


def _describe_sparse(name, ops, groups, variables) -> bool:
  """Recognizes a sparse update that TF1 composes of several ops.

  Adam adds up the rows of the gradient for each index (Unique,
  UnsortedSegmentSum), gradient descent scatters them.
  """
  scoped = [op for op in ops if f'{_UPDATE}{name}/' in op.name + '/']
  if not scoped:
    return False
  variable = variables[name]
  scope = scoped[0].name.partition(_UPDATE)[0]
  by_type = {op.type: op for op in scoped}
  slots = {
    op.inputs[0].op.name[len(name) :]: variables[op.inputs[0].op.name]
    for op in scoped
    if op.inputs
    and _WRITING.match(op.type)
    and op.inputs[0].op.name.startswith(name + '/')
    and op.inputs[0].op.name in variables
  }
  total, unique = by_type.get('UnsortedSegmentSum'), by_type.get('Unique')
  if total is not None and unique is not None and slots:
    kind = next((k for k, s in groups if s == scope), 'AdamOptimizer')
    group = groups.setdefault((kind, scope), _Group(kind))
    names = group.optimizer.suffixes() or {'/Adam': 'm', '/Adam_1': 'v'}
    if not set(slots) <= set(names):
      return False
    for suffix, slot in slots.items():
      group.optimizer.add_slot(variable, names[suffix], slot)
    group.add(_sparse(total.inputs[0], unique.inputs[0], variable), variable)
    return True
  scatter = by_type.get('ScatterSub') or by_type.get('ResourceScatterAdd')
  if scatter is not None and not slots:
    product = scatter.inputs[2].op
    if product.type != 'Mul':
      return False
    values, rate = product.inputs
    if values.op.type == 'Neg':
      values = values.op.inputs[0]
    key = 'GradientDescentOptimizer', scope
    group = groups.setdefault(key, _Group(key[0]))
    group.optimizer.learn('lr_t', rate)
    group.add(_sparse(values, scatter.inputs[1], variable), variable)
    return True
  return False


def _variable_behind(tensor, variables):
  while tensor is not None:
    if tensor.op.name in variables:
      return variables[tensor.op.name]
    if tensor.op.type not in ('Identity', 'ReadVariableOp', 'Cast'):
      return None
    tensor = tensor.op.inputs[0]
  return None


def _counter(ops, variables, owned):
  """The variable that counts the updates, or None."""
  for op in ops:
    if op.type in ('AssignAdd', 'AssignAddVariableOp'):
      variable = variables.get(op.inputs[0].op.name)
      if (
        variable is not None
        and variable.op.name in owned
        and variable.dtype.is_integer
        and variable.shape.rank == 0
      ):
        return variable
  return None
