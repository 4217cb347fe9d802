"""The only module that touches private or version-dependent TensorFlow.

It must import and run on Python 3.7 with TensorFlow 1.15 as well as on
TensorFlow 2.16 to 2.21, because the TF1 side may run in either. It imports
nothing else of this package. Everything that changes global state is a
context manager that restores it, except the repairs of tf_slim, which only
fill in what is missing.
"""

import contextlib
import copy
import functools
import importlib
import importlib.util
import os
import sys
import types
import warnings

LEGACY_KERAS_VARIABLE = 'TF_USE_LEGACY_KERAS'


def choose_legacy_keras() -> None:
  """Asks for tf_keras as `tf.keras`, if that can still be asked.

  Since TF 2.16 `tf.keras` is Keras 3, which has neither the modeling shim nor
  `tf.compat.v1.layers`, unless TF_USE_LEGACY_KERAS is set before tensorflow
  is imported. A value that the user chose is left alone, and so is a process
  in which tensorflow is imported already: switching late gives a mix.
  """
  if 'tensorflow' not in sys.modules:
    os.environ.setdefault(LEGACY_KERAS_VARIABLE, '1')
  elif LEGACY_KERAS_VARIABLE not in os.environ and _has_keras_3():
    warnings.warn(
      'tensorflow was imported before tf_equiv, so tf.keras is Keras 3 and '
      'tf.compat.v1.layers is missing. Import tf_equiv first, or set '
      'TF_USE_LEGACY_KERAS=1 for the process; set it to 0 to keep Keras 3 '
      'without this warning.',
      stacklevel=2,
    )


def _has_keras_3() -> bool:
  """Tells whether the imported TensorFlow takes Keras 3 by default."""
  version = sys.modules['tensorflow'].__version__.split('.')
  return (int(version[0]), int(version[1])) >= (2, 16)


choose_legacy_keras()

import tensorflow as tf  # noqa: E402  (must follow the choice above)

v1 = tf.compat.v1


# --- Repairs of tf_slim 1.1.0 -----------------------------------------------


def repair_tf_slim() -> None:
  """Restores what tf_slim 1.1.0 needs of TensorFlow (fixes A and B)."""
  _repoint_normalization()
  _restore_moved_attributes()


def _repoint_normalization() -> None:
  """Fix A: points `layers.normalization` to where Keras keeps it now.

  `tensorflow.python.layers.normalization` loads `<keras>.legacy_tf_layers` on
  first use, but since Keras 2.13 that package is `<keras>.src.
  legacy_tf_layers`, so tf_slim's batch_norm fails with "No module named
  'tf_keras.legacy_tf_layers'". Nothing is imported here: tf_keras takes more
  than a second, and a user may never need it.
  """
  try:
    module = importlib.import_module('tensorflow.python.layers.normalization')
  except ImportError:  # TF 1.15 has it elsewhere, and intact.
    return
  loader = module.__dict__.get('normalization')
  target = getattr(loader, '__name__', '')
  if not target.endswith('.legacy_tf_layers.normalization'):
    return
  root = target.split('.')[0]
  for package in (root, root + '.src', 'tf_keras.src', 'keras.src'):
    name = package + '.legacy_tf_layers.normalization'
    if _module_file_exists(name):
      if name != target:
        module.normalization = type(loader)(
          'normalization', module.__dict__, name
        )
      return


def _module_file_exists(name: str) -> bool:
  """Tells whether a module is installed without importing its parents."""
  root, *parts = name.split('.')
  try:
    spec = importlib.util.find_spec(root)
  except (ImportError, ValueError):
    return False
  folders = spec.submodule_search_locations if spec else None
  return any(
    os.path.isfile(os.path.join(folder, *parts) + '.py')
    for folder in folders or ()
  )


# Fix B. (module that tf_slim reads, attribute, module that has it now, name
# there); all below `tensorflow.python`. IndexedSlices, stack and unstack
# moved in TF 2.13; Assert, case, cond, while_loop and variable in 2.14;
# Tensor in 2.15.
_MOVED = (
  ('framework.ops', 'Tensor', 'framework.tensor', 'Tensor'),
  (
    'framework.ops',
    'IndexedSlices',
    'framework.indexed_slices',
    'IndexedSlices',
  ),
  ('ops.array_ops', 'stack', 'ops.array_ops_stack', 'stack'),
  ('ops.array_ops', 'unstack', 'ops.array_ops_stack', 'unstack'),
  ('ops.control_flow_ops', 'Assert', 'ops.control_flow_assert', 'Assert'),
  ('ops.control_flow_ops', 'case', 'ops.control_flow_case', 'case'),
  ('ops.control_flow_ops', 'cond', 'ops.cond', 'cond'),
  ('ops.control_flow_ops', 'while_loop', 'ops.while_loop', 'while_loop'),
  ('ops.variable_scope', 'variable', 'ops.variable_v1', 'VariableV1'),
)


