"""A computation as a graph that can be run again, op by op.

Both sides are captured in the same form, the graph of a TF1 session or that of
a traced TF2 function, so that all that follows need not know which it was.
"""

import dataclasses
import re
from typing import (
  Any,
  Callable,
  Dict,
  Iterable,
  List,
  Mapping,
  Optional,
  Set,
  Tuple,
)

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import graph as graph_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import runner, source_lines, walks
from tf_equiv.tf1.capture import assignments, function_assignments

v1 = tf.compat.v1

# Labels of the captured results are tuples that begin with one of these.
OUTPUT = 'outputs'
LOSS = 'regularization losses'
TOTAL = 'loss'
GRADIENT = 'gradients'
INPUT_GRADIENT = 'gradients of inputs'
UPDATED = 'updated variables'

Label = Tuple[str, str]


@dataclasses.dataclass
class Capture:
  """A graph with all it takes to run it again.

  Attributes:
    side: 'TF1' or 'TF2'.
    graph: the `tf.Graph` or `FuncGraph`.
    targets: results by label; a label is a group and a name in it.
    feeds: what to feed, by name of the tensor.
    inputs: path of each input of the model, by name of its tensor.
    variables: (name of the variable, value) by name of the op that is its
      handle: a VarHandleOp, a VariableV2, or a placeholder of a resource.
    layer_lines: line that made a Keras layer, by name of the layer.
    known_lines: line of user code that made an op, by its name, where the graph
      itself does not know: it was made in another process.
    assigned: (name, type) of the op that assigns a variable, by the label of
      what it assigns, where that is a target.
    aliases: (name, type) of the op that a helper in the graph stands for.
  """

  side: str
  graph: Any
  targets: Dict[Label, Any]
  feeds: Dict[str, np.ndarray]
  inputs: Dict[str, str]
  variables: Dict[str, Tuple[str, np.ndarray]]
  layer_lines: Dict[str, SourceLine] = dataclasses.field(default_factory=dict)
  known_lines: Optional[Callable[[str], SourceLine]] = None
  assigned: Dict[Label, Tuple[str, str]] = dataclasses.field(
    default_factory=dict
  )
  aliases: Dict[str, Tuple[str, str]] = dataclasses.field(default_factory=dict)
  _known: Set[str] = dataclasses.field(default_factory=set, repr=False)

  def line_of(self, op_name: str) -> SourceLine:
    """Returns the line of user code that made an op, empty if unknown.

    An op of a gradient has the line of the op that it belongs to, and one of a
    Keras layer in a functional model that of the layer.
    """
    line = self.line_that_made(op_name)
    if not line.filename and 'gradient' in op_name:
      forward = self.forward_op(op_name)
      if forward:
        line = self.line_of(forward)
    return line if line.filename else self.layer_line_of(op_name)

  def made_line_of(self, op_name: str) -> SourceLine:
    """Returns the line that made the ready-made layer that makes an op.

    It is empty for an op that the user's own code makes.
    """
    if not self.layer_lines:
      return SourceLine()
    op, is_called = self.graph.get_operation_by_name(op_name), False
    for frame in reversed(compat.op_stack(op)):
      if 'legacy_tf_layers' in frame[0]:
        return SourceLine()  # It is made where it is called.
      if not source_lines.is_library_file(frame[0]):
        break
      is_called = is_called or frame[2] == 'call'
    return self.layer_line_of(op_name) if is_called else SourceLine()

  def layer_line_of(self, op_name: str) -> SourceLine:
    """Returns the line that made the innermost Keras layer around an op."""
    return layer_line(self.layer_lines, op_name)

  def line_that_made(self, op_name: str) -> SourceLine:
    """Returns the line on the stack on which the op was made."""
    if self.known_lines is not None:
      return self.known_lines(op_name)
    op = self.graph.get_operation_by_name(op_name)
    return source_lines.user_line_of_stack(compat.op_stack(op))

  def line_in(self, function: str, op_name: str) -> SourceLine:
    """Returns the line of user code that made an op of a function.

    Args:
      function: name of a function of the graph, e.g. the body of a loop.
      op_name: name of a node of it.
    """
    stack = compat.function_traceback(self.graph, function, op_name)
    return source_lines.user_line_of_stack(stack)

  def forward_op(self, op_name: str) -> str:
    """Returns the op that an op of a gradient belongs to, or ''."""
    parts = op_name.split('/')
    parts = parts[1:] if parts[0].startswith('gradient') else parts
    names = [p[:-5] if p.endswith('_grad') else p for p in parts]
    for start in range(len(names)):
      for end in range(len(names), start, -1):
        name = '/'.join(names[start:end])
        if name != op_name and name in self._names():
          return name
    return ''

  def _names(self):
    if not self._known:
      self._known.update(op.name for op in self.graph.get_operations())
    return self._known


