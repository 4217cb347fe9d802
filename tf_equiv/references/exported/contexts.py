"""Keeps what an export tells of the loops and conditionals of TF1.

The ops of `tf.while_loop` and `tf.cond` lie in the graph like all others; which
of them are inside is told by collections of contexts.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.references.exported import nodes

v1 = tf.compat.v1

LOOP, BRANCH = 'WhileContextDef', 'CondContextDef'
# Collection, type, and field where it is nested in another context.
_CONTEXTS = (
  (v1.GraphKeys.COND_CONTEXT, BRANCH, 'cond_ctxt'),
  (v1.GraphKeys.WHILE_CONTEXT, LOOP, 'while_ctxt'),
)
_ENTERING = ('Enter', 'RefEnter')
_BRANCHING = ('Switch', 'RefSwitch')


def all_of(meta: Any, *kinds: str) -> Iterator[Any]:
  """Returns all contexts of some kinds, nested ones included."""
  pending = list(_outermost(meta))
  while pending:
    kind, context = pending.pop()
    if kind in kinds:
      yield context
    pending += _nested(context)


def inside(meta: Any) -> set[str]:
  """Returns the names of the nodes inside of loops and branches."""
  return {
    nodes.node_of(ref)
    for context in all_of(meta, LOOP, BRANCH)
    for ref in context.values_def.values
  }


def hides(meta: Any, graph: Any) -> bool:
  """Returns whether an imported graph has control flow without contexts."""
  told = any(True for _ in all_of(meta, LOOP, BRANCH))
  for op in graph.get_operations():
    enters = op.type in _ENTERING and not compat.is_in_control_flow(op)
    if enters or (op.type in _BRANCHING and not told):
      return True
  return False


def copy(meta: Any, target: Any, names, taken) -> None:
  """Copies the contexts of the nodes that are left.

  Args:
    meta: the export.
    target: the MetaGraph that gets them.
    names: names of the nodes that it has.
    taken: what became of the tensors.
  """
  for kind, context in _outermost(meta):
    for each, filtered in _filtered(kind, context, names, taken):
      key = next(k for k, name, _ in _CONTEXTS if name == each)
      target.collection_def[key].bytes_list.value.append(
        filtered.SerializeToString()
      )


def _outermost(meta):
  cls = compat.export_messages()
  for key, kind, _ in _CONTEXTS:
    for data in meta.collection_def[key].bytes_list.value:
      yield kind, getattr(cls, kind).FromString(data)


def _nested(context):
  found = []
  for each in context.nested_contexts:
    chosen = each.WhichOneof('ctxt')
    kind = next(name for _, name, field in _CONTEXTS if field == chosen)
    found.append((kind, getattr(each, chosen)))
  return found


def _filtered(kind, context, names, taken):
  """Returns (kind, context) without what is gone from the graph."""

  def there(ref):
    return nodes.node_of(ref) in names

  nested = [
    pair
    for each, inner in _nested(context)
    for pair in _filtered(each, inner, names, taken)
  ]
  if not there(context.pivot_name) or (
    kind == BRANCH and not there(context.pred_name)
  ):
    return nested
  kept = type(context)()
  kept.CopyFrom(context)
  del kept.nested_contexts[:]
  for each, inner in nested:
    field = next(f for _, name, f in _CONTEXTS if name == each)
    getattr(kept.nested_contexts.add(), field).CopyFrom(inner)
  values = kept.values_def
  values.values[:] = [ref for ref in values.values if there(ref)]
  for key, ref in list(values.external_values.items()):
    now = taken.now(ref)
    if now and there(now):
      values.external_values[key] = now
    else:
      del values.external_values[key]
  if kind == LOOP:
    for field in ('loop_exit_names', 'loop_enter_names'):
      refs = getattr(kept, field)
      refs[:] = [ref for ref in refs if there(ref)]
  return [(kind, kept)]
