"""Command lines that run one test again."""

import os
import shlex
import sys
from collections.abc import Mapping

# What reduces a test to a part of it, or says where TF1 runs, and must be given
# again.
_KEPT = ('TF_EQUIV_SEED_MODES', 'TF_EQUIV_TF1_PYTHON')


def commands(
  filename: str, class_name: str, method: str, environ: Mapping[str, str]
) -> dict[str, str]:
  """Returns the command line for each test runner, that in use first.

  Args:
    filename: path of the file that defines the test class.
    class_name: qualified name of the class.
    method: name of the test.
    environ: the environment of the process that ran the test.

  Returns:
    Command lines by name of the runner; none where the test has no name by
    which it could be called, being made inside of a function.
  """
  found: dict[str, str] = {}
  if not method or '<' in class_name:
    return found
  kept = ' '.join(
    f'{name}={shlex.quote(environ[name])}'
    for name in _KEPT
    if environ.get(name)
  )
  kept += ' ' * bool(kept)
  test = f'{class_name}.{method}'
  target = environ.get('TEST_TARGET')
  if target:
    found['Bazel'] = 'bazel test %s --test_filter=%s' % (
      shlex.quote(target),
      shlex.quote(test),
    )
  if filename:
    path = _relative(filename)
    node = '::'.join([path, *class_name.split('.'), method])
    by_runner = {
      'pytest': f'{kept}python -m pytest {shlex.quote(node)}',
      'absltest': f'{kept}python {shlex.quote(path)} {shlex.quote(test)}',
    }
    uses_pytest = 'PYTEST_CURRENT_TEST' in environ
    for runner in sorted(by_runner, reverse=uses_pytest):
      found[runner] = by_runner[runner]
  return found


def _relative(filename: str) -> str:
  """A path as it can be typed in the current folder."""
  try:
    relative = os.path.relpath(filename)
  except (OSError, ValueError):  # No current folder, or on another drive.
    return filename
  outside = relative.startswith(os.pardir)
  return filename if outside else relative.replace(os.sep, '/')


def source_file(module: str) -> str:
  """Returns the path of the file of a module, '' where it has none."""
  return getattr(sys.modules.get(module), '__file__', None) or ''
