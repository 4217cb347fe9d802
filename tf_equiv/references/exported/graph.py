"""Imports an exported graph, cut down to what a plan needs of it."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv.core import errors, nest
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.draw import Draw
from tf_equiv.references.exported import (
  assembly,
  branches,
  contexts,
  definitions,
  faults,
  loading,
  safety,
  seeds,
)
from tf_equiv.references.exported import nodes as nodes_lib
from tf_equiv.tf1 import runner

v1 = tf.compat.v1

_WRITING = re.compile(r'(Resource)?(Sparse)?Apply|Assign|(Resource)?Scatter')
_TABLES = re.compile(r'HashTable|MutableHashTable|MutableDenseHashTable')
_INIT_OPS = ('saved_model_main_op', 'legacy_init_op')
_INIT_SIGNATURE = '__saved_model_init_op'


@dataclasses.dataclass
class Wanted:
  """What is wanted of a graph.

  Attributes:
    plan: the plan that is run.
    training: the training flag.
    outputs: nest of tensors 'name:0'.
    inputs: placeholder by tensor that it is fed to.
    feeds: value by tensor.
    train_op: tensor or op that takes a training step; '' for none.
    loss: the tensor of the loss; '' if not known.
    allow_file_ops: whether all ops but Python functions may run.
    trust_ops: types of ops that may run in any case.
    timeout: after how many seconds a run is ended.
  """

  plan: plan_lib.RunPlan
  training: bool
  outputs: Any
  inputs: Mapping[str, Any]
  feeds: Mapping[str, Any]
  train_op: str = ''
  loss: str = ''
  allow_file_ops: bool = False
  trust_ops: Sequence[str] = ()
  timeout: float = 600.0


@dataclasses.dataclass
class Imported:
  """A graph after its import.

  Attributes:
    graph: the graph.
    outputs: nest of its output tensors.
    loss: tensor of the loss, or None.
    train_op: operation that takes a training step, or None.
    draws: ledger of its draws.
    defaults: placeholders that keep their defaults.
    hidden: whether it has loops or branches whose inside cannot be told.
  """

  graph: Any
  outputs: Any
  loss: Any
  train_op: Any
  draws: list[Draw]
  defaults: list[str]
  hidden: bool


def import_into(loaded: loading.Loaded, wanted: Wanted) -> Imported:
  """Imports what is wanted into the current graph.

  Args:
    loaded: the export.
    wanted: what is wanted of it.

  Returns:
    The graph.

  Raises:
    UsageError, EnvironmentSetupError: if it cannot run.
  """
  return _Importer(loaded, wanted).run()


class _Importer:
  def __init__(self, loaded, wanted):
    self._loaded, self._wanted = loaded, wanted
    self._export, self._variables = loaded.export, loaded.variables
    self._nodes = nodes_lib.Nodes(loaded.nodes.graph_def())
    self._cut = set(wanted.inputs)
    self._nodes.forget_waits(self._cut)
    self._constants = self._fix(wanted.feeds)
    self._defaults = self._find_defaults()
    self._taken = branches.take(self._nodes, self._cut)

  def _fix(self, feeds):
    """Puts constants in the place of what is fed; returns their names."""
    fixed = {}
    for i, (ref, array) in enumerate(feeds.items()):
      proto = tf.make_tensor_proto(array)
      fixed[ref] = self._nodes.add(
        'Const',
        f'tf_equiv_feeds/{i}',
        dtype=tf.as_dtype(proto.dtype),
        value=proto,
      )
    # At the front, because the order of the nodes counts.
    names = [nodes_lib.node_of(ref) for ref in fixed.values()]
    front = {name: self._nodes[name] for name in names}
    self._nodes.by_name = {**front, **self._nodes.by_name}
    self._nodes.replace(fixed)
    return fixed

  def _find_defaults(self) -> list[str]:
    """Names of the placeholders that keep their defaults."""
    results = [ref for _, ref in nest.flatten(self._wanted.outputs)]
    results += filter(None, (self._wanted.loss, self._wanted.train_op))
    found = self._nodes.ancestors(results, self._cut)
    return sorted(
      name
      for name, node in found.items()
      if node.op == 'PlaceholderWithDefault'
    )

  def run(self) -> Imported:
    outputs = {
      path: self._now('outputs' + path, ref)
      for path, ref in nest.flatten(self._wanted.outputs)
    }
    loss = self._wanted.loss and self._now('loss', self._wanted.loss)
    train_op = self._wanted.train_op and self._op('train_op')
    results = [*outputs.values(), *filter(None, (loss, train_op))]
    collections = self._collections(train_op)
    results += [ref for refs in collections.values() for ref in refs]
    needed = self._needed(results)
    safety.check_placeholders(self._export.title, self._nodes, needed)
    variables, local = self._definitions(needed)
    variables = [self._harmless(definition) for definition in variables]
    for definition in (*variables, *local):
      results += self._parts(definition)
    results += self._table_initializers(needed, collections)
    everything = self._needed(results)
    self._check(everything)
    model = set(self._variables.model)
    drawing = [
      *outputs.values(),
      *filter(None, (loss,)),
      *collections[v1.GraphKeys.REGULARIZATION_LOSSES],
      *('^' + d.initializer_name for d in variables if _name(d) in model),
    ]
    if self._wanted.plan.weights == plan_lib.SEEDED:
      seeds.check_initializers(
        self._export.title,
        self._nodes,
        [d for d in variables if _name(d) in model],
      )
    drawn = seeds.rewrite(
      self._export.title,
      self._nodes,
      self._needed(drawing),
      self._wanted.plan.seed_mode,
      self._wanted.plan.seed,
      self._loaded.in_order,
    )
    if train_op:
      self._order(train_op, [*outputs.values(), *filter(None, (loss,))])
    meta = assembly.meta_graph(
      self._export,
      self._nodes,
      everything,
      self._taken,
      collections,
      variables,
      local,
    )
    graph = assembly.import_into(self._export.title, meta, self._wanted.inputs)
    runner.limit_runs(graph, self._wanted.timeout)
    return Imported(
      graph,
      nest.map_leaves(
        lambda path, ref: self._tensor(graph, 'outputs' + path, outputs[path]),
        self._wanted.outputs,
      ),
      self._tensor(graph, 'loss', loss) if loss else None,
      graph.get_operation_by_name(nodes_lib.node_of(train_op))
      if train_op
      else None,
      seeds.ledger(graph, drawn, self._drawn_for(variables)),
      self._defaults,
      contexts.hides(self._export.meta, graph),
    )

  def _now(self, where: str, ref: str) -> str:
    """Returns where a tensor is found after the rewriting."""
    now = self._taken.now(self._constants.get(ref, ref))
    if not now:
      raise errors.UsageError(
        f'{where} is {ref!r}, which {self._export.title} does not compute '
        'with these feeds: it is in a branch (tf.cond) that is not taken when '
        f'training is {self._wanted.training}.'
      )
    return now

  def _op(self, where: str) -> str:
    ref = self._now(where, self._wanted.train_op)
    return '^' + nodes_lib.node_of(ref)

  def _needed(self, refs):
    """Nodes that some results depend on; loops are kept whole."""
    needed = self._nodes.ancestors(refs, self._cut)
    while True:
      more = [
        '^' + name
        for name in self._loops(needed)
        if name not in needed and name in self._nodes
      ]
      if not more:
        return needed
      needed.update(self._nodes.ancestors(more, self._cut))

  def _loops(self, needed):
    fed = {nodes_lib.node_of(ref) for ref in self._cut}
    loops = contexts.all_of(self._export.meta, contexts.LOOP)
    for context in loops:
      if nodes_lib.node_of(context.pivot_name) in needed:
        for ref in (
          *context.loop_enter_names,
          *context.loop_exit_names,
          *context.values_def.values,
        ):
          if nodes_lib.node_of(ref) not in fed:
            yield nodes_lib.node_of(ref)

  def _collections(self, train_op) -> dict[str, list[str]]:
    """Tensors and ops of the collections that are kept."""
    keys = [v1.GraphKeys.REGULARIZATION_LOSSES]
    if self._wanted.training and not train_op:
      keys.append(v1.GraphKeys.UPDATE_OPS)
    found = {}
    for key in keys:
      refs = []
      for name in self._export.meta.collection_def[key].node_list.value:
        ref = name if ':' in name else '^' + name
        now = self._taken.now(self._constants.get(ref, ref))
        if now and nodes_lib.node_of(now) in self._nodes:
          refs.append(now)
      found[key] = list(dict.fromkeys(refs))
    return found

  def _definitions(self, needed):
    """Returns the definitions of global and of local variables."""
    variables, local = [], []
    for name, definition in self._variables.definitions.items():
      if name in self._variables.local:
        if name in needed:
          local.append(definition)
      elif name not in self._variables.owned:
        variables.append(definition)
      elif self._wanted.plan.batches:
        variables.append(definition)
      elif name in needed:
        local.append(self._at_exported_value(definition, name))
    return variables, local

  def _harmless(self, definition):
    """Feeds an initial value that cannot be computed, where it is not wanted.

    `tf.train.init_from_checkpoint` makes initializers that read a file.
    """
    fixed = self._wanted.plan.weights == plan_lib.FIXED
    name = _name(definition)
    if not fixed or name in self._variables.owned:
      return definition
    behind = self._nodes.ancestors([definition.initial_value_name])
    if not safety.refused(self._nodes, behind, self._assets()):
      return definition
    return definitions.with_fed_value(self._nodes, definition)

  def _assets(self):
    return {nodes_lib.node_of(ref) for ref in self._export.assets}

  def _at_exported_value(self, definition, name):
    """Lets a counter or average that is read start at its exported value."""
    fixed = self._wanted.plan.weights == plan_lib.FIXED
    if not fixed or not self._loaded.values.has(name):
      return definition
    value = self._loaded.values.of(name)
    return definitions.with_value(self._nodes, definition, value)

  def _parts(self, definition):
    refs = ('^' + definition.initializer_name, definition.snapshot_name)
    return [
      *refs,
      definition.variable_name,
      definition.initial_value_name,
    ]

  def _table_initializers(self, needed, collections):
    """Initializers of the tables that the results look up."""
    tables = {n for n, node in needed.items() if _TABLES.search(node.op)}
    refs = self._export.meta.collection_def[
      v1.GraphKeys.TABLE_INITIALIZERS
    ].node_list.value
    names = [nodes_lib.node_of(ref) for ref in refs]
    if tables and not names:  # Some exports have but the op that runs them.
      for key in _INIT_OPS:
        refs = self._export.meta.collection_def[key].node_list.value
        names += [nodes_lib.node_of(ref) for ref in refs]
      signature = self._export.meta.signature_def[_INIT_SIGNATURE]
      names += [
        nodes_lib.node_of(info.name) for info in signature.outputs.values()
      ]
    kept = [
      '^' + name
      for name in names
      if tables & set(self._nodes.ancestors(['^' + name]))
    ]
    collections[v1.GraphKeys.TABLE_INITIALIZERS] = kept
    return kept

  def _check(self, needed) -> None:
    faults.check_constants(self._export.title, self._nodes, needed)
    safety.check(
      self._export.title,
      self._nodes,
      [name for name in self._nodes.by_name if name in needed],
      self._assets(),
      self._wanted.allow_file_ops,
      self._wanted.trust_ops,
    )

  def _drawn_for(self, variables) -> dict[str, str]:
    """Variable that each op of an initial value belongs to."""
    found = {}
    for definition in variables:
      for name in self._nodes.ancestors([definition.initial_value_name]):
        found[name] = _name(definition)
    return found

  def _order(self, train_op: str, results) -> None:
    """Lets updates wait until the results of the step are computed."""
    before = self._needed(results)
    inside = contexts.inside(self._export.meta)
    waits = ['^' + nodes_lib.node_of(ref) for ref in results]
    waits = [ref for ref in waits if ref[1:] in self._nodes]
    for name, node in self._needed([train_op]).items():
      writes = _WRITING.match(node.op)
      if writes and name not in before and name not in inside:
        node.input.extend(ref for ref in waits if ref not in node.input)

  def _tensor(self, graph, where: str, ref: str):
    if ref in self._wanted.inputs:
      return self._wanted.inputs[ref]
    name, _, index = ref.partition(':')
    op = graph.get_operation_by_name(name)
    if int(index) >= len(op.outputs):
      raise errors.UsageError(
        '%s names %r, and the op %r (%s) of %s has %d output(s).%s'
        % (
          where,
          ref,
          name,
          op.type,
          self._export.title,
          len(op.outputs),
          ' It is an operation; an output must be a tensor.'
          if not op.outputs
          else '',
        )
      )
    return op.outputs[int(index)]


def _name(definition) -> str:
  return nodes_lib.node_of(definition.variable_name)