def _restore_moved_attributes() -> None:
  """Fix B: gives TensorFlow's modules back what moved out of them."""
  for old_module, attribute, new_module, name in _MOVED:
    old = importlib.import_module('tensorflow.python.' + old_module)
    if not hasattr(old, attribute):
      new = importlib.import_module('tensorflow.python.' + new_module)
      setattr(old, attribute, getattr(new, name))


# --- Which Keras --------------------------------------------------------------


LEGACY_KERAS_ADVICE = (
  'This needs tf_keras as `tf.keras`, which is chosen before tensorflow is '
  'imported: import tf_equiv before tensorflow, or set the environment '
  'variable TF_USE_LEGACY_KERAS=1 for the whole process (shell, pytest '
  'configuration, or `env` of the Bazel target). Keras 3 models still work in '
  'that process: use `import keras` for them instead of `tf.keras`.'
)


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
  """Tells whether an object is a `tf.compat.v1.layers` layer."""
  return any(
    cls.__module__.endswith('legacy_tf_layers.base')
    for cls in type(obj).__mro__
  )


def is_keras_object(obj) -> bool:
  """Tells whether an object is a layer or model of any Keras."""
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
  """Tells whether an object is a layer, model or optimizer of Keras 3.

  Keras 2 calls itself tf_keras, since it is a package of its own.
  """
  return any(
    cls.__module__.split('.')[0] == 'keras' for cls in type(obj).__mro__
  )


# --- Random numbers -----------------------------------------------------------

# Every stateful random op asks this function, by attribute, for its seed.
_random_seed = importlib.import_module(
  'tensorflow.python.framework.random_seed'
)
_context = importlib.import_module('tensorflow.python.eager.context')
_PATCH_MARK = '_tf_equiv_get_seed'


def get_seed_is_patched() -> bool:
  """Tells whether `get_seed_patched` is active."""
  return hasattr(_random_seed.get_seed, _PATCH_MARK)


@contextlib.contextmanager
def get_seed_patched(get_seed):
  """Replaces TensorFlow's `get_seed` while the context is active.

  The op's function is the caller's caller of the given `get_seed`.
  """

  def replacement(op_seed=None):
    return get_seed(op_seed)

  original = _random_seed.get_seed
  setattr(replacement, _PATCH_MARK, original)
  _random_seed.get_seed = replacement
  try:
    yield
  finally:
    _random_seed.get_seed = original


@contextlib.contextmanager
def get_seed_unpatched():
  """Takes the patch of `get_seed_patched` back while the context is active."""
  patched = _random_seed.get_seed
  _random_seed.get_seed = getattr(patched, _PATCH_MARK, patched)
  try:
    yield
  finally:
    _random_seed.get_seed = patched


def set_global_seed(seed: int) -> None:
  """Sets the eager global seed, which also clears the cached kernels."""
  _context.context()._set_global_seed(seed)


@contextlib.contextmanager
def global_seed_restored():
  """Restores the eager global seed and the generator derived from it.

  `tf.random.set_seed` alone could not: it starts the generator anew, and it
  cannot tell which seed, if any, was set before.
  """
  context = _context.context()
  seed, generator = context._seed, getattr(context, '_rng', None)
  state = generator.getstate() if generator is not None else None
  try:
    yield
  finally:
    context._set_global_seed(seed)
    if generator is None:
      if hasattr(context, '_rng'):
        del context._rng
    else:
      generator.setstate(state)
      context._rng = generator


def _keras_random_generator_class():
  """The class behind default initializers and dropout of Keras 2, or None."""
  for name in ('tf_keras.src.backend', 'keras.src.backend', 'keras.backend'):
    try:
      module = importlib.import_module(name)
    except ImportError:
      continue
    cls = getattr(module, 'RandomGenerator', None)
    if cls is not None and hasattr(cls, 'RNG_LEGACY_STATEFUL'):
      return cls
  return None


