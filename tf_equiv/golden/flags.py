"""Whether goldens are recorded: a flag, and an environment variable."""

import os

from absl import flags

from tf_equiv.core import errors

VARIABLE = 'TF_EQUIV_UPDATE_GOLDENS'
FLAG = 'update_goldens'

if FLAG not in flags.FLAGS:  # A program may have a flag of that name already.
  flags.DEFINE_bool(
    FLAG,
    False,
    'Run the TF1 side of every assertion whose tf1_reference is a '
    f'tf_equiv.Golden, and record it. The environment variable {VARIABLE}=1 '
    'does the same where flags are not parsed, as in pytest.',
  )

_YES, _NO = ('1', 'true', 'yes'), ('', '0', 'false', 'no')


def wanted() -> bool:
  """Returns whether this process is to record goldens.

  Raises:
    UsageError: if the environment variable is neither yes nor no.
  """
  value = os.environ.get(VARIABLE, '').strip().lower()
  if value not in _YES + _NO:
    raise errors.UsageError(
      f'The environment variable {VARIABLE} is {os.environ[VARIABLE]!r}; '
      'expected 1 or 0.'
    )
  if value in _YES:
    return True
  return flags.FLAGS.is_parsed() and bool(flags.FLAGS[FLAG].value)
