"""Tensors and their static shapes, by names that changed."""

import importlib

import tensorflow as tf

_tensor_util = importlib.import_module(
  'tensorflow.python.framework.tensor_util'
)
# TF 1.13 has them in this private module only.
is_tensor = getattr(tf, 'is_tensor', None) or _tensor_util.is_tensor
get_static_value = (
  getattr(tf, 'get_static_value', None) or _tensor_util.constant_value
)


def tensor_id(tensor):
  """Returns a number of an eager tensor that no other tensor ever has.

  Unlike `id`, it is not given anew when the tensor is gone. Records of eager
  ops have it as well, so there it is the only way to find a tensor.
  """
  return tensor._id


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
