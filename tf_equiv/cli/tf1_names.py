"""Whether a module names what is TensorFlow 1 alone, as `tf.get_variable`."""

import ast
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

# No more modules of a folder are read.
_MAX_MODULES = 30


def found_in(path: str) -> list[str]:
  """Returns names that `tensorflow` lacks and `tensorflow.compat.v1` has.

  Args:
    path: the file of a module; modules beside it that it imports are read, too.

  Returns:
    The names, as 'tf.get_variable', sorted.
  """
  names: set[str] = set()
  pending, seen = [path], set()
  while pending and len(seen) < _MAX_MODULES:
    current = os.path.abspath(pending.pop())
    if current in seen or not os.path.isfile(current):
      continue
    seen.add(current)
    try:
      with open(current, encoding='utf-8', errors='replace') as file:
        tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
      continue
    names.update(_names(tree))
    folder = os.path.dirname(current)
    pending += [_file(folder, name) for name in _imports(tree)]
  return sorted(names)


def _file(folder: str, module: str) -> str:
  return os.path.join(folder, *module.split('.')) + '.py'


def _imports(tree: ast.AST) -> Iterator[str]:
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      if node.module:
        yield node.module
      prefix = node.module + '.' if node.module else ''
      yield from (prefix + alias.name for alias in node.names)


def _names(tree: ast.AST) -> Iterator[str]:
  bound = {
    alias.asname or alias.name
    for node in ast.walk(tree)
    if isinstance(node, ast.Import)
    for alias in node.names
    if alias.name == 'tensorflow'
  }
  for node in ast.walk(tree):
    if isinstance(node, ast.Attribute):
      name = _dotted(node)
      root, _, rest = name.partition('.')
      if root in bound and _is_gone(rest):
        yield f'tf.{rest}'
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
      names = [alias.name for alias in node.names]
      if isinstance(node, ast.ImportFrom):
        names = [f'{node.module}.{name}' for name in names]
      for name in names:
        if name.startswith('tensorflow.contrib'):
          yield 'tf' + name.removeprefix('tensorflow')


def _dotted(node: ast.AST) -> str:
  if isinstance(node, ast.Name):
    return node.id
  if isinstance(node, ast.Attribute):
    parent = _dotted(node.value)
    return f'{parent}.{node.attr}' if parent else ''
  return ''


def _is_gone(name: str) -> bool:
  """Returns whether TF1 alone has a name, 'layers.conv2d' for example."""
  if name.partition('.')[0] == 'contrib':
    return True
  return not _has(tf, name) and _has(tf.compat.v1, name)


def _has(module: Any, name: str) -> bool:
  for part in name.split('.'):
    try:
      module = getattr(module, part)
    except Exception:  # Of Keras, which is loaded on first use.
      return False
  return True
