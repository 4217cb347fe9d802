"""Mistakes with losses and regularizers."""

import fractions

from tf_equiv.compare import divergence
from tf_equiv.diagnose.rules import evidence
from tf_equiv.diagnose.rules.evidence import Kind

# Numbers of elements that a wrong reduction may multiply or divide by.
_MAX_ELEMENTS = 64
_CROSS_ENTROPIES = {
  'SparseSoftmaxCrossEntropyWithLogits',
  'SoftmaxCrossEntropyWithLogits',
}
_REDUCTIONS = {'DivNoNan', 'Mean', 'Sum', 'L2Loss', 'RealDiv', 'Mul'}
# Keras clips probabilities by this much.
_CLIPPED = 1e-07


def doubled_regularizer(found: divergence.Divergence) -> str:
  """TF1 takes half of the sum of squares, TF2 all of it."""
  pair = _factors(found)
  if pair is None or not pair[0] or abs(pair[1] / pair[0] - 2) >= 1e-4:
    return ''
  return (
    'The factor of the regularizer is doubled: tf.nn.l2_loss takes half of '
    'the sum of squares, Keras L2 all of it; give Keras half of the factor.'
  )


def regularizer(found: divergence.Divergence) -> str:
  """A regularizer has another factor."""
  pair = _factors(found)
  if pair is None:
    return ''
  return 'The factor of the regularizer is %g in TF1 and %g in TF2.' % pair


def _factors(found: divergence.Divergence) -> tuple[float, float] | None:
  if 'regulariz' not in evidence.name(found):
    return None
  return evidence.pair(found, Kind.CONSTANT)


def from_logits(found: divergence.Divergence) -> str:
  """Keras takes the logits for probabilities."""
  if not (
    evidence.has_numbers(found, 1, _CLIPPED)
    and 'Log' in evidence.types(found, 1)
    and _CROSS_ENTROPIES.intersection(evidence.types(found, 0))
  ):
    return ''
  return (
    'Keras takes the logits for probabilities (it clips them and takes the '
    'logarithm): pass from_logits=True to the loss.'
  )


def label_smoothing(found: divergence.Divergence) -> str:
  """One side alone smooths the labels."""
  name = evidence.name(found)
  if 'cross_entropy' not in name and 'crossentropy' not in name:
    return ''
  for side, other, i, _ in evidence.BOTH_WAYS:
    numbers = evidence.numbers(found, i)
    for kept in numbers:
      # Labels become 1 - s and s / classes, the former with one of the latter.
      shares = [(1 - kept) / x for x in numbers if 0 < x < 0.5 < kept < 1]
      if any(abs(x - round(x)) < 1e-3 and round(x) > 1 for x in shares):
        return (
          f'{side} smooths the labels (label_smoothing={1 - kept:.3g}), '
          f'{other} does not.'
        )
  return ''


def reduction(found: divergence.Divergence) -> str:
  """The loss is a sum or a mean over other numbers of elements."""
  compared = found.comparison
  types = {op.op_type for op in (found.tf1, found.tf2) if op is not None}
  if (
    found.group != 'loss'
    or not types & _REDUCTIONS
    or compared is None
    or compared.problem
    or compared.count != 1
    or not compared.tf1_value
  ):
    return ''
  ratio = compared.tf2_value / compared.tf1_value
  # Sums and means differ by numbers of elements.
  simple = fractions.Fraction(float(ratio)).limit_denominator(_MAX_ELEMENTS)
  if (
    abs(simple - ratio) > 1e-6 * abs(ratio)
    or not 0 < simple.numerator <= _MAX_ELEMENTS
    or simple == 1
  ):
    return ''
  return (
    f'The loss is reduced differently (TF2 is {simple} times TF1): compare '
    'sums and means, and what they divide by (the batch, all elements, the '
    'number of weights that are not zero).'
  )