@contextlib.contextmanager
def legacy_stateful_keras_generators():
  """Fix C: lets Keras 2's generators draw with stateful ops, as TF1 did.

  Since Keras 2.11 (about), default initializers draw with stateless ops whose
  seed is Python's `random`, so `get_seed` never hears of them. Inside this
  context every generator, older ones included, counts as legacy-stateful.
  A property shadows the instances' attribute, so that leaving the context
  gives each generator its own type back; no generator is built or advanced
  meanwhile.
  """
  cls = _keras_random_generator_class()
  if cls is None:
    yield
    return

  def set_type(self, value):
    self.__dict__['_rng_type'] = value

  replaced = {
    name: cls.__dict__[name] for name in ('_maybe_init', 'make_legacy_seed')
  }
  cls._rng_type = property(lambda self: cls.RNG_LEGACY_STATEFUL, set_type)
  cls._maybe_init = lambda self: None
  cls.make_legacy_seed = lambda self: None
  try:
    yield
  finally:
    del cls._rng_type
    for name, value in replaced.items():
      setattr(cls, name, value)


# --- Behaviours of TF1 and TF2 ------------------------------------------------


def _toggles():
  """The switchable behaviours: name -> (is on, turn on, turn off)."""
  variable_scope = importlib.import_module(
    'tensorflow.python.ops.variable_scope'
  )
  tensor_shape = importlib.import_module(
    'tensorflow.python.framework.tensor_shape'
  )
  tf2 = importlib.import_module('tensorflow.python.tf2')
  resources_are_on = (
    getattr(v1, 'resource_variables_enabled', None)
    or getattr(variable_scope, 'resource_variables_enabled', None)
    or (lambda: variable_scope._DEFAULT_USE_RESOURCE)  # TF 1.13
  )

  def shapes_are_v2():
    override = getattr(tensor_shape, '_TENSORSHAPE_V2_OVERRIDE', None)
    return tf2.enabled() if override is None else override

  toggles = {
    'v2_defaults': (tf2.enabled, tf2.enable, tf2.disable),
    'resource_variables': (
      resources_are_on,
      v1.enable_resource_variables,
      v1.disable_resource_variables,
    ),
    'v2_tensorshape': (
      shapes_are_v2,
      v1.enable_v2_tensorshape,
      v1.disable_v2_tensorshape,
    ),
  }
  if hasattr(v1, 'enable_tensor_equality'):  # Since TF 1.15.
    toggles['tensor_equality'] = (
      lambda: tf.Tensor._USE_EQUALITY,
      v1.enable_tensor_equality,
      v1.disable_tensor_equality,
    )
    toggles['control_flow_v2'] = (
      v1.control_flow_v2_enabled,
      v1.enable_control_flow_v2,
      v1.disable_control_flow_v2,
    )
  return toggles


@contextlib.contextmanager
def behaviors(**wanted):
  """Turns behaviours on or off, and restores them.

  Args:
    **wanted: name of a behaviour (see `_toggles`) and whether it is to be on.

  Raises:
    NotImplementedError: for one to be on that this TensorFlow does not have.
  """
  toggles = _toggles()
  lacking = [name for name in wanted if name not in toggles]
  if any(wanted[name] for name in lacking):
    raise NotImplementedError(
      f'TensorFlow {tf.__version__} does not have the behaviour(s) '
      f'{", ".join(lacking)}; turn them off in tf1_behavior.'
    )
  wanted = {name: on for name, on in wanted.items() if name in toggles}
  before = {name: bool(toggles[name][0]()) for name in wanted}
  try:
    for name, on in wanted.items():
      toggles[name][1 if on else 2]()
    yield
  finally:
    for name, on in before.items():
      toggles[name][1 if on else 2]()


@contextlib.contextmanager
def v2_behavior():
  """Runs code as TF2, even after `tf.compat.v1.disable_v2_behavior()`.

  Legacy modules call that when imported, for the whole process.
  `enable_v2_behavior` would not undo it once a graph was built.
  """
  with behaviors(
    v2_defaults=True,
    tensor_equality=True,
    resource_variables=True,
    control_flow_v2=True,
    v2_tensorshape=True,
  ), _context.eager_mode():
    yield


