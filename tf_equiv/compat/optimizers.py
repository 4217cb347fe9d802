"""What is private in optimizers.

Neither `tf.compat.v1.train` nor Keras publish an optimizer's hyperparameters,
slots and learning rate in full.
"""

import sys

import tensorflow as tf

from tf_equiv.compat import constructors, execution, graphs, keras
from tf_equiv.core import interrupts

v1 = tf.compat.v1


def is_v1(optimizer):
  """Returns whether it is an optimizer of `tf.compat.v1.train`."""
  return isinstance(optimizer, v1.train.Optimizer)


def v1_attribute(optimizer, name):
  """Returns what a constructor argument was, which v1 keeps private."""
  value = getattr(optimizer, '_' + name, None)
  return value() if callable(value) else value


# Where each kind of optimizer, and of schedule, has its base class.
_BASES = (
  ('tf_keras.src.optimizers.optimizer', '_BaseOptimizer'),
  ('tf_keras.src.optimizers.legacy.optimizer_v2', 'OptimizerV2'),
  ('keras.src.optimizers.base_optimizer', 'BaseOptimizer'),
  (
    'tf_keras.src.optimizers.schedules.learning_rate_schedule',
    'LearningRateSchedule',
  ),
  (
    'keras.src.optimizers.schedules.learning_rate_schedule',
    'LearningRateSchedule',
  ),
)


@interrupts.restoring
def made(callback):
  """Calls back with each optimizer and schedule that is made, while active.

  They have no record of where they were made. The bases of schedules have no
  `__init__`, so that of each class is looked at.
  """
  classes = [v1.train.Optimizer]
  for module, name in _BASES:
    base = getattr(sys.modules.get(module), name, None)
    if base is not None:
      classes += [base] + derived(base)
  with constructors.seen(classes, callback):
    yield


def derived(base):
  """Returns all classes that derive from a class."""
  found = []
  for cls in base.__subclasses__():
    found += [cls] + derived(cls)
  return found


# The tensor that the update reads comes first: `_prepare` makes it. Public ones
# are what research code calls its own.
_V1_RATES = (
  '_lr_t',
  '_learning_rate_tensor',
  '_lr',
  '_learning_rate',
  'learning_rate',
  'lr',
)


def v1_learning_rate(optimizer):
  """Returns the tensor or number that the update reads, None if unknown.

  In eager execution and in a `tf.function` the tensor is that of the last
  update, or of another function, so the constructor's argument is what counts.
  """
  names, in_graph = _V1_RATES, execution.execution_context() == 'graph'
  if not in_graph:
    names = _V1_RATES[2:]
  for name in names:
    value = getattr(optimizer, name, None)
    value = value() if callable(value) else value
    if value is not None and not (in_graph and _is_inside(value)):
      return value
  return None


def _is_inside(value):
  """Returns whether a tensor is in a branch, where it cannot be fetched."""
  graph = getattr(value, 'graph', None)
  if graph is None:
    return False
  return graph is not v1.get_default_graph() or graphs.is_in_control_flow(
    value.op
  )


def v1_other_variables(optimizer):
  """Returns variables that are no slots: Adam's powers of beta."""
  # Keyed by (name, graph); the dict is private, the public `variables()` mixes
  # them with slots.
  return list(getattr(optimizer, '_non_slot_dict', {}).values())


def v1_variables(optimizer):
  """Returns all variables of an optimizer that runs eagerly.

  The public `variables()` leaves out those made before the default graph was
  replaced, as `clear_session` does.
  """
  slots = getattr(optimizer, '_slots', {}).values()
  found = [slot for of_name in slots for slot in of_name.values()]
  return found + v1_other_variables(optimizer)


def v1_build(optimizer, variables):
  """Creates the slots that the first update would create."""
  with tf.init_scope():
    optimizer._create_slots(list(variables))


def is_legacy_keras(optimizer):
  """Returns whether it is one of `tf_keras.optimizers.legacy`."""
  return any(
    cls.__name__ == 'OptimizerV2' and 'keras' in cls.__module__
    for cls in type(optimizer).__mro__
  )


def is_keras(optimizer):
  """Returns whether it is an optimizer of any Keras."""
  return is_legacy_keras(optimizer) or any(
    cls.__name__ in ('_BaseOptimizer', 'BaseOptimizer')
    and cls.__module__.split('.')[0] in ('keras', 'tf_keras')
    for cls in type(optimizer).__mro__
  )


def inner(optimizer):
  """Returns the optimizer inside a LossScaleOptimizer, else itself."""
  return getattr(optimizer, 'inner_optimizer', optimizer)


def parts(optimizer):
  """Returns the optimizers inside a MultiOptimizer of Keras 3, else itself."""
  if _is_made_by(optimizer, 'MultiOptimizer'):
    return list(optimizer.optimizers)
  return [optimizer]


def _is_made_by(optimizer, name):
  return name in keras_classes(optimizer)


def keras_classes(optimizer):
  """Returns the names of its classes that are Keras' own, derived first."""
  return [
    cls.__name__
    for cls in type(optimizer).__mro__
    if cls.__module__.split('.')[0] in ('keras', 'tf_keras')
    or cls.__module__.startswith('tensorflow.python.keras.')
  ]


def keras_hyperparameter(optimizer, name):
  """Returns a hyperparameter as it was given, None if there is none.

  `get_config` is not asked: it fails for learning-rate schedules that cannot be
  serialized, which most people's own cannot.
  """
  # Legacy optimizers make variables of them when they are read in public.
  hypers = getattr(optimizer, '_hyper', {})
  if name in hypers:
    return hypers[name]
  return getattr(optimizer, name, getattr(optimizer, '_' + name, None))


