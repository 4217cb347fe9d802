"""Compares two observations, one kind of values after the other.

Each function takes the observations of both sides, and where values have to be
carried over, the table of the variables and `convert_variable`.
"""

import numpy as np

from tf_equiv.compare import values
from tf_equiv.compare import variables as variables_lib
from tf_equiv.core import observation


def compare_weights(tf1, tf2, table, convert, tolerance):
  """Compares the weights before the run."""
  by_tf2 = tf2.weight_of()
  return [
    values.compare_arrays(name, value, by_tf2[name], tolerance)
    for name, value in variables_lib.carried(
      table, convert, tf1.weight_of()
    ).items()
  ]


def compare_outputs(tf1, tf2, tolerance):
  """Compares the outputs of two observations, in forward order."""
  others = dict(tf2.outputs)
  return sorted(
    (
      values.compare_arrays(
        'outputs' + path,
        value,
        others[path],
        tolerance,
        order=tf1.output_order.get(path, -1),
      )
      for path, value in tf1.outputs
    ),
    key=lambda c: c.order,
  )


def compare_updates(tf1, tf2, table, convert, tolerance):
  """Compares the variables that a training pass changes."""
  before = variables_lib.carried(table, convert, tf1.weight_of())
  found = []
  after = variables_lib.carried(table, convert, tf1.updated)
  for name, new in after.items():
    if name not in tf2.updated:
      problem = 'trainable on the TF2 side, but not in TF1'
      found.append(values.ValueComparison(name, False, problem=problem))
    else:
      found.append(
        values.compare_arrays(
          name,
          new,
          tf2.updated[name],
          values.update_tolerance(before[name], new, tolerance),
        )
      )
  return found


def compare_user_losses(tf1, tf2, tolerance):
  """Compares each loss that compute_loss returned, and their total."""
  names = sorted(set(tf1.user_losses) | set(tf2.user_losses))
  found = []
  for name in names if len(names) > 1 else ():
    if name not in tf1.user_losses or name not in tf2.user_losses:
      side = 'TF2' if name in tf1.user_losses else 'TF1'
      problem = f'compute_loss returned no such loss on the {side} side'
      found.append(
        values.ValueComparison('loss' + name, False, problem=problem)
      )
      continue
    pair = tf1.user_losses[name], tf2.user_losses[name]
    found.append(values.compare_arrays('loss' + name, *pair, tolerance))
  total = values.compare_arrays('loss', tf1.loss, tf2.loss, tolerance)
  return [*found, total]


def compare_gradients(tf1, tf2, table, convert, tolerance):
  """Compares the gradients of the trainable variables."""
  of_tf1 = dict(
    zip([s.name for s in tf1.trainable()], tf1.gradients, strict=True)
  )
  of_tf2 = dict(
    zip([s.name for s in tf2.trainable()], tf2.gradients, strict=True)
  )
  frozen = {
    second.name: 'TF2' if first.trainable else 'TF1'
    for first, second in table.pairs
    if first.trainable != second.trainable
    and observation.TRAINABLE not in tf1.unknown
  }
  found = [
    values.ValueComparison(
      name, False, problem=f'not trainable on the {side} side'
    )
    for name, side in frozen.items()
  ]
  carried = carried_gradients(table, convert, of_tf1)
  # Where TF1 does not know its flags, those of TF2 count.
  names = [name for name in carried if name not in frozen and name in of_tf2]
  return found + values.compare_gradients(
    names,
    [carried[name] for name in names],
    [of_tf2[name] for name in names],
    tolerance,
  )


def carried_gradients(table, convert, by_name):
  """Carries gradients of TF1 into the names and layouts of TF2.

  Args:
    table: how the variables correspond.
    convert: `convert_variable`.
    by_name: gradients by TF1 name, None where not connected to the loss.

  Returns:
    Gradients by TF2 name; None where those of all its TF1 variables are.
  """
  specs = {first.name: first for first, _ in table.pairs}
  present = {
    name: gradient for name, gradient in by_name.items() if gradient is not None
  }
  found = {}
  for name, sources in table.tf1_names_of().items():
    if any(source in present for source in sources):
      for source in sources:
        if source not in present:
          present[source] = np.zeros(specs[source].shape, specs[source].dtype)
    elif any(source in by_name for source in sources):
      found[name] = None
  return {
    **found,
    **variables_lib.carried_linearly(table, convert, present),
  }


def compare_input_gradients(tf1, tf2, tolerance):
  """Compares the gradients with respect to the inputs."""
  paths = list(tf1.input_gradients)
  return values.compare_gradients(
    ['inputs' + path for path in paths],
    [tf1.input_gradients[path] for path in paths],
    [tf2.input_gradients[path] for path in paths],
    tolerance,
  )