@contextlib.contextmanager
def grappler(on, without=()):
  """Turns TF2's graph optimizer (Grappler) on or off, and back as it was.

  With it off, gradients of a session and of a `tf.function` are bitwise equal.

  Args:
    on: whether it runs.
    without: names of the options of passes that do not.
  """
  options = {'disable_meta_optimizer': not on}
  options.update((name, False) for name in without)
  before = tf.config.optimizer.get_experimental_options()
  tf.config.optimizer.set_experimental_options(options)
  try:
    yield
  finally:
    # All passes are on by default, and the optimizer is not disabled.
    tf.config.optimizer.set_experimental_options(
      {
        name: before.get(name, name != 'disable_meta_optimizer')
        for name in options
      }
    )


@contextlib.contextmanager
def variable_creators_kept():
  """Carries creator scopes over a reset of the default graph.

  `tf.variable_creator_scope` is bound to the default graph, also in eager
  execution; Keras' `clear_session` replaces that graph, and variables would be
  created unseen from then on.
  """
  ops = importlib.import_module('tensorflow.python.framework.ops')
  graphs = ops._default_graph_stack
  graph, reset = v1.get_default_graph(), graphs.reset
  outer = vars(graphs).get('reset')  # Set where contexts are nested.
  before = graph._variable_creator_stack

  def reset_and_keep():
    creators = v1.get_default_graph()._variable_creator_stack
    reset()
    v1.get_default_graph()._variable_creator_stack = creators

  graphs.reset = reset_and_keep
  try:
    yield
  finally:
    if outer is None:
      del graphs.reset
    else:
      graphs.reset = outer
    if v1.get_default_graph() is not graph:
      v1.get_default_graph()._variable_creator_stack = before


# --- Keras' global state ------------------------------------------------------


def _subclasses(cls):
  for sub in cls.__subclasses__():
    yield sub
    for deeper in _subclasses(sub):
      yield deeper


@contextlib.contextmanager
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


@contextlib.contextmanager
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


@contextlib.contextmanager
def keras_layers_seen(callback):
  """Calls back with each Keras layer that is made, while active.

  Layers have no record of where they were made, and the ops of a functional
  model are made in library code only.
  """
  patched = []
  for name, cls in (
    ('tf_keras.src.engine.base_layer', 'Layer'),
    ('keras.src.layers.layer', 'Layer'),
  ):
    layer = getattr(sys.modules.get(name), cls, None)
    if layer is not None:
      patched.append((layer, layer.__init__))
      layer.__init__ = _calling_back(layer.__init__, callback)
  try:
    yield
  finally:
    for layer, original in patched:
      layer.__init__ = original


def _calling_back(original, callback):
  @functools.wraps(original)
  def __init__(self, *args, **kwargs):
    original(self, *args, **kwargs)
    callback(self)

  return __init__


# --- Introspection ------------------------------------------------------------


_tensor_util = importlib.import_module(
  'tensorflow.python.framework.tensor_util'
)
# Where they are in TF 1.13.
is_tensor = getattr(tf, 'is_tensor', None) or _tensor_util.is_tensor
get_static_value = (
  getattr(tf, 'get_static_value', None) or _tensor_util.constant_value
)


def is_autograph_file(filename: str) -> bool:
  """Tells whether a file was generated by AutoGraph."""
  return '__autograph_generated_file' in filename


def mapped_stack():
  """Returns the stack as (file, line number, function), outermost first.

  AutoGraph's generated code is mapped back to the code it came from, which
  only TensorFlow's own stack extraction can do.
  """
  tf_stack = importlib.import_module('tensorflow.python.util.tf_stack')
  return [(frame[0], frame[1], frame[2]) for frame in tf_stack.extract_stack()]


def traced_call():
  """Tells which call of a `tf.function` is being traced.

  The first call of a function that creates variables traces it twice, and
  runs what the second trace gave.

  Returns:
    (call, graph): two objects, the outermost call and the graph that it is
    traced into; None where no call is traced.
  """
  graph = v1.get_default_graph()
  while hasattr(getattr(graph, 'outer_graph', None), 'captures'):
    graph = graph.outer_graph
  call, frame = None, sys._getframe(1)
  while frame is not None:
    code = frame.f_code
    if code.co_name == '_call' and code.co_filename.endswith(_FUNCTION_FILE):
      call = frame
    frame = frame.f_back
  return None if call is None else (call, graph)


_FUNCTION_FILE = os.path.join('polymorphic_function', 'polymorphic_function.py')


def in_keras_scratch_graph() -> bool:
  """Tells whether Keras calls layers symbolically, in a graph never run."""
  graph = None if tf.executing_eagerly() else v1.get_default_graph()
  while graph is not None:
    name = getattr(graph, 'name', '')
    if name == 'keras_graph' or name.endswith('_scratch_graph'):
      return True
    graph = getattr(graph, 'outer_graph', None)
  return False


