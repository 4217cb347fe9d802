"""A report as JSON.

It holds the fields of `document.Document`, and those of the records in it. JSON
has no numbers that are not finite: they are the strings 'NaN', 'Infinity' and
'-Infinity'.
"""

import dataclasses
import json
import math
import os
from collections.abc import Callable
from typing import Any

from tf_equiv.compare import divergence, repairs, values
from tf_equiv.report import differences, repair_text, tables, wording
from tf_equiv.report import document as document_lib


def render(document: document_lib.Document) -> bytes:
  """Returns the JSON text of a report, in UTF-8."""
  return _dump(as_json(document)).encode('utf-8')


def as_json(value: Any) -> Any:
  """Returns a report, or a part of it, as what JSON knows."""
  encode = _ENCODERS.get(type(value))
  if encode is not None:
    return as_json(encode(value))
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


def _document(report: document_lib.Document) -> dict[str, Any]:
  found = {
    field.name: getattr(report, field.name)
    for field in dataclasses.fields(report)
  }
  if not report.curves:  # Of free training alone.
    del found['curves'], found['horizon']
  found['layers'] = [
    {'position': i, **_layer(layer)} for i, layer in enumerate(report.layers)
  ]
  return found


def _comparison(c: values.ValueComparison) -> dict[str, Any]:
  return {
    'name': c.name,
    'passed': c.passed,
    'dtype': c.dtype,
    'shape': [int(size) for size in c.shape],
    'count': int(c.count),
    'differing': int(c.differing),
    'worst_index': [int(i) for i in c.worst_index],
    'tf1_value': tables.plain(c.tf1_value),
    'tf2_value': tables.plain(c.tf2_value),
    'difference': float(c.difference),
    'allowed': float(c.allowed),
    'ratio': tables.ratio(c),
    'needed_atol': float(c.needed_atol),
    'rtol': float(c.rtol),
    'atol': float(c.atol),
    'problem': wording.problem(c.problem),
    'note': wording.note(c.note),
  }


def _layer(layer: divergence.LayerError) -> dict[str, Any]:
  return {
    'tf1': layer.tf1,
    'tf2': layer.tf2,
    'op_type': layer.op_type,
    'shape': layer.shape,
    'differs': layer.differs,
    'difference': layer.difference,
    'allowed': layer.allowed,
    'scale': layer.scale,
    'noise': layer.noise,
    'relative': layer.difference / (layer.scale or 1.0),
  }


def _divergence(found: divergence.Divergence) -> dict[str, Any]:
  return {
    'tf1': found.tf1,
    'tf2': found.tf2,
    'values': found.comparison,
    'differences': [*map(differences.describe, found.differences)],
    'only_tf1': found.only_tf1,
    'only_tf2': found.only_tf2,
    'variables': found.variables,
    'mistake': found.mistake,
    'note': found.note,
    'seconds': found.seconds,
    'others': found.others,
    'group': found.group,
    'tried': found.tried,
    'repair': found.repair,
  }


def _repair(found: repairs.Repair) -> dict[str, Any]:
  return {
    'changes': found.changes,
    'distance': found.distance,
    'argument': found.argument,
    'value': tables.plain(found.value),
    'line': found.line,
  }


def _change(made: repairs.Change) -> dict[str, Any]:
  return {
    'kind': made.kind.name.lower(),
    'op': made.op,
    'subject': made.subject,
    'operand': made.operand,
    'tf1': tables.plain(made.tf1),
    'tf2': tables.plain(made.tf2),
    'text': repair_text.change(made),
  }


def _reproduction(found: repairs.Reproduction) -> dict[str, Any]:
  return {
    'place': found.place,
    'file': os.path.basename(found.path),
    'repaired': found.is_repaired,
    'problem': '' if found.problem is None else found.problem.name.lower(),
  }


def _proof(found: repairs.Proof) -> dict[str, Any]:
  return {
    'repaired': found.repaired,
    'replaced': found.replaced,
    'followed': found.followed,
    'results': found.results,
    'difference': found.difference,
    'rest': found.rest,
    'groups': found.groups,
    'text': repair_text.proof(found),
  }


def _noise(found: divergence.Noise) -> dict[str, Any]:
  return {
    'side': found.side,
    'result': found.result,
    'error': found.error,
    'scale': found.scale,
    'place': found.place,
    'factor': found.factor,
    'tolerance': found.tolerance,
  }


# What is written in other words than those of its fields.
_ENCODERS: dict[type, Callable[[Any], dict[str, Any]]] = {
  document_lib.Document: _document,
  values.ValueComparison: _comparison,
  divergence.Divergence: _divergence,
  divergence.Noise: _noise,
  repairs.Change: _change,
  repairs.Proof: _proof,
  repairs.Repair: _repair,
  repairs.Reproduction: _reproduction,
}


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
