"""Where two sides diverge, and whether it is real, as plain data."""

import dataclasses

from tf_equiv.compare import difference, repairs, values

REAL = 'real'
NOISE = 'noise'
ORDER = 'random order'
VACUOUS = 'vacuous'
DORMANT = 'dormant'

# Group of what a forward pass assigns to trained variables.
FORWARD_ASSIGNMENTS = 'assignments of the forward pass'


@dataclasses.dataclass(frozen=True)
class Place:
  """An op of one side.

  Attributes:
    name: full name of the op.
    op_type: its type, e.g. 'Conv2D'.
    line: line of user code that made it, as 'file:number  code', '' if not
      known.
  """

  name: str
  op_type: str
  line: str = ''

  def __str__(self) -> str:
    return f'{self.name} ({self.op_type})'


@dataclasses.dataclass(frozen=True)
class LayerError:
  """How far one pair of corresponding ops is apart.

  Attributes:
    tf1: name of the op in TF1.
    tf2: name of the op in TF2.
    op_type: type of the op in TF1.
    shape: shape of its output.
    difference: root mean square of the difference of the values, in float64
      where the difference is real, else in float32.
    allowed: the difference that is allowed, at the same scale.
    scale: largest magnitude of the values in TF1.
    noise: root mean square of the rounding error of float32 in TF1, where it
      was measured.
  """

  tf1: str
  tf2: str
  op_type: str
  shape: tuple[int, ...]
  difference: float
  allowed: float
  scale: float
  noise: float | None = None

  @property
  def differs(self) -> bool:
    """Whether the pair is further apart than allowed."""
    return not self.difference <= self.allowed


@dataclasses.dataclass
class Noise:
  """How much of some results is rounding, and where that grows.

  Attributes:
    side: 'TF1' or 'TF2', whose result is less certain.
    result: name of the result that is least certain, e.g. "outputs['logits']".
    error: largest error of float32 against float64 in an element of it.
    scale: its largest magnitude.
    place: the op that amplifies rounding most on the way to this result, None
      if nothing is in between.
    factor: by how much: the relative error of what the op computes over the
      largest one of what it reads.
    tolerance: the `atol` that would be fair: twice the largest error of a
      result on either side, because both sides may err by so much.
    layers: the corresponding ops in the order of TF1's program.
  """

  side: str
  result: str
  error: float
  scale: float
  place: Place | None
  factor: float
  tolerance: float
  layers: list[LayerError] = dataclasses.field(default_factory=list)

  @property
  def share(self) -> str:
    """How much of the result is noise, in words."""
    if self.error >= self.scale:
      return 'all'
    return f'{100 * self.error / self.scale:.2g} %'


@dataclasses.dataclass
class Divergence:
  """The first ops that differ although all before them agrees.

  Attributes:
    tf1: the op in TF1, None if TF2 alone has one there.
    tf2: the op in TF2, None if TF1 alone has one there.
    comparison: their values.
    differences: what differs about the two ops or their surroundings, most
      telling first: attributes, constants, operands, variables.
    only_tf1: ops between the last agreement and here that TF1 alone has.
    only_tf2: the same of TF2.
    variables: names of the TF1 variables that the ops read.
    mistake: a classic mistake that the evidence fits, with its remedy.
    others: further independent divergences.
    layers: the corresponding ops in the order of TF1's program.
    group: group of the results that were followed to it, e.g. 'gradients'.
    note: how it was found, where that limits what can be said.
    seconds: wall time.
    recorded: whether TF2 was recorded as it ran, and not computed in float64.
    repair: what makes the sides agree here; None where nothing that was tried
      does, but for the values of TF1.
    tried: whether a repair was looked for.
    given: whether TF2 got the values of TF1 here, to see what that changes.
    excerpts: for TF1 and TF2, the ops up to here with the values that they
      read; None where they are large, or not known.
    is_large: whether they are too large to be kept.
  """

  tf1: Place | None
  tf2: Place | None
  comparison: values.ValueComparison | None = None
  differences: list[difference.Difference] = dataclasses.field(
    default_factory=list
  )
  only_tf1: list[Place] = dataclasses.field(default_factory=list)
  only_tf2: list[Place] = dataclasses.field(default_factory=list)
  variables: tuple[str, ...] = ()
  mistake: str = ''
  others: list['Divergence'] = dataclasses.field(default_factory=list)
  layers: list[LayerError] = dataclasses.field(default_factory=list)
  group: str = ''
  note: str = ''
  seconds: float = 0.0
  recorded: bool = False
  repair: repairs.Repair | None = None
  tried: bool = False
  given: bool = False
  excerpts: tuple[repairs.Excerpt, repairs.Excerpt] | None = None
  is_large: bool = False

  @property
  def spread(self) -> tuple[int, int]:
    """(number of corresponding ops that differ, number of all)."""
    return sum(layer.differs for layer in self.layers), len(self.layers)
