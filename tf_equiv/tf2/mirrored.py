"""Runs a function on two replicas, as `tf.distribute.MirroredStrategy` does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, nest

REPLICAS = 2

_SET_UP = (
  "The variant 'mirrored' needs %d logical CPU devices, and TensorFlow has "
  'started with %d already. Put this at the top of the test module:\n'
  'tf.config.set_logical_device_configuration(tf.config.list_physical_devices('
  "'CPU')[0], [tf.config.LogicalDeviceConfiguration()] * %d)"
)


def make_strategy() -> tf.distribute.Strategy:
  """Returns a strategy of two logical CPU devices.

  Raises:
    EnvironmentSetupError: if there are fewer, and it is too late for more.
  """
  cpu = tf.config.list_physical_devices('CPU')[0]
  if not tf.config.get_logical_device_configuration(cpu):
    try:
      tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * REPLICAS
      )
    except RuntimeError:
      pass  # Too late; there may be enough all the same.
  count = len(tf.config.list_logical_devices('CPU'))
  if count < REPLICAS:
    raise errors.EnvironmentSetupError(_SET_UP % (REPLICAS, count, REPLICAS))
  return tf.distribute.MirroredStrategy([f'CPU:{i}' for i in range(REPLICAS)])


def split(strategy: tf.distribute.Strategy, inputs: Any) -> Any:
  """Gives each replica its part of the batch.

  Args:
    strategy: the strategy.
    inputs: nest of tensors, the first dimension of each being the batch.

  Returns:
    The nest with a value for each replica.

  Raises:
    UsageError: if a batch cannot be split.
  """
  for path, x in nest.flatten(inputs):
    if not x.shape.rank or x.shape[0] % REPLICAS:
      raise errors.UsageError(
        "The variant 'mirrored' splits the first dimension of each input "
        f'over {REPLICAS} replicas, but inputs{path} has the shape '
        f'{list(x.shape)}.'
      )

  def part(x):
    parts = tf.split(x, REPLICAS)
    return strategy.experimental_distribute_values_from_function(
      lambda context: parts[context.replica_id_in_sync_group]
    )

  return nest.map_leaves(lambda _, x: part(x), inputs)


def run(strategy: tf.distribute.Strategy, function: Callable, inputs: Any):
  """Runs a function on all replicas; returns what each returned."""
  returned = strategy.run(function, args=(split(strategy, inputs),))

  def part(i):
    return tf.nest.map_structure(
      lambda value: strategy.experimental_local_results(value)[i], returned
    )

  return [part(i) for i in range(REPLICAS)]


def merge(found: list[dict[str, Any]]) -> dict[str, Any]:
  """Makes one result of those of the replicas.

  Outputs are concatenated (of scalars the mean is taken), losses are those of
  the first replica, and the total loss and its gradients are summed: each
  replica divided its loss by their number.
  """
  first = found[0]
  merged = {
    'outputs': {
      path: _together([part['outputs'][path] for part in found])
      for path in first['outputs']
    },
    'losses': first['losses'],
  }
  if 'loss' in first:
    merged['loss'] = tf.add_n([part['loss'] for part in found])
    merged['user losses'] = {
      path: tf.add_n([part['user losses'][path] for part in found])
      for path in first['user losses']
    }
    merged['gradients'] = [
      None if pieces[0] is None else tf.add_n(pieces)
      for pieces in zip(*(part['gradients'] for part in found), strict=True)
    ]
    merged['input gradients'] = {
      path: tf.concat([part['input gradients'][path] for part in found], 0)
      for path in first['input gradients']
    }
  return merged


def _together(parts: list[Any]) -> tf.Tensor:
  if parts[0].shape.rank:
    return tf.concat(parts, 0)
  return tf.convert_to_tensor(np.mean([part.numpy() for part in parts]))
