"""Carries the state of a TF1 optimizer from a checkpoint to one of TF2.

Which slot is the first, second or third of its name follows from the order in
which tensorflow/python/training/*.py creates them.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.core import errors
from tf_equiv.tf1 import checkpoint as checkpoint_lib
from tf_equiv.tf1 import optimizers as tf1_optimizers
from tf_equiv.tf2 import model as model_lib
from tf_equiv.tf2 import optimizers

# Kind of optimizer -> (default name in TF1, meanings of its slots).
_SLOTS = {
  tf1_optimizers.GRADIENT_DESCENT: ('GradientDescent', ()),
  tf1_optimizers.MOMENTUM: ('Momentum', ('momentum',)),
  tf1_optimizers.ADAM: ('Adam', ('first moment', 'second moment')),
  tf1_optimizers.RMSPROP: ('RMSProp', ('mean square', 'momentum')),
  tf1_optimizers.ADAGRAD: ('Adagrad', ('accumulator',)),
  tf1_optimizers.ADADELTA: (
    'Adadelta',
    ('accumulated gradient', 'accumulated update'),
  ),
  tf1_optimizers.FTRL: ('Ftrl', ('accumulator', 'linear')),
}
_CENTERED = ('mean square', 'mean gradient', 'momentum')
# A power of beta below this has lost its precision.
_SMALLEST_POWER = 1e-30


@dataclasses.dataclass(frozen=True)
class Source:
  """A checkpoint and how its variables correspond to those of a model.

  Attributes:
    checkpoint: the checkpoint.
    contents: its entries, sorted.
    pairing: which variable became which.
  """

  checkpoint: checkpoint_lib.Checkpoint
  contents: contents_lib.Contents
  pairing: pairing_lib.Pairing

  @property
  def path(self) -> str:
    """The prefix of the checkpoint."""
    return self.checkpoint.prefix


@dataclasses.dataclass(frozen=True)
class Target:
  """An optimizer, and what is known of the one that TF1 used.

  Attributes:
    optimizer: the optimizer.
    name: name that the TF1 optimizer was given; None for that of its class.
    learning_rate: the learning rate in force; None for that of the optimizer.
    iterations: the step counter; None for that of the checkpoint.
    rename_slot: `rename_slot`, for optimizers that are not known.
  """

  optimizer: Any
  name: str | None = None
  learning_rate: float | None = None
  iterations: int | None = None
  rename_slot: Callable[[str], str | None] | None = None


@dataclasses.dataclass
class CarriedState:
  """What an optimizer was given.

  Attributes:
    count: number of slots.
    used: entries of the checkpoint that it took.
    fresh: variables of the optimizer whose slots TF1 did not have.
  """

  count: int = 0
  used: set[str] = dataclasses.field(default_factory=set)
  fresh: list[str] = dataclasses.field(default_factory=list)


def carry(source: Source, target: Target, variables: list[Any]) -> CarriedState:
  """Fills an optimizer with the state of the one that TF1 used.

  Args:
    source: where it comes from.
    target: the optimizer; its slots exist.
    variables: the trainable variables of the model, which have their values.

  Returns:
    What was carried.

  Raises:
    UsageError: if the two optimizers do not correspond.
  """
  optimizer, iterations = target.optimizer, target.iterations
  learning_rate = target.learning_rate
  spec = optimizers.describe(optimizer)
  if target.rename_slot is not None:
    return _carry_renamed(source, target, variables)
  existing = {
    model_lib.name_of(variable): optimizers.slots_of(
      optimizer, variable, variables
    )
    for variable in variables
  }
  entries = _slots_of_family(source, spec, target.name)
  meanings = _meanings(source, spec, entries)
  _check_slots(spec, meanings, existing)
  if iterations is None:
    iterations = _iterations(source, spec)
  if iterations is not None:
    optimizers.set_iterations(optimizer, iterations)
  if learning_rate is None:
    rate = optimizers.learning_rate_of(optimizer)
    learning_rate = None if rate is None else float(rate)
  state = CarriedState()
  _check_conversion(source, entries)
  filled = set()
  for index, meaning in enumerate(meanings):
    if not meaning:
      continue
    values = source.pairing.carry_linear(
      {n: source.checkpoint.value(slots[index]) for n, slots in entries.items()}
    )
    for variable in variables:
      value = values.get(model_lib.name_of(variable))
      if value is not None and optimizers.set_slot(
        optimizer, variable, meaning, value, learning_rate
      ):
        state.count += 1
        filled.add(model_lib.name_of(variable))
  state.used = {entry for slots in entries.values() for entry in slots}
  if meanings:
    state.fresh = sorted(n for n, slots in existing.items() if slots)
    state.fresh = [n for n in state.fresh if n not in filled]
  _carry_averages(source, optimizer, variables, state)
  return state


def _carry_renamed(
  source: Source, target: Target, variables: list[Any]
) -> CarriedState:
  """Fills an optimizer with the slots that `rename_slot` names."""
  optimizer, renamed = target.optimizer, {}
  name = optimizers.describe(optimizer).name
  for owner in sorted({first.name for first, _ in source.pairing.table.pairs}):
    for part, entry in source.contents.slots.get(owner, {}).items():
      new = target.rename_slot(part) if target.rename_slot else None
      if new is not None:
        renamed.setdefault(new, {})[owner] = entry
  existing = {
    key
    for variable in variables
    for name_of_slot, (meaning, _) in optimizers.named_slots(
      optimizer, variable, variables
    ).items()
    for key in (name_of_slot, meaning)
  }
  unknown = sorted(set(map(str, renamed)) - existing)
  if unknown or not renamed:
    held = sorted({p for s in source.contents.slots.values() for p in s})
    raise errors.UsageError(
      f'rename_slot names {", ".join(map(repr, unknown)) or "no slot"} of '
      f'{name}, which has {", ".join(sorted(existing)) or "none"}; the '
      f'checkpoint {source.path!r} holds {", ".join(held) or "none"}.'
    )
  iterations = target.iterations
  if iterations is None:
    iterations = step_of(source.checkpoint, source.contents)
  if iterations is not None:
    optimizers.set_iterations(optimizer, iterations)
  rate = target.learning_rate
  if rate is None:
    found = optimizers.learning_rate_of(optimizer)
    rate = None if found is None else float(found)
  state, filled = CarriedState(), set()
  for new, of_owner in renamed.items():
    _check_conversion(source, of_owner)
    values = source.pairing.carry_linear(
      {n: source.checkpoint.value(entry) for n, entry in of_owner.items()}
    )
    for variable in variables:
      value = values.get(model_lib.name_of(variable))
      if value is not None and optimizers.set_slot(
        optimizer, variable, new, value, rate, variables
      ):
        state.count += 1
        filled.add(model_lib.name_of(variable))
    state.used.update(of_owner.values())
  names = [model_lib.name_of(variable) for variable in variables]
  state.fresh = sorted(set(names) - filled)
  _carry_averages(source, optimizer, variables, state)
  return state


def _slots_of_family(source, spec, name) -> dict[str, list[str]]:
  """Returns the slots of one optimizer: {TF1 variable: entries in order}."""
  default, meanings = _SLOTS.get(spec.kind, (spec.name, None))
  families = {}
  for owner in sorted({first.name for first, _ in source.pairing.table.pairs}):
    slots = source.contents.slots.get(owner, {})
    for part in slots:
      base = re.sub(r'_\d+$', '', part)
      base = base if base in slots else part
      families.setdefault(base, {}).setdefault(owner, {})[part] = slots[part]
  if not families and not meanings:
    return {}
  if meanings is None:
    raise errors.UsageError(
      f'{spec.name} has no counterpart in tf.compat.v1.train, so the slots in '
      f'the checkpoint {source.path!r} '
      f'({", ".join(map(repr, sorted(families)))}) cannot be its own. Give '
      'the optimizer that TF1 used, or none; or say by rename_slot which slot '
      'of TF1 is which of it.'
    )
  wanted = name or default
  if meanings and wanted in families:
    found = families[wanted]
    names = [wanted] + [f'{wanted}_{i}' for i in range(1, 100)]
    for owner, slots in found.items():
      if set(slots) != set(names[: len(slots)]):
        raise errors.UsageError(
          f'The slots of {owner!r} in the checkpoint {source.path!r} are '
          f'incomplete: {", ".join(sorted(slots))}.'
        )
    return {o: [s[n] for n in names[: len(s)]] for o, s in found.items()}
  held = ', '.join(map(repr, sorted(families))) or 'none'
  if meanings and families and name is None:
    advice = (
      'If TF1 used the same optimizer under a name of its own, pass it as '
      'optimizer_name; otherwise give the optimizer that TF1 used, or none.'
    )
  else:
    advice = 'Give the optimizer that TF1 used, or none.'
  raise errors.UsageError(
    f'The slots in the checkpoint {source.path!r} are not those of '
    f'{spec.name}: it holds {held}, expected '
    f'{repr(wanted) if meanings else "none"}. {advice}'
  )


def _meanings(source, spec, entries) -> tuple[str, ...]:
  """Returns what the slots mean, in their order."""
  if not entries:
    return ()
  meanings = _SLOTS[spec.kind][1]
  count = max(len(slots) for slots in entries.values())
  if spec.kind == tf1_optimizers.RMSPROP:
    # Not compared by truth: a Keras optimizer has the flag, one of v1 may not.
    centered = bool(spec.hyperparameters.get('centered', count == 3))
    if count in (2, 3) and centered != (count == 3):
      raise errors.UsageError(
        f'The RMSProp of the checkpoint {source.path!r} '
        f'was{"" if count == 3 else " not"} centered, {spec.name} '
        f'is{"" if centered else " not"}: give it centered={count == 3}.'
      )
    meanings = _CENTERED if count == 3 else meanings
  odd = sorted(o for o, slots in entries.items() if len(slots) != len(meanings))
  if odd:
    raise errors.UsageError(
      f'The slots in the checkpoint {source.path!r} are not those of '
      f'{spec.name}: {odd[0]!r} has {len(entries[odd[0]])} of them, expected '
      f'{len(meanings)} ({", ".join(meanings)}). Several TF1 optimizers of '
      'one name may have updated it.'
    )
  # Without momentum TF1 keeps the last update there, and Keras nothing.
  if spec.kind == tf1_optimizers.RMSPROP:
    if not spec.hyperparameters.get('momentum'):
      return tuple('' if m == 'momentum' else m for m in meanings)
  return meanings


def _check_slots(spec, meanings, existing) -> None:
  """Raises unless the optimizer has the slots that TF1's has, and no other."""
  wanted = {meaning for meaning in meanings if meaning}
  if wanted and not any(existing.values()):
    raise errors.UsageError(
      f'{spec.name} has no slots for the variables of the model: it was built '
      'for other variables, or (tf.compat.v1.train) has not been applied yet.'
    )
  for slots in filter(None, existing.values()):
    has = set(slots) - {optimizers.MOVING_AVERAGE}
    if meanings and has != wanted:
      raise errors.UsageError(
        f'{spec.name} does not correspond to the optimizer of the checkpoint: '
        f'its slots are {", ".join(sorted(has))}, those of TF1 '
        f'{", ".join(sorted(wanted))}. Give it the options that TF1 had '
        '(amsgrad is unknown there).'
      )


