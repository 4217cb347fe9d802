"""Finds the nodes of a graph that must not run, and cuts them out.

`allowed_ops` says which ops these are.
"""

from typing import Any, Dict, Iterable, List, Sequence, Set

from tf_equiv.core import errors
from tf_equiv.tf1.capture import allowed_ops

# How many nodes a message names.
_MAX_NODES = 10


def refused(nodes: Iterable[Any], trust_ops: Sequence[str] = ()) -> List[Any]:
  """Returns those of some nodes that must not run.

  Args:
    nodes: `NodeDef`s, without those of the functions that they call.
    trust_ops: types of ops that are trusted.

  Returns:
    The nodes. Those that this TensorFlow does not have are none of them, since
    it does not import them.
  """
  return [
    node
    for node in nodes
    if node.op not in trust_ops and not allowed_ops.is_allowed(node)
  ]


def check(
  graph_def: Any, trust_ops: Sequence[str] = (), origin: str = 'The graph'
) -> None:
  """Checks all of a graph, with the bodies of its functions.

  Args:
    graph_def: the `GraphDef`.
    trust_ops: types of ops that are trusted.
    origin: what the graph is, for the message.

  Raises:
    UsageError: if a node must not run.
  """
  bad = {node.name: node.op for node in refused(graph_def.node, trust_ops)}
  for function, nodes in _refused_in_functions(graph_def, trust_ops).items():
    bad.update((f'{function}/{node.name}', node.op) for node in nodes)
  if bad:
    raise refusal(origin, bad)


def without_refused(
  graph_def: Any,
  needed: Iterable[str],
  trust_ops: Sequence[str] = (),
  origin: str = 'The graph',
) -> Any:
  """Returns the part of a graph that may run.

  Args:
    graph_def: the `GraphDef`.
    needed: names of the nodes that are wanted.
    trust_ops: see `check`.
    origin: see `check`.

  Returns:
    The graph without the nodes that must not run, those that read what these
    compute, and the functions that hold such nodes; the same one where there
    are none.

  Raises:
    UsageError: if something that is wanted depends on them.
  """
  bad = {
    node.name: {node.name: node.op}
    for node in refused(graph_def.node, trust_ops)
  }  # type: Dict[str, Dict[str, str]]
  inside = _refused_in_functions(graph_def, trust_ops)
  callers = _callers(graph_def, inside)
  for node in graph_def.node:
    for function in allowed_ops.functions_of(node) | {node.op}:
      for name in callers.get(function, ()):
        bad.setdefault(node.name, {}).update(
          (f'{name}/{each.name}', each.op) for each in inside[name]
        )
  if not bad and not inside:
    return graph_def
  # For each node that depends on them, those that it depends on first.
  readers = {}  # type: Dict[str, List[str]]
  for node in graph_def.node:
    for ref in node.input:
      name = ref.lstrip('^').split(':')[0]
      readers.setdefault(name, []).append(node.name)
  reached = dict(bad)
  pending = list(bad)
  while pending:
    name = pending.pop()
    for reader in readers.get(name, ()):
      if reader not in reached:
        reached[reader] = reached[name]
        pending.append(reader)
  wanted = {}  # type: Dict[str, str]
  for name in needed:
    wanted.update(reached.get(name, {}))
  if wanted:
    raise refusal(origin, wanted)
  result = type(graph_def)()
  result.CopyFrom(graph_def)
  del result.node[:]
  result.node.extend(n for n in graph_def.node if n.name not in reached)
  del result.library.function[:]
  result.library.function.extend(
    function
    for function in graph_def.library.function
    if function.signature.name not in callers
  )
  del result.library.gradient[:]
  result.library.gradient.extend(
    gradient
    for gradient in graph_def.library.gradient
    if gradient.function_name not in callers
    and gradient.gradient_func not in callers
  )
  return result


def _refused_in_functions(graph_def, trust_ops) -> Dict[str, List[Any]]:
  """Returns the nodes that must not run, by the function they are in."""
  found = {}
  for function in graph_def.library.function:
    nodes = refused(function.node_def, trust_ops)
    if nodes:
      found[function.signature.name] = nodes
  return found


def _callers(graph_def, inside) -> Dict[str, Set[str]]:
  """Returns which functions of `inside` a function leads to, by its name."""
  calls = {
    function.signature.name: {
      name
      for node in function.node_def
      for name in allowed_ops.functions_of(node) | {node.op}
    }
    for function in graph_def.library.function
  }
  gradients = {
    g.function_name: g.gradient_func for g in graph_def.library.gradient
  }
  for name, gradient in gradients.items():
    calls.setdefault(name, set()).add(gradient)
  found = {name: {name} for name in inside}
  changed = bool(found)
  while changed:
    changed = False
    for name, called in calls.items():
      reached = set()  # type: Set[str]
      for other in called & set(found):
        reached |= found[other]
      if not reached <= found.get(name, set()):
        found[name] = found.get(name, set()) | reached
        changed = True
  return found


def refusal(origin: str, types: Dict[str, str]) -> errors.UsageError:
  """Returns the error about nodes that must not run.

  Args:
    origin: what the graph is.
    types: type of the op by name of the node.
  """
  names = sorted(types)
  shown = ', '.join(f'{name!r} ({types[name]})' for name in names[:_MAX_NODES])
  if len(names) > _MAX_NODES:
    shown += f', and {len(names) - _MAX_NODES} more'
  return errors.UsageError(
    f'{origin} has ops that may read or write files, or reach a network, '
    f'Python or other processes, and was not run: {shown}. If you trust it, '
    f'give trust_ops={tuple(sorted(set(types.values())))}.'
  )


def as_trusted(trust_ops: Any, where: str) -> Sequence[str]:
  """Returns a `trust_ops` that a user gave as a tuple.

  Args:
    trust_ops: what was given.
    where: to what, for the message.

  Raises:
    UsageError: if it is something else than several strings.
  """
  is_several = isinstance(trust_ops, (tuple, list, set, frozenset))
  if not is_several or not all(
    isinstance(each, str) and each for each in trust_ops
  ):
    raise errors.UsageError(
      f'trust_ops of {where} is {trust_ops!r}; expected a tuple of types of '
      "ops, as in trust_ops=('CSVDataset',)."
    )
  return tuple(trust_ops)