def keras_learning_rate(optimizer):
  """Returns the learning rate of the next update, None if there is none."""
  if is_legacy_keras(optimizer):
    if _is_made_by(optimizer, 'Nadam'):
      # Its `decay` is that of the momentum.
      return optimizer._get_hyper('learning_rate', tf.float32)
    # The public `learning_rate` leaves out `decay` and does not evaluate
    # schedules.
    return optimizer._decayed_lr(tf.float32)
  if _is_made_by(optimizer, 'MultiOptimizer'):
    return None
  if keras.is_keras_3_object(optimizer):
    return optimizer.learning_rate
  # The public `learning_rate` of tf_keras is that of the last update.
  rate = getattr(optimizer, '_learning_rate', None)
  return rate(optimizer.iterations) if callable(rate) else rate


def keras_schedule(optimizer):
  """Returns the learning rate as it was given: a number, or a schedule."""
  optimizer = inner(optimizer)
  if is_legacy_keras(optimizer):
    return getattr(optimizer, '_hyper', {}).get('learning_rate')
  return getattr(optimizer, '_learning_rate', None)


# Lists of variables that are not one slot for each variable of the model.
_NO_SLOTS = ('_variables', '_trainable_variables')


def keras_slot_lists(optimizer):
  """Returns {attribute without underscore: slots in the variables' order}.

  Keras has no public access to slots. They are lists, as long as the variables
  that the optimizer was built with.
  """
  index = getattr(
    optimizer,
    '_trainable_variables_indices',
    getattr(optimizer, '_index_dict', {}),
  )
  return {
    name.lstrip('_'): value
    for name, value in vars(optimizer).items()
    if isinstance(value, (list, tuple))
    and name not in _NO_SLOTS
    and len(value) == len(index) > 0
    and all(slot is None or hasattr(slot, 'assign') for slot in value)
  }


def keras_legacy_slots(optimizer, variable):
  """Returns {name: slot} of a legacy optimizer."""
  found = {}
  for name in optimizer.get_slot_names():
    try:
      found[name] = optimizer.get_slot(variable, name)
    except KeyError:  # It has had no gradient so far.
      pass
  return found


def keras_index(optimizer, variable):
  """Returns the position of a variable in the slot lists, None if unknown."""
  try:
    if keras.is_keras_3_object(optimizer):
      return optimizer._get_variable_index(variable)
    return optimizer._index_dict[optimizer._var_key(variable)]
  except (KeyError, AttributeError):
    return None


def keras_build(optimizer, variables):
  """Creates all slots."""
  if is_legacy_keras(optimizer):
    optimizer._create_all_weights(variables)
  elif not getattr(optimizer, 'built', False):
    # A LossScaleOptimizer of Keras 3 would make its variables anew.
    optimizer.build(variables)


def keras_scaled_loss(optimizer, loss):
  """Returns the loss as an optimizer of Keras 3 scales it, else as it is."""
  if keras.is_keras_3_object(optimizer):
    return optimizer.scale_loss(loss)
  return loss


def keras_clip(optimizer, pairs):
  """Returns gradients as the optimizer leaves them before the update.

  Args:
    optimizer: an optimizer of Keras; a LossScaleOptimizer as it is.
    pairs: (gradient, variable), no gradient None. Only `gradient_transformers`
      look at the variables.
  """
  outer, optimizer = optimizer, inner(optimizer)
  if is_legacy_keras(optimizer):
    return [gradient for gradient, _ in optimizer._transform_gradients(pairs)]
  gradients = [gradient for gradient, _ in pairs]
  if keras.is_keras_3_object(optimizer):
    scale = optimizer.loss_scale_factor
    if outer is not optimizer:
      # It is not there before the first update.
      scale = getattr(outer, 'dynamic_scale', outer.initial_scale)
    if scale is not None:
      scale = tf.convert_to_tensor(scale)
      gradients = [_divided(gradient, scale) for gradient in gradients]
    if optimizer.gradient_accumulation_steps:
      return gradients  # Their mean is clipped, in a later step.
  return list(optimizer._clip_gradients(gradients))


def _divided(gradient, scale):
  scale = tf.cast(scale, gradient.dtype)
  if isinstance(gradient, tf.IndexedSlices):
    return tf.IndexedSlices(
      gradient.values / scale, gradient.indices, gradient.dense_shape
    )
  return gradient / scale


def keras_variables(optimizer):
  """Returns all variables of an optimizer, hyperparameters included."""
  variables = optimizer.variables
  found = list(variables() if callable(variables) else variables)
  # tf_keras leaves the learning rate out.
  optimizer = inner(optimizer)
  others = [
    getattr(optimizer, name, None)
    for name in ('_learning_rate', '_current_learning_rate')
  ]
  others += list(getattr(optimizer, '_hyper', {}).values())
  for variable in others:
    if hasattr(variable, 'assign') and not any(variable is v for v in found):
      found.append(variable)
  return found


def keras_trainable(optimizer):
  """Returns the variables that a Keras 3 optimizer was built with."""
  return list(optimizer._trainable_variables)


def set_keras_iterations(optimizer, count):
  """Sets the number of updates."""
  # Keras 3 counts calls, of which an update may take several.
  steps = getattr(optimizer, 'gradient_accumulation_steps', None)
  if steps:
    optimizer._iterations.assign(count * steps)
  else:
    optimizer.iterations.assign(count)
