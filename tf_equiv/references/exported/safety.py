"""Refuses what an exported graph must not, or cannot, do in this process."""

from collections.abc import Sequence

import tensorflow as tf

from tf_equiv.core import errors
from tf_equiv.core.text import capped
from tf_equiv.references.exported import files as files_lib
from tf_equiv.references.exported import nodes as nodes_lib
from tf_equiv.tf1.capture import allowed_ops, refused_nodes

_FROM_ASSETS = ('InitializeTableFromTextFile', 'InitializeTableFromTextFileV2')


def check(
  title: str,
  nodes: nodes_lib.Nodes,
  needed,
  assets=(),
  allow_file_ops: bool = False,
  trust_ops: Sequence[str] = (),
) -> None:
  """Checks the ops that would run.

  Args:
    title: what the export is, for messages.
    nodes: its nodes.
    needed: names of those that would run.
    assets: constants that hold the path of an asset of the export.
    allow_file_ops: whether all but Python functions may run.
    trust_ops: types of ops that may run in any case.

  Raises:
    UsageError: if one of them runs Python or may reach outside of the graph.
    EnvironmentSetupError: if this TensorFlow lacks one.
  """
  unknown, python, outside = _refused(nodes, needed, assets, trust_ops)
  if unknown:
    raise errors.EnvironmentSetupError(_unknown(title, unknown))
  if python:
    raise errors.UsageError(
      f'{title} cannot run outside of the program that exported it: its '
      'outputs depend on Python functions (tf.py_func), which a graph holds '
      f'by number only: {files_lib.listed(python)}. Name inputs after them, '
      'or run the code itself with tf_equiv.Tf1Interpreter.'
    )
  if outside and not allow_file_ops:
    problem = refused_nodes.refusal(title, outside)
    raise errors.UsageError(
      f'{problem} If that is its input pipeline, name inputs after it; '
      'allow_file_ops=True trusts all ops but Python functions.'
    )


def refused(nodes: nodes_lib.Nodes, needed, assets=()) -> bool:
  """Returns whether `check` would refuse one of the ops."""
  return any(_refused(nodes, needed, assets))


def _refused(nodes, needed, assets, trust_ops=()):
  """Returns ({unknown op: names}, those of Python, {name: op} of others)."""
  unknown, python, outside = {}, [], {}
  for name in needed:
    node = nodes[name]
    for each in (node, *nodes.called(node)):
      if not nodes_lib.is_known(each.op):
        if each.op not in nodes.functions:
          unknown.setdefault(each.op, []).append(name)
      if not refused_nodes.refused([each], trust_ops):
        continue
      if each.op in allowed_ops.PYTHON:
        python.append(f'{name} ({each.op})')
      elif not _reads_asset(each, assets):
        where = name if each is node else f'{name}/.../{each.name}'
        outside[where] = each.op
  return unknown, python, outside


def _reads_asset(node, assets) -> bool:
  return (
    node.op in _FROM_ASSETS
    and len(node.input) > 1
    and nodes_lib.node_of(node.input[1]) in assets
  )


def _unknown(title, unknown) -> str:
  rows = [
    f'{op}, {len(names)} time(s), first {min(names)}'
    for op, names in sorted(unknown.items())
  ]
  rows = capped(rows, files_lib.MOST_NAMES)
  return (
    'TensorFlow %s lacks %d type(s) of op that the outputs of %s depend on; '
    'nothing was compared.\n  %s\nIf they are custom ops, load their library '
    'first (tf.load_op_library); those of tf.contrib and of older versions run '
    'with tf_equiv.Tf1Interpreter only. Inputs and outputs that leave them out '
    'help as well.' % (tf.__version__, len(unknown), title, '\n  '.join(rows))
  )


def check_placeholders(title: str, nodes: nodes_lib.Nodes, needed) -> None:
  """Checks that all placeholders are fed.

  Args:
    title: what the export is, for messages.
    nodes: its nodes.
    needed: names of those that would run; what is fed is none of them.

  Raises:
    UsageError: if one is not fed that has no default.
  """
  unfed = []
  for name in sorted(needed):
    node = nodes[name]
    if node.op in ('Placeholder', 'PlaceholderV2'):
      dtype = tf.as_dtype(node.attr['dtype'].type).name
      shape = tf.TensorShape(node.attr['shape'].shape)
      unfed.append(f'{name}  {dtype}{shape}')
  if not unfed:
    return
  example = unfed[0].split()[0]
  rows = capped(unfed, files_lib.MOST_NAMES)
  raise errors.UsageError(
    '%s: %d placeholder(s) that the results depend on are not fed:\n  %s\nName '
    'them in inputs, or give their values: feeds={%r: ...}, and '
    'training_feeds={%r: ...} where training takes another (True for '
    'is_training, a keep_prob below 1).'
    % (title, len(unfed), '\n  '.join(rows), example + ':0', example + ':0')
  )
