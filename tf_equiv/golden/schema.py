"""What a golden must look like inside, checked before anything of it is used.

A golden may have been damaged by a merge, written by another version, or made
by somebody who wants to do harm. What is not as expected is one error that
names the member and the field, and no text from it reaches a terminal that
could command it.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.core import curves, metric_values, nest, observation
from tf_equiv.golden import archive, checks, index, manifest, members
from tf_equiv.tf1 import optimizers
from tf_equiv.tf1.capture import stored_capture

read_index = index.read_index


def load(path: str, entry: Mapping[str, Any], what: str) -> Any:
  """Reads one of the objects of an entry, and checks it.

  Args:
    path: the file.
    entry: the entry of the index.
    what: 'observation', 'weights' or 'graph'.

  Returns:
    The object.

  Raises:
    DamagedError: if it is missing or damaged, or not as expected.
  """
  if what not in entry['objects']:
    raise index.damaged(path, archive.INDEX, 'objects', f'lack {what!r}')
  digest = entry['objects'][what]
  member = archive.object_name(digest)

  def check_encoded(value, count):
    try:
      checks.encoded(value, count)
    except checks.WrongError as wrong:
      raise index.damaged(path, member, *wrong.args) from None

  value = archive.load(path, digest, check_encoded)
  try:
    _OBJECTS[what](value, '')
  except checks.WrongError as wrong:
    raise index.damaged(path, member, *wrong.args) from None
  return manifest.with_lines(value, _printable)


def _printable(line):
  return dataclasses.replace(line, text=checks.printable(line.text))


def _of_class(cls, overrides, more=None):
  """Returns a check of a dataclass whose annotations do not say all."""

  def check(value, where):
    if not isinstance(value, cls):
      raise checks.WrongError(
        where, f'is {checks.quoted(value)}; expected a {cls.__name__}'
      )
    for name, check_field in {**checks.checks_of(cls), **overrides}.items():
      check_field(getattr(value, name), f'{where}.{name}')
    if more is not None:
      more(value, where)

  return check


def _dtype(value, where) -> None:
  checks.text(value, where)
  try:
    tf.as_dtype(value)
  except TypeError:
    raise checks.WrongError(
      where, f'is {checks.quoted(value)}; expected the name of a dtype'
    ) from None


def _check_spec(spec, where) -> None:
  """Refuses a variable that no golden could hold the value of."""
  sizes = [1 if each is None else int(each) for each in spec.shape]
  if any(each < 0 for each in sizes) or math.prod(sizes) > members.limit():
    raise checks.WrongError(
      f'{where}.shape', f'is {checks.quoted(str(spec.shape))}; too large'
    )


def _check_structure(structure, where) -> None:
  if len(structure.keys) != len(structure.children):
    raise checks.WrongError(where, 'does not have a child for each key')
  for i, child in enumerate(structure.children):
    _STRUCTURE(child, f'{where}.children[{i}]')


def _check_values(values, specs, where) -> None:
  """Checks that there is a value for each variable, or for none."""
  if values and len(values) != len(specs):
    raise checks.WrongError(
      where, f'are {len(values)}, for {len(specs)} variables'
    )
  for i, (value, spec) in enumerate(zip(values, specs, strict=False)):
    if value is None:
      continue
    shape = np.shape(value)
    fits = len(shape) == len(spec.shape) and all(
      wanted in (None, given)
      for wanted, given in zip(spec.shape, shape, strict=True)
    )
    if not fits:
      raise checks.WrongError(
        f'{where}[{i}]',
        f'has the shape {list(shape)}, but {spec.name} is {spec}',
      )


def _check_observation(observed, where) -> None:
  _check_values(observed.weights, observed.variables, f'{where}.weights')
  _check_values(observed.gradients, observed.trainable(), f'{where}.gradients')
  specs = {spec.name: spec for spec in observed.variables}
  for name, value in observed.updated.items():
    if name in specs:
      _check_values([value], [specs[name]], f'{where}.updated')
  for i, step in enumerate(observed.steps):
    for name, value in step.variables.items():
      if name in specs:
        _check_values([value], [specs[name]], f'{where}.steps[{i}].variables')


def _check_graph(stored, where) -> None:
  for name, number in stored.line_of.items():
    if not 0 <= int(number) < len(stored.lines):
      raise checks.WrongError(
        f'{where}.line_of[{checks.quoted(name)}]',
        f'is {int(number)}, of {len(stored.lines)} lines',
      )
  for field in ('targets', 'inputs'):
    given = getattr(stored, field)
    for name in given.values() if field == 'targets' else given:
      checks.matching(r'[^:]+:\d{1,6}', 'the name of a tensor')(
        name, f'{where}.{field}'
      )


def _variable(value, where) -> None:
  """Checks (name, value) of a variable; the value may be left out."""
  if not isinstance(value, (list, tuple)) or len(value) != 2:
    raise checks.WrongError(where, 'is no pair of a name and a value')
  checks.text(value[0], where)
  if value[1] is not None:
    checks.of_type(np.ndarray)(value[1], where)


_SPEC = _of_class(observation.VariableSpec, {'dtype': _dtype}, _check_spec)
_LINES = checks.each(checks.lines)
_STRUCTURE = _of_class(
  nest.Structure, {'children': checks.each(checks.anything)}, _check_structure
)


def _structure(value, where) -> None:
  if value is not None:
    _STRUCTURE(value, where)


_UPDATE = _of_class(
  observation.UpdateObservation,
  {'optimizer': checks.of_type(optimizers.OptimizerSpec)},
)
_STEP = _of_class(
  observation.StepObservation, {'updates': checks.each(_UPDATE)}
)
_SPECS = checks.each(_SPEC)
_CURVE = _of_class(curves.Curve, {})


def _curves(value, where) -> None:
  if value is not None:
    _CURVES(value, where)


def _curve(value, where) -> None:
  if value is not None:
    _CURVE(value, where)


_CURVES = _of_class(
  curves.Curves,
  {'base': _CURVE, 'nudged': checks.each(_CURVE), 'again': _curve},
)
_METRICS = _of_class(metric_values.MetricValues, {})


def _metrics(value, where) -> None:
  if value is not None:
    _METRICS(value, where)


_OBJECTS = {
  'observation': _of_class(
    observation.Observation,
    {
      'side': checks.one_of('TF1', 'TF2'),
      'variables': _SPECS,
      'untracked': _SPECS,
      'recreated': _SPECS,
      'structure': _structure,
      'steps': checks.each(_STEP),
      'curves': _curves,
      'metrics': _metrics,
      'notes': _LINES,
      'races': checks.each(_of_class(observation.Race, {})),
    },
    _check_observation,
  ),
  'weights': checks.mapping(checks.text),
  'graph': _of_class(
    stored_capture.StoredCapture,
    {'variables': checks.mapping(_variable)},
    _check_graph,
  ),
}
