"""Reads the files of exported graphs: SavedModels, MetaGraphs, frozen graphs.

Nothing is run here. A file that is not what it should be is named as what it
is (`kinds`).
"""

import dataclasses
import difflib
import os
from typing import Any

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.core import text as text_lib
from tf_equiv.references.exported import kinds
from tf_equiv.tf1 import checkpoint as checkpoint_lib
from tf_equiv.tf1 import checkpoint_files

v1 = tf.compat.v1

# How many names a message lists.
MOST_NAMES = 10
_MAX_BYTES = 2 << 30
_SAVED_MODEL = 'saved_model'
_ASSETS = 'saved_model_assets'
_FOLDER_OF_VARIABLES = 'variables'
_TF2_ADVICE = (
  'tf.saved_model.save wrote it, so it has no graph of TF1 whose variables '
  'have names. It cannot be the TF1 side: export that with '
  'tf.compat.v1.saved_model.simple_save, or give the checkpoint of the TF1 '
  'model as tf_equiv.MetaGraph. (build_tf2 can load it with '
  'tf.saved_model.load.)'
)


@dataclasses.dataclass
class Export:
  """An exported graph as its files hold it.

  Attributes:
    title: what it is and where, for messages.
    meta: the graph with its collections.
    signature: names of the tensors by key: ('inputs' or 'outputs') -> key.
    checkpoint: the values of its variables, or None.
    assets: path of each asset file, by name of the tensor that holds it.
    frozen: whether variables have become constants.
  """

  title: str
  meta: Any
  signature: dict[str, dict[str, Any]]
  checkpoint: checkpoint_lib.Checkpoint | None = None
  assets: dict[str, str] = dataclasses.field(default_factory=dict)
  frozen: bool = False


def read_saved_model(export_dir: Any, signature: Any, tags: Any) -> Export:
  """Reads a SavedModel of TF1.

  Args:
    export_dir: its folder.
    signature: key of the signature whose inputs and outputs count; None for
      none.
    tags: tags of the graph, a string or several.

  Returns:
    The export.

  Raises:
    UsageError: if there is none, it is damaged, or has no such graph or
      signature.
  """
  folder = as_path(export_dir, 'export_dir')
  if os.path.basename(folder) in _file_names(_SAVED_MODEL):
    folder = os.path.dirname(folder) or '.'
  title = f'SavedModel {folder!r}'
  data, is_text = _saved_model_data(folder)
  path = os.path.join(folder, _file_names(_SAVED_MODEL)[is_text])
  saved = kinds.parse(
    compat.export_messages().SavedModel(), data, path, is_text
  )
  if not saved.meta_graphs:
    raise kinds.wrong_kind(path, data, type(saved))
  meta = _tagged(title, saved, tags)
  if meta.HasField('object_graph_def'):
    raise errors.UsageError(f'{title} is one of TF2: {_TF2_ADVICE}')
  found = Export(title, meta, _signature(title, meta, signature))
  prefix = os.path.join(folder, _FOLDER_OF_VARIABLES, _FOLDER_OF_VARIABLES)
  if tf.io.gfile.exists(os.path.dirname(prefix)):
    found.checkpoint = checkpoint_lib.open_checkpoint(prefix)
  for asset in _assets(meta):
    found.assets[asset.tensor_info.name] = os.path.join(
      folder, 'assets', os.path.basename(asset.filename)
    )
  return found


def _assets(meta):
  """Returns what a graph tells of its assets, in either of two places."""
  found = list(meta.asset_file_def)
  for packed in meta.collection_def[_ASSETS].any_list.value:
    asset = v1.MetaGraphDef().asset_file_def.add()
    if packed.Unpack(asset):
      found.append(asset)
  return found


def read_meta_graph(path: Any, checkpoint: Any) -> Export:
  """Reads a MetaGraph, as `tf.train.Saver` writes it beside a checkpoint.

  Args:
    path: the file, by custom with the ending '.meta'.
    checkpoint: see `checkpoint.open_checkpoint`; None for none.

  Returns:
    The export.

  Raises:
    UsageError: if a file is missing, damaged or of another kind.
  """
  path = as_path(path, 'path')
  if not tf.io.gfile.exists(path) and tf.io.gfile.exists(path + '.meta'):
    path += '.meta'
  data, is_text = _read(path, '.meta', 'MetaGraph')
  meta = kinds.parse(v1.MetaGraphDef(), data, path, is_text)
  if not kinds.is_graph(meta.graph_def):
    raise kinds.wrong_kind(path, data, v1.MetaGraphDef)
  found = Export(f'MetaGraph {path!r}', meta, {})
  if checkpoint is not None:
    found.checkpoint = checkpoint_lib.open_checkpoint(checkpoint)
  return found


def read_frozen_graph(path: Any) -> Export:
  """Reads a GraphDef whose variables have become constants.

  Args:
    path: the file; text where it ends in '.pbtxt'.

  Returns:
    The export.

  Raises:
    UsageError: if the file is missing, damaged or of another kind.
  """
  path = as_path(path, 'path')
  data, is_text = _read(path, '.pb', 'frozen graph')
  graph_def = kinds.parse(v1.GraphDef(), data, path, is_text)
  if not kinds.is_graph(graph_def):
    raise kinds.wrong_kind(path, data, v1.GraphDef)
  meta = v1.MetaGraphDef(graph_def=graph_def)
  return Export(f'frozen graph {path!r}', meta, {}, frozen=True)


def as_path(path: Any, what: str) -> str:
  """Returns a path as a string, `UsageError` if it is none."""
  try:
    path = os.path.expanduser(os.fspath(path))
  except TypeError:
    pass
  if not isinstance(path, str) or not path or '\0' in path:
    raise errors.UsageError(
      f'{what} is {path!r}; expected a path: a string that is not empty, or a '
      'path object.'
    )
  return path


