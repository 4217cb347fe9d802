"""How values of TF1 get to TF2: which variable became which, and converted how.

`VariableMapping` holds what the test author says (`rename_variable`,
`convert_variable`, `ignored_variables`); paired with the variables of two
observations it gives a `Pairing`, which carries values from one side to the
other.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_equiv.compare import variables as variables_lib
from tf_equiv.core import errors, observation

# Values by the name of their variable.
Values = Mapping[str, np.ndarray]


def unchanged(tf1_name: str, value: np.ndarray, tf2_name: str) -> np.ndarray:
  """A `convert_variable` that leaves all values as they are."""
  del tf1_name, tf2_name
  return value


def unchanged_name(tf1_name: str) -> str:
  """A `rename_slot` that keeps all names."""
  return tf1_name


def no_name(tf1_name: str) -> None:
  """A `rename_hyperparameter` that knows none."""
  del tf1_name


def checked(convert: Callable[..., object]) -> variables_lib.Convert:
  """Returns a `convert_variable` whose results are arrays.

  Args:
    convert: the function of a user.

  Returns:
    The function. It raises `UsageError` where the user's returns None.
  """

  def converted(tf1_name: str, value: np.ndarray, tf2_name: str) -> np.ndarray:
    new = convert(tf1_name, value, tf2_name)
    if new is None:
      raise errors.UsageError(
        f'convert_variable({tf1_name!r}, <array of shape {np.shape(value)}>, '
        f'{tf2_name!r}) returned None; return the value of the TF2 variable.'
      )
    return np.asarray(new)

  return converted


@dataclasses.dataclass(frozen=True)
class Pairing:
  """The variables of both sides, paired.

  Attributes:
    table: which variable became which.
    convert: `convert_variable`; returns the part that a TF1 value is of a TF2
      value.
    rename_slot: `rename_slot`.
    rename_hyperparameter: `rename_hyperparameter`.
  """

  table: variables_lib.VariableTable
  convert: variables_lib.Convert = unchanged
  rename_slot: Callable[[str], object] = unchanged_name
  rename_hyperparameter: Callable[[str], object] = no_name

  @property
  def blocks_values(self) -> bool:
    """Whether values cannot be carried from one side to the other."""
    return self.table.blocks_values

  def tf1_names(self) -> dict[str, tuple[str, ...]]:
    """Returns the TF1 names by TF2 name."""
    return self.table.tf1_names_of()

  def tf1_name(self) -> dict[str, str]:
    """Returns the name of the (first) TF1 variable by TF2 name."""
    return {
      second: names[0] for second, names in self.tf1_names().items() if names
    }

  def carry(self, by_name: Values) -> dict[str, np.ndarray]:
    """Carries values into the names and layouts of TF2.

    Where several TF1 variables became one, `convert` gives each an array of the
    size of the whole with zeros where the others go, and these are added up.

    Args:
      by_name: values by TF1 name.

    Returns:
      Values by TF2 name, of those whose TF1 variables are all given.
    """
    found = {}
    for name, sources in self.tf1_names().items():
      if all(source in by_name for source in sources):
        parts = [
          self.convert(source, by_name[source], name) for source in sources
        ]
        found[name] = functools.reduce(np.add, parts)
    return found

  def carry_linear(self, by_name: Values) -> dict[str, np.ndarray]:
    """Carries what has no offset, such as gradients.

    Of an affine `convert`, only the linear part is applied.

    Args:
      by_name: values by TF1 name.

    Returns:
      Values by TF2 name.
    """
    dtypes = {second.name: first.dtype for first, second in self.table.pairs}
    # In float64, because the offset (a forget bias of one) would swallow the
    # digits of small gradients.
    wide = {name: np.asarray(v, np.float64) for name, v in by_name.items()}
    zeros = {name: np.zeros_like(value) for name, value in wide.items()}
    offsets = self.carry(zeros)
    return {
      name: (value - offsets[name]).astype(dtypes[name])
      for name, value in self.carry(wide).items()
    }

  def carry_gradients(
    self, by_name: Mapping[str, np.ndarray | None]
  ) -> dict[str, np.ndarray | None]:
    """Carries gradients, some of which may not exist.

    Args:
      by_name: gradients by TF1 name, None where not connected to the loss.

    Returns:
      Gradients by TF2 name; None where those of all its TF1 variables are.
    """
    specs = {first.name: first for first, _ in self.table.pairs}
    present = {n: g for n, g in by_name.items() if g is not None}
    found: dict[str, np.ndarray | None] = {}
    for name, sources in self.tf1_names().items():
      if any(source in present for source in sources):
        for source in sources:
          if source not in present:
            spec = specs[source]
            present[source] = variables_lib.zeros_of(spec, spec.dtype)
      elif any(source in by_name for source in sources):
        found[name] = None
    return {**found, **self.carry_linear(present)}

  def carry_state(
    self, step: observation.StepObservation
  ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Carries what a training step of TF1 left behind.

    Args:
      step: what TF1 did.

    Returns:
      Values of the variables by TF2 name, and of the slots by what they mean
      or are called in TF2, and name.
    """
    slots = {}
    renamed = self.slots_in_tf2(step)
    for meaning, by_name in step.slots.items():
      is_average = meaning == observation.MOVING_AVERAGE
      carry = self.carry if is_average else self.carry_linear
      target = renamed.get(meaning, meaning)
      if target is not None:
        slots[target] = carry(by_name)
    return self.carry(step.variables), slots

  def slots_in_tf2(
    self, step: observation.StepObservation
  ) -> dict[str, str | None]:
    """Returns what slots are called in TF2, by what they are called in TF1.

    Args:
      step: a step of TF1.

    Returns:
      Of the slots that `rename_slot` renames: the names that it gives them,
      None where they correspond to none.
    """
    found: dict[str, str | None] = {}
    for update in step.updates:
      for name, meaning in update.slot_names.items():
        new = self.rename_slot(name)
        if new is not None and not isinstance(new, str):
          raise errors.UsageError(
            f'rename_slot({name!r}) returned {new!r}; expected the name of the '
            'slot in TF2, or None where it has none.'
          )
        if new != name:
          found[meaning] = new
    return found

  def is_converted(
    self, tf1_name: str, value: np.ndarray, tf2_name: str
  ) -> bool:
    """Returns whether `convert` changes a value."""
    return not np.array_equal(self.convert(tf1_name, value, tf2_name), value)

  def converted(self, by_name: Values) -> set[str]:
    """Returns the TF1 names of the variables whose values are changed.

    Args:
      by_name: values of all variables by TF1 name.
    """
    return {
      first.name
      for first, second in self.table.pairs
      if self.is_converted(first.name, by_name[first.name], second.name)
    }

  def moved(self, by_name: Values) -> set[str]:
    """Returns the TF1 names of the variables whose numbers TF2 has, too.

    They may be in another order there; none is computed with.

    Args:
      by_name: values of all variables by TF1 name.
    """
    found = {first.name for first, _ in self.table.pairs}
    for first, second in self.table.pairs:
      value = by_name[first.name]
      if self.is_converted(first.name, value, second.name):
        part = self.convert(first.name, value, second.name)
        if not np.isin(part, value).all():
          found.discard(first.name)
    return found

  def keeps_layout(self, tf1_name: str, by_name: Values) -> bool:
    """Returns whether one TF1 variable is one TF2 variable, as it is.

    Args:
      tf1_name: the variable.
      by_name: values of all variables by TF1 name.
    """
    targets = [b.name for a, b in self.table.pairs if a.name == tf1_name]
    if len(targets) != 1 or len(self.tf1_names()[targets[0]]) != 1:
      return False
    return not self.is_converted(tf1_name, by_name[tf1_name], targets[0])


