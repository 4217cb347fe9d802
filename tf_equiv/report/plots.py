"""Plots of a report, as SVG to put into a page.

Colours are CSS variables of the page, so that plots follow its light and dark
mode; text is text, in the page's font.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from tf_equiv.compare import divergence
from tf_equiv.report import document as document_lib

# Stand-ins for colours, and what the page has in their place.
_INK, _GRID = '#010101', '#020202'
_FIRST, _SECOND, _BAD, _LIMIT, _NOISE = (
  '#030303',
  '#040404',
  '#050505',
  '#060606',
  '#070707',
)
_COLORS = {
  _INK: 'currentColor',
  _GRID: 'var(--grid)',
  _FIRST: 'var(--first)',
  _SECOND: 'var(--second)',
  _BAD: 'var(--bad)',
  _LIMIT: 'var(--limit)',
  _NOISE: 'var(--noise)',
}
# Up to as many points each one is marked.
_FEW = 200
# In inches of 72 units, for narrow and for wide screens.
_SIZES = {'narrow': (4.9, 3.4), 'wide': (10.5, 3.6)}
# Where a logarithmic axis ends; agreement to the last bit lies there. At the
# other end, room is left for its margin.
_FLOOR, _RATIO_FLOOR, _CEILING = 1e-18, 1e-6, 1e280


def layers(document: document_lib.Document) -> str:
  """Plots the error of each layer in depth order; '' if none is known."""
  if not document.layers:
    return ''
  found = document.layers

  def draw(axes: Any) -> None:
    at = range(len(found))
    errors = [_share(x, x.difference) for x in found]
    noise = [_share(x, x.noise) for x in found]
    if any(x is not None for x in noise):
      _steps(axes, at, noise, _NOISE, 'noise floor')
    _steps(axes, at, errors, _FIRST, 'error')
    bad = [errors[i] if found[i].differs else None for i in at]
    _steps(axes, at, bad, _BAD, 'too large')
    limits = [_share(x, x.allowed) for x in found]
    axes.plot(at, limits, color=_LIMIT, linestyle='--', label='tolerance')
    first = next((i for i in at if found[i].differs), None)
    if first is not None:
      axes.plot(
        [first],
        [max(errors[first] or 0.0, _FLOOR)],
        marker='o',
        color=_BAD,
        linestyle='none',
      )
    _log_scale(axes)
    axes.set_xlabel('op, in the order of the TF1 program')
    axes.set_ylabel('error / largest value')
    axes.set_xlim(-0.5, len(found) - 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)

  return _both_sizes('layers', draw)


def _share(layer: divergence.LayerError, value: float | None) -> float | None:
  """Returns a value over the largest one of the layer."""
  return None if value is None else value / (layer.scale or 1.0)


def training(document: document_lib.Document) -> str:
  """Plots the loss of both sides, and errors, per training step."""
  if not document.training:
    return ''
  numbers = [step.number for step in document.training]
  # The loss, where there is one; more curves could not be told apart.
  names = list(document.training[0].scalars)[:1]
  groups = ['loss', 'gradients', 'variables']

  def draw(upper: Any, lower: Any) -> None:
    for name in names:
      pairs = [
        step.scalars.get(name, (None, None)) for step in document.training
      ]
      for i, (side, color) in enumerate((('TF1', _FIRST), ('TF2', _SECOND))):
        upper.plot(
          numbers,
          [_finite(pair[i]) for pair in pairs],
          color=color,
          marker='os'[i],
          markersize=(8, 4)[i],
          linestyle=('-', '--')[i],
          label=side,
        )
      upper.set_ylabel(name, parse_math=False)
    colors = dict(zip(groups, (_FIRST, _SECOND, _NOISE), strict=True))
    for group in groups:
      ratios = [
        next((g.ratio for g in step.groups if g.name == group), None)
        for step in document.training
      ]
      if any(x is not None for x in ratios):
        lower.plot(
          numbers,
          [_clipped(x, _RATIO_FLOOR) for x in ratios],
          color=colors[group],
          marker='o',
          markersize=4,
          label=group,
        )
    lower.axhline(1.0, color=_LIMIT, linestyle='--', label='limit')
    _log_scale(lower)
    lower.set_ylabel('error / allowed')
    for axes in (upper, lower):
      axes.set_xlabel('training step')
      axes.set_xticks(_ticks(numbers))

  return _both_sizes('training', draw, axes=2)


def curves(document: document_lib.Document) -> str:
  """Plots free training of both sides: a curve, and all differences.

  The curve is that in which the sides part first, or the loss, within what TF1
  allows; the differences are those of all quantities, over what is allowed.
  """
  if not document.curves:
    return ''
  first, steps = document.curves[0], document.curves[0].steps

  def draw(upper: Any, lower: Any) -> None:
    tf1 = [_finite(x) for x in first.tf1]
    ranges = [_finite(x) for x in first.allowed]
    upper.fill_between(
      steps,
      [x - r for x, r in zip(tf1, ranges, strict=True)],
      [x + r for x, r in zip(tf1, ranges, strict=True)],
      color=_LIMIT,
      alpha=0.3,
      linewidth=0,
      label='allowed',
    )
    upper.plot(steps, tf1, color=_FIRST, linewidth=2.6, label='TF1')
    upper.plot(
      steps,
      [_finite(x) for x in first.tf2],
      color=_SECOND,
      linestyle='--',
      linewidth=1.6,
      label='TF2',
    )
    upper.set_ylabel(first.name, parse_math=False)
    for curve in document.curves:
      leads = curve is first
      lower.plot(
        steps,
        [_clipped(x, _RATIO_FLOOR) for x in curve.times],
        color=_SECOND if leads else _NOISE,
        linewidth=1.8 if leads else 0.9,
        label=curve.name if leads else None,
      )
    lower.axhline(1.0, color=_LIMIT, linestyle='--', label='limit')
    _log_scale(lower)
    lower.set_ylabel('difference / allowed')
    for axes in (upper, lower):
      if document.horizon is not None and document.horizon < steps[-1]:
        axes.axvline(
          document.horizon, color=_INK, linestyle=':', label='horizon'
        )
      if first.parts is not None:
        axes.axvline(first.parts, color=_BAD, linewidth=1.0, label='they part')
      axes.set_xlabel('training step')

  return _both_sizes('curves', draw, axes=2)


def _both_sizes(name: str, draw: Callable[..., None], axes: int = 1) -> str:
  parts = []
  for size in _SIZES:
    svg = _render(f'{name}-{size}', _SIZES[size], draw, axes, size)
    parts.append(f'<div class="{size}">{svg}</div>')
  return ''.join(parts)


def _render(
  name: str,
  size: tuple[float, float],
  draw: Callable[..., None],
  count: int,
  width: str,
) -> str:
  """Draws a figure and returns it as an SVG element.

  Settings of the user (`matplotlibrc`) play no part, and none are changed.
  """
  import matplotlib
  from matplotlib.backends import backend_svg
  from matplotlib.figure import Figure

  with matplotlib.rc_context():
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(_settings(name))
    stacked = count > 1 and width == 'narrow'
    if stacked:
      size = (size[0], size[1] * 1.6)
    figure = Figure(figsize=size, layout='constrained')
    # Without a window system, and without pyplot's list of figures.
    backend_svg.FigureCanvasSVG(figure)
    shape = (count, 1) if stacked else (1, count)
    all_axes = figure.subplots(*shape, squeeze=False).ravel()
    draw(*all_axes)
    for axes in all_axes:
      _finish(axes)
    buffer = io.StringIO()
    figure.savefig(
      buffer, format='svg', metadata={'Date': None}, transparent=True
    )
  return _adapt(buffer.getvalue(), name)


def _settings(name: str) -> Any:
  return {
    'axes.edgecolor': _INK,
    'axes.labelcolor': _INK,
    'axes.spines.right': False,
    'axes.spines.top': False,
    'font.size': 11,
    'grid.color': _GRID,
    'legend.frameon': False,
    'legend.fontsize': 9.5,
    'svg.fonttype': 'none',
    'svg.hashsalt': name,
    'text.color': _INK,
    'xtick.color': _INK,
    'ytick.color': _INK,
  }


def _log_scale(axes: Any) -> None:
  """Makes the axis of values logarithmic, with labels as in the tables.

  They are also a lot faster to lay out than powers of ten.
  """
  axes.set_yscale('log')
  axes.yaxis.set_major_formatter(lambda value, position: f'{value:.0e}')
  axes.yaxis.set_minor_formatter(lambda value, position: '')


def _finish(axes: Any) -> None:
  axes.grid(True, axis='y')
  axes.set_axisbelow(True)
  if axes.get_legend_handles_labels()[0]:
    axes.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=2)


def _adapt(svg: str, name: str) -> str:
  """Makes an SVG file an element of a page that has others like it."""
  svg = svg[svg.index('<svg') :]
  svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.S)
  for color, variable in _COLORS.items():
    svg = svg.replace(color, variable)
  # Names of elements must be unique in the page.
  svg = re.sub(r'\bid="', f'id="{name}-', svg)
  svg = re.sub(r'(href="|url\()#', r'\1#%s-' % name, svg)
  # The page's font and the size of its column.
  svg = re.sub(r'font: ([\d.]+)px [^;\"]*', r'font-size: \1px', svg)
  svg = re.sub(r'<svg ([^>]*?)height="[^"]*" ', r'<svg \1', svg, count=1)
  svg = re.sub(r'<svg ([^>]*?)width="[^"]*" ', r'<svg \1', svg, count=1)
  return svg.replace('<svg ', '<svg role="presentation" ', 1).strip()


def _steps(
  axes: Any,
  at: Sequence[int],
  heights: Sequence[float | None],
  color: str,
  label: str,
) -> None:
  few = len(heights) < _FEW
  axes.plot(
    at,
    [_clipped(x) for x in heights],
    color=color,
    label=label,
    drawstyle='steps-mid',
    linewidth=1.4 if few else 0.7,
    marker='.' if few else None,
  )


def _clipped(value: float | None, floor: float = _FLOOR) -> float:
  """What a logarithmic axis can show; NaN, a gap, for what is not there."""
  if value is None or math.isnan(value) or math.isinf(value):
    return math.nan
  return min(max(value, floor), _CEILING)


def _finite(value: Any) -> float:
  return (
    value if isinstance(value, float) and math.isfinite(value) else math.nan
  )


def _ticks(numbers: Sequence[int]) -> list[int]:
  every = max(1, math.ceil(len(numbers) / 8))
  return list(numbers[::every])
