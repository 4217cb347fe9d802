"""A report as one HTML page that needs no network.

It needs Jinja2, and for its plots Matplotlib: the `report` extra.
"""

import base64
import hashlib
import importlib.util
import logging
import math
from collections.abc import Callable
from importlib import resources
from typing import Any

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import values
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.report import (
  differences,
  digest,
  numbers,
  repair_text,
  tables,
  wording,
)
from tf_equiv.report import document as document_lib

_log = logging.getLogger('tf_equiv')

INSTALL = "pip install 'tf_equiv[report]'"

# More rows than these make a page slow, and nobody reads them; the JSON file
# has them all.
_MAX_ROWS = 4000

_MEANINGS = {
  divergence_lib.REAL: 'the difference remains in float64',
  divergence_lib.NOISE: 'in float64 the sides agree: it is rounding',
  divergence_lib.ORDER: 'with the same random numbers the sides agree',
  divergence_lib.VACUOUS: 'the compared values prove nothing',
}


def missing_packages() -> list[str]:
  """Returns the names of the packages of the `report` extra that are missing.

  Without Jinja2 there is no page, without Matplotlib it has no plots.
  """
  packages = {'Jinja2': 'jinja2', 'Matplotlib': 'matplotlib'}
  return [name for name, module in packages.items() if not _exists(module)]


def _exists(module: str) -> bool:
  try:
    return importlib.util.find_spec(module) is not None
  except (ImportError, ValueError):  # Blocked, or half imported.
    return False


def render(document: document_lib.Document) -> bytes:
  """Returns the page of a report, in UTF-8.

  Raises:
    ImportError: if Jinja2 is not installed.
  """
  environment = _environment()
  # Only these two are known not to be text of the user.
  style, script = (_markup(_read(name)) for name in ('page.css', 'page.js'))
  page: str = environment.get_template('page.html').render(
    document=document,
    failed=document.result == 'fail',
    meaning=_MEANINGS.get(document.kind, ''),
    gradients=_rows(document, lambda quantity: quantity.is_of_gradients),
    others=_rows(
      document,
      lambda quantity: (
        not (quantity.is_of_gradients or quantity.is_of_variables)
      ),
    ),
    plots=_plots(document),
    most_rows=_MAX_ROWS,
    style=style,
    script=script,
    style_hash=_digest(style),
    script_hash=_digest(script),
  )
  return page.encode('utf-8', 'backslashreplace')


def render_index(**values: Any) -> bytes:
  """Returns the page that lists reports, in UTF-8.

  Args:
    **values: what the template 'index.html' names.

  Raises:
    ImportError: if Jinja2 is not installed.
  """
  environment = _environment()
  page: str = environment.get_template('index.html').render(
    style=_markup(_read('page.css')), **values
  )
  return page.encode('utf-8', 'backslashreplace')


def _environment() -> Any:
  import jinja2

  environment = jinja2.Environment(
    autoescape=True,
    loader=jinja2.FunctionLoader(_read),
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  environment.filters.update(
    number=number,
    number_up=numbers.number_up,
    value=value,
    shape=shape,
    ratio=ratio,
    most=_most,
    excess=tables.ratio,
    difference=differences.describe,
    problem=wording.problem,
    note=wording.note,
    relative=_relative,
    repair=repair_text.repair,
    proof=repair_text.proof,
    tests=digest.tests,
  )
  return environment


def number(found: float | None) -> str:
  """Returns a number with three digits."""
  return '' if found is None else f'{found:.3g}'


def ratio(found: float | None) -> str:
  """Returns how far a difference is from the limit, in words."""
  if found is None:
    return ''
  return 'over' if math.isinf(found) else f'{found:.2g}'


def value(found: Any) -> str:
  """Returns a value of an array, shortened."""
  found = tables.plain(found)
  if isinstance(found, float):
    return f'{found:.9g}'
  shown = str(found)
  return shown if len(shown) <= 40 else shown[:37] + '...'


def shape(sizes: Any) -> str:
  """Returns a shape as in the messages."""
  return '[%s]' % ', '.join('?' if n is None else str(n) for n in sizes)


def _most(rows: list[Any]) -> list[Any]:
  return rows[:_MAX_ROWS]


def _relative(layer: divergence_lib.LayerError) -> float:
  """Returns an error over the largest value."""
  return layer.difference / (layer.scale or 1.0)


def _rows(
  document: document_lib.Document, wanted: Callable[[Quantity], bool]
) -> list[tuple[Key, values.ValueComparison]]:
  """Returns (group, pair) of some groups, those that differ most first."""
  rows = [
    (key, pair)
    for key, pairs in document.comparisons.items()
    if wanted(key.quantity)
    for pair in pairs
  ]
  return sorted(rows, key=lambda row: (row[1].passed, -tables.ratio(row[1])))


def _plots(document: document_lib.Document) -> dict[str, Any]:
  """Returns the plots by name, and as 'problem' why there are none."""
  from tf_equiv.report import plots

  try:
    return {
      'layers': _markup(plots.layers(document)),
      'training': _markup(plots.training(document)),
      'curves': _markup(plots.curves(document)),
      'problem': '',
    }
  except ImportError:
    problem = 'Matplotlib is not installed: ' + INSTALL
  except Exception as error:  # The tables hold the same numbers.
    _log.info('plotting failed', exc_info=True)
    problem = f'{type(error).__name__}: {error}'
  return {'layers': '', 'training': '', 'curves': '', 'problem': problem}


def _markup(source: str) -> Any:
  import markupsafe

  return markupsafe.Markup(source)


def _read(name: str) -> str:
  return resources.files(__package__).joinpath(name).read_text('utf-8')


def _digest(source: str) -> str:
  """What a content security policy says of an element that is allowed."""
  digest = hashlib.sha256(source.encode('utf-8')).digest()
  return 'sha256-' + base64.b64encode(digest).decode('ascii')
