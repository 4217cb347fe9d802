"""From the names of both sides to a test class: what a user need not say.

Each step looks at what is known, builds a side where that tells more, and says
what it has taken for granted.
"""

import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Mapping, Sequence

from absl import flags

from tf_equiv.cli import (
  guide,
  importing,
  input_search,
  method_code,
  names,
  parameters,
  probe,
  tf1_names,
  tf1_side,
  tf2_side,
)
from tf_equiv.cli import outputs as outputs_lib
from tf_equiv.cli import specs as specs_lib
from tf_equiv.cli.draft import Draft, Module
from tf_equiv.cli.input_search import Request
from tf_equiv.cli.specs import Input
from tf_equiv.core import errors
from tf_equiv.core import text as text_lib
from tf_equiv.core.text import listed
from tf_equiv.tf1 import source_lines

_MAX_NAMES = 6
_SAID_NAMES = 3


@dataclasses.dataclass(frozen=True)
class Inferred:
  """A test class, and what it takes for granted.

  Attributes:
    draft: the class.
    kinds: what both sides are.
    assumed: what was inferred, one line each.
  """

  draft: Draft
  kinds: tuple[str, str]
  assumed: tuple[str, ...]


def infer(request: Request) -> Inferred:
  """Looks at both sides and drafts a test class.

  Raises:
    UsageError: for what cannot be imported or called, and for what must be
      asked for.
    EnvironmentSetupError, ModelCodeError: for code that cannot run here.
  """
  try:
    return _Inference(request).run()
  except errors.EquivalenceError:
    raise
  except Exception as error:
    line = source_lines.user_line_of_traceback(error.__traceback__)
    if not line.filename:  # No code of the user's.
      raise
    raise errors.UsageError(
      f'The code of the model failed: {text_lib.of_error(error)}\n  at {line}'
    ) from error


