"""Random draws: what a random op is for, read off the stack when it is made."""

from tf_equiv import compat


def op_and_shape(frame):
  """Reads a random op's name and the shape that it is about to draw.

  Args:
    frame: frame of TensorFlow's function that asks for a seed.

  Returns:
    (name of the function, shape as a tuple or None where it is not static).
  """
  name = frame.f_code.co_name
  values = frame.f_locals
  shape = None
  if 'shape' in values:
    shape = compat.static_shape_value(values['shape'])
  elif 'value' in values:  # random_shuffle
    shape = compat.static_shape_of(values['value'])
  return name, shape


def owner(frame):
  """Finds the variable that is being initialized and the innermost layer.

  Args:
    frame: frame of TensorFlow's function that asks for a seed.

  Returns:
    (name of the variable, name of the layer or name scope), each '' if none.
  """
  layer = ''
  while frame is not None:
    function, values = frame.f_code.co_name, frame.f_locals
    if function == '_get_single_variable' and isinstance(
      values.get('name'), str
    ):
      return values['name'], layer
    caller = values.get('self')
    if function == 'add_weight' and isinstance(values.get('name'), str):
      return _scoped_name(caller, values['name']), layer
    if not layer and function == '__call__' and caller is not None:
      name = getattr(caller, 'name', '')
      if isinstance(name, str) and hasattr(caller, 'trainable_variables'):
        layer = name
    frame = frame.f_back
  # The innermost scope is the random op's own.
  return '', layer or compat.name_scope().rpartition('/')[0]


def _scoped_name(layer, name: str) -> str:
  """The name that a Keras layer's variable will have."""
  scope = compat.name_scope() or getattr(layer, 'name', '')
  if scope.split('/')[-1] == name:  # The variable's own scope is entered.
    return scope
  return f'{scope}/{name}' if scope else name
