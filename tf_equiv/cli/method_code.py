"""The code of the methods of a test class that is drafted."""

from collections.abc import Mapping, Sequence

from tf_equiv.cli import tf1_side, tf2_side
from tf_equiv.cli.draft import Draft, input_codes
from tf_equiv.cli.input_search import Request
from tf_equiv.cli.specs import Input
from tf_equiv.core import errors


def build_tf1(
  request: Request,
  first: tf1_side.Tf1Side,
  inputs: Sequence[Input],
  attribute: str,
  bound: Mapping[str, str],
) -> tuple[str, ...]:
  """Returns the lines of `build_tf1`.

  Args:
    request: what the user said.
    first: the TF1 side.
    inputs: the inputs.
    attribute: the attribute of the network that holds its outputs.
    bound: code of what each placeholder gets, by its name.
  """
  codes = dict(input_codes(inputs))
  if first.makes_placeholders:
    setup, result = first.render({}, attribute)
    lines = [
      'with tf_equiv.bound_placeholders({',
      *(f'  {name!r}: {code},' for name, code in bound.items()),
      '}):',
    ]
    if setup:
      return (*lines, *(f'  {each}' for each in setup), f'return {result}')
    return (*lines, f'  return {result}')
  if '' in codes and first.inputs:
    codes[first.inputs[0]] = codes['']
  setup, result = first.render(codes, request.tf1_output.lstrip('.'))
  if first.attributes and not request.tf1_output:
    raise errors.UsageError(
      f'{request.tf1} builds its network in its constructor; give the '
      'attribute that holds the outputs, as in --tf1_output logits.'
    )
  if request.tf1_output and not first.attributes:
    result += request.tf1_output
  return (*setup, f'return {result}')


def call_tf2(draft: Draft, second: tf2_side.Tf2Side) -> list[str]:
  """Returns the lines of `call_tf2`, [] for the default."""
  if (
    draft.is_bare
    and not second.method
    and not second.values
    and second.training in ('', 'training')
  ):
    return []
  arguments = _tf2_inputs(draft, second)
  arguments += [f'{name}={code}' for name, code in second.values.items()]
  if second.training:
    arguments.append(f'{second.training}=training')
  target = f'model.{second.method}' if second.method else 'model'
  return [f'return {target}({", ".join(arguments)})']


def _tf2_inputs(draft: Draft, second: tf2_side.Tf2Side) -> list[str]:
  """Returns the code of the inputs in the call of the TF2 side."""
  codes = {name: code for name, code in input_codes(draft.inputs).items()}
  if '' in codes:
    return ['inputs']
  if second.names:
    if set(second.names) == set(codes):
      return ['inputs']
    values = list(codes.values())[: len(second.names)]
    return [values[0]] if len(values) == 1 else [f'[{", ".join(values)}]']
  if set(second.inputs) <= set(codes):
    return [codes[name] for name in second.inputs]
  if len(second.inputs) == 1 and len(codes) > 1 and not second.shapes:
    same = [n for n in codes if n == second.inputs[0]]
    return [codes[same[0]]] if same else ['inputs']
  return list(codes.values())[: len(second.inputs) or None]
