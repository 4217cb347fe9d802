"""Mistakes with the initializers of variables."""

from tf_equiv.compare import divergence
from tf_equiv.compare.difference import Kind

# The kind of an initializer that draws nothing.
_CONSTANT = 'constant'


def other_initializer(found: divergence.Divergence) -> str:
  """The two initializers draw from other distributions."""
  kinds = [d for d in found.differences if d.kind is Kind.INITIALIZER]
  numbers = [d for d in found.differences if d.kind is Kind.INITIALIZER_NUMBER]
  if kinds:
    draws = _CONSTANT not in (kinds[0].tf1, kinds[0].tf2)
    what = (
      f'{"draws" if draws else "is"} {kinds[0].tf1} in TF1 and '
      f'{kinds[0].tf2} in TF2'
    )
  elif numbers:
    each = [f'{d.subject}: TF1 {d.tf1:.6g}, TF2 {d.tf2:.6g}' for d in numbers]
    what = f'takes other numbers ({"; ".join(each)})'
  else:
    return ''
  return (
    f'The initializer of {found.variables[0]} {what}: defaults differ between '
    'libraries, so give the one of TF1 to the layer.'
  )
