"""Inputs as they are given on the command line: `float32[4,224,224,3]`."""

import dataclasses
import difflib
import re
from collections.abc import Sequence

from tf_equiv.core import errors

_FLOATS = ('float32', 'float64', 'float16', 'bfloat16')
_INTEGERS = (
  'int32',
  'int64',
  'int16',
  'int8',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
)
_OTHERS = ('bool', 'string', 'complex64', 'complex128')
DTYPES = (*_FLOATS, *_INTEGERS, *_OTHERS)
_SPEC = re.compile(
  r'(?:(?P<name>[\w./-]+)=)?(?P<dtype>[A-Za-z]\w*)\[(?P<sizes>[^\]]*)\]'
  r'(?::(?P<low>-?[\d.e+-]*?)\.\.(?P<high>-?[\d.e+-]+))?$'
)
_EXPECTED = (
  "expected DTYPE[SIZES], as in 'float32[4,224,224,3]', with NAME= in front "
  'where there are several and with :LOW..HIGH behind for a range, as in '
  "'ids=int32[4,20]:0..999'"
)


@dataclasses.dataclass(frozen=True)
class Input:
  """An input that is fed to both sides.

  Attributes:
    name: its name; '' where there is one alone.
    dtype: name of the dtype.
    shape: its sizes.
    low: the smallest value; None for the whole range of the dtype.
    high: the largest value.
    source: where this is known from, '' for the command line.
    range_source: the same of the range.
  """

  name: str
  dtype: str
  shape: tuple[int, ...]
  low: float | None = None
  high: float | None = None
  source: str = ''
  range_source: str = ''

  @property
  def is_integer(self) -> bool:
    """Whether it holds integers."""
    return self.dtype in _INTEGERS

  @property
  def text(self) -> str:
    """As it would be given."""
    name = f'{self.name}=' if self.name else ''
    sizes = ','.join(map(str, self.shape))
    found = f'{name}{self.dtype}[{sizes}]'
    if self.low is not None and self.high is not None:
      found += f':{self.low:g}..{self.high:g}'
    return found

  def expression(self, random: str = 'random') -> str:
    """Returns code that makes such an array.

    Args:
      random: name of a NumPy generator.
    """
    size = f'({", ".join(map(str, self.shape))}{"," * (len(self.shape) == 1)})'
    dtype = f'np.{self.dtype}'
    if self.dtype == 'bfloat16':
      dtype = 'tf.bfloat16.as_numpy_dtype'
    if self.dtype == 'string':
      return f'np.full({size}, "text")'
    if self.dtype == 'bool':
      return f'{random}.random(size={size}) < 0.5'
    if self.is_integer:
      low, high = int(self.low or 0), int(1 if self.high is None else self.high)
      return f'{random}.integers({low}, {high + 1}, size={size}, dtype={dtype})'
    if self.low is not None and self.high is not None:
      drawn = f'{random}.uniform({self.low:g}, {self.high:g}, size={size})'
    else:
      drawn = f'{random}.normal(size={size})'
    if self.dtype.startswith('complex'):
      drawn = f'({drawn} + 1j * {random}.normal(size={size}))'
    return f'{drawn}.astype({dtype})'


def parse(texts: Sequence[str]) -> list[Input]:
  """Reads what `--inputs` was given.

  Args:
    texts: each one input, or several separated by commas.

  Returns:
    The inputs, in order.

  Raises:
    UsageError: for what is no input, and names that are given twice.
  """
  found = [_parse(part) for text in texts for part in _split(text)]
  names = [each.name for each in found]
  twice = sorted({n for n in names if n and names.count(n) > 1})
  if twice:
    raise errors.UsageError(f'--inputs has {twice[0]!r} more than once.')
  if len(found) > 1 and '' in names and any(names):
    raise errors.UsageError(
      '--inputs names some inputs and others not; give all names, or none.'
    )
  return found


def _split(text: str) -> list[str]:
  """Splits a text at the commas that are not within brackets."""
  parts = re.split(r',(?![^\[]*\])', text)
  return [part.strip() for part in parts if part.strip()]


def _parse(text: str) -> Input:
  match = _SPEC.match(text)
  if match is None:
    raise errors.UsageError(f'--inputs has {text!r}; {_EXPECTED}.')
  dtype = {'float': 'float32', 'int': 'int32'}.get(
    match['dtype'], match['dtype']
  )
  if dtype not in DTYPES:
    close = difflib.get_close_matches(dtype, DTYPES, 1)
    hint = f'did you mean {close[0]}?' if close else f'there are {DTYPES}.'
    raise errors.UsageError(
      f'--inputs has {text!r} with the unknown dtype {dtype!r}; {hint}'
    )
  sizes = []
  for size in filter(None, (s.strip() for s in match['sizes'].split(','))):
    if not size.isdigit() or not int(size):
      raise errors.UsageError(
        f'--inputs has {text!r} with the size {size!r}; sizes must be positive '
        'whole numbers, the first of which is that of the batch.'
      )
    sizes.append(int(size))
  low, high = match['low'], match['high']
  if high is None:
    return Input(match['name'] or '', dtype, tuple(sizes))
  try:
    bounds = float(low or 0), float(high)
  except ValueError:
    raise errors.UsageError(
      f'--inputs has {text!r} with no numbers as range; {_EXPECTED}.'
    ) from None
  if bounds[0] > bounds[1]:
    raise errors.UsageError(
      f'--inputs has {text!r}, whose range is empty: {low} is more than {high}.'
    )
  return Input(match['name'] or '', dtype, tuple(sizes), *bounds)
