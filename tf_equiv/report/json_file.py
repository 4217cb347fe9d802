"""A report as JSON.

It holds the fields of `document.Document`. JSON has no numbers that are not
finite: they are the strings 'NaN', 'Infinity' and '-Infinity'.
"""

import dataclasses
import json
import math
from typing import Any

from tf_equiv.report import document as document_lib


def render(document: document_lib.Document) -> bytes:
  """Returns the JSON text of a report, in UTF-8."""
  return _dump(as_json(document)).encode('utf-8')


def as_json(value: Any) -> Any:
  """Returns a report, or a part of it, as what JSON knows."""
  if dataclasses.is_dataclass(value):
    return {
      field.name: as_json(getattr(value, field.name))
      for field in dataclasses.fields(value)
    }
  if isinstance(value, dict):
    return {str(key): as_json(item) for key, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [as_json(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return 'NaN' if math.isnan(value) else f'{"-" * (value < 0)}Infinity'
  if isinstance(value, str):
    # What UTF-8 cannot hold: lone surrogates of undecodable file names.
    return value.encode('utf-8', 'backslashreplace').decode('utf-8')
  return value


def _dump(value: Any, depth: int = 0) -> str:
  """Like `json.dumps`, with one line for each row of a table."""
  indent = ' ' * depth
  if isinstance(value, dict) and value and depth < 2:
    parts = [
      f'{indent} {_compact(key)}: {_dump(item, depth + 1)}'
      for key, item in value.items()
    ]
    return '{\n%s\n%s}' % (',\n'.join(parts), indent)
  if isinstance(value, list) and any(isinstance(x, dict) for x in value):
    parts = [f'{indent} {_compact(item)}' for item in value]
    return '[\n%s\n%s]' % (',\n'.join(parts), indent)
  return _compact(value)


def _compact(value: Any) -> str:
  return json.dumps(value, ensure_ascii=False, allow_nan=False)
