"""Which interpreter runs the TF1 side: given, by flag, or by environment."""

import os
import shutil

from absl import flags

from tf_equiv.core import errors

PYTHON_VARIABLE = 'TF_EQUIV_TF1_PYTHON'
PYTHON_FLAG = 'tf1_python'
if PYTHON_FLAG not in flags.FLAGS:
  flags.DEFINE_string(
    PYTHON_FLAG,
    None,
    'Interpreter with TensorFlow 1.x for tf_equiv.Tf1Interpreter; by default '
    f'that of the environment variable {PYTHON_VARIABLE}.',
  )

HOW_TO_MAKE = (
  'With Python 3.7, such an interpreter is made by\n'
  '  python3.7 -m venv tf115\n'
  "  tf115/bin/python -m pip install 'pip<24.1'\n"
  "  tf115/bin/python -m pip install tensorflow==1.15.5 'protobuf<3.21' "
  "'numpy<1.19'\n"
)


def python_of(given: str | None = None) -> str | None:
  """Returns the interpreter that is given, or that flag or environment name."""
  flag = flags.FLAGS[PYTHON_FLAG].value
  return given or flag or os.environ.get(PYTHON_VARIABLE) or None


def find_python(given: str | None) -> str:
  """Returns the path of the interpreter.

  Args:
    given: what `Tf1Interpreter` was given, which comes first.

  Raises:
    EnvironmentSetupError: if there is none, or it cannot be run.
  """
  python = python_of(given)
  if python is None:
    raise errors.EnvironmentSetupError(
      'Tf1Interpreter needs an interpreter with TensorFlow 1.x. Name it: '
      f'python= of Tf1Interpreter, the flag --{PYTHON_FLAG}, or the '
      f'environment variable {PYTHON_VARIABLE}.\n'
      f'{HOW_TO_MAKE}'
    )
  python = os.path.expanduser(python)
  found = shutil.which(python)
  if found:
    return os.path.abspath(found)
  if os.path.isdir(python):
    problem = (
      'is a folder; its Python is probably '
      f'{os.path.join(python, "bin", "python")}'
    )
  elif os.path.exists(python):
    problem = 'is not executable'
  elif os.path.islink(python):
    problem = f'is a link to {os.readlink(python)}, which does not exist'
  else:
    problem = 'does not exist'
  raise errors.EnvironmentSetupError(
    f'The interpreter of the TF1 side, {python} (from {_origin(given)}), '
    f'{problem}.\n'
    f'{HOW_TO_MAKE}'
  )


def _origin(given: str | None) -> str:
  if given:
    return 'python= of Tf1Interpreter'
  if flags.FLAGS[PYTHON_FLAG].value:
    return f'the flag --{PYTHON_FLAG}'
  return f'the environment variable {PYTHON_VARIABLE}'
