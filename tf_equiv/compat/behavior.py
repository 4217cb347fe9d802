"""Behaviours of TF1 and TF2: turned on or off, and back as they were."""

import importlib

import tensorflow as tf

from tf_equiv.core import interrupts

v1 = tf.compat.v1


def _toggles():
  """The switchable behaviours: name -> (is on, turn on, turn off).

  All can be switched in public, but of most only private flags tell whether
  they are on.
  """
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


@interrupts.restoring
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


@interrupts.restoring
def v2_behavior():
  """Runs code as TF2, even after `tf.compat.v1.disable_v2_behavior()`.

  Legacy modules call that when imported, for the whole process.
  `enable_v2_behavior` would not undo it once a graph was built. Nor is there a
  public way to execute eagerly in a process that has switched to graphs.
  """
  context = importlib.import_module('tensorflow.python.eager.context')
  with behaviors(
    v2_defaults=True,
    tensor_equality=True,
    resource_variables=True,
    control_flow_v2=True,
    v2_tensorshape=True,
  ), context.eager_mode():
    yield


@interrupts.restoring
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


@interrupts.restoring
def variable_creators_kept():
  """Carries creator scopes over a reset of the default graph.

  `tf.variable_creator_scope` is bound to the default graph, also in eager
  execution; Keras' `clear_session` replaces that graph, and variables would be
  created unseen from then on. Neither the stack of graphs nor that of creators
  can be reached in public.
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


@interrupts.restoring
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
