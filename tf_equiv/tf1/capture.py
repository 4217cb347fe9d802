"""A computation as a graph that can be run again, op by op.

Both sides are captured in the same form, the graph of a TF1 session or that of
a traced TF2 function, so that all that follows need not know which it was.
"""

import dataclasses
import re
from typing import Any, Dict, List, Optional, Set, Tuple

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.tf1 import nest, runner, source
from tf_equiv.tf1 import observation as observation_lib
from tf_equiv.tf1 import plan as plan_lib
from tf_equiv.tf1 import seeds as seeds_lib

v1 = tf.compat.v1

# Labels of the captured results are tuples that begin with one of these.
OUTPUT = 'outputs'
LOSS = 'regularization losses'
TOTAL = 'loss'
GRADIENT = 'gradients'
INPUT_GRADIENT = 'gradients of inputs'

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
  """

  side: str
  graph: Any
  targets: Dict[Label, Any]
  feeds: Dict[str, np.ndarray]
  inputs: Dict[str, str]
  variables: Dict[str, Tuple[str, np.ndarray]]
  layer_lines: Dict[str, source.SourceLine] = dataclasses.field(
    default_factory=dict
  )
  _known: Set[str] = dataclasses.field(default_factory=set, repr=False)

  def line_of(self, op_name: str) -> source.SourceLine:
    """Returns the line of user code that made an op, empty if unknown.

    An op of a gradient has the line of the op that it belongs to, and one of a
    Keras layer in a functional model that of the layer.
    """
    op = self.graph.get_operation_by_name(op_name)
    line = source.user_line_of_stack(op.traceback)
    if not line.filename and 'gradient' in op_name:
      forward = self._forward_op(op_name)
      if forward:
        line = self.line_of(forward)
    return line if line.filename else layer_line(self.layer_lines, op_name)

  def line_in(self, function: str, op_name: str) -> source.SourceLine:
    """Returns the line of user code that made an op of a function.

    Args:
      function: name of a function of the graph, e.g. the body of a loop.
      op_name: name of a node of it.
    """
    stack = compat.function_traceback(self.graph, function, op_name)
    return source.user_line_of_stack(stack)

  def _forward_op(self, op_name: str) -> str:
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


def layer_line(
  lines: Dict[str, source.SourceLine], op_name: str
) -> source.SourceLine:
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
  return source.SourceLine()


def capture(
  program: runner.Program,
  plan: plan_lib.RunPlan,
  weights: Dict[str, np.ndarray],
  built: Optional[runner.Built] = None,
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
  built = built or _build(program, plan)
  graph, fetches = built.graph, dict(built.fetches)
  variables = v1_globals(graph)
  specs = [runner.spec_of(v) for v in variables]
  variables += graph.get_collection(v1.GraphKeys.LOCAL_VARIABLES)
  values = _values(graph, variables, weights)
  behind = [', '.join(runner.variables_behind(x)) for x in fetches['losses']]
  return Capture(
    'TF1',
    graph,
    targets_of(fetches, specs, behind, fetches.pop('connected', None)),
    {tensor.name: array for tensor, array in built.feed.items()},
    {tensor.name: path for path, tensor in nest.flatten(built.inputs)},
    {v.op.name: (v.op.name, values[v.op.name]) for v in variables},
  )


def _build(program, plan) -> runner.Built:
  graph = tf.Graph()
  seeds = seeds_lib.deterministic_seeds(plan.seed_mode, plan.seed)
  with program.behavior.active(), seeds, graph.as_default():
    inputs, feed = runner.placeholders(plan.inputs)
    outputs = runner.build_outputs(program, inputs, plan, graph)
    fetches = runner.fetches_of(
      program, plan, outputs, inputs, v1.global_variables(), graph
    )
  return runner.Built(graph, inputs, feed, fetches)


def v1_globals(graph) -> List[Any]:
  """Returns the global variables of a graph."""
  return graph.get_collection(v1.GraphKeys.GLOBAL_VARIABLES)


def _values(graph, variables, weights) -> Dict[str, np.ndarray]:
  """Values of all variables, initialized where they are not given."""
  missing = [v for v in variables if v.op.name not in weights]
  values = dict(weights)
  if missing:
    with v1.Session(graph=graph, config=runner.session_config()) as session:
      session.run([v.initializer for v in missing])
      found = session.run([v.value() for v in missing])
      values.update((v.op.name, x) for v, x in zip(missing, found))
  return values


def targets_of(
  fetches: Dict[str, Any],
  specs: List[observation_lib.VariableSpec],
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
      present = tf.get_static_value(connected)
      names = [name for name, ok in zip(names, present) if ok]
    for name, tensor in zip(names, fetches['gradients']):
      if tensor is not None:
        targets[GRADIENT, name] = tensor
    for path, tensor in fetches['input gradients'].items():
      targets[INPUT_GRADIENT, 'inputs' + path] = tensor
  return targets
