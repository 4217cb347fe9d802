"""Records what the TF2 side computes op by op, where it cannot be traced.

Python code may look at values: branch on them, hand them to NumPy, look them up
in a table. Such code has no graph, but each op that it runs can be seen.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import interrupts, nest, random_value
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import source_lines
from tf_equiv.tf1.capture import capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import forward as forward_lib
from tf_equiv.tf2 import model as model_lib

# Values of so few elements are kept.
_SMALL = 64


@dataclasses.dataclass
class Record:
  """An op that ran.

  Attributes:
    name: name scope and type, with a counter where several are alike.
    op_type: its type.
    attributes: by name, as the op took them.
    inputs: identities of the tensors that it read.
    outputs: identities of those that it gave.
    dtype: of its first output.
    shape: of its first output.
    line: line of user code that ran it.
  """

  name: str
  op_type: str
  attributes: dict[str, Any]
  inputs: list[int]
  outputs: list[int]
  dtype: str
  shape: tuple[int, ...]
  line: SourceLine


@dataclasses.dataclass
class Recording:
  """What a forward pass computed.

  Attributes:
    side: 'TF2'.
    records: the ops, in order.
    targets: identity of the tensor of each result, by label.
    inputs: path of each input of the model, by identity.
    handles: name of each variable, by identity of its handle.
    variables: (name, value) by name of the variable.
    summaries: what was made of the numbers of each tensor, by identity.
    values: small arrays, and what was drawn, by identity.
    layer_lines: line that made a Keras layer, by its name.
    again: runs anew and returns arrays of outputs, by (name of the op, number).
  """

  side: str
  records: list[Record]
  targets: dict[capture.Label, int]
  inputs: dict[int, str]
  handles: dict[int, str]
  variables: dict[str, tuple[str, np.ndarray]]
  summaries: dict[int, Any]
  values: dict[int, np.ndarray]
  layer_lines: dict[str, SourceLine]
  again: Callable[[set[tuple[str, int]]], dict[tuple[str, int], np.ndarray]]

  def line_of(self, op_name: str) -> SourceLine:
    """Returns the line of user code that ran an op, empty if unknown."""
    found = next((r for r in self.records if r.name == op_name), None)
    if found is not None and found.line.filename:
      return found.line
    return capture.layer_line(self.layer_lines, op_name)

  @property
  def aliases(self) -> dict[str, tuple[str, str]]:
    """As those of a `Capture`; no op stands for another."""
    return {}

  def made_line_of(self, op_name: str) -> SourceLine:
    """As that of a `Capture`; the lines of ops are those of the user."""
    del op_name
    return SourceLine()


class _Recorder:
  """Makes records of ops."""

  def __init__(self, summarize, wanted=frozenset()):
    self._summarize, self._wanted = summarize, wanted
    self._names: Counter = Counter()
    self.records: list[Record] = []
    self.summaries: dict[int, Any] = {}
    self.values: dict[int, np.ndarray] = {}
    self.found: dict[tuple[str, int], np.ndarray] = {}

  def __call__(self, op_type, inputs, attrs, outputs, op_name=None, graph=None):
    """The callback; see `compat.op_callback`."""
    del op_name
    if graph is not None or not outputs:
      return None
    if isinstance(op_type, bytes):  # As the slower way of running ops has it.
      op_type = op_type.decode()
    name = '/'.join(filter(None, (compat.name_scope(), op_type)))
    count = self._names[name]
    self._names[name] += 1
    name += f'_{count}' if count else ''
    if self._summarize is None:
      self._keep(name, outputs)
      return None
    for tensor in (*inputs, *outputs):
      self.look_at(tensor)
    first = outputs[0]
    if random_value.family_of(op_type):
      self.values[compat.tensor_id(first)] = first.numpy()
    self.records.append(
      Record(
        name,
        op_type,
        dict(zip(attrs[::2], attrs[1::2], strict=True)) if attrs else {},
        [compat.tensor_id(tensor) for tensor in inputs],
        [compat.tensor_id(tensor) for tensor in outputs],
        first.dtype.name,
        tuple(first.shape) if first.dtype not in _OPAQUE else (),
        source_lines.user_line(),
      )
    )
    return None

  def _keep(self, name, outputs) -> None:
    for i, tensor in enumerate(outputs):
      if (name, i) in self._wanted:
        self.found[name, i] = tensor.numpy()

  def look_at(self, tensor) -> None:
    """Summarizes a tensor that was not seen before."""
    identity = compat.tensor_id(tensor)
    dtype = tensor.dtype
    if identity in self.summaries or not (
      dtype.is_floating or dtype.is_integer or dtype.is_bool
    ):
      return
    array = tensor.numpy()
    self.summaries[identity] = self._summarize(array)
    if array.size <= _SMALL:
      self.values[identity] = array


_OPAQUE = (tf.resource, tf.variant)


def record(
  forward: forward_lib.Forward,
  plan: plan_lib.RunPlan,
  values: tf2_capture.Values,
  summarize: Callable[[np.ndarray], Any],
) -> Recording:
  """Runs the forward pass of the TF2 side and records its ops.

  Args:
    forward: the forward pass; see `capture.prepare`.
    plan: what to run.
    values: values of the variables by name; others get their initial ones.
    summarize: makes of each array what is kept of it.

  Returns:
    The recording.
  """
  recorder = _Recorder(summarize)
  begun = functools.partial(tf2_capture.running, forward, plan, values)
  with begun():
    variables = tf2_capture.named_variables(forward)
    held = {name: (name, v.numpy()) for name, v in variables}
    with _active(recorder):
      found = forward(forward.inputs)
    behind = []
    if found['losses']:
      behind = model_lib.variables_behind_losses(
        forward.model, forward.variables
      )
    targets = capture.targets_of(
      found, forward.observed.variables, [', '.join(names) for names in behind]
    )
    for tensor in targets.values():
      recorder.look_at(tensor)

  def again(
    wanted: set[tuple[str, int]],
  ) -> dict[tuple[str, int], np.ndarray]:
    second = _Recorder(None, wanted)
    with begun(), _active(second):
      forward(forward.inputs)
    return second.found

  return Recording(
    'TF2',
    recorder.records,
    {label: compat.tensor_id(tensor) for label, tensor in targets.items()},
    {
      compat.tensor_id(tensor): path
      for path, tensor in nest.flatten(forward.inputs)
    },
    {compat.tensor_id(v.handle): name for name, v in variables},
    held,
    recorder.summaries,
    recorder.values,
    forward.layer_lines,
    again,
  )


@interrupts.restoring
def _active(recorder: Callable) -> Iterator[None]:
  """Context in which a recorder sees all ops, those of functions as well."""
  eager = tf.config.functions_run_eagerly()
  tf.config.run_functions_eagerly(True)
  try:
    with compat.op_callback(recorder):
      yield
  finally:
    tf.config.run_functions_eagerly(eager)
