"""Sorts what a TF1 checkpoint holds, and fits it to the variables of a model.

Names of slots and averages are those that tensorflow/python/training gives
them: slot_creator.py, adam.py, rmsprop.py, moving_averages.py and others.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from tf_equiv.compare import variables as variables_lib
from tf_equiv.core import errors
from tf_equiv.core.observation import VariableSpec

AVERAGE = 'ExponentialMovingAverage'

# Default names of the optimizers of TF1 and its contrib packages.
_OPTIMIZERS = (
  'Adadelta|Adafactor|Adagrad|AdagradDA|Adam|AdamW|AdaMax|AMSGrad|Ftrl'
  '|GradientDescent|LazyAdam|LARS\\w*|LAMB\\w*|Momentum|MomentumW|Nadam'
  '|PowerSign|AddSign|ProximalAdagrad|RMSProp|RMSPropOptimizer|SGD|Yogi'
)
_SLOT = re.compile(f'(?:{_OPTIMIZERS})(?:_\\d+)?')
_COUNTER = re.compile(r'(?:^|/)(?:global_step|beta[12]_power)(?:_\d+)?$')
# Where the average of a variable is corrected for its start at zero.
_AVERAGE_PARTS = ('biased', 'local_step')
MAX_ROWS = 10  # of each list in a message


@dataclasses.dataclass
class Contents:
  """What a checkpoint holds, by what it is for.

  Attributes:
    variables: entries that are variables of a model, as far as names tell.
    slots: for each variable that has slots, their entries by the last part of
      the name ('Adam', 'Adam_1').
    averages: for each variable that has one, the entry of its moving average.
    counters: names of the entries of global step and powers of beta.
    parts: other names that belong to averages.
  """

  variables: list[VariableSpec]
  slots: dict[str, dict[str, str]]
  averages: dict[str, str]
  counters: list[str]
  parts: list[str]

  def describe(self) -> str:
    """Says in a few words what there is besides variables."""
    counts = (
      (sum(len(slots) for slots in self.slots.values()), 'optimizer slots'),
      (len(self.averages), 'moving averages'),
      (len(self.counters), f'counters ({", ".join(self.counters)})'),
    )
    return ', '.join(f'{n} {what}' for n, what in counts if n)


def sort_entries(
  entries: Mapping[str, VariableSpec],
  known: Sequence[str] = (),
  optimizer_name: str | None = None,
) -> Contents:
  """Tells variables from slots, averages and counters.

  An entry is a slot if its name is that of another one with the name of an
  optimizer appended; a scope may come before it ('train/net/w/Adam'). A name
  that is not known as such counts where several variables have an entry of
  their shape below them ('net/w/Mine', 'net/b/Mine').

  Args:
    entries: all entries by name.
    known: names that are variables of the model for certain.
    optimizer_name: name that an optimizer was given.

  Returns:
    The contents.
  """
  found = Contents([], {}, {}, [], [])
  variables = set(known)
  named = _named_optimizers(entries, variables) | {optimizer_name}
  for name in sorted(entries):
    if name in variables:
      found.variables.append(entries[name])
    elif _COUNTER.search(name):
      found.counters.append(name)
    elif not _take_average(found, entries, name) and not _take_slot(
      found, entries, name, named
    ):
      found.variables.append(entries[name])
  return found


def _take_average(found, entries, name) -> bool:
  head, _, last = name.rpartition('/')
  if last == AVERAGE:
    owner = _owner(entries, head)
    if owner and owner not in found.averages:
      found.averages[owner] = name
      return True
  elif last in _AVERAGE_PARTS and head.endswith('/' + AVERAGE):
    found.parts.append(name)
    return True
  return False


def _named_optimizers(entries, known) -> set[str]:
  """Returns parts of names that several variables have below them."""
  owners = {}
  for name in entries:
    head, _, last = name.rpartition('/')
    if head in entries and name not in known and _same_shape(entries, name):
      owners.setdefault(_without_number(last), set()).add(head)
  return {part for part, heads in owners.items() if len(heads) > 1}


def _same_shape(entries, name) -> bool:
  return entries[name.rpartition('/')[0]].shape == entries[name].shape


def _without_number(part: str) -> str:
  return re.sub(r'_\d+$', '', part)


def _take_slot(found, entries, name, named) -> bool:
  head, _, last = name.rpartition('/')
  if _SLOT.fullmatch(last):
    owner = _owner(entries, head)
  elif {last, _without_number(last)} & named and head in entries:
    owner = head if _same_shape(entries, name) else None
  else:
    owner = None
  if owner is None or last in found.slots.get(owner, {}):
    return False
  found.slots.setdefault(owner, {})[last] = name
  return True


def _owner(entries, head: str) -> str | None:
  """Returns the entry that a slot belongs to; a scope may come before it."""
  while head:
    if head in entries:
      return head
    head = head.partition('/')[2]
  return None


def counters_named(contents: Contents, name: str) -> list[str]:
  """Returns the counters of a name, in whatever scope they are.

  Where there are several, the one outside of all scopes is what counts.
  """
  found = [n for n in contents.counters if n.rpartition('/')[2] == name]
  return [name] if name in found else found


def averages_of(
  entries: Mapping[str, VariableSpec], path: str
) -> dict[str, str]:
  """Returns the entry of the moving average for each variable that has one.

  Args:
    entries: all entries by name.
    path: the checkpoint, for the message.

  Raises:
    UsageError: if there is no average at all.
  """
  averages = sort_entries(entries).averages
  if not averages:
    raise errors.UsageError(
      f'Checkpoint {path!r} holds no moving average (no name ends in '
      f'/{AVERAGE}); leave out moving_averages=True.'
    )
  return averages


def fit(
  variables: Sequence[VariableSpec],
  contents: Contents,
  entries: Mapping[str, VariableSpec],
  ignored: Sequence[str] = (),
) -> variables_lib.VariableTable:
  """Fits the contents of a checkpoint to the variables of a TF1 model.

  Args:
    variables: the variables of the model.
    contents: of the checkpoint, sorted with the names of `variables` as known.
    entries: all entries by name.
    ignored: regular expressions of names that are left out where they match.

  Returns:
    A table whose first side is the model, and whose second is the checkpoint:
    `missing` are variables that it does not hold, `extra` what it holds and
    the model does not use.
  """
  expressions = variables_lib.compile_ignored(ignored)

  def kept(spec):
    return not any(expression.search(spec.name) for expression in expressions)

  wanted = [
    dataclasses.replace(spec, trainable=True)
    for spec in filter(kept, variables)
  ]
  names = {spec.name for spec in wanted}
  found = [entries[name] for name in sorted(names) if name in entries]
  found += [
    spec for spec in filter(kept, contents.variables) if spec.name not in names
  ]
  return variables_lib.match_variables(wanted, found)
