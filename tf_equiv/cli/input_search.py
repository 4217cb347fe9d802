"""Which inputs a test feeds: given, or told by placeholders and models."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_equiv.cli import guide, parameters, probe, tf1_side, tf2_side
from tf_equiv.cli.draft import Draft
from tf_equiv.cli.specs import Input
from tf_equiv.core import errors
from tf_equiv.core.text import listed
from tf_equiv.references.exported import files

_MAX_NAMES = 6
# How many of the usual names of outputs may be a part of a name.
_MOST_USUAL = 6


@dataclasses.dataclass(frozen=True)
class Request:
  """What a user asks for.

  Attributes:
    tf1: the TF1 side: 'legacy.py:net', or the path of an export.
    tf2: the TF2 side.
    path: the file of the test.
    inputs: the inputs, as --inputs gives them.
    tf1_args: arguments of the TF1 side, 'name=value' each.
    tf2_args: the same of the TF2 side.
    tf1_output: which of the outputs of TF1 count, as code after their name:
      '.logits', "['logits']", '[0]'.
    wanted: which tests there are.
  """

  tf1: str
  tf2: str
  path: str
  inputs: Sequence[str] = ()
  tf1_args: Sequence[str] = ()
  tf2_args: Sequence[str] = ()
  tf1_output: str = ''
  wanted: guide.Wanted = guide.Wanted()


class InputSearch:
  """Finds the inputs of a test.

  Attributes:
    said: gets what was inferred.
  """

  def __init__(self, request: Request, given: Sequence[Input], said: list[str]):
    """Takes what the user asks for, and the inputs that were given."""
    self.request, self.given, self.said = request, given, said

  def of_sides(
    self, first: tf1_side.Tf1Side, second: tf2_side.Tf2Side
  ) -> list[Input]:
    """Returns the inputs of sides that take them as arguments.

    Args:
      first: the TF1 side.
      second: the TF2 side.

    Raises:
      UsageError: where they must be asked for.
    """
    wanted = first.inputs
    found = list(self.given)
    if not found and first.reference.startswith('tf_equiv.SavedModel'):
      found = self._of_signature()
    if not found and second.shapes:
      found = [
        tf2_side.input_of(shape, f'{self.request.tf2} says so')
        for shape in second.shapes
      ]
    if not found:
      raise errors.UsageError(self._ask(wanted))
    if first.kind == 'model_fn':
      if len(found) == 1:
        return [dataclasses.replace(found[0], name='')]
      return found
    if not wanted:
      return found
    if len(found) < len(wanted) and not all(x.name for x in found):
      raise errors.UsageError(self._ask(wanted, len(found)))
    if len(wanted) == 1 and len(found) == 1:
      return [dataclasses.replace(found[0], name='')]
    if not all(each.name in wanted for each in found):
      if len(found) > len(wanted):
        raise errors.UsageError(
          f'{self.request.tf1} takes {listed(wanted, _MAX_NAMES)}, but there '
          f'are {len(found)} inputs: '
          f'{listed([x.text for x in found], _MAX_NAMES)}.'
        )
      found = [
        dataclasses.replace(each, name=name)
        for each, name in zip(found, wanted, strict=False)
      ]
    missing = [n for n in wanted if n not in {each.name for each in found}]
    if missing:
      raise errors.UsageError(self._ask(wanted, len(found)))
    return found

  def _ask(self, wanted: Sequence[str], count: int = 0) -> str:
    examples = [f'{name}=float32[4,...]' for name in wanted or ['x']]
    example = 'float32[4,224,224,3]' if len(wanted) < 2 else ','.join(examples)
    if count:
      return (
        f'{self.request.tf1} takes {len(wanted)} inputs '
        f'({listed(wanted, _MAX_NAMES)}), and {count} is known. Give all: '
        f"--inputs '{example}'."
      )
    return (
      'The shapes of the inputs are not known: '
      f'{self.request.tf1} takes {listed(wanted, _MAX_NAMES) or "inputs"} '
      'without a placeholder, and '
      f'{self.request.tf2} has no input_shape, InputSpec or input_signature. '
      f"Give them: --inputs '{example}' (the first size is that of the batch)."
    )

  def _of_signature(self) -> list[Input]:
    export = files.read_saved_model(
      self.request.tf1, 'serving_default', ('serve',)
    )
    found = []
    for key, info in export.signature.get('inputs', {}).items():
      sizes = tuple(
        None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim
      )
      dtype = _dtype_name(info.dtype)
      found.append(
        tf2_side.input_of((key, dtype, sizes), 'the signature of the export')
      )
    return found

  def of_placeholders(
    self, draft: Draft, first: tf1_side.Tf1Side
  ) -> tuple[str, list[Input], dict[str, str]]:
    """Builds the TF1 side with its own placeholders, to find them.

    Returns:
      (attribute of the outputs, inputs, code of placeholders by name).
    """
    wanted = self.request.tf1_output.lstrip('.')
    body = _every_output(first)
    trial = dataclasses.replace(
      draft,
      inputs=(Input('', 'float32', (1,)),),
      build_tf1=body,
      build_tf2='(lambda x: x)',
    )
    seen = probe.tf1(probe.test_class(trial, self.request.path)())
    attribute = ''
    paths = list(seen.outputs)
    if first.attributes:
      attribute = wanted or self._attribute(paths)
      paths = [p for p in paths if p.startswith(f"['{attribute}']")]
      if not paths:
        raise errors.UsageError(self._no_attribute(attribute, seen.outputs))
    tensors = {
      tensor.op.name: tensor for path in paths for tensor in seen.own[path]
    }
    inputs, bound = [], {}
    for name, tensor in tensors.items():
      code = _bound(name, tensor)
      if code:
        bound[name] = code
        self.said.append(f'placeholder {name}: {code}')
      else:
        limit = probe.limit_of(tensor)
        inputs.append(probe.input_of(tensor, limit))
    if not inputs:
      raise errors.UsageError(
        f'The outputs of {self.request.tf1} depend on no placeholder, and it '
        'takes no input; nothing can be fed to both sides.'
      )
    known = {each.name: each for each in self.given}
    if len(inputs) == 1 and list(known) == ['']:
      known = {inputs[0].name: known['']}
    unknown = sorted(set(known) - {each.name for each in inputs})
    if unknown:
      raise errors.UsageError(
        f'--inputs has {listed(unknown, _MAX_NAMES)}, but the placeholders are '
        f'{listed([each.name for each in inputs], _MAX_NAMES)}.'
      )
    inputs = [
      dataclasses.replace(known[x.name], name=x.name) if x.name in known else x
      for x in inputs
    ]
    entries = {each.name: f'inputs[{each.name!r}]' for each in inputs}
    if len(inputs) == 1:
      entries = {inputs[0].name: 'inputs'}
      inputs = [dataclasses.replace(inputs[0], name='')]
    return attribute, inputs, {**entries, **bound}

  def _attribute(self, paths: Sequence[str]) -> str:
    names_ = [path.split("'")[1] for path in paths]
    for name in tf1_side.OUTPUTS:
      if name in names_:
        self.said.append(f'outputs: attribute {name} in TF1')
        return name
    for name in tf1_side.OUTPUTS[:_MOST_USUAL]:
      for each in names_:
        if name in each:
          self.said.append(f'outputs: attribute {each} in TF1')
          return each
    raise errors.UsageError(self._no_attribute('', dict.fromkeys(paths)))

  def _no_attribute(self, name: str, outputs: Mapping[str, Any]) -> str:
    known = sorted({path.split("'")[1] for path in outputs if "'" in path})
    head = (
      f'has no tensor {name!r}' if name else 'does not say which is its output'
    )
    return (
      f'{self.request.tf1} {head}. Its tensors are '
      f'{listed(known, _MAX_NAMES) or "none"}; give one with --tf1_output.'
    )


def _every_output(first: tf1_side.Tf1Side) -> tuple[str, ...]:
  """Returns a `build_tf1` that returns all that may be an output."""
  setup, result = first.render({}, '')
  if not first.attributes:
    return (*setup, f'return {result}')
  return (
    *setup,
    'import tensorflow as tf',
    'return {n: v for n, v in vars(model).items() if tf.is_tensor(v)}',
  )


def _bound(name: str, tensor: Any) -> str:
  """Returns the code of what a placeholder gets that is no input, or ''."""
  last = name.rpartition('/')[2]
  if last in parameters.TRAINING and tensor.dtype.is_bool:
    return 'training'
  if tensor.shape.rank in (0, None) and tensor.dtype.is_floating:
    if parameters.is_keep_probability(last):
      return '0.5 if training else 1.0'
    if parameters.is_dropout_rate(last):
      return '0.5 if training else 0.0'
  return ''


def _dtype_name(number: int) -> str:
  return tf.as_dtype(number).name
