"""Compares what initializes a variable on both sides."""

from typing import Any

import numpy as np

from tf_equiv.compare import divergence

_RTOL = 1e-4


def compare(
  name: str, tf1: Any, tf2: Any, values: tuple[np.ndarray, np.ndarray]
) -> divergence.Divergence | None:
  """Says in what two initializers differ.

  Args:
    name: name of the variable in TF1.
    tf1: the `Initializer` of TF1.
    tf2: that of TF2.
    values: what they made.

  Returns:
    The difference; None if they compute the same, so that their draws differ.
  """
  lines = []
  if tf1.kind and tf2.kind:
    if tf1.kind != tf2.kind:
      lines.append(f'initializer: TF1 {tf1.kind}, TF2 {tf2.kind}')
    lines += [
      f'{key}: TF1 {tf1.numbers[key]:.6g}, TF2 {tf2.numbers[key]:.6g}'
      for key in sorted(set(tf1.numbers) & set(tf2.numbers))
      if not np.isclose(tf1.numbers[key], tf2.numbers[key], rtol=_RTOL, atol=0)
    ]
  if not lines and tf1.kind and tf2.kind:
    return None
  lines.append(f'initial values of {name}: {_describe(*values)}')
  return divergence.Divergence(
    _place(tf1),
    _place(tf2),
    differences=lines,
    variables=(name,),
    mistake=_mistake(name, tf1, tf2, lines),
  )


def _mistake(name, tf1, tf2, lines) -> str:
  if not (tf1.kind and tf2.kind):
    return ''
  what = (
    f'draws {tf1.kind} in TF1 and {tf2.kind} in TF2'
    if tf1.kind != tf2.kind
    else f'takes other numbers ({"; ".join(lines[:-1])})'
  )
  return (
    f'The initializer of {name} {what}: defaults differ between libraries, so '
    'give the one of TF1 to the layer.'
  )


def _place(initializer) -> divergence.Place:
  line = initializer.line
  return divergence.Place(
    initializer.name,
    initializer.kind or 'tf.Variable',
    str(line) if line.filename else '',
  )


def _describe(first, second) -> str:
  return ', '.join(
    f'{side} mean {np.mean(x):.3g}, deviation {np.std(x):.3g}'
    for side, x in (('TF1', first), ('TF2', second))
  )
