"""Examines a place: what is at fault there, and what repairs it."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from tf_equiv.compare import repairs
from tf_equiv.diagnose import alignment as alignment_lib
from tf_equiv.diagnose import frontier as frontier_lib
from tf_equiv.diagnose import graph as graph_lib
from tf_equiv.diagnose.repairs import candidates, excerpts, trials
from tf_equiv.diagnose.side import Sides

v1 = tf.compat.v1

# What a repair may differ by for its own values to be computed with from there.
_EXACT = 1e-12

Definitions = tuple[v1.GraphDef, v1.GraphDef]
Outputs = Mapping[tuple[str, str], tuple[int, int]]


@dataclasses.dataclass
class Finding:
  """What was found at a place.

  Attributes:
    frontier: the ops.
    is_own: whether the ops themselves, or those before them that one side
      alone has, are known to be at fault.
    repair: what repairs it, None if nothing that was tried does.
    excerpts: both sides as plain data, None where they are too large.
    is_large: whether they are.
    patches: values that tensors of TF2 get for the search to go on, by name.
  """

  frontier: frontier_lib.Frontier
  is_own: bool = True
  repair: repairs.Repair | None = None
  excerpts: tuple[repairs.Excerpt, repairs.Excerpt] | None = None
  is_large: bool = False
  patches: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

  def keep(self, region: candidates.Region, value: np.ndarray) -> None:
    """Keeps both sides as plain data, unless they are too large.

    Args:
      region: the ops.
      value: what those of TF2 compute.
    """
    kept = region.tf1.kept(region.wanted), region.tf2.kept(value)
    self.is_large = None in kept
    self.excerpts = None if self.is_large else kept

  def repaired(self, found: trials.Found | None, tensor: str) -> None:
    """Notes what repairs it.

    Args:
      found: the repair, if there is one.
      tensor: name of the tensor of TF2 that the place computes.
    """
    if found is not None:
      self.repair = found.repair
      if tensor in self.patches and found.repair.distance <= _EXACT:
        self.patches[tensor] = found.value


class Examiner:
  """Examines places of two sides."""

  def __init__(
    self,
    sides: Sides,
    definitions: Definitions,
    alignment: alignment_lib.Alignment,
    outputs: Outputs = MappingProxyType({}),
  ):
    """Takes both sides, with the graphs that they were read from.

    Args:
      sides: both sides.
      definitions: their graphs.
      alignment: which ops correspond.
      outputs: for ops of which another output than the first is a result, by
        their names, which one it is.
    """
    self._sides, self._definitions = sides, definitions
    self._alignment, self._outputs = alignment, outputs
    self._tolerance = max(alignment.tolerance, 1e-9)

  def examine(self, found: frontier_lib.Frontier) -> list[Finding]:
    """Returns what is at fault at a place: one fault, or two."""
    found = self._with_dilation(found)
    if not found.only_tf1 and not found.only_tf2:
      return [self._of_ops(found)]
    finding = self._partly(found)
    if finding is not None:
      return [finding]
    operands = self._lone_operands(found)
    alone = self._alone(found)
    value = self._wanted(found)
    is_own = alone is not None and self._differs(alone, value)
    if operands:
      return [self._of_operands(found, operands)]
    patches = self._patches(found.tf1, found.tf2)
    if not is_own:
      return [self._of_region(found, value, patches)]
    finding = self._of_region(found, alone, {})
    finding.patches = patches
    own = frontier_lib.Frontier(found.tf1, found.tf2, [], [])
    return [finding, self._of_ops(own, with_operands_of_tf1=True)]

  def _with_dilation(
    self, found: frontier_lib.Frontier
  ) -> frontier_lib.Frontier:
    """Takes a convolution whose kernel is dilated with what undoes that."""
    ends, lone = [found.tf1, found.tf2], [found.only_tf1, found.only_tf2]
    for i in (0, 1):
      if any(node.op_type == 'SpaceToBatchND' for node in lone[i]):
        for node in self._sides[i].graph.nodes.values():
          if node.op_type == 'BatchToSpaceND' and ends[i].name in node.parents:
            lone[i] = [*lone[i], ends[i]]
            ends[i] = node
            break
    return frontier_lib.Frontier(*ends, *lone, found.variables)  # type: ignore[call-arg]

  def _differs(self, first: np.ndarray, second: np.ndarray) -> bool:
    return trials.distance(first, second) > self._tolerance

  def _value(self, side: int, node: graph_lib.Node) -> np.ndarray:
    """Returns the first output of a node."""
    return self._sides[side].run.fetch(node.outputs[:1])[0]

  def _patches(
    self, first: graph_lib.Node, second: graph_lib.Node
  ) -> dict[str, np.ndarray]:
    """Returns the values of a TF1 node for the outputs of its counterpart."""
    names = list(zip(first.outputs, second.outputs, strict=False))
    values = self._sides[0].run.fetch([mine for mine, _ in names])
    return {
      theirs: value for (_, theirs), value in zip(names, values, strict=True)
    }

  def _of_ops(
    self, found: frontier_lib.Frontier, with_operands_of_tf1: bool = False
  ) -> Finding:
    """Examines two ops that read the same."""
    finding = Finding(found)
    if not with_operands_of_tf1:
      finding.patches = self._patches(found.tf1, found.tf2)
    region = self._region(found, [found.tf1], [found.tf2])
    if region is not None:
      if with_operands_of_tf1:
        for i, _ in enumerate(found.tf2.operands):
          theirs = region.tf2.operands[found.tf2.name, i]
          mine = region.tf1.operands[found.tf1.name, i]
          if found.tf2.operands[i].kind != graph_lib.CONSTANT:
            region.tf2.feeds[theirs] = region.tf1.feeds[mine]
            region.pairs[theirs] = mine
      finding.repaired(trials.find(region), found.tf2.outputs[0])
      finding.keep(region, self._value(1, found.tf2))
    return finding

  def _of_region(
    self,
    found: frontier_lib.Frontier,
    wanted: np.ndarray,
    patches: dict[str, np.ndarray],
  ) -> Finding:
    """Examines ops that one side alone has, with the pair after them."""
    finding = Finding(found, patches=patches)
    region = self._region(
      found, [*found.only_tf1, found.tf1], [*found.only_tf2, found.tf2]
    )
    if region is not None:
      region = dataclasses.replace(region, wanted=wanted)
      finding.repaired(trials.find(region), found.tf2.outputs[0])
      finding.keep(region, self._value(1, found.tf2))
    return finding

  def _of_operands(
    self,
    found: frontier_lib.Frontier,
    operands: Sequence[tuple[graph_lib.Node, graph_lib.Node]],
  ) -> Finding:
    """Examines what two ops read that do not read the same."""
    finding = Finding(found)
    for mine, theirs in operands:
      finding.patches.update(self._patches(mine, theirs))
    if len(operands) == 1:
      mine, theirs = operands[0]
      inner = frontier_lib.Frontier(
        mine,
        theirs,
        _before(0, self._sides, mine, found.only_tf1),
        _before(1, self._sides, theirs, found.only_tf2),
        found.variables,
      )
      region = self._region(
        inner, [*inner.only_tf1, mine], [*inner.only_tf2, theirs]
      )
      if region is not None:
        finding.repaired(trials.find(region), theirs.outputs[0])
        finding.keep(region, self._value(1, theirs))
    return finding

  def _partly(self, found: frontier_lib.Frontier) -> Finding | None:
    """Returns the first of several faults among ops of one side alone.

    That is one after whose repair another op before the place agrees.
    """
    if not found.only_tf1 or not found.only_tf2:
      return None
    region = self._region(
      found, [*found.only_tf1, found.tf1], [*found.only_tf2, found.tf2]
    )
    if region is None or trials.find(region, ops=False) is not None:
      return None
    wanted = {
      node.name: self._value(0, node)
      for node in found.only_tf1
      if len(node.outputs) == 1
    }
    part = trials.find_part(region, wanted)
    if part is None:
      return None
    first, second = (
      next(node for node in lone if node.name == name)
      for lone, name in (
        (found.only_tf1, part.tf1),
        (found.only_tf2, part.tf2),
      )
    )
    inner = frontier_lib.Frontier(
      first,
      second,
      _before(0, self._sides, first, found.only_tf1),
      _before(1, self._sides, second, found.only_tf2),
      found.variables,
    )
    kept = self._region(
      inner, [*inner.only_tf1, first], [*inner.only_tf2, second]
    )
    finding = Finding(inner, patches=self._patches(first, second))
    if kept is not None:
      finding.keep(kept, self._value(1, second))
    finding.repaired(part.found, second.outputs[0])
    return finding

  def _lone_operands(
    self, found: frontier_lib.Frontier
  ) -> list[tuple[graph_lib.Node, graph_lib.Node]]:
    """Returns the ops that the pair reads that correspond by position only.

    They are known where each is of one side alone, and has the same shape.
    """
    first, second = found.tf1, found.tf2
    if first.family != second.family:
      return []
    if len(first.operands) != len(second.operands):
      return []
    lone = (
      {n.name: n for n in found.only_tf1},
      {n.name: n for n in found.only_tf2},
    )
    pairs = []
    for mine, theirs in zip(first.operands, second.operands, strict=True):
      if mine.kind == theirs.kind == graph_lib.CONSTANT:
        continue
      if self._alignment.same_operand(mine, theirs):
        continue
      if mine.key not in lone[0] or theirs.key not in lone[1]:
        return []
      pair = lone[0][mine.key], lone[1][theirs.key]
      if mine.output or theirs.output or not pair[0].outputs:
        return []
      if len(pair[0].outputs) != len(pair[1].outputs):
        return []
      if pair not in pairs:
        pairs.append(pair)
    return pairs if all(self._fits(*pair) for pair in pairs) else []

  def _fits(self, first: graph_lib.Node, second: graph_lib.Node) -> bool:
    sketches = (
      self._sides[0].sketches[first.name],
      self._sides[1].sketches[second.name],
    )
    return [s.shape for s in sketches[0]] == [s.shape for s in sketches[1]]

  def _alone(self, found: frontier_lib.Frontier) -> np.ndarray | None:
    """Returns what the op of TF2 computes of what that of TF1 reads."""
    first, second = found.tf1, found.tf2
    if first.family != second.family or first.op_type != second.op_type:
      return None
    if len(first.operands) != len(second.operands):
      return None
    region = self._region(found, [first], [second])
    if region is None:
      return None
    feeds = dict(region.tf2.feeds)
    for i, operand in enumerate(second.operands):
      if operand.kind != graph_lib.CONSTANT:
        mine = region.tf1.operands[first.name, i]
        feeds[region.tf2.operands[second.name, i]] = region.tf1.feeds[mine]
    tensor = region.tf2.tensor
    try:
      return excerpts.run(region.tf2.graph_def, feeds, [tensor])[tensor]
    except (tf.errors.OpError, ValueError, TypeError):
      return None

  def _region(
    self,
    found: frontier_lib.Frontier,
    tf1: Sequence[graph_lib.Node],
    tf2: Sequence[graph_lib.Node],
  ) -> candidates.Region | None:
    """Cuts both sides out."""
    if not found.tf1.outputs or not found.tf2.outputs:
      return None
    made = [
      excerpts.cut(side, definition, nodes, target, output)
      for side, definition, nodes, target, output in zip(
        self._sides,
        self._definitions,
        (tf1, tf2),
        (found.tf1, found.tf2),
        self._outputs_of(found),
        strict=True,
      )
    ]
    if None in made:
      return None
    first, second = made
    pairs = {}
    for theirs, operand in second.sources.items():
      for mine, other in first.sources.items():
        if self._alignment.same_operand(other, operand):
          pairs[theirs] = mine
          break
    return candidates.Region(
      first, second, pairs, self._wanted(found), self._tolerance
    )

  def _outputs_of(self, found: frontier_lib.Frontier) -> tuple[int, int]:
    return self._outputs.get((found.tf1.name, found.tf2.name), (0, 0))

  def _wanted(self, found: frontier_lib.Frontier) -> np.ndarray:
    """Returns what the place computes in TF1."""
    output = self._outputs_of(found)[0]
    if not output:
      return self._value(0, found.tf1)
    return self._sides[0].run.fetch([f'{found.tf1.name}:{output}'])[0]


def _before(
  side: int,
  sides: Sides,
  node: graph_lib.Node,
  lone: Sequence[graph_lib.Node],
) -> list[graph_lib.Node]:
  """Returns the lone ops that a node is computed from."""
  names = {each.name for each in lone}
  known = set(sides[side].graph.nodes) - names
  before = sides[side].graph.before(node.name, known)
  return [each for each in lone if each.name in before]
