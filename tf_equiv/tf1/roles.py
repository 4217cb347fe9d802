"""What the variables of a TF1 graph are for: gains, variances, embeddings, ...

A name is only a hint. What the program does with a variable says more: which
ops read it, and what its initializer makes.
"""

import collections
import dataclasses
from typing import Any, Dict, Iterable, Optional, Set

import numpy as np
import tensorflow as tf

from tf_equiv.core import roles
from tf_equiv.core.roles import Role

_HANDING_ON = frozenset(
  """Identity ReadVariableOp Cast Reshape ExpandDims Squeeze Enter RefEnter
  RefIdentity RefSwitch Switch StopGradient Tile BroadcastTo""".split()
)
_ADDING = frozenset(('Add', 'AddV2', 'BiasAdd', 'BiasAddV1'))
_SHIFTING = _ADDING | frozenset(('Maximum', 'Mul'))
_CALLING = frozenset(
  """If StatelessIf Case StatelessCase While StatelessWhile PartitionedCall
  StatefulPartitionedCall""".split()
)
# A use inside of a function, which is not looked into.
_HIDDEN = 'hidden'
_PRODUCTS = frozenset(
  """MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum Conv1D Conv2D Conv3D
  Conv2DBackpropInput Conv3DBackpropInputV2 DepthwiseConv2dNative""".split()
)
_LOOKUPS = frozenset(
  ('Gather', 'GatherV2', 'GatherNd', 'ResourceGather', 'ResourceGatherNd')
)
_ROOTS = frozenset(('Sqrt', 'Rsqrt', 'Log'))
_DIVISIONS = frozenset(('RealDiv', 'Div', 'DivNoNan'))
# Inputs of fused batch normalization, from the second on.
_FUSED = (roles.GAIN, roles.BIAS, roles.STATISTIC, roles.VARIANCE)
# How many ops a value may pass through before it is used.
_MAX_DEPTH = 6
_ARITHMETIC = {
  'Add': np.add,
  'AddV2': np.add,
  'Mul': np.multiply,
  'Sub': np.subtract,
}
_UNIFORM = frozenset(('RandomUniform', 'StatelessRandomUniformV2'))
# Standard deviations that the mean of positive numbers is away from zero.
_FAR = 2.0


def of_variables(variables: Iterable[Any]) -> Dict[str, Role]:
  """Returns the role of each variable of a graph, by name.

  Args:
    variables: the variables.

  Returns:
    The roles; that of a variable of which nothing is known is empty.
  """
  return {variable.op.name: _role_of(variable) for variable in variables}


def _role_of(variable) -> Role:
  if not variable.dtype.base_dtype.is_floating:
    return Role()
  uses = _uses(variable)
  center = _center(variable)
  sizes = [size for size in variable.shape.as_list() or () if size != 1]
  is_matrix = len(sizes) > 1
  for kind in (roles.VARIANCE, roles.EMBEDDING):
    if kind in uses:
      return Role(kind)
  if is_matrix and roles.KERNEL in uses:
    return Role(roles.KERNEL)
  for kind in (roles.STATISTIC, roles.COUNTER):
    if kind in uses:
      return Role(kind, center or 0.0)
  if roles.GAIN in uses and (variable.trainable or sizes):
    return Role(roles.GAIN)
  if roles.BIAS in uses and center is not None and not is_matrix:
    return Role(roles.BIAS, center)
  # Neither unknown nor zero; a matrix may be multiplied inside of a function.
  if center and not (is_matrix and _HIDDEN in uses):
    return Role(roles.CONSTANT, center)
  if center == 0 and not is_matrix and not uses & {roles.KERNEL, _HIDDEN}:
    # Such as the logarithm of a factor, which must not become large.
    return Role(roles.CONSTANT)
  return Role()


def _uses(variable) -> Set[str]:
  """Returns for what the ops that read a variable take it."""
  found = set()  # type: Set[str]
  seen = set()  # type: Set[Any]
  # (tensor, whether it is more than the variable itself, depth).
  pending = collections.deque([(variable.op.outputs[0], False, 0)])
  trainable = bool(variable.trainable)
  while pending:
    tensor, changed, depth = pending.popleft()
    if (tensor.name, changed) in seen or depth > _MAX_DEPTH:
      continue
    seen.add((tensor.name, changed))
    for op in tensor.consumers():
      position = [x.name for x in op.inputs].index(tensor.name)
      if op.type in _HANDING_ON:
        pending.extend((x, changed, depth + 1) for x in op.outputs)
        continue
      if _needs_positive(op, position):
        found.add(roles.VARIANCE)
      if op.type in _SHIFTING and _is_number(op.inputs[1 - position]):
        # A small number is added before the root is drawn.
        pending.extend((x, True, depth + 1) for x in op.outputs)
      if not changed:
        found |= _direct_use(op, position, trainable)
  return found


