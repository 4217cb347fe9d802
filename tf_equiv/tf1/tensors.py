"""Helpers for tensors that serve graphs and eager execution alike."""

from typing import Any, List

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors, nest
from tf_equiv.tf1 import walks


def expand_composites(value: Any) -> Any:
  """Replaces sparse and ragged tensors by dicts of their components."""
  return nest.map_leaves(_expand, value)


def _expand(unused_path: str, leaf: Any) -> Any:
  if isinstance(leaf, tf.SparseTensor):
    return {
      'indices': leaf.indices,
      'values': leaf.values,
      'dense_shape': leaf.dense_shape,
    }
  if isinstance(leaf, tf.RaggedTensor):
    splits = dict(enumerate(leaf.nested_row_splits))
    return {'flat_values': leaf.flat_values, 'row_splits': splits}
  if isinstance(leaf, tf.IndexedSlices):
    return tf.convert_to_tensor(leaf)
  if is_tensor(leaf) and not isinstance(leaf.dtype, tf.DType):
    return tf.convert_to_tensor(leaf)  # a variable of Keras 3
  return leaf


def is_tensor(leaf: Any) -> bool:
  """Returns whether a leaf is a tensor or a variable of any kind."""
  return compat.is_tensor(leaf) or isinstance(leaf, tf.Variable)


def default_loss(outputs: Any, unused_inputs: Any) -> tf.Tensor:
  """Returns the mean of the squares of all floating-point outputs.

  Each output counts the same, whatever its size: the loss is the mean over
  the outputs of the mean of their squares, in float32 (float64 where all
  outputs are float64). Complex outputs count with their squared magnitude.

  Args:
    outputs: nest of tensors.
    unused_inputs: ignored.

  Returns:
    A scalar.

  Raises:
    UsageError: if there is no floating-point output.
  """
  leaves = [
    tf.convert_to_tensor(leaf)
    for _, leaf in nest.flatten(expand_composites(outputs))
    if is_tensor(leaf)
    and (leaf.dtype.is_floating or leaf.dtype.is_complex)
    and leaf.shape.num_elements() != 0
  ]
  if not leaves:
    raise errors.UsageError(
      'The model has no floating-point output to make a loss of. Override '
      'compute_loss(outputs, inputs) in the test class.'
    )
  wide = all(leaf.dtype in (tf.float64, tf.complex128) for leaf in leaves)
  dtype = tf.float64 if wide else tf.float32
  means = []
  for leaf in leaves:
    magnitude = tf.abs(leaf) if leaf.dtype.is_complex else leaf
    means.append(tf.reduce_mean(tf.square(tf.cast(magnitude, dtype))))
  return tf.add_n(means) / len(means)


def bytes_computed(results: List[Any]) -> int:
  """Returns the bytes of all floating-point tensors behind those of a graph."""
  total = 0
  for op in walks.ancestors(tensor.op for tensor in results):
    for tensor in op.outputs:
      count = tensor.shape.num_elements()
      if op.inputs and tensor.dtype.is_floating and count:
        total += count * tensor.dtype.size
  return total
