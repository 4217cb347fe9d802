"""Finds variables that a run reads and assigns without an order between them.

TF1 runs ops as soon as their inputs are there. A read of a variable and an op
that assigns it, neither of which waits for the other, run in an order that
depends on the threads: what is read is the value before or after the
assignment, and a second run may see the other one. No comparison with such a
program can be repeated.
"""

from typing import Any, Dict, Iterable, List, Optional, Tuple

from tf_equiv import compat
from tf_equiv.core.observation import Race
from tf_equiv.tf1 import source_lines, walks

_VARIABLES = ('VarHandleOp', 'VariableV2', 'Variable')
# What a variable passes through on its way to what uses it.
_HANDING_ON = ('Enter', 'RefEnter', 'Switch', 'RefSwitch', 'RefIdentity')
_READS = ('ReadVariableOp', 'ResourceGather', 'ResourceGatherNd')
_NO_READS = (
  'IsVariableInitialized',
  'VarIsInitializedOp',
  'VariableShape',
  'Shape',
  'ShapeN',
  'Size',
  'Rank',
)
_ASSIGNS = (
  'Assign',
  'ResourceApply',
  'Apply',
  'ResourceSparseApply',
  'SparseApply',
  'ResourceScatter',
  'Scatter',
)
# Ancestors of ancestors may be found late where a graph has loops.
_MOST_PASSES = 4


def find(roots: Iterable[Any]) -> List[Race]:
  """Finds the races of what runs.

  Args:
    roots: ops that run; what they read or wait for runs, too.

  Returns:
    One race for each variable that has any, sorted by its name. What functions
    do with variables (the branches of a `tf.cond`, say) is not looked into.
  """
  ops = sorted(walks.ancestors(roots, control=True), key=compat.op_position)
  reads, assigns = _uses(ops)
  shared = sorted(set(reads) & set(assigns))
  marked = {
    op.name: op for name in shared for op in reads[name] + assigns[name]
  }
  bits = {name: 1 << i for i, name in enumerate(marked)}
  before = _ancestors(ops, bits) if bits else {}
  found = []
  for name in shared:
    pair = next(
      (
        (read, assign)
        for assign in assigns[name]
        for read in reads[name]
        if read is not assign
        and not before[assign.name] & bits[read.name]
        and not before[read.name] & bits[assign.name]
      ),
      None,
    )
    if pair is not None:
      found.append(_race(name, *pair))
  return found


def _race(name: str, read: Any, assign: Any) -> Race:
  lines = [
    source_lines.user_line_of_stack(compat.op_stack(op))
    for op in (read, assign)
  ]
  return Race(name, read.name, assign.name, *lines)


def _uses(ops: List[Any]) -> Tuple[Dict[str, List[Any]], Dict[str, List[Any]]]:
  """Returns the ops that read, and those that assign, by variable."""
  reads: Dict[str, List[Any]] = {}
  assigns: Dict[str, List[Any]] = {}
  handed_on: Dict[str, str] = {}
  for op in ops:
    for tensor in op.inputs:
      name = _variable_behind(tensor)
      if name is None:
        continue
      if op.type.startswith(_ASSIGNS):
        # Slots are further inputs of the op that assigns them.
        assigns.setdefault(name, []).append(op)
      elif op.type in _READS:
        reads.setdefault(name, []).append(op)
      elif _is_read_by(op, tensor):
        if op.type == 'Identity':
          # It hands the memory of the variable on, which is read later.
          handed_on[op.name] = name
        else:
          reads.setdefault(name, []).append(op)
  for op in ops:
    names = {handed_on.get(tensor.op.name) for tensor in op.inputs}
    for name in sorted(filter(None, names)):
      if op.type not in _NO_READS:
        reads.setdefault(name, []).append(op)
  return reads, assigns


def _is_read_by(op: Any, tensor: Any) -> bool:
  """Returns whether an op reads a variable that is no resource."""
  is_ref = tensor.dtype != tensor.dtype.base_dtype
  return is_ref and op.type not in _NO_READS + _HANDING_ON


def _variable_behind(tensor: Any) -> Optional[str]:
  """Returns the name of the variable whose handle a tensor is."""
  op = tensor.op
  while op.type in _HANDING_ON and op.inputs:
    op = op.inputs[0].op
  return op.name if op.type in _VARIABLES else None


def _ancestors(ops: List[Any], bits: Dict[str, int]) -> Dict[str, int]:
  """Returns, for each op, the marks of what runs before it, and its own."""
  before = {op.name: bits.get(op.name, 0) for op in ops}
  for _ in range(_MOST_PASSES):
    changed = False
    for op in ops:
      known = found = before[op.name]
      for tensor in op.inputs:
        found |= before[tensor.op.name]
      for control in op.control_inputs:
        found |= before[control.name]
      if found != known:
        before[op.name] = found
        changed = True
    if not changed:
      break
  return before


def note(race: Race) -> str:
  """Says what a race is, in a line."""
  read, assigned = (
    f'{name} at {line}' if line.filename else name
    for name, line in (
      (race.read, race.read_at),
      (race.assigned, race.assigned_at),
    )
  )
  return (
    f'race in TF1: one run reads {race.variable} ({read}) and assigns it '
    f'({assigned}) with no order between them, so that its value is the old '
    'or the new one by chance'
  )
