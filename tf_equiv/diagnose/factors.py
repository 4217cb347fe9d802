"""Whether what two ops read, or compute, differs by a factor only.

A gradient that one side alone reverses, scores of an attention that it alone
scales, a loss with another weight: whatever the ops are called, their numbers
are those of the other side, times a factor.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from tf_equiv.compare.difference import Difference, Kind, plain
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.side import Side, Sides

# Fewer numbers may be proportional by chance.
_MIN_SIZE = 3
_MAX_SIZE = 1 << 22
_RTOL = 1e-6
# So many ops are followed back to where both sides agree.
_MAX_CHAIN = 8
_PRODUCTS = ('MatMul', 'BatchMatMul', 'Einsum')


@dataclasses.dataclass(frozen=True)
class _Link:
  """A value that another one is a multiple of.

  Attributes:
    key: node that computes it, or path of the input.
    output: which output of the node.
    factor: the other value over this one.
  """

  key: str
  output: int
  factor: float


def describe(
  found: frontier_lib.Frontier, sides: Sides, alignment: alignment_lib.Alignment
) -> list[Difference]:
  """Returns by which factors two ops, or what they read, differ.

  Args:
    found: the ops.
    sides: both sides.
    alignment: which ops correspond.

  Returns:
    At most one difference of the kind FACTOR, with one of the kind SUMMED_OVER
    where the factor is that of products.
  """
  if found.tf1.nested or found.tf2.nested:
    return []
  for a, b in _operands(found.tf1, found.tf2):
    if alignment.same_operand(a, b):
      continue
    ratio = _ratio(_value(sides[0], a), _value(sides[1], b))
    if ratio is None:
      continue
    chains = _chain(sides[0], a), _chain(sides[1], b)
    base = _common(chains, alignment)
    if base is not None:
      first, second = base
      factor = Difference(
        Kind.FACTOR,
        first.key,
        plain(np.float32(first.factor)),
        plain(np.float32(second.factor)),
      )
      return [factor, *_summed_over(found.tf1, factor, sides[0])]
  outputs = [
    _fetched(side, node.outputs[:1])
    for side, node in zip(sides, (found.tf1, found.tf2), strict=True)
  ]
  ratio = _ratio(*outputs)
  if ratio is None:
    return []
  return [Difference(Kind.MULTIPLE, tf1=1.0, tf2=plain(np.float32(ratio)))]


def ratio_of(first: np.ndarray, second: np.ndarray) -> float | None:
  """Returns the factor by which all of a second array is a first one.

  None if there is none, if it is one, or if there are too few numbers.
  """
  first, second = (
    np.asarray(x, np.float64).reshape(-1) for x in (first, second)
  )
  if first.size != second.size or first.size < _MIN_SIZE:
    return None
  power = float(first @ first)
  if not power or not np.isfinite(power):
    return None
  factor = float(first @ second) / power
  rest = np.max(np.abs(second - factor * first))
  scale = np.max(np.abs(second))
  if not scale or not rest <= _RTOL * scale or abs(factor - 1) <= 10 * _RTOL:
    return None
  # A single number that is not zero would be a multiple of any other.
  return factor if np.count_nonzero(first) >= _MIN_SIZE else None


def _ratio(first: np.ndarray | None, second: np.ndarray | None) -> float | None:
  if first is None or second is None or first.shape != second.shape:
    return None
  return ratio_of(first, second)


def _operands(
  a: graph_lib.Node, b: graph_lib.Node
) -> Iterator[tuple[graph_lib.Operand, graph_lib.Operand]]:
  """Yields what may correspond of what two ops read."""
  mine, theirs = (
    [o for o in node.operands if o.kind in (graph_lib.NODE, graph_lib.INPUT)]
    for node in (a, b)
  )
  if len(mine) == len(theirs):
    yield from zip(mine, theirs, strict=True)
  if a.family in ('AddN', 'Add') or len(mine) != len(theirs):
    yield from itertools.product(mine, theirs)


def _value(side: Side, operand: graph_lib.Operand) -> np.ndarray | None:
  return _fetched(side, [operand.tensor])


def _fetched(side: Side, names: Sequence[str]) -> np.ndarray | None:
  """Returns a small tensor of floating-point numbers, None if it is none."""
  if not names or not side.run.is_small(names[0], _MAX_SIZE):
    return None
  (value,) = side.run.fetch(list(names[:1]))
  return value if value.dtype.kind == 'f' else None


def _chain(side: Side, operand: graph_lib.Operand) -> list[_Link]:
  """Returns a value, and what it is a multiple of, back through the ops."""
  links = [_Link(operand.key, operand.output, 1.0)]
  value = _value(side, operand)
  while operand.kind == graph_lib.NODE and len(links) < _MAX_CHAIN:
    node = side.graph.nodes[operand.key]
    if node.nested or value is None:
      break
    for read in node.operands:
      if read.kind not in (graph_lib.NODE, graph_lib.INPUT):
        continue
      before = _value(side, read)
      if before is None or before.shape != value.shape:
        continue
      factor = 1.0 if np.array_equal(before, value) else _ratio(before, value)
      if factor is not None:
        links.append(_Link(read.key, read.output, links[-1].factor * factor))
        operand, value = read, before
        break
    else:
      break
  return links


def _common(
  chains: Sequence[Sequence[_Link]], alignment: alignment_lib.Alignment
) -> tuple[_Link, _Link] | None:
  """Returns the earliest value that both are multiples of."""
  theirs = {(link.key, link.output): link for link in chains[1]}
  for link in reversed(chains[0]):
    other = alignment.pairs.get(link.key)
    agrees = other is not None and alignment.agrees(link.key)
    key = other if agrees else link.key if other is None else None
    if (key, link.output) in theirs:
      return link, theirs[key, link.output]
  return None


def _summed_over(
  node: graph_lib.Node, factor: Difference, side: Side
) -> list[Difference]:
  """Returns over how many numbers products sum, if that is what a factor is.

  Args:
    node: the op that differs.
    factor: a difference of the kind FACTOR.
    side: the side of TF1.
  """
  for each in (side.graph.nodes.get(factor.subject), node):
    if each is None or each.family not in _PRODUCTS:
      continue
    sizes = [_value(side, o) for o in each.operands]
    sizes = [x.shape for x in sizes if x is not None and x.ndim > 1]
    if not sizes:
      continue
    turned = each.attributes.get('adj_x') or each.attributes.get('transpose_a')
    summed = sizes[0][-2 if turned else -1]
    roots = (x**-2 for x in (factor.tf1, factor.tf2) if x)
    if not any(math.isclose(root, summed, rel_tol=1e-4) for root in roots):
      continue
    return [Difference(Kind.SUMMED_OVER, each.name, summed, summed)]
  return []