class _Inference:
  """One look at both sides."""

  def __init__(self, request: Request):
    self.request = request
    self.given = specs_lib.parse(request.inputs)
    self.said: list[str] = []
    self.folder = os.path.dirname(request.path)
    self.modules: list[Module] = []

  def run(self) -> Inferred:
    """Drafts the class step by step."""
    request = self.request
    first = self._load_tf1()
    second = self._load_tf2()
    draft = Draft(
      (request.tf1, request.tf2),
      tuple(self.modules),
      _class_name(request.tf2),
      reference=first.reference,
      build_tf2=second.build,
      flags=_uses_flags(self.modules),
      keras_3=second.is_keras_3,
    )
    if draft.flags and not flags.FLAGS.is_parsed():
      flags.FLAGS.mark_as_parsed()
    attribute, bound = '', {}
    search = input_search.InputSearch(request, self.given, self.said)
    if first.makes_placeholders:
      attribute, inputs, bound = search.of_placeholders(draft, first)
    else:
      inputs = search.of_sides(first, second)
    draft = dataclasses.replace(draft, inputs=tuple(inputs))
    if first.is_code:
      draft = dataclasses.replace(
        draft,
        build_tf1=method_code.build_tf1(
          request, first, inputs, attribute, bound
        ),
      )
    draft = dataclasses.replace(
      draft, call_tf2=tuple(method_code.call_tf2(draft, second))
    )
    draft, seen1 = self._with_tf1(draft)
    draft, seen2 = self._with_tf2(draft)
    draft = self._aligned(draft, first, second, seen1, seen2)
    draft = self._named(draft, seen1, seen2)
    return self._tested(draft, first, second, seen1)

  # What both sides are.

  def _load_tf1(self) -> tf1_side.Tf1Side:
    request = self.request
    given = parameters.given_values(request.tf1_args, '--tf1_args')
    export = tf1_side.of_export(request.tf1, self.folder)
    if export is not None:
      return export
    where = request.tf1.rpartition(':')[0]
    path = importing.path_of(where) if where else ''
    same = path and path == importing.path_of(request.tf2.rpartition(':')[0])
    old = tf1_names.found_in(path) if path and not same else []
    if old:
      self.said.append(
        f'{where} names TF1 alone ({listed(old, _SAID_NAMES)}): what it calls '
        'tensorflow is tf.compat.v1'
      )
    symbol = importing.symbol(request.tf1, tf1_names=bool(old))
    self._add_module(symbol, bool(old))
    found = tf1_side.of_symbol(
      symbol, given, [each.name for each in self.given]
    )
    if found.training:
      self.said.append(f'training flag: {found.training} in TF1')
    return found

  def _load_tf2(self) -> tf2_side.Tf2Side:
    request = self.request
    given = parameters.given_values(request.tf2_args, '--tf2_args')
    symbol = importing.symbol(request.tf2)
    self._add_module(symbol, False)
    return tf2_side.of_symbol(symbol, given, [each.name for each in self.given])

  def _add_module(self, symbol: importing.Symbol, old: bool) -> None:
    if symbol.path:
      folder, name = importing.place_of(symbol.path)
    else:
      folder, name = os.getcwd(), symbol.module.__name__
    if any(each.name == name for each in self.modules):
      return
    self.modules.append(Module(name, folder, old))

  # What building the sides tells.

  def _with_tf1(self, draft: Draft) -> tuple[Draft, probe.Side]:
    case = probe.test_class(draft, self.request.path)()
    try:
      seen = probe.tf1(case)
    except errors.EquivalenceError:
      raise
    except Exception as error:
      raise errors.UsageError(_failed('TF1', draft, error)) from error
    return self._ranged(draft, seen.limits), seen

  def _with_tf2(self, draft: Draft) -> tuple[Draft, probe.Side]:
    case = probe.test_class(draft, self.request.path)()
    try:
      seen = probe.tf2(case)
    except errors.EquivalenceError:
      raise
    except Exception as error:
      raise errors.UsageError(_failed('TF2', draft, error)) from error
    rows = tf2_side.embedding_sizes(seen.model)
    left = [x for x in draft.inputs if x.is_integer and x.high is None]
    if len(left) == 1 and rows:
      why = f'an Embedding of TF2 has {min(rows)} rows'
      draft = _replaced(
        draft,
        dataclasses.replace(
          left[0], low=0, high=min(rows) - 1, range_source=why
        ),
      )
    for each in draft.inputs:
      if each.is_integer and each.high is None and not each.range_source:
        draft = _replaced(
          draft,
          dataclasses.replace(
            each, low=0, high=1, range_source='nothing says what it may be'
          ),
        )
    for each in draft.inputs:
      if each.source or each.range_source:
        reasons = filter(None, (each.source, each.range_source))
        self.said.append(f'input {each.text}: {"; ".join(reasons)}')
    return draft, seen

  def _ranged(
    self, draft: Draft, limits: Mapping[str, tuple[int, str]]
  ) -> Draft:
    """Gives integer inputs the ranges that the graph of TF1 tells."""
    for each in draft.inputs:
      path = '' if draft.is_bare else f'[{each.name!r}]'
      if not each.is_integer or each.high is not None:
        continue
      if path in limits:
        most, why = limits[path]
        each = dataclasses.replace(each, low=0, high=most, range_source=why)
      elif 'len' in each.name and len(each.shape) == 1:
        steps = [x.shape[1] for x in draft.inputs if len(x.shape) > 1]
        if steps:
          each = dataclasses.replace(
            each, low=1, high=steps[0], range_source='lengths, by its name'
          )
      draft = _replaced(draft, each)
    return draft

  def _aligned(
    self,
    draft: Draft,
    first: tf1_side.Tf1Side,
    second: tf2_side.Tf2Side,
    seen1: probe.Side,
    seen2: probe.Side,
  ) -> Draft:
    """Brings the outputs of both sides into the same form."""
    take1, take2 = outputs_lib.align(
      seen1.outputs, seen2.outputs, fixed=not first.is_code
    )
    if take1:
      self.said.append(f'outputs of TF1: {take1}')
      lines = list(draft.build_tf1)
      at = next(
        i for i, x in enumerate(lines) if x.lstrip().startswith('return')
      )
      margin = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
      lines[at] = lines[at].replace('return ', 'outputs = ', 1)
      lines.insert(at + 1, f'{margin}return {take1}')
      draft = dataclasses.replace(draft, build_tf1=tuple(lines))
    if take2:
      self.said.append(f'outputs of TF2: {take2}')
      lines = list(draft.call_tf2)
      if not lines:
        flag = ', training=training' if second.training else ''
        lines = [f'return model(inputs{flag})']
      lines[-1] = lines[-1].replace('return ', 'outputs = ', 1)
      draft = dataclasses.replace(draft, call_tf2=(*lines, f'return {take2}'))
    return draft

  def _named(self, draft: Draft, seen1: probe.Side, seen2: probe.Side) -> Draft:
    """Says which variables correspond."""
    skipped = names.ignored(seen1.variables, seen2.variables)
    if skipped:
      self.said.append(f'ignored variables: {", ".join(skipped)}')
      draft = dataclasses.replace(draft, ignored=skipped)
    compared = [
      each
      for each in seen1.variables
      if f'^{re.escape(each.name)}$' not in skipped
    ]
    suggestion = names.suggest(compared, seen2.variables)
    if suggestion is None or not suggestion.names:
      return draft
    every = [each.name for each in compared]
    unsure = [n for n in suggestion.unsure if n in suggestion.names]
    said = f'names: {len(suggestion.names)} of {len(every)} variables renamed'
    if unsure:
      said += (
        f', {len(unsure)} of them by order only ({listed(unsure, _SAID_NAMES)})'
      )
    self.said.append(said)
    return dataclasses.replace(
      draft,
      renames=tuple(names.rename_lines(suggestion, every)),
      convert=tuple(
        names.convert_lines(suggestion, seen1.variables, seen2.variables)
      ),
    )

  def _tested(
    self,
    draft: Draft,
    first: tf1_side.Tf1Side,
    second: tf2_side.Tf2Side,
    seen1: probe.Side,
  ) -> Inferred:
    """Chooses the tests."""
    flag = any('training' in line for line in draft.build_tf1)
    chosen = guide.choose(
      self.request.wanted,
      guide.Facts(
        takes_training=flag
        or bool(second.training)
        or first.kind == 'model_fn',
        is_native=bool(draft.renames) or second.is_keras_3,
        has_variables=bool(seen1.variables),
        has_own_optimizer=first.kind == 'model_fn',
      ),
    )
    self.said += chosen.said
    draft = dataclasses.replace(
      draft, tests=chosen.tests, optimizer=bool(self.request.wanted.steps)
    )
    return Inferred(draft, (first.kind, second.kind), tuple(self.said))


