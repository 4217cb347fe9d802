"""Which ops compute all gates of a recurrent cell in one."""

from collections.abc import Collection

from tf_equiv.diagnose import graph

_COMPUTING = ('MatMul', 'Add')
_SPLITTING = ('Split', 'SplitV', 'Unpack')


def in_one(tf1: graph.Graph, converted: Collection[str]) -> set[str]:
  """Returns the ops that compute all gates of a cell of TF1 in one.

  A converted kernel has them in another order, up to where they are split.

  Args:
    tf1: the graph.
    converted: names of the variables that were converted.
  """
  ordered: set[str] = set()
  for name, node in tf1.nodes.items():
    reads = any(parent in ordered for parent in node.parents)
    if node.variables & set(converted) or (
      reads and node.family in (*_COMPUTING, *_SPLITTING)
    ):
      if not any(
        tf1.nodes[p].family in _SPLITTING for p in node.parents if p in ordered
      ):
        ordered.add(name)
  found: set[str] = set()
  for name, node in reversed(tf1.nodes.items()):
    if name in ordered and (node.family in _SPLITTING or name in found):
      found.add(name)
      found.update(p for p in node.parents if p in ordered)
  return found
