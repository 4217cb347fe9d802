"""Converts a checkpoint of TF1 for production use of the migrated model."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_equiv import compat
from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.checkpoints import slots as slots_lib
from tf_equiv.compare import judge_variables
from tf_equiv.compare import pairing as pairing_lib
from tf_equiv.compare import variables as variables_lib
from tf_equiv.converters.mapping import Names
from tf_equiv.core import arguments, errors, threads
from tf_equiv.core.text import listed
from tf_equiv.diagnose import first_look
from tf_equiv.report import telling, text
from tf_equiv.tf1 import checkpoint as checkpoint_lib
from tf_equiv.tf2 import checkpoint as tf2_checkpoint
from tf_equiv.tf2 import checkpoint_files, optimizers
from tf_equiv.tf2 import model as model_lib

# Step counters are int64.
_MAX_ITERATIONS = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class ConvertedCheckpoint:
  """What `convert_checkpoint` did; `str()` says it in one line.

  Example:
    >>> print(ConvertedCheckpoint('/tmp/model', variables=4))
    /tmp/model: 4 variables, 0 slots, step unknown

  Attributes:
    path: prefix of the checkpoint that was written.
    variables: number of variables of the model.
    slots: number of slots of the optimizer that were filled.
    step: the global step, None if TF1's checkpoint has none.
    unused: entries of TF1's checkpoint that went nowhere.
    fresh: variables that the optimizer updates and for which TF1 had no slots
      (they were frozen, or had no gradient); theirs start anew.
  """

  path: str
  variables: int
  slots: int = 0
  step: int | None = None
  unused: tuple[str, ...] = ()
  fresh: tuple[str, ...] = ()

  def __str__(self) -> str:
    parts = [
      f'{self.variables} variables',
      f'{self.slots} slots',
      f'step {"unknown" if self.step is None else self.step}',
    ]
    if self.fresh:
      parts.append(f'{len(self.fresh)} variables with fresh slots')
    if self.unused:
      parts.append(f'{len(self.unused)} entries not used')
    return f'{self.path}: {", ".join(parts)}'


def convert_checkpoint(
  tf1_path: str | os.PathLike[str],
  model: Any,
  optimizer: Any = None,
  *,
  output: str | os.PathLike[str],
  rename_variable: Callable[[str], Names] | None = None,
  convert_variable: Callable[[str, np.ndarray, str], np.ndarray] | None = None,
  ignored_variables: Sequence[str] = (),
  moving_averages: bool = False,
  optimizer_name: str | None = None,
  learning_rate: float | None = None,
  iterations: int | None = None,
  overwrite: bool = False,
  rename_slot: Callable[[str], str | None] | None = None,
) -> ConvertedCheckpoint:
  """Writes a TF2 checkpoint with the values of a TF1 checkpoint.

  The model gets the values, the optimizer its slots and its step, and a
  checkpoint is written that `tf.train.Checkpoint(model=model,
  optimizer=optimizer).restore(output)` reads (without `optimizer` if there was
  none). Before it appears under its name, whole or not at all, it is read back
  into the model, all variables of which were changed, and compared bit by bit.
  After an error there is no new file, and the model and the optimizer are what
  they were.

  Example:
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with tf.Graph().as_default(), v1.Session() as session:
    ...   w = v1.get_variable('w', [3])
    ...   session.run(v1.global_variables_initializer())
    ...   path = v1.train.Saver().save(session, folder + '/tf1')
    >>> model = tf.Module()
    >>> model.w = tf.Variable([0.0, 0.0, 0.0], name='w')
    >>> convert_checkpoint(path, model, output=folder + '/tf2').variables
    1

  Args:
    tf1_path: prefix of the name-based checkpoint, one of its files, or a folder
      whose `checkpoint` file names the latest.
    model: the migrated model; its variables exist (call it once).
    optimizer: an optimizer of tf_keras, Keras 3 or `tf.compat.v1.train`, of the
      kind that TF1 used and with its options.
    output: prefix of the checkpoint to write.
    rename_variable: as in `MigrationTestCase`.
    convert_variable: as in `MigrationTestCase`. With an optimizer it may move
      values and add constants, but not scale.
    ignored_variables: as in `MigrationTestCase`; the patterns may match entries
      of the checkpoint as well.
    moving_averages: whether variables that have an exponential moving average
      in the checkpoint get that instead of their last value.
    optimizer_name: name that the TF1 optimizer was given, where it was; its
      slots are called '<variable>/<name>'.
    learning_rate: the learning rate in force, for the momentum of Keras SGD,
      which is minus the learning rate times that of TF1; None for that of the
      next update of the optimizer.
    iterations: number of updates that TF1 had made; None for its global step.
    overwrite: whether an existing checkpoint is replaced.
    rename_slot: as in `MigrationTestCase`, for optimizers of one's own: the
      last part of the name of a slot in the checkpoint ('adam_m' of
      'dense/bias/adam_m') is given, and the name of the slot in TF2 returned.

  Returns:
    A `ConvertedCheckpoint`.

  Raises:
    UsageError: for an argument of another kind; if a file is missing, damaged
      or of another kind; if variables are missing, surplus or of another shape;
      if `tf.train.Checkpoint` does not reach a variable of the model; if the
      slots or the steps are not those of the optimizer; or if `output` exists.
  """
  if rename_variable is not None:
    arguments.check_callable(rename_variable, 'rename_variable')
  if convert_variable is not None:
    arguments.check_callable(convert_variable, 'convert_variable')
  if rename_slot is not None:
    arguments.check_callable(rename_slot, 'rename_slot')
  if optimizer_name is not None:
    arguments.check_text(optimizer_name, 'optimizer_name')
  if learning_rate is not None:
    arguments.check_number(learning_rate, 'learning_rate')
  if iterations is not None:
    iterations = arguments.check_count(
      iterations, 'iterations', most=_MAX_ITERATIONS
    )
  arguments.check_bool(moving_averages, 'moving_averages')
  arguments.check_bool(overwrite, 'overwrite')
  variables_lib.compile_ignored(ignored_variables)
  with threads.alone(), compat.v2_behavior():
    source = checkpoint_lib.open_checkpoint(tf1_path)
    output = checkpoint_files.check_output(output, source.prefix, overwrite)
    variables = _variables_of(model)
    contents = contents_lib.sort_entries(
      source.entries,
      [model_lib.name_of(variable) for variable in variables],
      optimizer_name,
    )
    origin = slots_lib.Source(
      source,
      contents,
      _paired(
        source,
        contents,
        variables,
        rename_variable or str,
        pairing_lib.checked(convert_variable or pairing_lib.unchanged),
        ignored_variables,
      ),
    )
    return _convert(
      origin,
      model,
      variables,
      slots_lib.Target(
        optimizer, optimizer_name, learning_rate, iterations, rename_slot
      ),
      output,
      moving_averages,
    )


def _convert(
  origin: slots_lib.Source,
  model: Any,
  variables: list[Any],
  target: slots_lib.Target,
  output: str,
  moving_averages: bool,
) -> ConvertedCheckpoint:
  optimizer = target.optimizer
  source, pairing = origin.checkpoint, origin.pairing
  taken = {first.name: first.name for first, _ in pairing.table.pairs}
  if moving_averages:
    averages = contents_lib.averages_of(source.entries, source.prefix)
    taken.update((n, averages[n]) for n in taken if n in averages)
  values = pairing.carry({n: source.value(e) for n, e in taken.items()})
  changed, trainable = list(variables), model_lib.trainable_of(model, variables)
  if optimizer is not None:
    optimizers.check_optimizer(optimizer, 'The argument optimizer')
    optimizers.build(optimizer, trainable)
    changed += optimizers.variables_of(optimizer)
  state = slots_lib.CarriedState()
  with tf2_checkpoint.restored_on_error(changed):
    for variable in variables:
      name = model_lib.name_of(variable)
      if name in values:
        model_lib.assign(variable, values[name])
    if optimizer is not None:
      state = slots_lib.carry(origin, target, trainable)
    checkpoint_files.write(output, model, optimizer, changed)
  unused = set(source.entries) - set(taken.values()) - state.used
  return ConvertedCheckpoint(
    path=output,
    variables=len(variables),
    slots=state.count,
    step=slots_lib.step_of(source, origin.contents),
    unused=tuple(sorted(unused - set(origin.contents.counters))),
    fresh=tuple(state.fresh),
  )


def _variables_of(model: Any) -> list[Any]:
  """Returns the variables of a model, all of which a checkpoint can save."""
  problem = tf2_checkpoint.why_not_trackable(model)
  if problem:
    raise errors.UsageError(
      problem + '. Make it one of these, with its variables in attributes.'
    )
  try:
    variables = model_lib.variables_of(model, [])
  except ValueError:  # tf_keras refuses before the first call.
    variables = []
  if not variables:
    raise errors.UsageError(
      f'The model ({type(model).__name__}) has no variables yet. Call it once '
      'on inputs of the right shape before it gets the values of a checkpoint.'
    )
  lost = tf2_checkpoint.unreachable(model, variables)
  if lost:
    raise errors.UsageError(
      f'tf.train.Checkpoint does not save {len(lost)} of the {len(variables)} '
      f'variables of the model: {listed(lost, contents_lib.MAX_ROWS)}. '
      f'{tf2_checkpoint.advise_unreachable(model)}'
    )
  return variables


def _paired(source, contents, variables, rename, convert, ignored):
  tf2 = [
    # Whether TF1 trained a variable is not in the checkpoint.
    dataclasses.replace(spec, trainable=True)
    for spec in model_lib.specs_of(None, variables, [])
  ]
  table = variables_lib.match_variables(
    contents.variables,
    tf2,
    rename,
    convert,
    ignored,
    others=list(source.entries),
  )
  if table.blocks_values:
    outcome = judge_variables.judge_variables(
      table, 'convert_checkpoint', False
    )
    verdict = telling.tell(outcome, first_look.diagnose(outcome))
    raise errors.UsageError(
      f'The checkpoint {source.prefix!r} does not fit the model. '
      f'{text.failure(verdict)}'
    )
  return pairing_lib.Pairing(table, convert)
