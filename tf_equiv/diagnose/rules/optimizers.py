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
    return 'Gradients are clipped at %g in TF1 and at %g in TF2.' % pair
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
  """One side alone multiplies a gradient on its way back."""
  if found.group != 'gradients':
    return ''
  for there, other, side, other_side in evidence.BOTH_WAYS:
    ops = evidence.lone(found, side)
    factors = evidence.numbers(found, side)
    if (
      ops
      and not evidence.lone(found, other_side)
      and not evidence.numbers(found, other_side)
      and len(factors) < 2
      and all(op.op_type in ('Neg', 'Mul') for op in ops)
    ):
      how = []
      if any(op.op_type == 'Neg' for op in ops):
        how.append('reversed')
      if any(op.op_type == 'Mul' for op in ops):
        how.append('multiplied' + (f' by {factors[0]:g}' if factors else ''))
      line = next((op.line for op in ops if op.line), '')
      return (
        f'On its way back the gradient is {" and ".join(how)} in {there} alone'
        + (f', at {line}' if line else '')
        + f': {other} needs the same (tf.custom_gradient; an override of '
        'gradients has no effect in eager execution).'
      )
  return ''


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
