"""Gives the random ops of an exported graph the seeds of a seed mode.

`deterministic_seeds` answers each call of TensorFlow's `get_seed` while a graph
is built. In an exported graph the answers are attributes of the ops, so they
are written there: in the order of the ops, which in a graph that TensorFlow
exported is that of their creation, each op having asked once.
"""

import re
from typing import Any

from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.core.draw import Draw
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.core.source_line import SourceLine
from tf_equiv.references.exported import files
from tf_equiv.references.exported import nodes as nodes_lib

# Function of TensorFlow that makes a type of op, where it is not called so.
_FUNCTIONS = {
  'RandomUniform': 'random_uniform',
  'RandomUniformInt': 'random_uniform',
  'RandomStandardNormal': 'random_normal',
  'TruncatedNormal': 'truncated_normal',
  'ParameterizedTruncatedNormal': 'parameterized_truncated_normal',
  'RandomShuffle': 'random_shuffle',
  'Multinomial': 'multinomial_categorical_impl',
  'RandomGamma': 'random_gamma',
  'RandomPoisson': 'random_poisson_v2',
  'RandomPoissonV2': 'random_poisson_v2',
}

_STATELESS = re.compile(
  r'StatelessRandom|StatelessTruncated|StatelessParam|StatefulUniform'
  r'|StatefulStandardNormal|StatefulTruncatedNormal'
)


def _is_seeded(node) -> bool:
  return 'seed' in _arguments(node.op) and 'seed2' in _arguments(node.op)


def _arguments(op_type):
  definition = compat.op_definition(op_type)
  return {attr.name for attr in definition.attr} if definition else set()


def rewrite(
  title: str,
  nodes: nodes_lib.Nodes,
  needed,
  mode: SeedMode,
  seed: int,
  in_order: bool = True,
) -> list[tuple[str, int]]:
  """Writes the seeds into the nodes.

  Args:
    title: what the export is, for messages.
    nodes: its nodes; they are changed.
    needed: names of those that belong to the model.
    mode: how operation seeds are chosen.
    seed: the graph-level seed.
    in_order: whether the nodes are in the order of their creation.

  Returns:
    (name, operation seed) of the random ops, in order.

  Raises:
    UsageError: if the order of the ops is not that of their creation, or not
      known, and the seeds depend on it.
  """
  found = [n for n in nodes if n.name in needed and _is_seeded(n)]
  inside = sorted(
    name
    for name in needed
    if any(_is_seeded(each) for each in nodes.called(nodes[name]))
  )
  counts = mode is SeedMode.NUM_RANDOM_OPS
  if counts and inside:
    raise errors.UsageError(
      f'{title} draws random numbers inside of functions (loops or branches '
      f"of TF2's kind: {files.listed(inside)}), so that their number in "
      "order of creation is not known. Use seed_mode='constant'."
    )
  if counts and found and not in_order:
    raise errors.UsageError(
      f'The ops of {title} are not in the order in which they were created (a '
      "tool has rewritten the graph), and seed_mode='num_random_ops' "
      "numbers random ops in that order. Use seed_mode='constant', or the "
      'MetaGraph that the Saver wrote.'
    )
  result = []
  for i, node in enumerate(found):
    op_seed = i if counts else 0
    node.attr['seed'].i, node.attr['seed2'].i = seed, op_seed
    result.append((node.name, op_seed))
  for function in nodes.functions.values():
    for node in function.node_def:
      if _is_seeded(node):
        node.attr['seed'].i, node.attr['seed2'].i = seed, 0
  return result


def check_initializers(title: str, nodes: nodes_lib.Nodes, definitions) -> None:
  """Checks that initial values are drawn by ops that have seeds to be set.

  Args:
    title: what the export is, for messages.
    nodes: its nodes.
    definitions: definitions of the variables of the model.

  Raises:
    UsageError: if not.
  """
  fixed = []
  for definition in definitions:
    behind = nodes.ancestors([definition.initial_value_name]).values()
    if any(_STATELESS.match(node.op) for node in behind):
      fixed.append(nodes_lib.node_of(definition.variable_name))
  if fixed:
    raise errors.UsageError(
      f'The initial values of {len(fixed)} variable(s) of {title} are drawn '
      'by stateless random ops, whose seeds are constants of the graph (so do '
      'the default initializers of Keras since TensorFlow 2.11, while those '
      f"of TF1 can be seeded): {files.listed(fixed)}. Use weights='fixed', "
      'or assertForwardEquivalent without seed_mode.'
    )


def ledger(graph: Any, drawn, variable_of) -> list[Draw]:
  """Returns the draws of an imported graph.

  Args:
    graph: the graph.
    drawn: what `rewrite` returned.
    variable_of: variable whose initial value a random op draws, by its name.
  """
  found = []
  for index, (name, seed) in enumerate(drawn):
    op = graph.get_operation_by_name(name)
    variable = variable_of.get(name, '')
    found.append(
      Draw(
        index=index,
        seed=seed,
        op=_FUNCTIONS.get(op.type, op.type),
        shape=compat.static_shape_of(op.outputs[0]),
        variable=variable,
        layer='' if variable else name.rpartition('/')[0],
        line=SourceLine(),
        context='graph',
      )
    )
  return found
