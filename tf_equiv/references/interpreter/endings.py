"""Words for how the process of the TF1 side came to its end."""

import signal

from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import source_lines

_OUTPUT_LINES = 12  # of what the process printed last


def signal_name(number: int) -> str:
  """Returns the name of a signal."""
  try:
    return signal.Signals(number).name
  except ValueError:
    return f'signal {number}'


def advice_for(number: int) -> str:
  """Returns what to do where a signal ended the process; 0 for none."""
  if number == signal.SIGKILL:
    return (
      'The kernel kills a process in this way when memory runs out (`dmesg` '
      'tells): use smaller inputs, or run fewer tests at once.'
    )
  if number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL):
    return (
      'The crash is in native code: TensorFlow, a custom op, or a package that '
      'does not fit this TensorFlow (NumPy, protobuf).'
    )
  return 'The next assertion starts the interpreter anew.'


def tail(printed: str) -> str:
  """Returns the last lines of what was printed, for a message."""
  lines = [line for line in printed.splitlines() if line.strip()]
  if not lines:
    return '  it printed nothing\n'
  shown = [line[:200] for line in lines[-_OUTPUT_LINES:]]
  return '  it printed last:\n' + ''.join(f'    {s}\n' for s in shown)


def place(stacks: str) -> str:
  """Names the innermost line of the user's code in a dump of stacks."""
  for text in stacks.splitlines():
    parts = text.strip().split('"')
    if len(parts) != 3 or parts[0] != 'File ':
      continue
    if source_lines.is_library_file(parts[1]) or 'site-packages' in parts[1]:
      continue
    number = parts[2].split()[2]
    if number.isdigit():
      return f'  at {SourceLine(parts[1], int(number))}\n'
  return ''