@dataclasses.dataclass(frozen=True)
class VariableMapping:
  """What a test author says of the variables.

  Attributes:
    rename: `rename_variable`.
    convert: `convert_variable`, with results that are checked.
    ignored: `ignored_variables`.
    elsewhere: returns names of the variables that other assertions of the test
      class have, which a pattern of `ignored` may match as well.
    rename_slot: `rename_slot`.
    rename_hyperparameter: `rename_hyperparameter`.
  """

  rename: variables_lib.Rename = str
  convert: variables_lib.Convert = unchanged
  ignored: Sequence[str] = ()
  elsewhere: Callable[[], Sequence[str]] = tuple
  rename_slot: Callable[[str], object] = unchanged_name
  rename_hyperparameter: Callable[[str], object] = no_name

  def pair(
    self,
    tf1: observation.Observation,
    tf2: observation.Observation,
    others: Sequence[str] = (),
  ) -> Pairing:
    """Pairs the variables of two observations.

    Args:
      tf1: describes the variables of the reference.
      tf2: describes those of the candidate.
      others: names that a pattern of `ignored` may match besides those of the
        variables, and of the optimizers of TF1.

    Returns:
      The pairing.

    Raises:
      UsageError: see `variables.match_variables`.
    """
    table = variables_lib.match_variables(
      tf1.variables,
      tf2.variables,
      self.rename,
      self.convert,
      self.ignored,
      untracked=tf2.untracked,
      others=[*tf1.optimizer_variables, *others, self.elsewhere],
    )
    table.extra = self._without_counters(table.extra, tf1.optimizer_variables)
    if observation.TRAINABLE in tf1.unknown:
      table.trainable = []
    return Pairing(
      table, self.convert, self.rename_slot, self.rename_hyperparameter
    )

  def _without_counters(
    self,
    extra: list[observation.VariableSpec],
    of_optimizers: Sequence[str],
  ) -> list[observation.VariableSpec]:
    """Leaves out counters of TF2 whose counterpart counts steps in TF1."""
    if not any(variables_lib.is_counter(spec) for spec in extra):
      return extra
    names: set[Any] = set()
    for name in of_optimizers:
      # The user's function need not know what is no variable of the model.
      with contextlib.suppress(Exception):
        new: Any = self.rename(name)
        names.update([new] if isinstance(new, str) else new or ())
    return [
      spec
      for spec in extra
      if not (variables_lib.is_counter(spec) and spec.name in names)
    ]
