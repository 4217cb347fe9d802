"""Which variables the functions of branches, loops and calls assign.

What a function assigns cannot be written down beside it, but whoever says that
a graph leaves a variable alone must know of it.
"""

from typing import Any, Dict, Iterable, Set, Tuple

from tf_equiv.tf1.capture import allowed_ops

_CALLING = frozenset(
  """If StatelessIf Case StatelessCase While StatelessWhile PartitionedCall
  StatefulPartitionedCall""".split()
)
# Those whose first input chooses the function.
_CHOOSING = ('If', 'StatelessIf', 'Case', 'StatelessCase')
_CHANGES = ('Assign', 'ResourceApply', 'ResourceSparseApply', 'ResourceScatter')
_HANDING_ON = ('Identity', 'RefIdentity', 'Enter', 'RefEnter', 'Switch')


def find(
  graph: Any, ops: Iterable[Any], names: Dict[str, str]
) -> Dict[str, Tuple[str, str]]:
  """Returns (name, type) of the op whose functions assign a variable.

  Args:
    graph: the graph.
    ops: ops that run.
    names: name of the variable by that of the op that is its handle.

  Returns:
    The ops by name of the variable; of several, the last.
  """
  callers = []
  for op in ops:
    if op.type not in _CALLING:
      continue
    handles = {}
    for i, tensor in enumerate(op.inputs):
      while tensor.op.type in _HANDING_ON and tensor.op.inputs:
        tensor = tensor.op.inputs[0]
      if tensor.op.name in names:
        handles[i] = names[tensor.op.name]
    if handles:
      callers.append((op, handles))
  if not callers:
    return {}
  library = {f.signature.name: f for f in graph.as_graph_def().library.function}
  known = {}  # type: Dict[str, Set[int]]
  found = {}
  for op, handles in callers:
    for i in _assigned_inputs(op.node_def, library, known):
      if i in handles:
        found[handles[i]] = (op.name, op.type)
  return found


def _assigned_inputs(node, library, known) -> Set[int]:
  """Returns which inputs of a node its functions assign, by number."""
  first = int(node.op in _CHOOSING)
  called = allowed_ops.functions_of(node) | {node.op}
  found = set()  # type: Set[int]
  for name in called & set(library):
    found.update(first + i for i in _arguments(name, library, known))
  return found


def _arguments(name, library, known) -> Set[int]:
  """Returns which arguments a function assigns, by number."""
  if name in known:
    return known[name]
  known[name] = set()  # A function may call itself.
  function = library[name]
  numbers = {a.name: i for i, a in enumerate(function.signature.input_arg)}
  for node in function.node_def:
    inputs = [ref for ref in node.input if not ref.startswith('^')]
    if node.op in _HANDING_ON and inputs and inputs[0] in numbers:
      numbers[node.name + ':output:0'] = numbers[inputs[0]]
    changed = _assigned_inputs(node, library, known)
    if node.op.startswith(_CHANGES):
      changed = changed | {0}
    known[name].update(
      numbers[inputs[i]]
      for i in changed
      if i < len(inputs) and inputs[i] in numbers
    )
  return known[name]
