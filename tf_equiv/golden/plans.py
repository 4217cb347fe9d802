"""Plans by what they ask for, so that a recording can be found again."""

import dataclasses
import enum
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_equiv.core import nest
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import as_seed_mode
from tf_equiv.core.text import capped

RUN = 'run'
# Names, shapes and types of the variables only, without a run.
VARIABLES = 'variables'

_INPUTS = ('inputs', 'batches')
_SHOWN = 12  # digits of a digest
_MAX_DIFFERENCES = 8


def describe_array(array: np.ndarray) -> dict[str, Any]:
  """Describes an array without its values.

  Args:
    array: any array that a plan may hold.

  Returns:
    Its 'dtype', 'shape', and the 'digest' of its values, a SHA-256.
  """
  array = np.asarray(array)
  if array.dtype.kind in 'OSU':
    items = [
      item.encode('utf-8') if isinstance(item, str) else bytes(item)
      for item in array.ravel().tolist()
    ]
    lengths = np.array([len(item) for item in items], '<i8')
    name, data = 'string', lengths.tobytes() + b''.join(items)
  else:
    name = array.dtype.name
    native = array.astype(array.dtype.newbyteorder('<'), copy=False)
    data = native.tobytes()
  digest = hashlib.sha256(data).hexdigest()
  return {'dtype': name, 'shape': list(array.shape), 'digest': digest}


def describe_inputs(inputs: Any) -> dict[str, dict[str, Any]]:
  """Describes the arrays of a nest, by path."""
  return {path: describe_array(array) for path, array in nest.flatten(inputs)}


def describe(kind: str, plan: plan_lib.RunPlan) -> dict[str, Any]:
  """Describes a plan as what JSON can hold.

  Fields that have their default value are left out, so that a new kind of
  field does not outdate what was recorded.

  Args:
    kind: `RUN` or `VARIABLES`.
    plan: the plan.

  Returns:
    'kind', 'inputs', 'batches', and what else the result depends on. For
    `VARIABLES` the values of the inputs and the seeds do not matter.
  """
  inputs = describe_inputs(plan.inputs)
  if kind == VARIABLES:
    for description in inputs.values():
      del description['digest']
    return {'kind': kind, 'inputs': inputs, 'training': plan.training}
  found = {'kind': kind, 'inputs': inputs}
  for field in dataclasses.fields(plan):
    value = getattr(plan, field.name)
    if field.name in _INPUTS or value == field.default:
      continue
    found[field.name] = value.value if isinstance(value, enum.Enum) else value
  if plan.batches:
    found['batches'] = [describe_inputs(batch) for batch in plan.batches]
  return found


def plan_of(description: Mapping[str, Any]) -> plan_lib.RunPlan:
  """Returns a plan without its arrays, for those who judge what it gave."""
  fields = _fields(description)
  fields['seed_mode'] = as_seed_mode(fields['seed_mode'])
  known = {field.name for field in dataclasses.fields(plan_lib.RunPlan)}
  return plan_lib.RunPlan(
    inputs=None,
    batches=tuple(None for _ in description.get('batches', ())),
    **{name: value for name, value in fields.items() if name in known},
  )


def digest_of(description: Any) -> str:
  """Returns the SHA-256 of a description."""
  text = json.dumps(description, sort_keys=True)
  return hashlib.sha256(text.encode('utf-8')).hexdigest()


def title(description: Mapping[str, Any]) -> str:
  """Returns in a few words what a description asks for."""
  if description['kind'] == VARIABLES:
    words = 'training' if description.get('training') else 'inference'
    return 'list of variables, ' + words
  fields = _fields(description)
  seeded = fields['weights'] == plan_lib.SEEDED
  parts = [
    'training' if fields['training'] else 'inference',
    'initial weights' if seeded else 'fixed weights',
    f'seed_mode={fields["seed_mode"]}',
  ]
  if fields['seed'] != plan_lib.RunPlan.seed:
    parts.append(f'seed={fields["seed"]}')
  if fields['gradients']:
    parts.append('gradients')
  if fields['input_gradients']:
    parts.append('gradients of inputs')
  if fields['updates']:
    parts.append('updates')
  if description.get('batches'):
    what = 'batches' if fields['metrics'] else 'steps'
    parts.append(f'{what}={len(description["batches"])}')
  if fields['start_step']:
    parts.append(f'start_step={fields["start_step"]}')
  if fields['metrics']:
    parts.append('metrics')
  if fields['free_runs']:
    parts.append(f'trained freely, {fields["free_runs"]} more run(s)')
  parts += [
    f'{name}={description[name]}'
    for name in sorted(set(description) - set(fields) - {'kind', *_INPUTS})
  ]
  return ', '.join(parts)


def _fields(description: Mapping[str, Any]) -> dict[str, Any]:
  """All fields but the inputs, those with their default values too."""
  found = {}
  for field in dataclasses.fields(plan_lib.RunPlan):
    if field.name not in _INPUTS:
      value = description.get(field.name, field.default)
      found[field.name] = value.value if isinstance(value, enum.Enum) else value
  return found


def same_conditions(
  first: Mapping[str, Any], second: Mapping[str, Any]
) -> bool:
  """Returns whether two descriptions differ in nothing but the inputs."""
  return title(first) == title(second)


def inputs_differences(
  recorded: Mapping[str, Any], given: Mapping[str, Any]
) -> list[str]:
  """Returns which inputs differ from those recorded.

  Args:
    recorded: description of the recorded plan.
    given: description of the plan that is asked for.

  Returns:
    A line for each input that differs, capped.
  """
  lines = _differences('inputs', recorded['inputs'], given['inputs'])
  batches = [each.get('batches', ()) for each in (recorded, given)]
  for step, (old, new) in enumerate(zip(*batches, strict=True)):
    if step:  # The first batch is `inputs`.
      lines += _differences(f'make_batch({step})', old, new)
  return capped(lines, _MAX_DIFFERENCES)


def _differences(where, recorded, given) -> list[str]:
  lines = []
  for path in sorted(set(recorded) | set(given)):
    old, new = recorded.get(path), given.get(path)
    if old == new:
      continue
    lines.append(
      '%s%s: %s'
      % (
        where,
        path,
        f'recorded {show_array(old)}, given none'
        if new is None
        else f'given {show_array(new)}, not recorded'
        if old is None
        else f'recorded {show_array(old)}, given {show_array(new)}',
      )
    )
  return lines


def show_array(description: Mapping[str, Any]) -> str:
  """Writes the description of an array, e.g. 'float32[4,2] sha256 ab12…'."""
  text = f'{description["dtype"]}[{",".join(map(str, description["shape"]))}]'
  if 'digest' in description:
    text += f' sha256 {description["digest"][:_SHOWN]}...'
  return text
