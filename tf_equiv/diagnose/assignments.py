"""Which ops assign a variable on either side, and where only one side does."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from tf_equiv.compare import difference, divergence
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.tf1 import walks
from tf_equiv.tf1.capture import assignments as tf1_assignments
from tf_equiv.tf1.capture import capture

_ARITHMETIC = {
  'Sub': np.subtract,
  'Add': np.add,
  'AddV2': np.add,
  'Mul': np.multiply,
  'RealDiv': np.divide,
}


def one_sided(
  captures: tuple[capture.Capture, capture.Capture],
  label: capture.Label,
  lines: tuple[str, str],
) -> divergence.Divergence | None:
  """Returns where one side alone assigns a variable; None if that is not so.

  Args:
    captures: both sides.
    label: of what is assigned, with the name of the variable in TF1.
    lines: for each side the line that made the variable, '' if not known.
  """
  there = [label in captured.assigned for captured in captures]
  if all(there) or not any(there):
    return None
  i, name = 0 if there[0] else 1, label[1]
  ops: list[divergence.Place | None] = [None, None]
  ops[i] = _op(captures[i], label)
  differences = [
    difference.one_sided(Kind.ASSIGNS, i, ops[i].name, subject=name)
  ]
  if lines[1 - i]:
    differences.append(
      difference.one_sided(Kind.LEAVES_ALONE, 1 - i, lines[1 - i], subject=name)
    )
  return divergence.Divergence(*ops, differences=differences, variables=(name,))


def may_overwrite(
  captures: tuple[capture.Capture, capture.Capture],
  names: tuple[set[str], set[str]],
  has_updates: bool,
) -> bool:
  """Returns whether more than an optimizer may assign trained variables.

  Args:
    captures: both sides.
    names: for each side the names of the variables.
    has_updates: whether an optimizer updates them there.
  """
  first, second = captures
  # Beside what runs, the graph of TF1 has initializers; what an optimizer of
  # TF1 assigns is no part of a result.
  results = [target.op for target in first.targets.values()]
  ran = walks.ancestors(results, control=True)
  if _counts(first, ran, names[0]):
    return True
  found = _counts(second, second.graph.get_operations(), names[1])
  return any(count > has_updates for count in found.values())


def _counts(
  captured: capture.Capture, ops: Iterable[tf.Operation], names: set[str]
) -> dict[str, int]:
  handles = {
    handle: name
    for handle, (name, _) in captured.variables.items()
    if name in names
  }
  return tf1_assignments.counts(ops, handles)


def of_forward_pass(
  captures: tuple[capture.Capture, capture.Capture],
  label: capture.Label,
) -> divergence.Divergence | None:
  """Returns where the forward pass of one side alone assigns a variable.

  Args:
    captures: the forward passes of both sides.
    label: of what is assigned, with the name of the trained variable in TF1.

  Returns:
    The place, None if both or neither assign it.
  """
  found = one_sided(captures, label, ('', ''))
  if found is not None:
    found.group = divergence.FORWARD_ASSIGNMENTS
  return found


def of_both(
  captures: tuple[capture.Capture, capture.Capture],
  label: capture.Label,
) -> divergence.Divergence:
  """Returns the ops that assign a variable on both sides."""
  return divergence.Divergence(
    *(_op(captured, label) for captured in captures),
    differences=[Difference(Kind.START, label[1])],
    variables=(label[1],),
    group=label[0],
  )


def _op(captured: capture.Capture, label: capture.Label) -> divergence.Place:
  op_name, op_type = captured.assigned[label]
  line = captured.line_of(op_name)
  return divergence.Place(op_name, op_type, str(line) if line.filename else '')


def describe(
  captures: tuple[capture.Capture, capture.Capture],
  label: capture.Label,
) -> list[Difference]:
  """Returns by which ops both sides assign a variable, with which decay."""
  if not all(label in captured.assigned for captured in captures):
    return []
  found = []
  if all(label in captured.targets for captured in captures):
    factors = [_factor(captured.targets[label]) for captured in captures]
    if None not in factors and abs(factors[0] - factors[1]) > 1e-6:
      first, second = (1 - factor for factor in factors)
      found.append(Difference(Kind.DECAY, tf1=first, tf2=second))
  first, second = (captured.assigned[label][0] for captured in captures)
  return [*found, Difference(Kind.ASSIGNED_BY, label[1], first, second)]


def _factor(tensor: tf.Tensor) -> float | None:
  """Returns how much of the new value goes into a moving average.

  Known are the forms of TensorFlow, old - (old - new) * factor, of fused batch
  normalization, and of Keras 3, old * (1 - factor) + new * factor.
  """
  op = _computing(tensor)
  if op.type.startswith('FusedBatchNorm'):
    return difference.plain(op.get_attr('exponential_avg_factor'))
  if op.type in ('Sub', 'AssignSub'):
    change = _computing(op.inputs[1])
    if change.type == 'Mul':
      return next(iter(_numbers(change)), None)
  if op.type in ('Add', 'AddV2'):
    parts = [_computing(x) for x in op.inputs]
    if all(part.type == 'Mul' for part in parts):
      found = [number for part in parts for number in _numbers(part)]
      if len(found) == 2 and abs(sum(found) - 1) < 1e-5:
        kept = next((i for i in (0, 1) if _reads_variable(parts[i])), None)
        return None if kept is None else found[1 - kept]
  return None


def _computing(tensor: tf.Tensor) -> tf.Operation:
  """Returns the op that computes a tensor, not one that passes it through."""
  op = tensor.op
  while op.type in ('Identity', 'Cast', 'Squeeze') and op.inputs:
    op = op.inputs[0].op
  return op


def _numbers(op: tf.Operation) -> list[float]:
  found = [_number(x) for x in op.inputs]
  return [difference.plain(x) for x in found if x is not None]


def _number(tensor: tf.Tensor) -> float | None:
  """Returns the value of a scalar that depends on constants only."""
  op = _computing(tensor)
  if op.type in _ARITHMETIC and len(op.inputs) == 2:
    parts = [_number(x) for x in op.inputs]
    return None if None in parts else float(_ARITHMETIC[op.type](*parts))
  value = tf.get_static_value(op.outputs[0]) if op.outputs else None
  return float(value) if value is not None and np.ndim(value) == 0 else None


def _reads_variable(op: tf.Operation) -> bool:
  types = ('ReadVariableOp', 'VariableV2', 'VarHandleOp', 'Placeholder')
  return any(_computing(x).type in types for x in op.inputs)
