"""Access to a migrated model, whatever kind of object it is."""

import inspect
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors, observation
from tf_equiv.tf1 import walks
from tf_equiv.tf2 import creation


def check_model(model: Any) -> Any:
  """Returns what `build_tf2` returned if it can be called.

  Raises:
    UsageError: if it is None, a class, a tensor, or cannot be called.
  """
  if model is None:
    raise errors.UsageError(
      'build_tf2 returned None; return the migrated model.'
    )
  if inspect.isclass(model):
    raise errors.UsageError(
      f'build_tf2 returned the class {model.__name__}; return an object of '
      f'it: `return {model.__name__}(...)`.'
    )
  if not callable(model):
    kind = 'a tensor' if tf.is_tensor(model) else 'no model'
    raise errors.UsageError(
      f'build_tf2 returned a {type(model).__name__}, which is {kind}; return '
      'an object that can be called as model(inputs, training=...): a Keras '
      'layer or model, a tf.Module with __call__, or a function.'
    )
  return model


def takes_training(model: Any) -> bool:
  """Returns whether a model can be called with `training=...`."""
  target = model.call if compat.is_keras_object(model) else model
  try:
    parameters = inspect.signature(target).parameters.values()
  except (TypeError, ValueError):
    return True
  return any(
    parameter.name == 'training' or parameter.kind is parameter.VAR_KEYWORD
    for parameter in parameters
  )


def call(model: Any, inputs: Any, training: bool) -> Any:
  """Calls a model with the training flag if it takes one, else without."""
  if takes_training(model):
    return model(inputs, training=training)
  return model(inputs)


def variables_of(model: Any, created: list[Any]) -> list[Any]:
  """Returns the variables that a model lists.

  Args:
    model: the model.
    created: records of the variables created since before it was built; they
      stand in for the list where a plain function has none.

  Returns:
    `weights` of a Keras 3 model, which leaves out the state of random
    generators, else `variables`, else all that were created.
  """
  model = owner(model)
  if compat.is_keras_object(model):
    return list(model.weights)
  variables = getattr(model, 'variables', None)
  if variables is not None:
    return list(variables)
  return [r.variable for r in created if not r.internal]


def owner(model: Any) -> Any:
  """Returns the layer or module that a bound method belongs to, else itself."""
  found = model.__self__ if inspect.ismethod(model) else None
  is_model = isinstance(found, tf.Module) or compat.is_keras_object(found)
  return found if is_model else model


def untracked(variables: list[Any], created: list[Any]) -> list[Any]:
  """Returns the records of created variables that the model does not list."""
  listed = {id(_backend_variable(variable)) for variable in variables}
  return [
    record
    for record in created
    if id(record.variable) not in listed and not record.internal
  ]


def states(variables: list[Any], created: list[Any]) -> dict[str, Any]:
  """Returns the records of what layers keep besides their weights.

  Args:
    variables: the variables that the model lists.
    created: records of the variables that were created.

  Returns:
    Records by name: 'lstm/states/0'. The variables themselves often have no
    name of their own.
  """
  found: dict[str, Any] = {}
  for record in untracked(variables, created):
    if record.layer_state and record.variable is not None:
      _add(found, f'{record.layer_state}/states/{{}}', record)
  return found


def hidden(variables: list[Any], created: list[Any]) -> dict[str, Any]:
  """Returns the other records of variables that a model does not list.

  Args:
    variables: the variables that the model lists.
    created: records of the variables that were created.

  Returns:
    Records by name, which is made unique where several have the same.
  """
  found: dict[str, Any] = {}
  for record in untracked(variables, created):
    if not record.layer_state or record.variable is None:
      if record.name in found:
        _add(found, record.name + '_{}', record, 1)
      else:
        found[record.name] = record
  return found


def _add(found, name: str, record, first: int = 0) -> None:
  """Adds a record under the first name with a number that is free."""
  number = first
  while name.format(number) in found:
    number += 1
  found[name.format(number)] = record


def specs_of(model, variables, created) -> list[observation.VariableSpec]:
  """Describes the variables of a model, with the line that created each.

  Trainable are those that the model lists as such: freezing a layer of tf_keras
  does not change the flags of its variables.
  """
  listed = getattr(owner(model), 'trainable_variables', None)
  listed = variables if listed is None else listed
  trainable = {id(variable) for variable in listed}
  records = {id(record.variable): record for record in created}
  return [
    observation.VariableSpec(
      name=name_of(variable),
      shape=tuple(variable.shape),
      dtype=tf.as_dtype(variable.dtype).base_dtype.name,
      trainable=bool(variable.trainable) and id(variable) in trainable,
      **_origin(records.get(id(_backend_variable(variable)))),
    )
    for variable in variables
  ]