def is_in_control_flow(op) -> bool:
  """Tells whether an op is inside a v1 loop or conditional.

  `is_fetchable` says yes for some of them, and fetching those crashes.
  """
  return op._get_control_flow_context() is not None


def set_seed_of_op(op, op_seed: int) -> None:
  """Gives a random op of a graph another operation seed.

  Sessions that ran the op before go on with the old one. A graph has no public
  way to change an attribute, and to build it again takes seconds.
  """
  value = v1.AttrValue(i=op_seed)
  op._set_attr('seed2', value)


def op_stack(op):
  """Returns where an op was made, as (file, line number, function).

  In TF1, `op.traceback` looks up the text of each line, which takes two
  milliseconds for an op.
  """
  if not tf.__version__.startswith('1.'):
    return [(frame[0], frame[1], frame[2]) for frame in op.traceback or ()]
  return [
    (frame.filename, frame.lineno, frame.name)
    if hasattr(frame, 'filename')
    else (frame[0], frame[1], frame[2])
    for frame in op._traceback
  ]


def op_position(op) -> int:
  """Returns the position of an op in the order of creation."""
  return op._id


@contextlib.contextmanager
def op_callback(callback):
  """Lets a callback see, and in graphs replace, the outputs of each new op."""
  callbacks = importlib.import_module(
    'tensorflow.python.framework.op_callbacks'
  )
  callbacks.add_op_callback(callback)
  try:
    yield
  finally:
    callbacks.remove_op_callback(callback)


_FUSED_BATCH_NORM = ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3')


def tensor_id(tensor):
  """Returns a number of an eager tensor that no other tensor ever has.

  Unlike `id`, it is not given anew when the tensor is gone.
  """
  return tensor._id


def converted_by_autograph(function):
  """Returns a function as `tf.function` would run it.

  Keras converts `call` in this way, too.
  """
  autograph = tf.__internal__.autograph
  return autograph.tf_convert(function, autograph.control_status_ctx())


@contextlib.contextmanager
def batch_norm_statistics_differentiated():
  """Context in which fused batch normalization has all of its gradients.

  TensorFlow takes mean and variance for constants in inference. Private are the
  registry of gradients, which refuses to replace one, and `_registry` in it.
  """
  ops = importlib.import_module('tensorflow.python.framework.ops')
  entries = ops.gradient_registry._registry
  names = [n for n in _FUSED_BATCH_NORM if n in entries]
  before = {name: entries[name] for name in names}
  for name, entry in before.items():
    entries[name] = {**entry, 'type': _with_statistics(entry['type'])}
  try:
    yield
  finally:
    entries.update(before)


def _with_statistics(gradient):
  """Adds the gradients of mean and variance to those of the other inputs.

  With y = scale * (x - mean) * r + offset, where r = rsqrt(variance + epsilon),
  they are -scale * r times that of the offset, and -scale * r**2 / 2 times that
  of the scale.
  """

  def function(op, *grads):
    found = list(gradient(op, *grads))
    if op.get_attr('is_training') or found[3] is not None:
      return found
    scale, variance = op.inputs[1], op.inputs[4]
    rate = tf.math.rsqrt(variance + op.get_attr('epsilon'))
    found[3] = -scale * rate * found[2]
    found[4] = -0.5 * scale * rate * rate * found[1]
    return found

  return function


def execution_context() -> str:
  """Returns 'eager', 'graph' or 'function' for where code runs now."""
  if tf.executing_eagerly():
    return 'eager'
  graph = v1.get_default_graph()
  return 'function' if hasattr(graph, 'captures') else 'graph'


def name_scope() -> str:
  """Returns the current name scope, '' at the top."""
  current = getattr(tf, 'get_current_name_scope', None)
  return current() if current else v1.get_default_graph().get_name_scope()


def static_shape_value(shape):
  """Returns a shape given as list, TensorShape or tensor as a tuple.

  Returns None where it is not known before the graph runs.
  """
  try:
    if isinstance(shape, tf.TensorShape):
      return tuple(shape.as_list())
    value = get_static_value(shape) if is_tensor(shape) else shape
    if value is None:
      return None
    items = getattr(value, 'tolist', lambda: value)()
    if isinstance(items, (int, float)):
      items = [items]
    return tuple(int(item) for item in items)
  except (TypeError, ValueError, AttributeError):
    return None


