"""Runs a plan with an exported graph: what all kinds of exports share."""

import abc
import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from tf_equiv.core import (
  arguments,
  capture_errors,
  errors,
  nest,
  observation,
)
from tf_equiv.core import plan as plan_lib
from tf_equiv.references import base, in_process
from tf_equiv.references.exported import faults, files, loading, nodes
from tf_equiv.references.exported import graph as graph_lib
from tf_equiv.references.exported import training as training_lib
from tf_equiv.tf1 import graph, runner, source_lines, weights
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import training as tf1_training
from tf_equiv.tf1.capture import capture as capture_lib
from tf_equiv.tf1.capture import refused_nodes

_log = logging.getLogger('tf_equiv')
_INTERPRETER = (
  'Run the TF1 code itself: build_tf1 here, or tf_equiv.Tf1Interpreter.'
)


class Exported(base.Reference):
  """What the three kinds have in common; they are dataclasses."""

  # Each kind has these among its fields, in the order of its arguments.
  __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
  timeout: float
  _loaded: loading.Loaded | None

  @abc.abstractmethod
  def _read(self) -> files.Export:
    """Reads the files."""

  def __post_init__(self) -> None:
    self._check()

  def _check(self) -> None:
    """Raises `UsageError` for a setting that is none."""
    check = arguments
    given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
    for name in ('export_dir', 'path', 'checkpoint'):
      if name in given and (given[name] is not None or name != 'checkpoint'):
        files.as_path(given[name], name)
    for name in ('signature', 'train_op', 'loss'):
      if given.get(name) is not None:
        check.check_text(given[name], name)
    for name in ('feeds', 'training_feeds'):
      feeds = given[name]
      if feeds is not None and not isinstance(feeds, Mapping):
        expected = f"a dict, as in {name}={{'is_training:0': False}}"
        raise check.wrong(name, expected, feeds)
    tags = given.get('tags', ())
    if not isinstance(tags, str):
      check.check_texts(tags, 'tags', "strings, as in tags=('serve',)")
    check.check_texts(given.get('variables', ()), 'variables')
    check.check_bool(given['allow_file_ops'], 'allow_file_ops')
    check.check_seconds(given['timeout'], 'timeout')
    refused_nodes.as_trusted(given['trust_ops'], type(self).__name__)

  def __repr__(self) -> str:
    shown = [
      f'{field.name}={getattr(self, field.name)!r}'
      for field in dataclasses.fields(self)
      if field.compare and _is_given(getattr(self, field.name), field.default)
    ]
    return f'{type(self).__name__}({", ".join(shown)})'

  def close(self) -> None:
    """Forgets the export; a later run reads it again."""
    self._loaded = None

  def list_variables(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> observation.Observation:
    """Describes the variables; see `Reference`."""
    adapter = self._adapter(program, plan)
    with faults.running(adapter.loaded.export.title, self.timeout):
      built = graph.build(adapter.program, plan)
    observed = runner.list_variables(adapter.program, plan, built)
    adapter.annotate(observed)
    return observed

  def submit(
    self, program: program_lib.Program, plan: plan_lib.RunPlan
  ) -> 'ExportedRun':
    """Runs a plan; see `Reference`."""
    adapter = self._adapter(program, plan)
    reference = in_process.InProcess(share_graphs=False)
    with faults.running(adapter.loaded.export.title, self.timeout):
      run = reference.submit(adapter.program, plan)
      observed = run.result()
    adapter.annotate(observed)
    return ExportedRun(adapter, run)

  def _adapter(self, program, plan) -> '_Adapter':
    self._check()  # Settings may have been changed.
    if self._loaded is None:
      with faults.reading(repr(self)):
        export = self._read()
      _log.info('TF1: %s', export.title)
      with faults.reading(export.title):
        self._loaded = loading.load(export, getattr(self, 'variables', ()))
    return _Adapter(self, self._loaded, program, plan)


class ExportedRun(base.Run):
  """A run of an exported graph, which is over."""

  def __init__(self, adapter: '_Adapter', run: base.Run):
    """Takes the run in this process of what an adapter made of the export."""
    self._adapter, self._run = adapter, run

  def result(self) -> observation.Observation:
    """Returns what the run left behind."""
    return self._run.result()

  def capture(
    self, plan: plan_lib.RunPlan, weights: base.Values
  ) -> capture_lib.Capture:
    """Captures the forward pass; see `Run`."""
    captured = self._run.capture(plan, weights)
    if self._adapter.imported.hidden:
      raise capture_errors.CannotCaptureError(
        f'{self._adapter.loaded.export.title} has loops or conditionals of TF1 '
        'without the collections that tell what is inside of them'
      )
    captured.known_lines = _known_lines(captured.graph)
    return captured


def _is_given(value: Any, default: Any) -> bool:
  """Returns whether an argument was given, which may be an array."""
  return type(value) is not type(default) or value != default


def _known_lines(imported):
  """Returns the line of an op, which imported ops do not have."""

  def line_of(name):
    stack = imported.get_operation_by_name(name).traceback
    return source_lines.user_line_of_stack(stack or ())

  return line_of


class _Adapter:
  """Makes a program of an export, for one plan.

  Attributes:
    loaded: the export.
    program: builds the imported graph.
    imported: the imported graph, once it is built.
  """

  def __init__(self, settings, loaded, program, plan):
    self._settings, self.loaded, self._plan = settings, loaded, plan
    self._reset = program.reset_weights is not weights.named_weights
    self.imported = None
    self._unknown_updates = []
    self._check_plan()
    self._train_op = self._choose_train_op() if plan.batches else ''
    self.program = dataclasses.replace(
      program,
      build=self._build,
      train=None,
      step=self._step if self._train_op else None,
      reset_weights=(
        program.reset_weights
        if self._reset or not loaded.values.known
        else self._value
      ),
    )

  def _check_plan(self) -> None:
    title, frozen = self.loaded.export.title, self.loaded.export.frozen
    if frozen and self._plan.weights == plan_lib.SEEDED:
      raise errors.UsageError(
        f'{title} has no initializers, so its weights cannot be drawn: '
        "seed_mode is for a model that is initialized. Use weights='fixed' "
        '(assertForwardEquivalent without seed_mode), or a MetaGraph. '
        f'{_INTERPRETER}'
      )
    if frozen and self._plan.batches:
      raise errors.UsageError(
        f'{title} cannot be trained: it does not tell which of its constants '
        'were trainable. Use the MetaGraph of the checkpoint that it was '
        f'frozen from. {_INTERPRETER}'
      )

  def _choose_train_op(self) -> str:
    given = getattr(self._settings, 'train_op', None)
    if given is not None:
      return self.loaded.names.tensor('train_op', given)
    chosen = training_lib.choose_train_op(
      self.loaded.export, self.loaded.nodes, ''
    )
    return nodes.full(chosen) if chosen else ''

  def _value(self, name, shape, dtype):
    """A `reset_weights` that gives the values of the export."""
    if not self.loaded.values.has(name):
      return weights.named_weights(name, shape, dtype)
    return self.loaded.values.of(name)

  def _build(self, inputs, training):
    """A `build_tf1` that imports the graph."""
    settings, names = self._settings, self.loaded.names
    wanted = names.nest_of('inputs', settings.inputs)
    paths = names.bind(wanted, self._plan.inputs)
    by_path = dict(nest.flatten(inputs))
    feeds = names.feeds(settings.feeds or {}, 'feeds')
    if training:
      feeds.update(names.feeds(settings.training_feeds or {}, 'training_feeds'))
    twice = sorted(set(feeds) & set(paths))
    if twice:
      raise errors.UsageError(
        f'{", ".join(twice)} of {self.loaded.export.title} is named both in '
        'inputs and in feeds; leave it out of one.'
      )
    loss = getattr(settings, 'loss', None)
    request = graph_lib.Wanted(
      plan=self._plan,
      training=training,
      outputs=names.nest_of('outputs', settings.outputs),
      inputs={ref: by_path[path] for ref, path in paths.items()},
      feeds=feeds,
      train_op=self._train_op,
      loss=names.tensor('loss', loss) if loss and self._train_op else '',
      allow_file_ops=settings.allow_file_ops,
      trust_ops=refused_nodes.as_trusted(
        settings.trust_ops, type(settings).__name__
      ),
      timeout=settings.timeout,
    )
    with faults.reading(self.loaded.export.title):
      self.imported = graph_lib.import_into(self.loaded, request)
    if self.imported.hidden and self._plan.gradients:
      raise errors.UsageError(
        f'{self.loaded.export.title} has loops or conditionals of TF1 without '
        'the collections that gradients through them need. Use the MetaGraph '
        f'or SavedModel instead. {_INTERPRETER}'
      )
    return self.imported.outputs

  def _step(self, recording):
    """Describes what the train op of the graph does; see `Program.step`."""
    owned = self.loaded.variables.owned
    recording.owned.update(owned)
    self._unknown_updates = training_lib.updates(
      self.imported.train_op, owned, recording
    )
    if not recording.updates and not self._unknown_updates:
      raise errors.UsageError(
        f'The train op {self.imported.train_op.name!r} of '
        f'{self.loaded.export.title} updates no trainable variable, so there '
        'is no training step to compare. Name another with train_op.'
      )
    return self.imported.loss, self.imported.train_op

  def annotate(self, observed) -> None:
    """Adds to an observation what the graph does not tell by itself."""
    observed.draws = [*self.imported.draws, *observed.draws]
    observed.optimizer_variables = sorted(
      {*observed.optimizer_variables, *self.loaded.variables.owned}
    )
    if not self.loaded.variables.flags:
      observed.unknown.append(observation.TRAINABLE)
    if self.loaded.export.frozen:
      observed.unknown.append(observation.LOSSES)
    for step in observed.steps:
      step.unknown = list(self._unknown_updates)
    observed.notes += self._notes(observed)

  def _notes(self, observed):
    settings, variables = self._settings, self.loaded.variables
    notes = [f'TF1: {self.loaded.export.title}']
    if not variables.flags:
      notes.append(
        'not compared: trainable flags%s, which the export does not have'
        % (' and regularization losses' * self.loaded.export.frozen)
      )
    if self.loaded.export.frozen and self._plan.gradients:
      notes.append(
        'the loss of TF1 has no regularization losses, which a frozen graph '
        'does not have: build the TF2 model without them here'
      )
    if variables.unnamed:
      notes.append(
        'constants that may be weights, and that the TF2 side does not get '
        f'(name them in variables=...): {files.listed(variables.unnamed)}'
      )
    if self.imported.defaults:
      notes.append(
        'placeholders that keep their default: '
        f'{files.listed(self.imported.defaults)}'
      )
    if self._plan.training and not settings.training_feeds:
      notes.append(
        'the exported graph was run in training as it is: no training_feeds '
        'were given'
      )
    if self.loaded.unused and not self._reset:
      owned = [n for n in self.loaded.unused if n not in variables.owned]
      notes.append(
        'in the checkpoint without a variable in the graph: '
        f'{files.listed(owned)}'
      )
    if observed.steps:
      notes += self._notes_of_steps(observed)
    return notes

  def _notes_of_steps(self, observed):
    if not self._train_op:
      return []
    notes = [
      f'training steps: the train op {self.imported.train_op.name!r} of the '
      'graph'
    ]
    if self.imported.loss is None:
      notes.append('not compared: the loss (name its tensor with loss=...)')
    if self._unknown_updates:
      notes.append(tf1_training.unknown_note(self._unknown_updates))
    return notes
