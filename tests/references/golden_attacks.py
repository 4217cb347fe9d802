"""Changes goldens as somebody would who wants to do harm."""

import numpy as np
import tensorflow as tf

from tf_equiv.golden import archive

v1 = tf.compat.v1


def change_graph(path, change):
  """Changes the graphs in a golden, whose digests are right afterwards.

  Args:
    path: the golden.
    change: gets a `GraphDef`, and changes it in place.
  """
  with archive.updated(path) as writer:
    for entry in writer.index['entries']:
      stored = archive.load(path, entry['objects']['graph'])
      graph_def = v1.GraphDef.FromString(stored.graph_def.tobytes())
      change(graph_def)
      data = graph_def.SerializeToString()
      stored.graph_def = np.frombuffer(data, np.uint8)
      entry['objects']['graph'] = writer.add(stored)


def add_text(graph_def, name, text):
  """Adds a constant of text to a graph."""
  node = graph_def.node.add(name=name, op='Const')
  node.attr['dtype'].type = tf.string.as_datatype_enum
  node.attr['value'].tensor.CopyFrom(
    tf.make_tensor_proto(np.array(text, object), tf.string)
  )
