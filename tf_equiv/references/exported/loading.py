"""Reads an export into nodes, variables and their values."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_equiv.references.exported import files
from tf_equiv.references.exported import names as names_lib
from tf_equiv.references.exported import nodes as nodes_lib
from tf_equiv.references.exported import values as values_lib
from tf_equiv.references.exported import variables as variables_lib


@dataclasses.dataclass
class Loaded:
  """An export that has been read.

  Attributes:
    export: the export.
    nodes: its nodes.
    variables: its variables.
    values: their values.
    names: finds tensors by name.
    unused: entries of the checkpoint that the graph has no variable for.
    in_order: whether the nodes are in the order of their creation.
  """

  export: files.Export
  nodes: nodes_lib.Nodes
  variables: variables_lib.Variables
  values: values_lib.Values
  names: names_lib.Finder
  unused: list[str]
  in_order: bool


def load(export: files.Export, named: Sequence[str] = ()) -> Loaded:
  """Prepares an export: finds its variables, and checks their values."""
  nodes = nodes_lib.Nodes(export.meta.graph_def)
  in_order = nodes.is_in_order()
  for ref, path in export.assets.items():
    name = nodes_lib.node_of(ref)
    if name in nodes and nodes[name].op == 'Const':
      value = tf.make_tensor_proto(np.array(path, object), tf.string)
      nodes[name].attr['value'].tensor.CopyFrom(value)
  variables = variables_lib.find(export, nodes, named)
  values = values_lib.Values(export, variables)
  names = names_lib.Finder(export, nodes)
  unused = values.check()
  return Loaded(export, nodes, variables, values, names, unused, in_order)
