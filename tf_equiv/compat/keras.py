"""What Keras publishes neither of its objects nor of its global state."""

import copy
import importlib
import sys

import tensorflow as tf

from tf_equiv.compat import constructors
from tf_equiv.core import interrupts

v1 = tf.compat.v1


def legacy_shim():
  """Returns tf_keras' module of the modeling shim.

  It is reachable whatever `tf.keras` is. Raises ImportError where tf_keras is
  not installed.
  """
  return importlib.import_module(
    'tf_keras.src.legacy_tf_layers.variable_scope_shim'
  )


def shim_regularizers(module):
  """Yields (variable name, callable) of a `tf.Module` behind the shim.

  Keras layers report these in `losses`; plain modules only have the private
  store that TensorFlow's documentation of the shim names for this purpose.
  """
  for part in (module,) + tuple(getattr(module, 'submodules', ())):
    store = getattr(part, '_tf1_style_var_store', None)
    if store is not None and not hasattr(part, 'add_loss'):
      for name, regularizer in store._regularizers.items():
        yield name.split(':')[0], regularizer


def keras_layers_inside(module):
  """Returns the layers of tf_keras that a `tf.Module` holds.

  Those inside other layers are left out: the outer ones report their losses.
  """
  layers = [part for part in module.submodules if is_keras_object(part)]
  inner = {id(part) for layer in layers for part in layer.submodules}
  return [layer for layer in layers if id(layer) not in inner]


def is_legacy_layer(obj) -> bool:
  """Returns whether an object is a `tf.compat.v1.layers` layer."""
  return any(
    cls.__module__.endswith('legacy_tf_layers.base')
    for cls in type(obj).__mro__
  )


def is_keras_object(obj) -> bool:
  """Returns whether an object is a layer or model of any Keras."""
  return any(
    cls.__name__ in ('Layer', 'Operation')
    and cls.__module__.split('.')[0] in ('keras', 'tf_keras')
    for cls in type(obj).__mro__
  )


def keras_of(obj):
  """Returns the Keras that an object belongs to, tf_keras by default."""
  return importlib.import_module(
    'keras' if is_keras_3_object(obj) else 'tf_keras'
  )


def is_keras_3_object(obj) -> bool:
  """Returns whether an object is a layer, model or optimizer of Keras 3.

  Keras 2 calls itself tf_keras, since it is a package of its own.
  """
  return any(
    cls.__module__.split('.')[0] == 'keras' for cls in type(obj).__mro__
  )


def in_keras_scratch_graph() -> bool:
  """Returns whether Keras calls layers symbolically, in a graph never run."""
  graph = None if tf.executing_eagerly() else v1.get_default_graph()
  while graph is not None:
    name = getattr(graph, 'name', '')
    if name == 'keras_graph' or name.endswith('_scratch_graph'):
      return True
    graph = getattr(graph, 'outer_graph', None)
  return False


def _subclasses(cls):
  for sub in cls.__subclasses__():
    yield sub
    for deeper in _subclasses(sub):
      yield deeper


@interrupts.restoring
def keras_classes_shielded():
  """Keeps layers built in a TF1 graph from changing Keras' TF2 classes.

  Creating a layer in a v1 graph replaces the *base classes* of its class by
  their v1 versions, in place (tf_keras/src/utils/version_utils.py,
  `swap_class`), and existing TF2 models of that class break with "invalid
  state". The bases that were there are put back at exit.
  """
  module = sys.modules.get('tf_keras.src.engine.base_layer')
  if module is None:
    yield
    return
  before = [(cls, cls.__bases__) for cls in set(_subclasses(module.Layer))]
  try:
    yield
  finally:
    for cls, bases in before:
      if cls.__bases__ != bases:
        cls.__bases__ = bases


@interrupts.restoring
def fresh_keras_names(counted=None):
  """Lets automatic names ('dense', 'dense_1') count from the start.

  Each build of a model then gives the same names, however many models the
  process has built before. The counters go back to what they were at exit.

  Args:
    counted: dict that keeps the counters at exit; a later context that is given
      it goes on from them.

  Yields:
    None.
  """
  counted = {} if counted is None else counted
  restore, keep = [], []
  # Layers of tf.compat.v1 are counted by variable scopes. In eager execution,
  # their counts are those of the graph at the bottom, which lives as long as
  # the process; only this private collection holds them.
  v1.get_variable_scope()  # Makes the collection.
  (scopes,) = v1.get_collection(('__varscope',))
  counts = scopes.variable_scopes_count
  scopes.variable_scopes_count = dict(counted.get('scopes', ()))
  keep.append(lambda: ('scopes', dict(scopes.variable_scopes_count)))
  restore.append(lambda: setattr(scopes, 'variable_scopes_count', counts))
  backend = sys.modules.get('tf_keras.src.backend')
  if backend is not None:
    names = backend.PER_GRAPH_OBJECT_NAME_UIDS
    saved = dict(names)
    names.clear()
    graph = v1.get_default_graph()  # That of eager execution.
    if 'keras' in counted:
      names[graph] = counted['keras'].copy()
    keep.append(lambda: ('keras', backend.get_default_graph_uid_map().copy()))
    restore.append(lambda: (names.clear(), names.update(saved)))
  state = sys.modules.get('keras.src.backend.common.global_state')
  if state is not None:  # Keras 3
    key = 'object_name_uids'
    counters = state.get_global_attribute(key)
    state.set_global_attribute(key, copy.copy(counted.get('keras 3')))
    keep.append(lambda: ('keras 3', state.get_global_attribute(key)))
    restore.append(lambda: state.set_global_attribute(key, counters))
  try:
    yield
  finally:
    counted.update(found() for found in keep)
    for undo in restore:
      undo()


@interrupts.restoring
def keras_layers_seen(callback):
  """Calls back with each Keras layer that is made, while active.

  Layers have no record of where they were made, and the ops of a functional
  model are made in library code only.
  """
  bases = [
    getattr(sys.modules.get(name), 'Layer', None)
    for name in (
      'tf_keras.src.engine.base_layer',
      'keras.src.layers.layer',
    )
  ]
  classes = [base for base in bases if base is not None]
  with constructors.seen(classes, callback, when_made=True):
    yield
