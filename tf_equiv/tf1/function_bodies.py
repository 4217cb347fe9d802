"""Tells whether functions of a graph assign a variable: branches, loops."""

from typing import Any, Dict, Iterable, List

from tf_equiv.tf1 import walks
from tf_equiv.tf1.capture import assignments

_ASSIGNS = ('Assign', 'ResourceApply', 'ResourceSparseApply', 'ResourceScatter')


def are_assigned(roots: Iterable[Any], name: str) -> bool:
  """Returns whether what runs assigns a variable, in a function or not.

  Args:
    roots: ops that run; what they read or wait for runs, too.
    name: name of the op that is the handle of the variable.
  """
  roots = list(roots)
  if assignments.operations(roots, {name: name}):
    return True
  library: Dict[str, Any] = {}
  for op in walks.ancestors(roots, control=True):
    positions = [i for i, t in enumerate(op.inputs) if t.op.name == name]
    functions = _functions(op.node_def)
    if not positions or not functions:
      continue
    if not library:
      definition = op.graph.as_graph_def().library
      library = {f.signature.name: f for f in definition.function}
    if _assign(library, functions, len(op.inputs), positions):
      return True
  return False


def _functions(node: Any) -> List[str]:
  """Returns the names of the functions that a node calls."""
  found = []
  for attribute in node.attr.values():
    if attribute.HasField('func'):
      found.append(attribute.func.name)
    found += [function.name for function in attribute.list.func]
  return found


def _assign(
  library: Dict[str, Any],
  functions: List[str],
  count: int,
  positions: List[int],
) -> bool:
  """Returns whether one of some functions assigns one of its arguments.

  Args:
    library: the functions of the graph by name.
    functions: names of those that are called.
    count: number of the inputs of the node that calls them.
    positions: of the inputs that are the handle.
  """
  for name in functions:
    function = library.get(name)
    if function is None:
      continue
    arguments = [argument.name for argument in function.signature.input_arg]
    # A conditional takes its condition first.
    first = count - len(arguments)
    handles = {
      arguments[i - first] for i in positions if 0 <= i - first < len(arguments)
    }
    for node in function.node_def:
      inputs = [each for each in node.input if not each.startswith('^')]
      inside = [i for i, each in enumerate(inputs) if each in handles]
      if not inside:
        continue
      if node.op.startswith(_ASSIGNS) and inside[0] == 0:
        return True
      called = _functions(node)
      if called and _assign(library, called, len(inputs), inside):
        return True
  return False
