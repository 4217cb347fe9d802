"""What the index of a golden must look like, read without TensorFlow."""

from typing import Any

from tf_equiv.core import plan as plan_lib
from tf_equiv.golden import archive, checks, plans

_DIGEST = checks.matching('[0-9a-f]{32}', 'a digest of 32 digits')
_ARRAY = checks.fields(
  {'dtype': checks.text, 'shape': checks.each(checks.size)},
  {'digest': checks.text},
)
_INPUTS = checks.mapping(_ARRAY)
_FLAG = checks.of_type(bool)
_PLAN = checks.fields(
  {'kind': checks.one_of(plans.RUN, plans.VARIABLES), 'inputs': _INPUTS},
  {
    'batches': checks.each(_INPUTS),
    'training': _FLAG,
    'weights': checks.one_of(plan_lib.FIXED, plan_lib.SEEDED),
    'seed_mode': checks.one_of('constant', 'num_random_ops'),
    'seed': checks.of_type(int),
    'gradients': _FLAG,
    'input_gradients': _FLAG,
    'updates': _FLAG,
  },
)
_ENTRY = checks.fields(
  {
    'owner': checks.text,
    'key': checks.text,
    'plan': _PLAN,
    'weights': checks.text,
    'own weights': _FLAG,
    'recorded': checks.text,
    'source': checks.mapping(checks.text),
    'own step': _FLAG,
    'counts': checks.mapping(checks.size),
    'no graph': checks.text,
    'objects': checks.mapping(_DIGEST),
    'manifest': checks.text,
  },
  {},
)
_INDEX = checks.fields(
  {
    'format': checks.text,
    'manifests': checks.mapping(checks.mapping(checks.text)),
    'entries': checks.each(_ENTRY),
  },
  {},
)


def read_index(path: str) -> dict[str, Any]:
  """Returns the index of a golden, all of which is as expected.

  Args:
    path: the file.

  Raises:
    DamagedError: if it is missing or damaged, or a field is not as expected.
  """
  index = archive.read_index(path)
  try:
    _INDEX(index, '')
    for i, entry in enumerate(index['entries']):
      if entry['manifest'] not in index['manifests']:
        raise checks.WrongError(f'entries[{i}].manifest', 'is not there')
      if 'observation' not in entry['objects']:
        raise checks.WrongError(f'entries[{i}].objects', 'lack an observation')
  except checks.WrongError as wrong:
    raise damaged(path, archive.INDEX, *wrong.args) from None
  return index


def damaged(
  path: str, member: str, field: str, why: str
) -> archive.DamagedError:
  """Returns the error for what is not as expected.

  Args:
    path: the file.
    member: its member.
    field: where in it, '' for the whole of it.
    why: what is wrong.
  """
  what = f'{field.lstrip(".")} {why}' if field else f'it {why}'
  return archive.DamagedError(
    f'{path!r} is damaged in its member {member!r}, or holds what this version '
    f'of tf_equiv does not know: {what}.'
  )
