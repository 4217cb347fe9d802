"""Compares what initializes a variable on both sides."""

import dataclasses
from typing import Any

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.compare.difference import Difference, Kind
from tf_equiv.diagnose.rules import table

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
  found = []
  if tf1.kind and tf2.kind:
    if tf1.kind != tf2.kind:
      found.append(Difference(Kind.INITIALIZER, '', tf1.kind, tf2.kind))
    found += [
      Difference(
        Kind.INITIALIZER_NUMBER, key, tf1.numbers[key], tf2.numbers[key]
      )
      for key in sorted(set(tf1.numbers) & set(tf2.numbers))
      if not np.isclose(tf1.numbers[key], tf2.numbers[key], rtol=_RTOL, atol=0)
    ]
  if not found and tf1.kind and tf2.kind:
    return None
  moments = ((float(np.mean(x)), float(np.std(x))) for x in values)
  found.append(Difference(Kind.INITIAL_VALUES, name, *moments))
  place = divergence.Divergence(
    _place(tf1), _place(tf2), differences=found, variables=(name,)
  )
  return dataclasses.replace(place, mistake=table.recognize(place))


def _place(initializer: Any) -> divergence.Place:
  line = initializer.line
  return divergence.Place(
    initializer.name,
    initializer.kind or 'tf.Variable',
    str(line) if line.filename else '',
  )
