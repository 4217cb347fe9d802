"""The command `tf_equiv`, also as `python -m tf_equiv`."""

import argparse
import sys
from collections.abc import Sequence

from tf_equiv.cli import parsers
from tf_equiv.core import errors

# Exit codes, as those of the program `diff`.
EQUAL, DIFFERENT, TROUBLE = 0, 1, 2

_COMMANDS = (
  parsers.add_check,
  parsers.add_init,
  parsers.add_record,
  parsers.add_show,
  parsers.add_diff,
  parsers.add_ratchet,
)


def parser() -> argparse.ArgumentParser:
  """Returns the parser of the command line."""
  made = argparse.ArgumentParser(
    prog='tf_equiv',
    description='Tells whether a model migrated from TensorFlow 1 to 2 '
    'computes the same.',
    epilog='`tf_equiv COMMAND --help` describes a command, with examples.',
  )
  commands = made.add_subparsers(metavar='command', required=True)
  for add_to in _COMMANDS:
    add_to(commands)
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
