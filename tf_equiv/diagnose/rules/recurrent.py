"""Mistakes with recurrent cells."""

from tf_equiv.compare import divergence
from tf_equiv.diagnose.rules import evidence
from tf_equiv.diagnose.rules.evidence import Kind

_SELECTS = {'Select', 'SelectV2'}
# The number of the step is compared with a length, or a mask is read.
_BY_STEP = {
  'GreaterEqual',
  'Greater',
  'Less',
  'LessEqual',
  'TensorListGetItem',
  'TensorArrayReadV3',
}


def lost_mask(found: divergence.Divergence) -> str:
  """One side alone selects by step, after the end of a sequence."""
  if not evidence.has_loops(found):
    return ''
  types = [{*evidence.types(found, i), *_in_loop(found, i)} for i in (0, 1)]
  selects = [bool(_SELECTS & each) for each in types]
  if selects[0] == selects[1] or not _BY_STEP & types[selects[1]]:
    return ''
  side, other = evidence.SIDES if selects[0] else evidence.SIDES[::-1]
  return (
    f'{side} selects by step inside of the loop, as it does for sequences that '
    f'end earlier (sequence_length, a mask), {other} does not: hand the '
    f'lengths on to the layer of {other}.'
  )


def _in_loop(found: divergence.Divergence, side: int) -> set[str]:
  """Returns types of ops that one side alone has in its loop."""
  return {
    op_type
    for each in evidence.of_kind(found, Kind.LOOP_OPS)
    if each.side == evidence.SIDES[side]
    for op_type in each.one_sided
  }


def reset_after(found: divergence.Divergence) -> str:
  """The GRU of Keras has two biases."""
  if not evidence.of_kind(found, Kind.TWO_ROWS):
    return ''
  return (
    'The GRU of Keras resets after the multiplication (reset_after=True, '
    'with two biases), the GRUCell of TF1 before: pass reset_after=False.'
  )


def gate_order(found: divergence.Divergence) -> str:
  """The columns of a kernel were not reordered."""
  if not evidence.of_kind(found, Kind.SAME_ORDER):
    return ''
  return (
    'The gates are in another order: TF1 keeps i, j, f, o in the columns of '
    'the kernel, Keras i, f, c, o; reorder them in convert_variable '
    '(tf_equiv.converters.LSTM does).'
  )


def hard_sigmoid_gates(found: divergence.Divergence) -> str:
  """The gates are hard sigmoids on one side alone."""
  if not evidence.is_recurrent(found):
    return ''
  for side, other, i, j in evidence.BOTH_WAYS:
    if evidence.has_numbers(found, i, 0.2, 0.5) and not evidence.has_numbers(
      found, j, 3, 6
    ):
      given = 'hard_sigmoid' if side == 'TF1' else 'sigmoid'
      return (
        f'The gates of {side} are hard sigmoids, those of {other} are not: '
        f"pass recurrent_activation='{given}'."
      )
  return ''


def forget_bias(found: divergence.Divergence) -> str:
  """The forget bias inside of the cell of TF1 was forgotten."""
  if not (
    evidence.of_kind(found, Kind.SAME_NUMBERS)
    and evidence.numbers(found, 0) == (1.0,)
    and 'lstm' in ' '.join(found.variables).lower()
  ):
    return ''
  return (
    'TF1 adds a forget bias of 1 inside the LSTM cell; Keras keeps it in '
    'the bias variable: add 1 to the forget part in convert_variable '
    '(tf_equiv.converters.LSTM does).'
  )
