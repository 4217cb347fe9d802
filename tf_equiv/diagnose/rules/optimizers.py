"""Mistakes with gradients and learning rates on the way to an optimizer."""

from tf_equiv.compare import divergence
from tf_equiv.diagnose.rules import evidence
from tf_equiv.diagnose.rules.evidence import Kind

_CLIPPING = (
  ('clip_by_global_norm', 'by their global norm'),
  ('clip_by_norm', 'each by its own norm'),
  ('clip_by_value', 'by value'),
)


def clipping(found: divergence.Divergence) -> str:
  """Gradients are clipped in another way, or at another number."""
  if found.group != 'gradients':
    return ''
  names = [
    ' '.join(op.name for op in evidence.around(found, side)) for side in (0, 1)
  ]
  if not any('clip_by' in name for name in names):
    return ''
  ways = tuple(
    next((way for key, way in _CLIPPING if key in name), '') for name in names
  )
  if ways[0] == ways[1]:
    pair = evidence.pair(found, Kind.CONSTANT)
    if pair is None or 0 in pair:
      return ''
    if ways[0] == _CLIPPING[0][1] and _holds_inverse(found):
      pair = 1 / pair[0], 1 / pair[1]
    return 'Gradients are clipped at %g and at %g.' % pair
  if not all(ways):
    there, other = evidence.SIDES if ways[0] else evidence.SIDES[::-1]
    return (
      f'Gradients are clipped {ways[0] or ways[1]} in {there}, and not in '
      f'{other}.'
    )
  return (
    'Gradients are clipped %s in TF1, %s in TF2: use the same of clipvalue, '
    'clipnorm and global_clipnorm, or clip_gradients.' % ways
  )


def _holds_inverse(found: divergence.Divergence) -> bool:
  """Returns whether an op of clipping takes one over the largest norm.

  `tf.clip_by_global_norm` multiplies the norm by the smaller one of 1 / norm of
  the gradients and 1 / norm, of which the latter is a constant.
  """
  op = found.tf1
  return op is not None and op.op_type in ('Minimum', 'RealDiv')


def scaled_gradient(found: divergence.Divergence) -> str:
  """A gradient is multiplied by another number on its way."""
  factors = evidence.pair(found, Kind.FACTOR)
  if found.group not in ('gradients', 'input gradients') or factors is None:
    return ''
  ways = tuple(map(_way, factors))
  return (
    f'A gradient is {ways[0]} on its way in TF1, and {ways[1]} in TF2: give '
    'TF2 the factor of TF1 at the lines above (tf.custom_gradient).'
  )


def _way(factor: float) -> str:
  if factor == 1:
    return 'passed on as it is'
  if factor < 0:
    return f'reversed (times {factor:.4g})'
  return f'scaled (times {factor:.4g})'


def staircase(found: divergence.Divergence) -> str:
  """One side alone decays the learning rate in steps."""
  floors = [
    [op.op_type for op in evidence.lone(found, side)].count('Floor')
    for side in (0, 1)
  ]
  if floors[0] == floors[1] or found.group != 'learning rate':
    return ''
  there, other = evidence.SIDES if floors[0] else evidence.SIDES[::-1]
  return (
    f'The learning rate decays in steps (staircase=True) in {there}, and '
    f'smoothly in {other}.'
  )
