"""`python -m tf_equiv record | show | diff`."""

import argparse
import sys
from collections.abc import Sequence

from tf_equiv.cli import diff, record, show
from tf_equiv.core import errors

# Exit codes, as those of the program `diff`.
EQUAL, DIFFERENT, TROUBLE = 0, 1, 2

_COMMANDS = (record, show, diff)


def parser() -> argparse.ArgumentParser:
  """Returns the parser of the command line."""
  made = argparse.ArgumentParser(
    prog='python -m tf_equiv',
    description='Records the TF1 side of migration tests into files (goldens), '
    'shows and compares them.',
  )
  commands = made.add_subparsers(metavar='command', required=True)
  for module in _COMMANDS:
    module.add_to(commands)
  return made


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a command.

  Args:
    arguments: the command line, without the name of the program; by default
      that of the process.

  Returns:
    The exit code: 0 for success, 1 for a difference or a failed test, 2 for a
    command that cannot be carried out.
  """
  try:
    chosen = parser().parse_args(arguments)
  except SystemExit as end:  # argparse has said why.
    return int(end.code or EQUAL)
  try:
    return chosen.run(chosen)
  except errors.EquivalenceError as error:
    print(f'tf_equiv: {error}', file=sys.stderr)
    return TROUBLE
  except (
    SystemExit
  ) as end:  # Of the user's code: it must not look like success.
    print(
      f'tf_equiv: the code that was run called sys.exit({end.code!r}); the '
      'command did not come to its end.',
      file=sys.stderr,
    )
    return TROUBLE