def _check_conversion(source, entries) -> None:
  """Raises if values are scaled on their way: slots would not be."""
  ones = {
    name: np.ones(source.checkpoint.entries[name].shape, np.float32)
    for name in entries
  }
  carried = source.pairing.carry_linear(ones)
  scaled = sorted(n for n, v in carried.items() if not np.isin(v, (0, 1)).all())
  if scaled:
    raise errors.UsageError(
      f'convert_variable scales the value of {", ".join(scaled[:5])}; slots '
      'can only follow where values are moved (sliced, transposed, padded, '
      'shifted by a constant). Convert without the optimizer.'
    )


def _iterations(source, spec) -> int | None:
  """Returns the step counter, and checks it against the powers of beta."""
  step = step_of(source.checkpoint, source.contents)
  if spec.kind != tf1_optimizers.ADAM:
    return step
  counted = None
  for number in (2, 1):  # The second lasts longer, the first is finer.
    power = _only_counter(source, f'beta{number}_power')
    beta = spec.hyperparameters.get(f'beta_{number}')
    if power is None or not beta or not 0.0 < beta < 1.0:
      continue
    if power > _SMALLEST_POWER:
      counted = int(round(np.log(power) / np.log(beta))) - 1
      expected = beta ** ((counted if step is None else step) + 1)
      if abs(expected - power) > power * (5e-4 + 1e-7 * max(counted, 0)):
        raise errors.UsageError(
          f'In the checkpoint {source.path!r} beta{number}_power is '
          f'{power:.6g}, but {spec.name} with beta_{number}={beta:g} has '
          f'{expected:.6g} after {counted if step is None else step} steps. '
          'Either the optimizer is not as in TF1, or TF1 counted other steps '
          f'than its updates; then pass iterations={counted}.'
        )
  if step is None and counted is None:
    raise errors.UsageError(
      f'The checkpoint {source.path!r} holds neither a global step nor powers '
      f'of beta, which {spec.name} needs for its next update. Pass '
      'iterations=...'
    )
  return counted if step is None else step


