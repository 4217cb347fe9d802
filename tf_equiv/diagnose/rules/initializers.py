"""Mistakes with the initializers of variables."""

from tf_equiv.compare import divergence
from tf_equiv.compare.difference import Kind


def other_initializer(found: divergence.Divergence) -> str:
  """The two initializers draw from other distributions."""
  kinds = [d for d in found.differences if d.kind is Kind.INITIALIZER]
  numbers = [d for d in found.differences if d.kind is Kind.INITIALIZER_NUMBER]
  if kinds:
    what = f'draws {kinds[0].tf1} in TF1 and {kinds[0].tf2} in TF2'
  elif numbers:
    each = [f'{d.subject}: TF1 {d.tf1:.6g}, TF2 {d.tf2:.6g}' for d in numbers]
    what = f'takes other numbers ({"; ".join(each)})'
  else:
    return ''
  return (
    f'The initializer of {found.variables[0]} {what}: defaults differ between '
    'libraries, so give the one of TF1 to the layer.'
  )