def _direct_use(op, position, trainable) -> Set[str]:
  """Returns the role of an input of an op, as a set of one or none."""
  if op.type.startswith('FusedBatchNorm') and 'Grad' not in op.type:
    return {_FUSED[position - 1]} if position else set()
  if op.type in _CALLING:
    return {_HIDDEN}
  if op.type in _LOOKUPS and position == 0:
    return {roles.EMBEDDING}
  if op.type in _PRODUCTS:
    return {roles.KERNEL}
  if op.type == 'Mul' and _is_normalized(op.inputs[1 - position]):
    return {roles.STATISTIC if _is_taken_away(op) else roles.GAIN}
  is_added = op.type in _ADDING or (op.type == 'Sub' and not position)
  if is_added and not _is_number(op.inputs[1 - position]):
    return {roles.BIAS}
  counts = op.type.startswith(('AssignAdd', 'AssignSub')) and position == 0
  if counts and not trainable and _is_number(op.inputs[1]):
    return {roles.COUNTER}
  return set()


def _is_taken_away(op) -> bool:
  """Returns whether a product is subtracted: x * r - mean * r."""
  product = op.outputs[0]
  return any(
    user.type == 'Sub' and user.inputs[1].name == product.name
    for user in product.consumers()
  )


def _needs_positive(op, position) -> bool:
  if op.type in _ROOTS:
    return True
  if op.type in _DIVISIONS:
    return position == 1
  if op.type == 'Pow' and position == 0:
    power = _number(op.inputs[1])
    return power is not None and power != int(power)
  return False


def _is_normalized(tensor, depth: int = 3) -> bool:
  """Returns whether a tensor was divided by a root, or is one over a root."""
  op = tensor.op
  while op.type in _HANDING_ON and op.inputs:
    op = op.inputs[0].op
  if op.type.startswith('FusedBatchNorm'):
    return True
  if op.type == 'Rsqrt':
    return not _is_number(op.inputs[0])
  if op.type in _DIVISIONS:
    return _is_root(op.inputs[1])
  if op.type == 'Mul' and depth:
    return any(_is_normalized(x, depth - 1) for x in op.inputs)
  return False


def _is_root(tensor) -> bool:
  op = tensor.op
  for _ in range(_MAX_DEPTH):
    if op.type == 'Sqrt':
      return not _is_number(op.inputs[0])
    if op.type in _ADDING or op.type == 'Maximum':
      # The small number is on either side.
      parts = [x for x in op.inputs if not _is_number(x)]
      if len(parts) != 1:
        return False
      op = parts[0].op
    elif op.type in _HANDING_ON and op.inputs:
      op = op.inputs[0].op
    else:
      return False
  return False


@dataclasses.dataclass(frozen=True)
class _Distribution:
  """Of which numbers an initial value is made."""

  mean: float
  deviation: float = 0.0
  least: float = -np.inf


def _center(variable) -> Optional[float]:
  """Returns about which number all elements start, None if about none.

  That is the value of a constant, and the mean of what is drawn far from zero.
  """
  inputs = variable.initializer.inputs
  if len(inputs) < 2:
    return None
  found = _distribution(inputs[1])
  if found is None:
    return None
  is_far = abs(found.mean) > _FAR * found.deviation or found.least >= 0
  return found.mean if is_far or not found.deviation else None


def _distribution(tensor, depth: int = 12) -> Optional[_Distribution]:
  op = tensor.op
  while op.type in _HANDING_ON and op.inputs:
    op = op.inputs[0].op
  if not depth:
    return None
  if op.type in ('Const', 'Fill'):
    number = _number(op.outputs[0])
    return None if number is None else _Distribution(number)
  if op.type in _UNIFORM:
    return _Distribution(0.5, 12**-0.5, 0.0)
  if op.type in ('RandomStandardNormal', 'TruncatedNormal') or (
    op.type.startswith(('StatelessRandomNormal', 'StatelessTruncatedNormal'))
  ):
    return _Distribution(0.0, 1.0)
  if op.type not in _ARITHMETIC or len(op.inputs) != 2:
    return None
  first, second = (_distribution(x, depth - 1) for x in op.inputs)
  if first is None or second is None:
    return None
  numbers = [part for part in (first, second) if not part.deviation]
  drawn = next((part for part in (first, second) if part.deviation), None)
  if drawn is None:
    compute = _ARITHMETIC[op.type]
    return _Distribution(float(compute(first.mean, second.mean)))
  if not numbers or op.type == 'Sub':
    return None
  number = numbers[0].mean
  if op.type == 'Mul':
    least = drawn.least * number if number > 0 else -np.inf
    return _Distribution(
      drawn.mean * number, drawn.deviation * abs(number), least
    )
  return _Distribution(
    drawn.mean + number, drawn.deviation, drawn.least + number
  )


def _number(tensor) -> Optional[float]:
  """Returns the number that all elements of a constant are, None if none."""
  op = tensor.op
  while op.type in _HANDING_ON and op.inputs:
    op = op.inputs[0].op
  if op.type == 'Fill':
    return _number(op.inputs[1])
  if op.type in _ARITHMETIC and len(op.inputs) == 2:
    first, second = (_number(x) for x in op.inputs)
    if first is None or second is None:
      return None
    return float(_ARITHMETIC[op.type](first, second))
  if op.type != 'Const':
    return None
  dtype = op.outputs[0].dtype
  if not (dtype.is_floating or dtype.is_integer):
    return None
  # `get_static_value` would keep the tensor from being fed from then on.
  value = np.asarray(tf.make_ndarray(op.get_attr('value')), np.float64)
  if not value.size or value.min() != value.max():
    return None
  return float(value.ravel()[0])


def _is_number(tensor) -> bool:
  return _number(tensor) is not None
