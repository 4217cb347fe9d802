"""Tells what a file is that should hold an exported graph."""

import re
from typing import Any

import tensorflow as tf
from google.protobuf import message, text_format

from tf_equiv import compat
from tf_equiv.core import errors

v1 = tf.compat.v1

AGAIN = 'Copy it again from its source, or export it again.'
# What is expected where a message is read.
_WANTED = {
  compat.export_messages().SavedModel: 'a SavedModel',
  v1.MetaGraphDef: 'a MetaGraph',
  v1.GraphDef: 'a frozen graph (GraphDef)',
}
_OP = re.compile(r'[A-Za-z_][\w>.-]*')


def parse(target: Any, data: bytes, path: str, is_text: bool) -> Any:
  """Reads a message.

  Args:
    target: the message that is filled in, and returned.
    data: the bytes.
    path: the file that they are from.
    is_text: whether they are text.

  Raises:
    UsageError: if they are no such message.
  """
  try:
    if is_text:
      return text_format.Parse(data.decode('utf-8'), target)
    target.ParseFromString(data)
    return target
  except (message.DecodeError, text_format.ParseError, ValueError) as error:
    kind = _kind(data)
    if kind:
      raise wrong_kind(path, data, type(target)) from error
    raise errors.UsageError(
      f'{path!r} is damaged or incomplete: as a {target.DESCRIPTOR.name} of '
      f'{len(data)} bytes it cannot be read ({str(error).splitlines()[0]}). '
      f'{AGAIN}'
    ) from error


def is_graph(graph_def: Any) -> bool:
  """Returns whether a `GraphDef` holds nodes with types of ops."""
  return bool(graph_def.node) and all(
    node.name and _OP.fullmatch(node.op) for node in graph_def.node
  )


def wrong_kind(path: str, data: bytes, message_type: Any) -> errors.UsageError:
  """Returns the error about a file that holds something else.

  Args:
    path: the file.
    data: its bytes.
    message_type: class of the message that it should hold.
  """
  wanted = _WANTED[message_type]
  kind = _kind(data) or (
    f'no {wanted.split(" ", 1)[-1]}: it was read, and holds no graph'
  )
  return errors.UsageError(
    f'{path!r} is {kind}. Expected is {wanted}.'
    if _kind(data)
    else f'{path!r} is {kind}. {AGAIN}'
  )


def _kind(data: bytes) -> str:
  """Returns what a file is, '' if that is not known."""
  for magic, kind in (
    (b'\x89HDF', 'an HDF5 file, as Keras writes it (.h5)'),
    (b'PK\x03\x04', 'a zip archive (.keras, .npz)'),
    (b'\x1f\x8b', 'compressed by gzip; unpack it first'),
    (b'\x1c\x00\x00\x00TFL3', 'a TensorFlow Lite model'),
    (b'version https://git-lfs', 'a pointer of Git LFS, not the file itself'),
  ):
    if data.startswith(magic):
      return kind
  if data[4:8] == b'TFL3':
    return 'a TensorFlow Lite model'
  start = data[:200].lstrip()
  for words, kind in (
    ((b'node {', b'node{', b'versions {', b'library {'), 'GraphDef'),
    ((b'meta_info_def {', b'graph_def {'), 'MetaGraph'),
    ((b'saved_model_schema_version', b'meta_graphs {'), 'SavedModel'),
  ):
    if start.startswith(words):
      return (
        f"a {kind} as text; give it the ending '.pbtxt' (a MetaGraph: "
        "'.metatxt')"
      )
  return _kind_of_message(data)


def _kind_of_message(data: bytes) -> str:
  for cls, graph_of, kind in (
    (
      compat.export_messages().SavedModel,
      lambda saved: saved.meta_graphs and saved.meta_graphs[0].graph_def,
      'the graph of a SavedModel; give its folder to tf_equiv.SavedModel',
    ),
    (
      v1.MetaGraphDef,
      lambda meta: meta.graph_def,
      'a MetaGraph; give it to tf_equiv.MetaGraph',
    ),
    (
      v1.GraphDef,
      lambda graph_def: graph_def,
      'a GraphDef; if it is frozen, give it to tf_equiv.FrozenGraph',
    ),
  ):
    parsed = cls()
    try:
      parsed.ParseFromString(data)
    except message.DecodeError:
      continue
    graph_def = graph_of(parsed)
    if graph_def and is_graph(graph_def):
      return kind
  return ''
