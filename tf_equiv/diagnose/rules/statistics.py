"""Mistakes with normalization and with what it keeps of the batches."""

from tf_equiv.compare import divergence
from tf_equiv.core import observation
from tf_equiv.diagnose.rules import evidence
from tf_equiv.diagnose.rules.evidence import Kind

# Group of what training keeps of the variables, rather than of the batches.
_AVERAGES = f'slots ({observation.MOVING_AVERAGE})'


def momentum(found: divergence.Divergence) -> str:
  """Batch normalization forgets old batches at another rate."""
  pair = evidence.pair(found, Kind.DECAY)
  if pair is None or not any(
    evidence.MOVING.search(each.subject)
    for each in evidence.of_kind(found, Kind.ASSIGNED_BY)
  ):
    return ''
  return (
    'The momentum (decay) of batch normalization is %g in TF1 and %g in TF2: '
    'defaults differ (tf.compat.v1.layers and Keras 0.99, tf_slim 0.999), so '
    'give the value of TF1 to the layer.' % pair
  )


def decay(found: divergence.Divergence) -> str:
  """A moving average has another decay."""
  pair = evidence.pair(found, Kind.DECAY)
  if pair is None:
    return ''
  return 'The decay of the moving average is %g in TF1 and %g in TF2.' % pair


def average_not_applied(found: divergence.Divergence) -> str:
  """One side alone keeps a moving average of a trained variable."""
  for side, other, *_ in evidence.BOTH_WAYS:
    if found.group == _AVERAGES and _assigns_alone(found, side):
      return (
        f'{side} keeps a moving average of the variable in training '
        f'(ExponentialMovingAverage.apply), {other} never does: apply it after '
        'each update.'
      )
  return ''


def assigned_in_forward_pass(found: divergence.Divergence) -> str:
  """The forward pass of one side alone assigns a trained variable."""
  if found.group != divergence.FORWARD_ASSIGNMENTS:
    return ''
  for side, other, i, _ in evidence.BOTH_WAYS:
    if _assigns_alone(found, side):
      what = (
        'assign it in the call with training=True',
        'compute with the new value and do not assign it',
      )[i]
      return (
        f'The forward pass of {side} itself assigns {found.variables[0]}, '
        f'which is trained; that of {other} does not. Decide which is meant: '
        f'where it is TF1, {what}.'
      )
  return ''


def not_updated_in_tf2(found: divergence.Divergence) -> str:
  """TF2 leaves a variable alone that TF1 updates in training."""
  if found.group == _AVERAGES or not _assigns_alone(found, 'TF1'):
    return ''
  return (
    'TF1 updates the variable in training, TF2 never does: assign it in the '
    'call with training=True, and hand the flag on.'
  )


def not_updated_in_tf1(found: divergence.Divergence) -> str:
  """TF2 updates a variable that the training step of TF1 leaves alone."""
  if found.group == _AVERAGES or not _assigns_alone(found, 'TF2'):
    return ''
  if not any(evidence.MOVING.search(name) for name in found.variables):
    return (
      'TF2 assigns the variable in training, what TF1 runs in training never '
      'does. Decide which is meant: where it is TF1, compute with the new '
      'value and do not assign it.'
    )
  return (
    'TF2 updates the variable in training, the training step of TF1 never '
    'does: it does not run UPDATE_OPS. Decide which is meant; '
    'trainable=False keeps batch normalization of Keras from updating.'
  )


def _assigns_alone(found: divergence.Divergence, side: str) -> bool:
  return any(
    each.side == side for each in evidence.of_kind(found, Kind.ASSIGNS)
  )


def axes(found: divergence.Divergence) -> str:
  """A normalization takes its statistics over other axes, or other ones."""
  for each in evidence.of_kind(found, Kind.NORMALIZES):
    (kind, mine), (other_kind, theirs) = each.tf1, each.tf2
    if kind == other_kind:
      return (
        f'The normalization takes the {kind} over the axes {list(mine)} in '
        f'TF1, and over {list(theirs)} in TF2.'
      )
    return (
      f'The normalization divides by the root of the {kind} (axes '
      f'{list(mine)}) in TF1, of the {other_kind} (axes {list(theirs)}) in TF2.'
    )
  return ''


def epsilon(found: divergence.Divergence) -> str:
  """A normalization adds another epsilon, and that is why the sides differ."""
  if evidence.is_assigned(found):
    return ''  # Which says nothing of what normalizes.
  pair = evidence.pair(found, Kind.EPSILON)
  if pair is None and found.recorded:  # What was recorded cannot be run again.
    pair = evidence.pair(found, Kind.ATTRIBUTE, 'epsilon')
  if pair is None:
    return ''
  return (
    'The epsilon of the normalization is %g in TF1 and %g in TF2: defaults '
    'differ between libraries, so give the value of TF1 to the layer.' % pair
  )


def training_flag(found: divergence.Divergence) -> str:
  """One side normalizes with the moving statistics, the other does not."""
  is_read = not evidence.is_assigned(found) and any(
    evidence.MOVING.search(name)
    for each in evidence.of_kind(found, Kind.READS)
    for name in each.one_sided
  )
  if not is_read and not any(
    each.subject == 'is_training'
    for each in evidence.of_kind(found, Kind.ATTRIBUTE)
  ):
    return ''
  return (
    'One side normalizes with the statistics of the batch, the other with the '
    'moving ones: hand the training flag on to the layer (one of Keras whose '
    'trainable is False always takes the moving ones).'
  )
