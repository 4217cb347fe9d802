"""What initializers compute: their ops, and the numbers that these take."""

import dataclasses
import re
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import source_lines

v1 = tf.compat.v1

_HANDING_ON = ('Identity', 'ReadVariableOp', 'Cast', 'Reshape', 'NoOp')
# Arithmetic says nothing that its numbers do not say.
_ARITHMETIC = ('Add', 'AddV2', 'Mul', 'Sub')
_DRAWS = {
  'RandomStandardNormal': 'RandomNormal',
  'RandomUniform': 'RandomUniform',
  'TruncatedNormal': 'TruncatedNormal',
}
_MAX_OPS = 100
_DIGITS = '%.6g'


@dataclasses.dataclass(frozen=True)
class Initializer:
  """What makes the initial value of a variable.

  Attributes:
    name: name of the op, or of the variable where there is none.
    kind: what it draws or computes, e.g. 'TruncatedNormal' or 'constant'; ''
      if not known.
    numbers: its numbers by name, e.g. {'stddev': 0.05}.
    line: line of user code that made it.
  """

  name: str
  kind: str = ''
  numbers: Dict[str, float] = dataclasses.field(default_factory=dict)
  line: SourceLine = SourceLine()


def capture(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  built: Optional[graph_lib.Built] = None,
) -> Dict[str, Initializer]:
  """Describes the initializers of TF1 by name of the variable.

  Args:
    program: the user's TF1 code.
    plan: what to build.
    built: its graph, if there is one already.
  """
  built = built or graph_lib.build(program, plan)
  return {
    variable.op.name: of_tensor(variable.initializer.inputs[1])
    for variable in built.variables
    if len(variable.initializer.inputs) > 1
  }


def of_tensor(tensor: Any) -> Initializer:
  """Describes what computes a tensor of a graph."""
  root = tensor.op
  while root.type in _HANDING_ON and root.inputs:
    root = root.inputs[0].op
  ops = _ancestors(root)
  kinds = sorted({_kind(op) for op in ops} - {''})
  numbers = {}  # type: Dict[str, float]
  for op in ops:
    name, value = _number(op)
    if name and name not in numbers:
      numbers[name] = value
  kind = ', '.join(kinds)
  if not kind:
    kind = 'constant'
  return Initializer(
    root.name,
    kind,
    numbers,
    source_lines.user_line_of_stack(compat.op_stack(root)),
  )


def _ancestors(root) -> List[Any]:
  seen, pending, found = set(), [root], []
  while pending and len(found) < _MAX_OPS:
    op = pending.pop(0)
    if op.name not in seen:
      seen.add(op.name)
      found.append(op)
      pending.extend(x.op for x in op.inputs)
  return found


def _kind(op) -> str:
  """Returns what an op draws or computes, '' for what says nothing."""
  plain = re.sub(r'^Stateless|V\d$', '', op.type)
  if plain in _DRAWS:
    return _DRAWS[plain]
  if plain in _DRAWS.values():
    return plain
  return plain if plain in ('Qr', 'Svd', 'MultinomialV2', 'Placeholder') else ''


def _number(op) -> Tuple[str, float]:
  """Returns (name, value) of a constant that is one number, else ('', 0)."""
  if op.type != 'Const' or not op.outputs[0].dtype.is_floating:
    return '', 0.0
  # `get_static_value` would keep the tensor from being fed from then on.
  value = tf.make_ndarray(op.get_attr('value'))
  if not np.size(value) or np.ptp(value):
    return '', 0.0
  name = re.sub(r'_\d+$', '', op.name.split('/')[-1])
  name = {'Const': 'value', 'zeros': 'value', 'ones': 'value'}.get(name, name)
  return name, float(_DIGITS % float(np.ravel(value)[0]))