def listed(names, most: int = MOST_NAMES) -> str:
  """Writes names one after another, sorted, the first few of many."""
  return text_lib.listed(map(repr, sorted(set(names))), most)


def similar(name: str, names) -> list[str]:
  """Returns which of the names may have been meant, the likeliest first."""
  names = sorted(set(names))
  last = name.rpartition('/')[2]
  same = [n for n in names if n != name and n.rpartition('/')[2] == last]
  lower = {n.lower(): n for n in names}
  close = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.6)
  return list(dict.fromkeys([*same[:3], *(lower[n] for n in close)]))[:3]


def _file_names(stem: str) -> tuple[str, str]:
  return stem + '.pb', stem + '.pbtxt'


def _saved_model_data(folder: str):
  """Returns (bytes, whether they are text) of the graph of a SavedModel."""
  for is_text, name in enumerate(_file_names(_SAVED_MODEL)):
    path = os.path.join(folder, name)
    if tf.io.gfile.exists(path):
      return _bytes(path), bool(is_text)
  raise errors.UsageError(_why_no_saved_model(folder))


def _why_no_saved_model(folder: str) -> str:
  text = f'There is no SavedModel in {folder!r}: '
  if not tf.io.gfile.exists(folder):
    text += 'there is no such folder.'
    beside = _listdir(os.path.dirname(folder) or '.')
    close = similar(os.path.basename(folder), beside)
    return text + (f' Beside it are {listed(close)}.' if close else '')
  if not tf.io.gfile.isdir(folder):
    return text + (
      'it is a file. Give the folder that holds saved_model.pb; for other '
      'exports there are tf_equiv.MetaGraph and tf_equiv.FrozenGraph.'
    )
  inside = [
    os.path.join(folder, name)
    for name in _listdir(folder)
    if any(
      tf.io.gfile.exists(os.path.join(folder, name, each))
      for each in _file_names(_SAVED_MODEL)
    )
  ]
  text += 'it has no file saved_model.pb.'
  if inside:  # Estimators export into folders named by the time.
    return text + f' Folders in it have one: give {listed(inside)}.'
  metas = [name for name in _listdir(folder) if name.endswith('.meta')]
  if metas:
    text += f' It has {listed(metas)}, for which there is tf_equiv.MetaGraph.'
  return text


def _listdir(folder: str) -> list[str]:
  try:
    return [name.rstrip('/') for name in tf.io.gfile.listdir(folder)]
  except tf.errors.OpError:
    return []


def _read(path: str, ending: str, kind: str):
  """Returns (bytes, whether they are text) of a file."""
  if tf.io.gfile.isdir(path):
    text = f'{path!r} is a folder; expected the file of a {kind}.'
    if tf.io.gfile.exists(os.path.join(path, 'saved_model.pb')):
      text = f'{path!r} is a SavedModel: give it to tf_equiv.SavedModel.'
    raise errors.UsageError(text)
  if not tf.io.gfile.exists(path):
    folder = os.path.dirname(path) or '.'
    if not tf.io.gfile.isdir(folder):
      raise errors.UsageError(
        f'There is no {kind} {path!r}: its folder does not exist.'
      )
    names = [
      n for n in _listdir(folder) if n.endswith((ending, ending + 'txt'))
    ]
    raise errors.UsageError(
      'There is no %s %r. %s'
      % (
        kind,
        path,
        f'The folder has {listed(names)}.'
        if names
        else f'The folder has no file that ends in {ending!r}.',
      )
    )
  data = _bytes(path)
  if not data:
    raise errors.UsageError(f'{path!r} is an empty file. {kinds.AGAIN}')
  return data, path.endswith('txt')


def _bytes(path: str) -> bytes:
  checkpoint_files.check_regular(
    path, 'the file of an exported graph', kinds.AGAIN
  )
  if tf.io.gfile.stat(path).length > _MAX_BYTES:
    raise errors.UsageError(
      f'{path!r} is larger than any graph: a protocol buffer has 2 GB at most.'
    )
  with tf.io.gfile.GFile(path, 'rb') as file:
    return file.read()


def _tagged(title, saved, tags):
  """Returns the graph of a SavedModel that has the tags."""
  if isinstance(tags, str):
    tags = (tags,)
  try:
    wanted = {str(tag) for tag in tags}
  except TypeError:
    raise errors.UsageError(
      f"tags is {tags!r}; expected strings, as in tags=('serve',)."
    ) from None
  for meta in saved.meta_graphs:
    if set(meta.meta_info_def.tags) == wanted:
      return meta
  there = [tuple(sorted(m.meta_info_def.tags)) for m in saved.meta_graphs]
  raise errors.UsageError(
    f'{title} has no graph with the tags {tuple(sorted(wanted))}; it has '
    f'graphs with {", ".join(map(str, sorted(there)))}. Give '
    f'tags={min(there, key=lambda t: len(set(t) ^ wanted))!r}.'
  )


def _signature(title, meta, key):
  """Returns {'inputs': {key: TensorInfo}, 'outputs': ...}."""
  if key is None:
    return {}
  found = meta.signature_def
  if key not in found:
    close = similar(str(key), found)
    raise errors.UsageError(
      '%s has no signature %r; it has %s.%s'
      % (
        title,
        key,
        listed(found) if found else 'none',
        f' Did you mean {close[0]!r}?'
        if close
        else ' Give one of them, or signature=None with inputs and outputs by '
        'the names of tensors.',
      )
    )
  return {
    'inputs': dict(found[key].inputs),
    'outputs': dict(found[key].outputs),
  }