def _only_counter(source, name) -> float | None:
  found = contents_lib.counters_named(source.contents, name)
  several = any(name + '_' in counter for counter in source.contents.counters)
  if len(found) != 1 or several:
    return None
  return float(source.checkpoint.value(found[0]))


def step_of(checkpoint: checkpoint_lib.Checkpoint, contents: Any) -> int | None:
  """Returns the global step of a checkpoint, None if it is not known."""
  found = contents_lib.counters_named(contents, 'global_step')
  return int(checkpoint.value(found[0])) if len(found) == 1 else None


def _carry_averages(source, optimizer, variables, state) -> None:
  """Sets the averages that an optimizer of Keras keeps with `use_ema`."""
  kept = [
    (variable, slots[optimizers.MOVING_AVERAGE])
    for variable in variables
    if optimizers.MOVING_AVERAGE
    in (slots := optimizers.slots_of(optimizer, variable))
  ]
  if not kept:
    return
  averages = source.contents.averages
  values = source.pairing.carry(
    {n: source.checkpoint.value(e) for n, e in averages.items()}
  )
  for variable, slot in kept:
    name = model_lib.name_of(variable)
    # Made before the variable had its value, it holds another one.
    model_lib.assign(slot, values.get(name, model_lib.value_of(variable)))
    if name in values:
      state.count += 1
      sources = source.pairing.tf1_names()[name]
      state.used.update(averages[n] for n in sources if n in averages)
