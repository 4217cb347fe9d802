"""Writes out the branches that are taken, and calls of functions."""

from typing import Any

import tensorflow as tf

from tf_equiv.diagnose.control_flow import functions, inlining
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1


def reader_of(node: v1.NodeDef) -> str:
  """Returns the tensor that tells which branch a node takes, '' if none."""
  if node.op in functions.IF or node.op in functions.CASE:
    return inlining.tensor(node.input[0])
  return ''


def taken(
  captured: capture.Capture, choices: dict[str, Any]
) -> tuple[inlining.Unfolded, dict[str, str]]:
  """Writes out branches and calls.

  Args:
    captured: the graph.
    choices: for each If, Case or call, by name, the value that tells which
      branch it takes (None for a call).

  Returns:
    The graph, and for each If and Case the branch that it takes.
  """
  writer, names = inlining.Writer(captured), {}
  for name, value in choices.items():
    node = v1.NodeDef()
    node.CopyFrom(writer.node(name))
    arguments = [ref for ref in node.input if not ref.startswith('^')]
    controls = [ref for ref in node.input if ref.startswith('^')]
    if node.op in functions.IF:
      key = 'then_branch' if bool(value) else 'else_branch'
      function, names[name] = node.attr[key].func.name, str(bool(value)).lower()
      arguments = arguments[1:]
    elif node.op in functions.CASE:
      branches = node.attr['branches'].list.func
      # What is out of range takes the last branch.
      index = int(value) if 0 <= int(value) < len(branches) else -1
      function = branches[index].name
      names[name] = f'branch {index % len(branches)}'
      arguments = arguments[1:]
    else:
      function = node.attr['f'].func.name
    body = functions.of_function(writer.functions[function], writer.functions)
    moved = writer.inline(body, inlining.TAKEN, name, arguments, controls)
    writer.replace(
      name,
      [moved(ref) for ref in body.results],
      list(node.attr['Tout'].list.type),
    )
  return writer.capture(), names


def pruned(
  captured: capture.Capture, values: dict[str, bool]
) -> inlining.Unfolded:
  """Takes away the branches of v1 conditionals that do not run.

  Args:
    captured: the graph.
    values: the predicate of each Switch, by its name.

  Returns:
    The graph, in which those Switch and Merge ops hand on what is taken.
  """
  writer = inlining.Writer(captured)
  dead: set[str] = set()
  for node in _topological(writer.graph_def):
    name = node.name
    if name in values:
      dead.add(f'{name}:{0 if values[name] else 1}')
      continue
    refs = [functions.plain(r) for r in node.input]
    if node.op in ('Merge', 'RefMerge') and not any(
      'NextIteration' in writer.node(functions.name_of(r)).op for r in refs
    ):
      alive = [i for i, r in enumerate(refs) if not _is_dead(r, dead)]
      if alive and len(alive) < len(refs):
        index = alive[0]
        which = writer.constant(f'{name}/tf_equiv_index', index)
        types = [node.attr['T'].type, tf.int32.as_datatype_enum]
        writer.replace(name, [refs[index], which], types)
      elif not alive:
        dead.add(name)
    elif any(_is_dead(r, dead) for r in refs):
      dead.add(name)
  for name in values:
    node = writer.node(name)
    types = [node.attr['T'].type] * 2
    data = node.input[0]
    writer.replace(name, [data, data], types)
  writer.remove({name for name in dead if ':' not in name})
  return writer.capture()


def _is_dead(ref: str, dead: set[str]) -> bool:
  name = functions.name_of(ref)
  if name in dead:
    return True
  return not ref.startswith('^') and (
    (ref if ':' in ref else ref + ':0') in dead
  )


def _topological(graph_def) -> list[v1.NodeDef]:
  nodes = {node.name: node for node in graph_def.node}
  done, order = set(), []
  for first in list(graph_def.node):
    pending = [first.name]
    while pending:
      node = nodes[pending[-1]]
      before = [
        functions.name_of(ref)
        for ref in node.input
        if nodes[functions.name_of(ref)].op != 'NextIteration'
      ]
      missing = [name for name in before if name not in done]
      if missing:
        pending.extend(missing)
        continue
      pending.pop()
      if node.name not in done:
        done.add(node.name)
        order.append(node)
  return order