def _origin(record) -> dict[str, Any]:
  if record is None:
    return {}
  undecorated = record.cause == creation.UNDECORATED
  return {'line': record.line, 'undecorated': undecorated}


def specs_of_records(records) -> list[observation.VariableSpec]:
  """Describes variables that a model created but does not list."""
  return specs_by_name([(record.name, record) for record in records])


def specs_by_name(records) -> list[observation.VariableSpec]:
  """Describes variables that a model does not list, of (name, record)."""
  return [
    observation.VariableSpec(
      name,
      record.shape or (),
      record.dtype,
      record.trainable,
      tracked=False,
      **_origin(record),
    )
    for name, record in records
  ]


def trainable_of(model: Any, variables: list[Any]) -> list[Any]:
  """Returns the variables of a model that an optimizer updates."""
  listed = getattr(owner(model), 'trainable_variables', None)
  return (
    [v for v in variables if v.trainable] if listed is None else list(listed)
  )


def name_of(variable: Any) -> str:
  """Returns a variable's full name without ':0'; for Keras 3 its path."""
  return getattr(variable, 'path', None) or variable.name.split(':')[0]


def value_of(variable: Any) -> np.ndarray:
  """Returns a variable's value; see `creation.value_of`."""
  return creation.value_of(_backend_variable(variable))


def assign(variable: Any, value: np.ndarray) -> None:
  """Sets a variable."""
  backend = _backend_variable(variable)
  backend.assign(tf.constant(value, dtype=backend.dtype))


def backend_variables(variables: list[Any]) -> list[tf.Variable]:
  """Returns the `tf.Variable` behind each variable (Keras 3 wraps them)."""
  return [_backend_variable(variable) for variable in variables]


def _backend_variable(variable: Any) -> tf.Variable:
  if isinstance(variable, tf.Variable) or not hasattr(variable, 'path'):
    return variable
  return variable.value


def regularization_losses(model: Any) -> list[tf.Tensor]:
  """Evaluates a model's regularization losses.

  Args:
    model: the model. Of a `tf.Module`, the losses of shim-decorated modules
      and, unless it has `losses` of its own, of the Keras layers inside count.

  Returns:
    The losses as scalars.

  Raises:
    UsageError: if `model.losses` is not a list of scalars.
  """
  model = owner(model)
  if compat.is_keras_object(model):
    losses = list(model.losses)
  else:
    losses = [loss() for _, loss in compat.shim_regularizers(model)]
    if isinstance(model, tf.Module) and not hasattr(model, 'losses'):
      for layer in compat.keras_layers_inside(model):
        losses += layer.losses
    losses += list(getattr(model, 'losses', None) or [])
    # A regularizer of factor 0, as tf_slim's, returns None.
    losses = [loss for loss in losses if loss is not None]
  losses = [tf.convert_to_tensor(loss) for loss in losses]
  for loss in losses:
    if loss.shape.rank not in (None, 0):
      raise errors.UsageError(
        f'model.losses holds a tensor of shape {loss.shape}; each '
        'regularization loss must be a scalar.'
      )
  return losses


def variables_behind_losses(
  model: Any, variables: list[Any]
) -> list[tuple[str, ...]]:
  """Returns the variables that each regularization loss depends on.

  The losses are traced once into a graph, because they come as anonymous
  callables and their names do not say what they are computed from.

  Args:
    model: the model.
    variables: its variables.

  Returns:
    For each loss the sorted names of its variables; () for losses that were
    computed during the call, e.g. of activations.
  """
  traced = tf.function(
    lambda: regularization_losses(model), autograph=False
  ).get_concrete_function()
  names = {
    id(_backend_variable(variable).handle): name_of(variable)
    for variable in variables
  }
  by_placeholder = {
    inner.op.name: names[id(outer)]
    for outer, inner in traced.graph.captures
    if id(outer) in names
  }
  return [_reached(loss.op, by_placeholder) for loss in traced.graph.outputs]


def _reached(op, names) -> tuple[str, ...]:
  reached = (each.name for each in walks.ancestors([op]))
  return tuple(sorted({names[name] for name in reached if name in names}))
