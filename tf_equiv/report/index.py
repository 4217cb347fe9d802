"""The page that lists all reports of a directory, and their causes on top.

It is made of the JSON files, whichever process wrote them.
"""

import dataclasses
import json
import os
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from tf_equiv.report import causes, digest, document, files, html

FORMAT = 'tf_equiv index 1'
NAME = 'index.html'
_MAX_TRIES = 5
_MAX_TESTS = 20
# How a report begins; other JSON files are not read any further.
_START = re.compile(rb'\s*\{\s*"format":\s*"%s"' % document.FORMAT.encode())
_MARK = f'<meta name="generator" content="{FORMAT}">'.encode()
_FIRST_BYTES = 1000


@dataclasses.dataclass(frozen=True)
class Row:
  """A report in a directory.

  Attributes:
    link: relative address of its page, or of the JSON file without one.
    causes: causes of the failure, if it is about one.
  """

  link: str
  written: str
  result: str
  test: str
  assertion: str
  conditions: str
  headline: str
  causes: tuple[causes.Cause, ...]


# Name of a file, and what changes when it is written anew.
_Listing = Mapping[str, tuple[int, int]]


def write(
  directory: str, render: Callable[..., bytes] = html.render_index
) -> str:
  """Writes the page, or replaces it.

  Processes may write reports and this page at the same time. Each one reads
  the directory again after it has written, so that the last page has all.

  Args:
    directory: where the reports are.
    render: makes the page.

  Returns:
    The path of the page, '' if the packages for pages are missing.

  Raises:
    OSError: if it cannot be written, or a file of that name is something else.
  """
  if 'Jinja2' in html.missing_packages():
    return ''
  path = os.path.join(directory, NAME)
  if not _is_free(path):
    raise FileExistsError(f'{path} is there, and is no list of reports')
  for _ in range(_MAX_TRIES):
    listing = _list(directory)
    rows = [_read(directory, name) for name in _newest_first(listing)]
    files.replace(path, render(**_content([row for row in rows if row])))
    if _list(directory) == listing:
      break
  return path


def _is_free(path: str) -> bool:
  try:
    with open(path, 'rb') as file:
      return _MARK in file.read(_FIRST_BYTES)
  except FileNotFoundError:
    return True


def _list(directory: str) -> _Listing:
  found = {}
  with os.scandir(directory) as entries:
    for entry in entries:
      if entry.name.endswith('.json') and entry.is_file():
        state = entry.stat()
        found[entry.name] = (state.st_mtime_ns, state.st_size)
  return found


def _newest_first(listing: _Listing) -> list[str]:
  return sorted(listing, key=lambda name: (listing[name], name), reverse=True)


def _read(directory: str, name: str) -> Row | None:
  """Reads a report; None for any other file, or one that is being written."""
  path = os.path.join(directory, name)
  try:
    with open(path, 'rb') as file:
      if not _START.match(file.read(_FIRST_BYTES)):
        return None
      file.seek(0)
      report = json.loads(file.read())
  except (OSError, ValueError, RecursionError):
    return None
  fields = {
    field: value if isinstance(value := report.get(field), str) else ''
    for field in _FIELDS
  }
  page = name.removesuffix('json') + 'html'
  exists = os.path.exists(os.path.join(directory, page))
  link = './' + urllib.parse.quote(page if exists else name, errors='replace')
  owner = fields['test'].partition(' ')[0].rpartition('.')[0]
  found = causes.of_report(report, owner or fields['test'])
  return Row(link=link, causes=tuple(found), **fields)


_FIELDS = tuple(
  field.name
  for field in dataclasses.fields(Row)
  if field.name not in ('link', 'causes')
)


def _content(rows: list[Row]) -> dict[str, Any]:
  failed = [row for row in rows if row.causes]
  failures: dict[str, list[causes.Cause]] = {}
  for row in failed:
    failures.setdefault(row.test or row.assertion, []).extend(row.causes)
  found = causes.group(failures)
  return {
    'format': FORMAT,
    'headline': digest.of_reports(
      len(rows), len(failed), len(failures), len(found)
    ),
    'causes': found,
    'rows': rows,
    'most_tests': _MAX_TESTS,
  }
