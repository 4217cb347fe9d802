"""A test class as code, with what was inferred of both sides."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from tf_equiv.cli.specs import Input

NET = 'inputs'


@dataclasses.dataclass(frozen=True)
class Module:
  """A module that the test imports.

  Attributes:
    name: its whole name.
    folder: where it is imported from.
    tf1_names: whether it names TF1 alone.
  """

  name: str
  folder: str
  tf1_names: bool = False

  @property
  def statement(self) -> str:
    """The import."""
    package, _, name = self.name.rpartition('.')
    return f'from {package} import {name}' if package else f'import {name}'


@dataclasses.dataclass(frozen=True)
class Draft:
  """A test class.

  Attributes:
    titles: what the user called both sides.
    modules: what it imports.
    name: its name.
    inputs: the inputs; bare where it is one without a name.
    reference: code of `tf1_reference`, '' for `build_tf1`.
    build_tf1: lines of that method.
    build_tf2: its expression.
    call_tf2: lines of that method, () for the default.
    renames: lines of `rename_variable`, () for the default.
    convert: lines of `convert_variable`, () for the default.
    ignored: `ignored_variables`.
    optimizer: whether there are training steps, with an optimizer to choose.
    tests: (name, statements) of the tests.
    flags: whether flags of absl are to be read without being parsed.
    undecided: what a user must decide, as comments on top of the class.
    keras_3: whether the TF2 side is of Keras 3.
  """

  titles: tuple[str, str]
  modules: tuple[Module, ...]
  name: str
  inputs: tuple[Input, ...] = ()
  reference: str = ''
  build_tf1: tuple[str, ...] = ()
  build_tf2: str = ''
  call_tf2: tuple[str, ...] = ()
  renames: tuple[str, ...] = ()
  convert: tuple[str, ...] = ()
  ignored: tuple[str, ...] = ()
  optimizer: bool = False
  tests: tuple[tuple[str, tuple[str, ...]], ...] = ()
  flags: bool = False
  undecided: tuple[str, ...] = ()
  keras_3: bool = False

  @property
  def is_bare(self) -> bool:
    """Whether the inputs are one array, and not a dict."""
    return len(self.inputs) == 1 and not self.inputs[0].name

  def source(self, folder: str) -> str:
    """Returns the test as a module.

    Args:
      folder: where the module will be.
    """
    body = [
      *([f'ignored_variables = {self.ignored!r}'] if self.ignored else ()),
      *([f'tf1_reference = {self.reference}'] if self.reference else ()),
    ]
    methods = [
      _method('make_inputs(self)', self._make_inputs()),
      *(
        [_method('build_tf1(self, inputs, training)', self.build_tf1)]
        if self.build_tf1
        else ()
      ),
      _method('build_tf2(self)', [f'return {self.build_tf2}']),
    ]
    for signature, lines in (
      ('call_tf2(self, model, inputs, training)', self.call_tf2),
      ('rename_variable(self, tf1_name)', self.renames),
      ('convert_variable(self, tf1_name, value, tf2_name)', self.convert),
    ):
      if lines:
        methods.append(_method(signature, lines))
    if self.optimizer:
      methods += [
        _method(
          'build_tf1_optimizer(self)',
          [
            '# Take the optimizer and the schedule of your training script.',
            'return tf.compat.v1.train.GradientDescentOptimizer(0.01)',
          ],
        ),
        _method(
          'build_tf2_optimizer(self)',
          [f'return {"" if self.keras_3 else "tf."}keras.optimizers.SGD(0.01)'],
        ),
      ]
    methods += [
      _method(f'{name}(self)', statements) for name, statements in self.tests
    ]
    comments = [f'# {line}' for line in self.undecided]
    parts = [
      *_imports(self, folder),
      '',
      '',
      *comments,
      f'class {self.name}(tf_equiv.MigrationTestCase):',
      *_indented(body),
      *([''] if body else ()),
      '\n\n'.join(methods),
      '',
      '',
      "if __name__ == '__main__':",
      '  absltest.main()',
      '',
    ]
    return '\n'.join(parts)

  @property
  def uses_tensorflow(self) -> bool:
    """Whether its code names `tf`."""
    code = [*self.build_tf1, *self.call_tf2, *self._make_inputs()]
    return self.optimizer or any('tf.' in line for line in code)

  def _make_inputs(self) -> list[str]:
    lines = ['random = np.random.default_rng(0)']
    if all('random.' not in each.expression() for each in self.inputs):
      lines = []
    if self.is_bare:
      return [*lines, f'return {self.inputs[0].expression()}']
    entries = [f'  {x.name!r}: {x.expression()},' for x in self.inputs]
    return [*lines, 'return {', *entries, '}']


def input_codes(inputs: Sequence[Input]) -> Mapping[str, str]:
  """Returns the code of each input in a template method, by its name."""
  if len(inputs) == 1 and not inputs[0].name:
    return {'': NET}
  return {each.name: f'{NET}[{each.name!r}]' for each in inputs}


def _imports(draft: Draft, folder: str) -> list[str]:
  """Returns the lines above the class."""
  first, second = draft.titles
  modules = list(dict.fromkeys(draft.modules))
  elsewhere = sorted(
    {
      os.path.relpath(each.folder, folder).replace(os.sep, '/')
      for each in modules
    }
    - {'.'}
  )
  standard = []
  if elsewhere or 'os.path' in draft.reference:
    standard.append('import os')
  if elsewhere:
    standard.append('import sys')
  libraries = [
    'import tf_equiv  # isort: skip (before tensorflow)',
    *(['import keras'] if draft.keras_3 and draft.optimizer else ()),
    'import numpy as np',
    *(['import tensorflow as tf'] if draft.uses_tensorflow else ()),
    *(['from absl import flags'] if draft.flags else ()),
    'from absl.testing import absltest',
  ]
  folders = [
    f'sys.path.insert(0, os.path.join(_FOLDER, {each!r}))' for each in elsewhere
  ]
  if folders:
    folders.insert(0, '_FOLDER = os.path.dirname(os.path.abspath(__file__))')
  old = sorted({each.statement for each in modules if each.tf1_names})
  new = sorted({each.statement for each in modules} - {*old})
  if old:
    old = [
      '# Written for TensorFlow 1: what it calls tensorflow is tf.compat.v1.',
      'with tf_equiv.tf1_imports():',
      *_indented(old),
    ]
  flags = ['flags.FLAGS.mark_as_parsed()'] if draft.flags else []
  blocks = [
    [f'"""Does {second} compute what {first} does?"""'],
    standard,
    libraries,
    folders,
    old,
    new,
    flags,
  ]
  lines: list[str] = []
  for block in filter(None, blocks):
    lines += [*([''] if lines else ()), *block]
  return lines


def _method(signature: str, lines: Sequence[str]) -> str:
  return '\n'.join([f'  def {signature}:', *_indented(lines, '    ')])


def _indented(lines: Sequence[str], by: str = '  ') -> list[str]:
  return [
    by + part if part else part for line in lines for part in line.split('\n')
  ]
