"""Differences that the compared inputs do not awake, as plain data."""

import dataclasses
import enum
from typing import Any


class Changed(enum.Enum):
  """What a probe changes; `Change.value` says by how much."""

  INPUTS_SCALED = 'inputs scaled'  # (factor)
  INPUTS_SHIFTED = 'inputs shifted'  # (summand)
  INPUTS_NEGATED = 'inputs negated'
  INPUTS_SET = 'inputs set'  # (number)
  INPUTS_ROUNDED = 'inputs rounded'  # (offset from whole numbers)
  INPUTS_DRAWN = 'inputs drawn'
  DISCRETE_DRAWN = 'whole numbers drawn'  # (least, largest)
  DISCRETE_SET = 'whole numbers set'  # (number)
  MASKS_DRAWN = 'masks drawn'
  MASKS_SET = 'masks set'  # (0 or 1)
  ROWS_SHIFTED = 'one-hot rows shifted'
  WEIGHTS_DRAWN = 'weights drawn'  # (factor)
  WEIGHTS_SCALED = 'weights scaled'  # (factor)
  BIASES_SHIFTED = 'weights of one axis shifted'  # (summand)
  BATCH = 'batch size'  # (size)
  SIZE = 'size of an axis'  # (old, new)
  STEP = 'step number'  # (number)
  GRADIENTS_SCALED = 'gradients scaled'  # (factor)
  GIVEN = 'inputs given'  # (number among those of make_probes)


@dataclasses.dataclass(frozen=True)
class Change:
  """One thing that is other than in the run that passed.

  Attributes:
    what: what is changed.
    value: by how much, or to what; see `Changed`.
    subject: path of the input, '' for all.
  """

  what: Changed
  value: Any = None
  subject: str = ''


@dataclasses.dataclass(frozen=True)
class Witness:
  """Inputs, weights or a step number for which the sides differ.

  Attributes:
    changes: what is other than in the run that passed.
    result: name of the result that differs most, by group and name.
    tf1_value: its value in TF1 where the sides are furthest apart.
    tf2_value: the same of TF2.
    places: name of the op that differs first in TF1 and in TF2, '' if unknown.
    place_values: values of these ops where they are furthest apart, None if
      unknown.
    is_rerun: whether both sides were run again with it; else it was found in
      their captured graphs.
    precision: 'float64', or the dtype in which alone it shows.
    failing_side: 'TF1' or 'TF2' where one side alone cannot compute with it.
    error: what that side says.
    saved: path of the file that holds it, '' if none was written.
  """

  changes: tuple[Change, ...]
  result: tuple[str, str] = ('', '')
  tf1_value: Any = None
  tf2_value: Any = None
  places: tuple[str, str] = ('', '')
  place_values: tuple[Any, Any] | None = None
  is_rerun: bool = False
  precision: str = 'float64'
  failing_side: str = ''
  error: str = ''
  saved: str = ''


@dataclasses.dataclass(frozen=True)
class Refusal:
  """A batch size or another size that a side does not take.

  Attributes:
    change: what was tried.
    side: 'TF1', 'TF2', or '' where neither does.
    error: what it says.
  """

  change: Change
  side: str
  error: str


@dataclasses.dataclass(frozen=True)
class Examination:
  """What a search for dormant differences has done.

  Attributes:
    probes: number of probes.
    suspects: places where the sides are written otherwise, though no probe
      tells them apart: names of ops in TF1 and in TF2.
    refusals: what a side does not take.
    obstacle: why nothing was looked for, or not all; '' if nothing stood in
      the way.
    is_thorough: whether all was tried that can be tried.
  """

  probes: int = 0
  suspects: tuple[tuple[str, str], ...] = ()
  refusals: tuple[Refusal, ...] = ()
  obstacle: str = ''
  is_thorough: bool = False
