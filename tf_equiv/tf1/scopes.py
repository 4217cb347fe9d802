"""Finds variable scopes with a default name around the lines of a traceback."""

import ast
import contextlib
import linecache
from typing import Any, List

from tf_equiv.tf1 import source_lines


def advice(traceback: Any) -> str:
  """Returns what to do about scopes that get another name in each trace.

  Args:
    traceback: of an error about variables that a second trace creates.

  Returns:
    The advice; '' if no line of the user is in such a scope.
  """
  names = []  # type: List[str]
  while traceback is not None:
    filename = traceback.tb_frame.f_code.co_filename
    if not source_lines.is_library_file(filename):
      names += default_names(filename, traceback.tb_lineno)
    traceback = traceback.tb_next
  names = sorted(set(names), key=names.index)
  if not names:
    return ''
  name = names[0]
  return (
    f'variable_scope(None, default_name={name!r}) gets another name in each '
    f'trace of a tf.function ({name}, {name}_1, ...), and so do the variables '
    f'in it: give the scope its name, variable_scope({name!r}).'
  )


def default_names(filename: str, lineno: int) -> List[str]:
  """Returns the default names of the scopes that a line is in, outer first.

  Args:
    filename: a file of Python code, which may have been made by AutoGraph.
    lineno: number of the line.
  """
  lines = linecache.getlines(filename)
  try:
    tree = ast.parse(''.join(lines))
  except (SyntaxError, ValueError):
    return []
  found = []
  for node in ast.walk(tree):
    if not isinstance(node, ast.With) or not _holds(node, lineno):
      continue
    for item in node.items:
      found += [
        keyword.value
        for part in ast.walk(item.context_expr)
        if isinstance(part, ast.Call)
        for keyword in part.keywords
        if keyword.arg == 'default_name'
      ]
  names = []
  for value in found:
    with contextlib.suppress(ValueError):  # It is computed.
      names.append(str(ast.literal_eval(value)))
  return names


def _holds(node, lineno) -> bool:
  last = max(getattr(each, 'lineno', 0) for each in ast.walk(node))
  return node.lineno <= lineno <= last
