"""What a worker may say: lines with a checksum, of which each part is checked.

The pipe of the replies is open in the process that runs the user's code. What
this code writes to it by mistake must not be taken for a reply.
"""

import re
import zlib
from typing import Any

from tf_equiv.core import own_json

# Longer ones than any reply is.
MAX_BYTES = 1 << 28
_LINE = re.compile(rb'([0-9a-f]{8}) (.*)', re.DOTALL)
_FILE = re.compile(r'reply[0-9]{1,18}')
_VERSIONS = {'python': str, 'numpy': str, 'tensorflow': str}


class NotAReplyError(Exception):
  """What came is nothing that a worker says."""


def parse(line: bytes) -> dict[str, Any]:
  """Returns the reply that a line holds.

  Args:
    line: the line, without its end.

  Returns:
    {'begin': number}, {'stage': text}, or {'id': number} with either 'result'
    or 'error'.

  Raises:
    NotAReplyError: if it holds none.
  """
  match = _LINE.fullmatch(line)
  if not match or int(match[1], 16) != zlib.crc32(match[2]):
    raise NotAReplyError
  try:
    reply = own_json.loads(match[2].decode('utf-8'))
  except (ValueError, RecursionError) as error:
    raise NotAReplyError from error
  kinds: Any = {'begin': int}, {'stage': str}, {'id': int, 'result': None}
  for each in (*kinds, {'id': int, 'error': dict}):
    if _has(reply, each) and _is_error(reply.get('error')):
      return reply
  raise NotAReplyError


def check_result(do: str | None, result: Any) -> None:
  """Checks the result of a command.

  Args:
    do: the command; None for the start of the process.
    result: what was replied.

  Raises:
    NotAReplyError: if that command has no such result.
  """
  if do is None:
    good = _has(result, {**_VERSIONS, 'pid': int})
  elif do == 'load':
    good = _has(result, {'defined': list}) and _are(result['defined'], str)
  elif do == 'line':
    good = _is_line(result)
  else:
    good = isinstance(result, str) and _FILE.fullmatch(result) is not None
  if not good:
    raise NotAReplyError


def _has(value: Any, kinds: dict[str, Any]) -> bool:
  return (
    isinstance(value, dict)
    and value.keys() == kinds.keys()
    and all(
      kind is None or type(value[name]) is kind for name, kind in kinds.items()
    )
  )


def _are(items: list[Any], kind: type) -> bool:
  return all(type(item) is kind for item in items)


def _is_error(error: Any) -> bool:
  if error is None:
    return True
  frames = error.get('frames', [])
  return _has({**error, 'frames': frames}, dict(_ERROR)) and all(
    map(_is_line, frames)
  )


_ERROR = {'kind': str, 'message': str, 'frames': list}


def _is_line(value: Any) -> bool:
  """Returns whether it is [file, line number, function, text]."""
  return (
    isinstance(value, list)
    and len(value) == 4
    and _are([value[0], *value[2:]], str)
    and type(value[1]) in (int, type(None))
  )
