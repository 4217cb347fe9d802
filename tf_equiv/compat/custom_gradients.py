"""Lets graphs with `tf.custom_gradient` be forgotten."""

import contextlib
import importlib
import weakref

_PREFIX = 'CustomGradient'
# Attribute of a graph that holds the functions of its gradients.
_HELD = '_tf_equiv_custom_gradients'
_MAX_DEPTH = 4


@contextlib.contextmanager
def custom_gradients_forgotten():
  """Context in which `tf.custom_gradient` does not keep graphs for ever.

  In a graph, each call registers its gradient, with all tensors of the call,
  in a private dict of the process, from which nothing is ever removed. What
  was registered here is held by its graph instead, and goes with it.

  Yields:
    None.
  """
  ops = importlib.import_module('tensorflow.python.framework.ops')
  registry = getattr(ops, 'gradient_registry', None)
  entries = (registry or ops._gradient_registry)._registry
  before = set(entries)
  try:
    yield
  finally:
    for name in set(entries) - before:
      if name.startswith(_PREFIX):
        _hand_over(entries, name)


def _hand_over(entries, name) -> None:
  """Gives a function of the registry to the graph of its tensors."""
  function = entries[name]['type']
  graph = _graph_of(function, _MAX_DEPTH)
  if graph is None:
    return
  if not hasattr(graph, _HELD):
    setattr(graph, _HELD, [])
  getattr(graph, _HELD).append(function)
  held = weakref.ref(function, lambda _: entries.pop(name, None))

  def gradient(op, *grads):
    return held()(op, *grads)

  entries[name] = {**entries[name], 'type': gradient}


def _graph_of(function, depth):
  """Returns the graph of a tensor that a function refers to, or None."""
  for cell in getattr(function, '__closure__', None) or ():
    try:
      value = cell.cell_contents
    except ValueError:  # It is empty still.
      continue
    for each in value if isinstance(value, (list, tuple)) else [value]:
      graph = None
      if hasattr(each, 'op') and not hasattr(each, 'numpy'):
        graph = getattr(each, 'graph', None)
      elif depth and hasattr(each, '__closure__'):
        graph = _graph_of(each, depth - 1)
      if graph is not None:
        return graph
  return None