def layer_line(lines: Dict[str, SourceLine], op_name: str) -> SourceLine:
  """Returns the line that made the Keras layer of an op, empty if none.

  Args:
    lines: lines by name of the layer.
    op_name: full name of the op.
  """
  for part in reversed(op_name.split('/')):
    # A model that is called again has scopes with a counter.
    for name in (part, re.sub(r'_\d+$', '', part)):
      if name in lines:
        return lines[name]
  return SourceLine()


def capture(
  program: program_lib.Program,
  plan: plan_lib.RunPlan,
  weights: Mapping[str, np.ndarray],
  built: Optional[graph_lib.Built] = None,
) -> Capture:
  """Captures the graph of the TF1 side.

  Args:
    program: the user's TF1 code.
    plan: what to build.
    weights: value of each variable by name; others are initialized.
    built: the graph of this plan, if there is one already.

  Returns:
    The capture.
  """
  if built is None or built.has_longer_loops and not plan.gradients:
    built = graph_lib.build(program, plan)
  graph, fetches = built.graph, dict(built.fetches)
  local = graph.get_collection(v1.GraphKeys.LOCAL_VARIABLES)
  values = _values(graph, built.variables + local, weights)
  behind = [', '.join(names) for names in built.losses]
  captured = Capture(
    'TF1',
    graph,
    targets_of(fetches, built.specs, behind, fetches.pop('connected', None)),
    {t.name: array for t, array in built.feed(plan.inputs).items()},
    {tensor.name: path for path, tensor in nest.flatten(built.inputs)},
    {
      v.op.name: (v.op.name, values[v.op.name]) for v in built.variables + local
    },
  )
  if plan.updates:
    # Not only UPDATE_OPS assign: outputs may wait for an assignment.
    ops = walks.ancestors(built.forward_ops(), control=True)
    labels = {s.name: (UPDATED, s.name) for s in built.specs}
    add_assignments(captured, ops, labels)
  return captured


def add_assignments(
  captured: Capture, ops: Iterable[Any], labels: Dict[str, Label]
) -> None:
  """Adds what is assigned to variables to the targets.

  Args:
    captured: a captured graph.
    ops: ops that run.
    labels: label of what is assigned, by name of the variable; others are no
      targets.
  """
  names = {handle: name for handle, (name, _) in captured.variables.items()}
  ops = sorted(ops, key=compat.op_position)
  found = assignments.find(captured.graph, ops, names)
  captured.aliases.update(found.aliases)
  for name, op in found.ops.items():
    if name in labels:
      captured.assigned[labels[name]] = op
      if name in found.values:
        captured.targets[labels[name]] = found.values[name]
  inside = function_assignments.find(captured.graph, ops, names)
  for name, op in inside.items():
    if name in labels:
      captured.assigned.setdefault(labels[name], op)


def _values(graph, variables, weights) -> Dict[str, np.ndarray]:
  """Values of all variables, initialized where they are not given."""
  missing = [v for v in variables if v.op.name not in weights]
  values = dict(weights)
  if missing:
    with v1.Session(
      graph=graph, config=runner.session_config(graph)
    ) as session:
      session.run([v.initializer for v in missing])
      found = session.run([v.value() for v in missing])
      values.update((v.op.name, x) for v, x in zip(missing, found))
  return values


def targets_of(
  fetches: Dict[str, Any],
  specs: List[observation.VariableSpec],
  behind: List[str],
  connected: Any = None,
) -> Dict[Label, Any]:
  """Labels the tensors of a forward pass.

  Args:
    fetches: what the forward pass of either side returns.
    specs: the variables; `gradients` follows the trainable ones.
    behind: for each regularization loss, the variables behind it.
    connected: for TF1, whether each trainable variable has a gradient; the
      others are left out of `gradients`.

  Returns:
    Tensors by label.
  """
  targets = {}
  for path, tensor in fetches['outputs'].items():
    targets[OUTPUT, OUTPUT + path] = tensor
  for i, tensor in enumerate(fetches['losses']):
    targets[LOSS, behind[i] or str(i)] = tensor
  if 'loss' in fetches:
    targets[TOTAL, TOTAL] = fetches['loss']
    names = [spec.name for spec in specs if spec.trainable]
    if connected is not None:
      present = compat.get_static_value(connected)
      names = [name for name, ok in zip(names, present) if ok]
    for name, tensor in zip(names, fetches['gradients']):
      if tensor is not None:
        targets[GRADIENT, name] = tensor
    for path, tensor in fetches['input gradients'].items():
      targets[INPUT_GRADIENT, 'inputs' + path] = tensor
  return targets
