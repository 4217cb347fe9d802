"""The file of a certificate: JSON, with a digest over what it certifies."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tf_equiv.core import errors, locking, own_json
from tf_equiv.report import files

FORMAT = 'tf_equiv certificate 1'
Entry = dict[str, Any]

_FIELDS: Mapping[str, type] = {
  'class': str,
  'test': str,
  'assertion': str,
  'terms': dict,
  'vacuous': bool,
  'compared': dict,
  'tolerance': dict,
  'variables': list,
  'layers': list,
  'silent': list,
  'versions': dict,
}
_NUMBER = (int, float)
_OPTIONAL = (int, float, type(None))
_TERMS: Mapping[str, type | tuple[type, ...]] = {
  'training': bool,
  'weights': str,
  'seed_mode': str,
  'seed': int,
  'steps': int,
  'start_step': int,
  'seeds': int,
  'rtol': _OPTIONAL,
  'atol': _OPTIONAL,
  'equal_nan': bool,
  'variants': list,
  'searched': bool,
}


class CertificateError(errors.UsageError):
  """A certificate cannot be used; the message says why."""


def digest_of(entries: Sequence[Entry]) -> str:
  """Returns the SHA-256 of entries, of their JSON without spaces."""
  text = own_json.dumps(
    entries, sort_keys=True, separators=(',', ':'), allow_nan=False
  )
  return hashlib.sha256(text.encode('utf-8')).hexdigest()


def read(path: str) -> list[Entry]:
  """Reads the entries of a certificate.

  Args:
    path: the file.

  Raises:
    CertificateError: if it is missing, of another format, or damaged.
  """
  if not os.path.isfile(path):
    raise CertificateError(
      f'{path!r} is no file.'
      if os.path.lexists(path)
      else f'There is no file {path!r}.'
    )
  try:
    with open(path, encoding='utf-8') as file:
      content = own_json.loads(file.read())
  except OSError as error:
    raise CertificateError(
      f'{path!r} cannot be read ({error.strerror}).'
    ) from error
  except (ValueError, RecursionError) as error:
    raise CertificateError(
      f'{path!r} is no certificate of tf_equiv: it is no JSON '
      f'({type(error).__name__}).'
    ) from error
  return _checked(path, content)


def _checked(path: str, content: Any) -> list[Entry]:
  found = content.get('format') if isinstance(content, dict) else None
  if found is None:
    raise CertificateError(
      f'{path!r} is no certificate of tf_equiv: it has no format.'
    )
  if found != FORMAT:
    raise CertificateError(
      f'{path!r} has the format {errors.cut(ascii(found), 100)}; this version '
      f'of tf_equiv reads {FORMAT!r}.'
    )
  entries = content.get('entries')
  if not isinstance(entries, list):
    raise CertificateError(f'{path!r} is damaged: it has no entries.')
  try:
    digest = digest_of(entries)
  except (ValueError, RecursionError) as error:  # NaN, say.
    raise CertificateError(f'{path!r} is damaged ({error}).') from error
  if content.get('digest') != digest:
    raise CertificateError(
      f'{path!r} was changed after it was written: its digest is not that of '
      'its entries. Let the tests write it again.'
    )
  for i, entry in enumerate(entries):
    wrong = _wrong_field(entry)
    if wrong:
      raise CertificateError(
        f'{path!r} is damaged: entries[{i}] has no usable {wrong}.'
      )
  return entries


def _wrong_field(entry: Any) -> str:
  """Returns the name of a field that is not as expected, '' if all are."""
  if not isinstance(entry, dict):
    return 'fields'
  for name, kind in _FIELDS.items():
    if not isinstance(entry.get(name), kind):
      return name
  for name in ('variables', 'layers', 'silent'):
    if not all(isinstance(each, str) for each in entry[name]):
      return name
  if not all(map(_is_number, entry['compared'].values())):
    return 'compared'
  if not all(
    isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair))
    for pair in entry['tolerance'].values()
  ):
    return 'tolerance'
  if not all(isinstance(each, dict) for each in entry['versions'].values()):
    return 'versions'
  return _wrong_term(entry['terms'])


def _wrong_term(terms: Mapping[str, Any]) -> str:
  if not terms:  # No plan was run.
    return ''
  for name, kind in _TERMS.items():
    value = terms.get(name)
    if name not in terms or not isinstance(value, kind):
      return f'terms.{name}'
    if isinstance(value, bool) and kind is not bool:
      return f'terms.{name}'
  if not all(isinstance(each, str) for each in terms['variants']):
    return 'terms.variants'
  return ''


def _is_number(value: Any) -> bool:
  return isinstance(value, _NUMBER) and not isinstance(value, bool)


def render(entries: Iterable[Entry]) -> bytes:
  """Returns the file with entries, in an order of its own."""
  ordered = sorted(entries, key=lambda e: (e['class'], e['test']))
  content = {
    'format': FORMAT,
    'digest': digest_of(ordered),
    'entries': ordered,
  }
  text = own_json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
  return f'{text}\n'.encode()


def merged(several: Iterable[Sequence[Entry]]) -> list[Entry]:
  """Returns the entries of several certificates, each once."""
  found = {}
  for entries in several:
    for entry in entries:
      found.setdefault(digest_of([entry]), entry)
  return list(found.values())


def replace_test(
  path: str,
  owner: str,
  test: str,
  entries: Sequence[Entry],
  exists: Callable[[str], bool],
) -> None:
  """Replaces what a certificate says of a test.

  Other processes that write the same file wait; it is replaced in one step.

  Args:
    path: the file, which need not exist.
    owner: full name of the test class.
    test: name of the test.
    entries: what the test has proven, [] where it failed.
    exists: returns whether the class has a test of a name; what tests have
      proven that it no longer has is dropped.

  Raises:
    CertificateError: if the file is something else, or cannot be written.
  """
  path = os.path.abspath(path)
  if not entries and not os.path.exists(path):
    return
  try:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with locking.locked(path):
      known = read(path) if os.path.lexists(path) else []
      kept = [
        each
        for each in known
        if each['class'] != owner
        or (each['test'] != test and exists(each['test']))
      ]
      changed = [*kept, *merged([entries])]
      if changed != known:
        files.replace(path, render(changed))
  except OSError as error:
    raise CertificateError(
      f'The certificate {path!r} cannot be written ({error.strerror}).'
    ) from error