def static_shape_of(value):
  """Returns the static shape of a tensor as a tuple, or None."""
  shape = getattr(value, 'shape', None)
  if shape is None or getattr(shape, 'rank', 0) is None:
    return None
  return static_shape_value(shape)


@contextlib.contextmanager
def stand_in(name, value):
  """Context in which `tf` and `tf.compat.v1` have a package that is gone.

  Does nothing where the package is there.
  """
  changed = []
  for module in (tf, v1, importlib.import_module('tensorflow.compat.v1')):
    if not hasattr(module, name):
      setattr(module, name, value)
      changed.append(module)
  try:
    yield
  finally:
    for module in changed:
      delattr(module, name)


# --- Graphs -------------------------------------------------------------------


def traced_graph(function, arguments):
  """Traces a function into a graph, once, with nested functions inlined.

  `wrap_function` would drop the updates of variables, which only automatic
  control dependencies keep, and a `tf.function` would keep nested functions
  as ops that hide what is inside.

  Args:
    function: takes and returns nests of tensors; creates no variables.
    arguments: a nest of eager tensors for its single argument.

  Returns:
    (graph, placeholders of the arguments, what the function returned).
  """
  func_graph = importlib.import_module('tensorflow.python.framework.func_graph')
  found = {}

  def keep(inputs):
    found['inputs'] = inputs
    found['outputs'] = function(inputs)
    return found['outputs']

  eager = tf.config.functions_run_eagerly()
  tf.config.run_functions_eagerly(True)
  try:
    graph = func_graph.func_graph_from_py_func(
      'tf_equiv_capture',
      keep,
      args=(arguments,),
      kwargs={},
      add_control_dependencies=True,
    )
  finally:
    tf.config.run_functions_eagerly(eager)
  return graph, found['inputs'], found['outputs']


def captured_tensors(graph):
  """Returns (tensor outside, placeholder inside) of a traced graph."""
  return list(graph.captures)


def function_traceback(graph, function, node_name):
  """Returns the traceback of a node of a function that a graph calls.

  Nodes of a function may have other names than the ops they were made of, but
  they are in the same order.

  Args:
    graph: the graph.
    function: name of the function.
    node_name: name of a node of its `FunctionDef`.

  Returns:
    A list of frames as that of `tf.Operation.traceback`, empty if unknown.
  """
  found = graph._get_function(function)
  inner = getattr(found, 'graph', None)
  if inner is None:  # Imported, or of TF 1.15.
    return []
  nodes = found.cached_definition.node_def
  made = {op.name: op for op in inner.get_operations()}
  given = {tensor.op.name for tensor in inner.inputs}
  ops = [op for op in inner.get_operations() if op.name not in given]
  if [op.type for op in ops] == [node.op for node in nodes]:
    made = {node.name: op for node, op in zip(nodes, ops)}
  op = made.get(node_name)
  return [] if op is None else op.traceback


def op_definition(op_type):
  """Returns the `OpDef` of a type of op, None if it is not registered."""
  registry = importlib.import_module(
    'tensorflow.python.framework.op_def_registry'
  )
  if not hasattr(registry, 'get'):  # TF1
    return registry.get_registered_ops().get(op_type)
  return registry.get(op_type)


def export_messages():
  """Returns the classes of messages in exported graphs that `tf` leaves out.

  The modules of protocol buffers are no part of the public API.
  """
  names = (
    ('core.protobuf.saved_model_pb2', 'SavedModel'),
    ('core.framework.variable_pb2', 'VariableDef'),
    ('core.protobuf.control_flow_pb2', 'CondContextDef'),
    ('core.protobuf.control_flow_pb2', 'WhileContextDef'),
  )
  return types.SimpleNamespace(
    **{
      name: getattr(importlib.import_module('tensorflow.' + module), name)
      for module, name in names
    }
  )


@functools.lru_cache(maxsize=None)  # What is registered does not change.
def cpu_kernels(op_type):
  """Returns the constraints of an op's CPU kernels.

  Each is a dict of the types that an attribute may have, by its name.
  """
  kernels = importlib.import_module('tensorflow.python.framework.kernels')
  return [
    {c.name: list(c.allowed_values.list.type) for c in kernel.constraint}
    for kernel in kernels.get_registered_kernels_for_op(op_type).kernel
    if kernel.device_type == 'CPU'
  ]


repair_tf_slim()
