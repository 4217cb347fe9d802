"""The TF1 side as an exported graph: SavedModel, MetaGraph, frozen graph."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tf_equiv.references.exported import files, loading, runs


@dataclasses.dataclass(repr=False)
class SavedModel(runs.Exported):
  """The TF1 side is a SavedModel of TF1.

  Its weights are those of the export, unless the test case overrides
  `reset_weights`. See docs/references.md, "Exported graphs".

  Example:
    >>> import tempfile
    >>> export_dir = tempfile.mkdtemp() + '/export'
    >>> with tf.Graph().as_default(), v1.Session() as session:
    ...   x = v1.placeholder(tf.float32, [None, 3], name='x')
    ...   w = v1.get_variable('dense/kernel', [3, 2])
    ...   session.run(v1.global_variables_initializer())
    ...   v1.saved_model.simple_save(
    ...     session, export_dir, {'x': x}, {'y': x @ w}
    ...   )
    >>> class LinearTest(MigrationTestCase):
    ...   tf1_reference = SavedModel(export_dir, inputs='x', outputs='y')
    ...   def make_inputs(self):
    ...     return np.random.default_rng(0).random((4, 3), np.float32)
    ...   def build_tf2(self):
    ...     dense = tf.keras.layers.Dense(2, use_bias=False, name='dense')
    ...     return tf.keras.Sequential([dense])
    >>> LinearTest().assertForwardEquivalent().passed
    True

  Attributes:
    export_dir: its folder.
    signature: key of the signature whose inputs and outputs count; None for
      none.
    tags: tags of the graph.
    inputs: nest of keys of the signature, or names of tensors, like the nest of
      `make_inputs`; all inputs of the signature, as a dict, where not given.
    outputs: nest of keys or names that the TF2 side must return in the same
      form; all outputs of the signature, as a dict, where not given.
    feeds: values of further placeholders by name.
    training_feeds: those that are others in training.
    train_op: name of the op that takes a training step; that of the collection
      where not given.
    loss: name of the tensor of the loss that it minimizes.
    allow_file_ops: whether all ops may run, those that read or write files as
      well, but not Python functions.
    trust_ops: types of ops that may run although they reach files, a network,
      Python or other processes. Others are refused.
    timeout: after how many seconds a run of the graph is ended.
  """

  export_dir: str | os.PathLike[str]
  signature: str | None = 'serving_default'
  tags: Sequence[str] = ('serve',)
  inputs: Any = None
  outputs: Any = None
  feeds: Mapping[str, Any] | None = None
  training_feeds: Mapping[str, Any] | None = None
  train_op: str | None = None
  loss: str | None = None
  allow_file_ops: bool = False
  trust_ops: Sequence[str] = ()
  timeout: float = 600.0
  _loaded: loading.Loaded | None = dataclasses.field(
    default=None, init=False, compare=False
  )

  def _read(self) -> files.Export:
    return files.read_saved_model(self.export_dir, self.signature, self.tags)


@dataclasses.dataclass(repr=False)
class MetaGraph(runs.Exported):
  """The TF1 side is a MetaGraph, which `tf.train.Saver` writes ('.meta').

  Its weights are those of the checkpoint, unless the test case overrides
  `reset_weights`. See docs/references.md, "Exported graphs".

  Example:
    >>> import tempfile
    >>> prefix = tempfile.mkdtemp() + '/model.ckpt'
    >>> with tf.Graph().as_default(), v1.Session() as session:
    ...   x = v1.placeholder(tf.float32, [None, 3], name='x')
    ...   w = v1.get_variable('dense/kernel', [3, 2])
    ...   y = tf.matmul(x, w, name='y')
    ...   session.run(v1.global_variables_initializer())
    ...   prefix = v1.train.Saver().save(session, prefix)
    >>> class LinearTest(MigrationTestCase):
    ...   tf1_reference = MetaGraph(
    ...     prefix + '.meta', checkpoint=prefix, inputs='x', outputs='y'
    ...   )
    ...   def make_inputs(self):
    ...     return np.random.default_rng(0).random((4, 3), np.float32)
    ...   def build_tf2(self):
    ...     dense = tf.keras.layers.Dense(2, use_bias=False, name='dense')
    ...     return tf.keras.Sequential([dense])
    >>> LinearTest().assertForwardEquivalent().passed
    True

  Attributes:
    path: the file.
    checkpoint: prefix of the checkpoint; without one, `reset_weights` gives the
      values.
    inputs: nest of names of tensors, like the nest of `make_inputs`.
    outputs: nest of names of tensors that the TF2 side must return in the same
      form.
    feeds: see `SavedModel`.
    training_feeds: see `SavedModel`.
    train_op: see `SavedModel`.
    loss: see `SavedModel`.
    allow_file_ops: see `SavedModel`.
    trust_ops: see `SavedModel`.
    timeout: see `SavedModel`.
  """

  path: str | os.PathLike[str]
  checkpoint: str | os.PathLike[str] | None = None
  inputs: Any = None
  outputs: Any = None
  feeds: Mapping[str, Any] | None = None
  training_feeds: Mapping[str, Any] | None = None
  train_op: str | None = None
  loss: str | None = None
  allow_file_ops: bool = False
  trust_ops: Sequence[str] = ()
  timeout: float = 600.0
  _loaded: loading.Loaded | None = dataclasses.field(
    default=None, init=False, compare=False
  )

  def _read(self) -> files.Export:
    return files.read_meta_graph(self.path, self.checkpoint)


@dataclasses.dataclass(repr=False)
class FrozenGraph(runs.Exported):
  """The TF1 side is a frozen graph: variables have become constants.

  Those that were variables are found by the ops that read them, and are
  compared by name. Which were trainable, and regularization losses, are not
  known. See docs/references.md, "Exported graphs".

  Example:
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + '/frozen.pb'
    >>> with tf.Graph().as_default() as graph:
    ...   x = v1.placeholder(tf.float32, [None, 3], name='x')
    ...   w = tf.constant(np.ones((3, 2), np.float32), name='dense/kernel')
    ...   y = tf.matmul(x, tf.identity(w, name='dense/kernel/read'), name='y')
    ...   with open(path, 'wb') as file:
    ...     size = file.write(graph.as_graph_def().SerializeToString())
    >>> class LinearTest(MigrationTestCase):
    ...   tf1_reference = FrozenGraph(path, inputs='x', outputs='y')
    ...   def make_inputs(self):
    ...     return np.random.default_rng(0).random((4, 3), np.float32)
    ...   def build_tf2(self):
    ...     dense = tf.keras.layers.Dense(2, use_bias=False, name='dense')
    ...     return tf.keras.Sequential([dense])
    >>> LinearTest().assertForwardEquivalent().passed
    True

  Attributes:
    path: the file.
    inputs: nest of names of tensors, like the nest of `make_inputs`.
    outputs: nest of names of tensors that the TF2 side must return in the same
      form.
    variables: names of constants that were variables although nothing in the
      graph tells.
    feeds: see `SavedModel`.
    training_feeds: see `SavedModel`.
    allow_file_ops: see `SavedModel`.
    trust_ops: see `SavedModel`.
    timeout: see `SavedModel`.
  """

  path: str | os.PathLike[str]
  inputs: Any = None
  outputs: Any = None
  variables: Sequence[str] = ()
  feeds: Mapping[str, Any] | None = None
  training_feeds: Mapping[str, Any] | None = None
  allow_file_ops: bool = False
  trust_ops: Sequence[str] = ()
  timeout: float = 600.0
  _loaded: loading.Loaded | None = dataclasses.field(
    default=None, init=False, compare=False
  )

  def _read(self) -> files.Export:
    return files.read_frozen_graph(self.path)
