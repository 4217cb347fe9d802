"""Puts the part of an exported graph that is needed into a graph."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tf_equiv.core import errors
from tf_equiv.references.exported import contexts, files
from tf_equiv.references.exported import nodes as nodes_lib

v1 = tf.compat.v1

# With it, the import adds no ops of a Saver of its own.
_NO_SAVER = v1.train.SaverDef(
  filename_tensor_name='none:0',
  save_tensor_name='none:0',
  restore_op_name='none',
)


def meta_graph(
  export: files.Export,
  nodes: nodes_lib.Nodes,
  needed,
  taken,
  collections: Mapping[str, list[str]],
  variables,
  local,
) -> Any:
  """Makes a MetaGraph of some nodes.

  Args:
    export: the export.
    nodes: its nodes, as they were rewritten.
    needed: names of those that are kept.
    taken: what became of its tensors.
    collections: tensors 'name:0' and ops '^name' of collections.
    variables: definitions of the global variables.
    local: definitions of the local variables.

  Returns:
    The MetaGraph.
  """
  full = nodes.graph_def()
  kept = [node for node in full.node if node.name in needed]
  del full.node[:]
  full.node.extend(kept)
  meta = v1.MetaGraphDef(graph_def=full)
  meta.meta_info_def.stripped_op_list.CopyFrom(
    export.meta.meta_info_def.stripped_op_list
  )
  meta.saver_def.CopyFrom(_NO_SAVER)
  for key, refs in collections.items():
    meta.collection_def[key].node_list.value.extend(
      ref.lstrip('^') for ref in refs
    )
  trainable = [definition for definition in variables if definition.trainable]
  for key, definitions in (
    (v1.GraphKeys.GLOBAL_VARIABLES, variables),
    (v1.GraphKeys.TRAINABLE_VARIABLES, trainable),
    (v1.GraphKeys.LOCAL_VARIABLES, local),
  ):
    meta.collection_def[key].bytes_list.value.extend(
      definition.SerializeToString() for definition in definitions
    )
  names = {node.name for node in kept}
  contexts.copy(export.meta, meta, names, taken)
  for key in [k for k, c in meta.collection_def.items() if not c.ByteSize()]:
    del meta.collection_def[key]
  return meta


def import_into(title: str, meta: Any, inputs: Mapping[str, Any]) -> Any:
  """Imports a MetaGraph into the current graph.

  Args:
    title: what the export is, for messages.
    meta: the MetaGraph.
    inputs: tensor of the graph by tensor 'name:0' that it replaces.

  Returns:
    The graph.

  Raises:
    EnvironmentSetupError: if TensorFlow cannot import it.
  """
  read = {ref for node in meta.graph_def.node for ref in node.input}
  mapped = {ref: tensor for ref, tensor in inputs.items() if ref in read}
  try:
    v1.train.import_meta_graph(meta, input_map=mapped)
  except Exception as error:  # ValueError, or what the C++ code raises.
    lines = str(error).strip().splitlines() or ['']
    raise errors.EnvironmentSetupError(
      f'TensorFlow {tf.__version__} cannot import {title}; nothing was '
      'compared.\n'
      f'  {type(error).__name__}: {lines[0]}\n'
      'Run the TF1 code itself with tf_equiv.Tf1Interpreter, or record a '
      'golden with it.'
    ) from error
  return v1.get_default_graph()