def _failed(side: str, draft: Draft, error: Exception) -> str:
  """Says in short why a side could not be built, and with what."""
  line = source_lines.user_line_of_traceback(error.__traceback__)
  guessed = [each.text for each in draft.inputs if each.source]
  lines = [f'The {side} side could not be built: {text_lib.of_error(error)}']
  if line.filename:
    lines.append(f'  at {line}')
  lines.append(
    f'  with inputs {listed([x.text for x in draft.inputs], _MAX_NAMES)}'
    + (' (inferred; others are given with --inputs)' if guessed else '')
  )
  return '\n'.join(lines)


def _replaced(draft: Draft, changed: Input) -> Draft:
  return dataclasses.replace(
    draft,
    inputs=tuple(
      changed if x.name == changed.name else x for x in draft.inputs
    ),
  )


def _class_name(text: str) -> str:
  name = text.rpartition(':')[2].rpartition('.')[2]
  parts = [part for part in name.split('_') if part]
  return ''.join(p[:1].upper() + p[1:] for p in parts) + 'MigrationTest'


def _uses_flags(modules: Sequence[Module]) -> bool:
  """Returns whether a module reads flags of absl."""
  for each in modules:
    module = sys.modules.get(each.name)
    found = getattr(module, 'FLAGS', None)
    if found is flags.FLAGS or (
      found is not None and type(found).__name__ == '_FlagValuesWrapper'
    ):
      return True
    try:
      source = inspect.getsource(module) if module else ''
    except (OSError, TypeError):
      source = ''
    if 'flags.FLAGS' in source:
      return True
  return False
