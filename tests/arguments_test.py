"""Whatever is given for an argument of the public names, one error says so.

A table names the kind of each argument of all public callables; for each kind
there are values that are none. The error names the argument and the value.
"""

import inspect
import os
import re
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests import argument_tables
from tf_equiv import class_state, converters
from tf_equiv.core import arguments

v1 = tf.compat.v1


# What is called otherwise in messages.
_NAMED = {
  ('assertCheckpointEquivalent', 'path'): 'checkpoint',
  ('convert_checkpoint', 'tf1_path'): 'checkpoint',
  ('deterministic_seeds', 'mode'): 'seed_mode',
}
# Names of __all__ that are made by the package, or are no callables.
_RESULTS = (
  'ConvertedCheckpoint',
  'Draw',
  'EnvironmentSetupError',
  'EquivalenceError',
  'GuideSteps',
  'MigrationTestCase',
  'ModelCodeError',
  'RenameSuggestion',
  'SEED_MODES',
  'SeedMode',
  'UsageError',
  'VARIANTS',
  'VariableCreationError',
  'Verdict',
  'converters',
)


def cases(table):
  return [
    {'testcase_name': f'{name}_{argument}', 'name': name, 'argument': argument}
    for name, kinds in table.items()
    for argument, kind in kinds.items()
    if kind is not None
  ]


def parameters(function):
  found = inspect.signature(function).parameters
  return [name for name in found if name != 'self']


class ArgumentsTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.addClassCleanup(class_state.end, argument_tables.Case)
    cls.folder = folder.name
    with tf.Graph().as_default(), v1.Session() as v1_session:
      v1.get_variable('w', [2])
      v1_session.run(v1.global_variables_initializer())
      prefix = os.path.join(folder.name, 'tf1')
      cls.checkpoint = v1.train.Saver().save(v1_session, prefix)

  def assertRefused(self, function, argument, kind, called=None):
    for value in argument_tables.NOT[kind]:
      with self.subTest(value=arguments.quoted(value)):
        with self.assertRaises(tf_equiv.UsageError) as caught:
          function(**{argument: value})
        message = str(caught.exception)
        self.assertIn(called or argument, message)
        self.assertLess(len(message), 1000)

  @parameterized.named_parameters(cases(argument_tables.ASSERTIONS))
  def test_assertion(self, name, argument):
    def function(**given):
      if name == 'assertCheckpointEquivalent':
        given.setdefault('path', self.checkpoint)
      getattr(argument_tables.Case(), name)(**given)

    kind = argument_tables.ASSERTIONS[name][argument]
    self.assertRefused(function, argument, kind, _NAMED.get((name, argument)))

  @parameterized.parameters(*argument_tables.ATTRIBUTES.items())
  def test_attribute(self, attribute, kind):
    def function(**given):
      case = argument_tables.Case()
      for name, value in given.items():
        setattr(case, name, value)
      case.assertForwardEquivalent()

    self.assertRefused(function, attribute, kind)

  @parameterized.named_parameters(cases(argument_tables.FUNCTIONS))
  def test_function(self, name, argument):
    function = getattr(tf_equiv, name)
    if name == 'convert_checkpoint':
      good = {
        'tf1_path': self.checkpoint,
        'model': argument_tables.Module(),
        'output': os.path.join(self.folder, 'tf2'),
      }
    elif name == 'write_report':
      verdict = argument_tables.Case().assertForwardEquivalent()
      good = {'verdict': verdict, 'directory': self.folder}
    else:
      good = argument_tables.required(function)
      if name == 'suggest_renames':
        good['tf2'] = {'b': (2,)}
    kind = argument_tables.FUNCTIONS[name][argument]
    before = sorted(os.listdir(self.folder))
    self.assertRefused(
      lambda **given: function(**{**good, **given}),
      argument,
      kind,
      _NAMED.get((name, argument)),
    )
    self.assertEqual(sorted(os.listdir(self.folder)), before)

  @parameterized.named_parameters(cases(argument_tables.CONVERTERS))
  def test_converter(self, name, argument):
    function = getattr(converters, name)
    good = argument_tables.required(function)
    self.assertRefused(
      lambda **given: function(**{**good, **given}),
      argument,
      argument_tables.CONVERTERS[name][argument],
    )

  def test_converters_of_a_mapping(self):
    with self.assertRaisesRegex(tf_equiv.UsageError, 'converters must be.*1'):
      converters.Mapping({}, 1)

  def test_the_weights_of_a_constant(self):
    weights = tf_equiv.constant_weights()
    self.assertRefused(
      lambda shape: weights('a', shape, 'float32'), 'shape', 'shape'
    )
    self.assertRefused(
      lambda dtype: weights('a', (2,), dtype), 'dtype', 'dtype'
    )

  def test_operation_seed(self):
    with tf_equiv.deterministic_seeds() as seeds:
      self.assertRefused(
        lambda **given: setattr(seeds, *list(given.items())[0]),
        'operation_seed',
        'seed',
      )

  @parameterized.parameters('assertForwardEquivalent', 'assertGradientsClose')
  def test_numbers_and_flags_of_numpy_will_do(self, name):
    verdict = getattr(argument_tables.Case(), name)(
      training=np.bool_(False),
      rtol=np.float32(1e-5),
      atol=np.int64(0),
      equal_nan=np.bool_(True),
    )
    self.assertTrue(verdict.passed)

  def test_the_table_has_all_that_is_public(self):
    self.assertCountEqual(
      [*argument_tables.FUNCTIONS, *_RESULTS], tf_equiv.__all__
    )
    self.assertCountEqual(argument_tables.CONVERTERS, converters.__all__)
    names = [
      n for n in dir(argument_tables.Case) if re.match('assert|locate', n)
    ]
    inherited = dir(tf.test.TestCase)
    self.assertCountEqual(
      argument_tables.ASSERTIONS, [n for n in names if n not in inherited]
    )
    for owner, table in (
      (tf_equiv, argument_tables.FUNCTIONS),
      (converters, argument_tables.CONVERTERS),
      (argument_tables.Case, argument_tables.ASSERTIONS),
    ):
      for name, kinds in table.items():
        found = parameters(getattr(owner, name))
        self.assertCountEqual(found, kinds, name)


class ChecksTest(absltest.TestCase):
  def test_long_values_are_cut(self):
    message = str(arguments.wrong('path', 'a path', 'x' * 100000))
    self.assertLess(len(message), 300)
    self.assertStartsWith(message, "path must be a path, got 'xxx")

  def test_what_cannot_be_shown_is_named_by_its_type(self):
    self.assertEqual(
      arguments.quoted(argument_tables.Unprintable()),
      'a Unprintable that cannot be shown',
    )

  def test_plain_types_are_returned(self):
    for found, expected in (
      (arguments.check_bool(np.bool_(True), 'a'), True),
      (arguments.check_count(np.int32(3), 'a'), 3),
      (arguments.check_number(np.float16(0.5), 'a'), 0.5),
      (arguments.check_shape([np.int64(2)], 'a'), (2,)),
      (arguments.check_path(os.path.join('a', 'b'), 'a'), 'a/b'),
    ):
      self.assertEqual(found, expected)
      self.assertIs(type(found), type(expected))


if __name__ == '__main__':
  absltest.main()
