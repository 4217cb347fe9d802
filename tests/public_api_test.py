"""The public names and signatures, which tests of other people depend on."""

import configparser
import copy
import dataclasses
import inspect
import os
import sys
import tempfile
import types

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv import public

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))

_ERRORS = (
  'EnvironmentSetupError',
  'ModelCodeError',
  'UsageError',
  'VariableCreationError',
)
_NAMES = (
  *_ERRORS,
  'ConvertedCheckpoint',
  'convert_checkpoint',
  'Draw',
  'EquivalenceError',
  'FrozenGraph',
  'Golden',
  'GuideSteps',
  'InProcess',
  'MetaGraph',
  'MigrationTestCase',
  'RenameSuggestion',
  'SavedModel',
  'SEED_MODES',
  'SeedMode',
  'VARIANTS',
  'TF1Behavior',
  'Tf1Interpreter',
  'Verdict',
  'assert_no_variable_creations',
  'bound_placeholders',
  'catch_created_variables',
  'constant_weights',
  'deterministic_seeds',
  'from_model_fn',
  'named_weights',
  'suggest_renames',
  'tf1_imports',
  'track_tf1_style_variables',
  'write_report',
)

_MODULES = ('converters',)

_TOLERANCES = {'rtol': None, 'atol': None, 'equal_nan': False}
_ALWAYS = {'allow_empty': False, 'msg': None}
_ASSERTIONS = {
  'assertNoNewVariables': _ALWAYS,
  'assertVariablesMatch': {'training': False, **_ALWAYS},
  'assertForwardEquivalent': {
    'allow_vacuous': False,
    'allow_dormant': None,
    'training': False,
    'seed_mode': None,
    'compare_updates': True,
    'variants': 'eager',
    **_TOLERANCES,
    **_ALWAYS,
  },
  'assertTrainingEquivalent': {
    'allow_vacuous': False,
    'allow_dormant': None,
    'seed_mode': 'num_random_ops',
    'steps': 0,
    'weights': 'seeded',
    'compare_updates': True,
    'compare_hyperparameters': True,
    'variants': 'eager',
    **_TOLERANCES,
    **_ALWAYS,
  },
  'assertCheckpointEquivalent': {
    'training': False,
    'seed_mode': 'constant',
    'moving_averages': False,
    **_TOLERANCES,
    **_ALWAYS,
  },
  'assertGradientsClose': {
    'allow_vacuous': False,
    'allow_dormant': None,
    'seed_mode': 'num_random_ops',
    'training': True,
    'weights': 'fixed',
    'inputs': False,
    'variants': 'eager',
    **_TOLERANCES,
    **_ALWAYS,
  },
  'assertTrainingCurvesMatch': {
    'steps': 100,
    'seeds': 1,
    'start_step': 0,
    'seed_mode': 'num_random_ops',
    'weights': 'seeded',
    'runs': 3,
    'factor': 10.0,
    'margin': 0.5,
    'allow_vacuous': False,
    'msg': None,
    **_TOLERANCES,
  },
  'assertMetricsMatch': {
    'batches': 5,
    'training': False,
    'weights': 'fixed',
    'rtol': None,
    'atol': None,
    'equal_nan': False,
    'allow_vacuous': False,
    'msg': None,
  },
  'assertNoDormantDifferences': {
    'training': False,
    'make_probes': None,
    'msg': None,
  },
}
_TEMPLATE = {
  'make_inputs': [],
  'make_batch': ['step'],
  'build_tf1': ['inputs', 'training'],
  'build_tf2': [],
  'call_tf2': ['model', 'inputs', 'training'],
  'reset_weights': ['name', 'shape', 'dtype'],
  'rename_variable': ['tf1_name'],
  'rename_slot': ['tf1_slot'],
  'rename_hyperparameter': ['tf1_name'],
  'convert_variable': ['tf1_name', 'value', 'tf2_name'],
  'compute_loss': ['outputs', 'inputs'],
  'compute_loss_tf1': ['outputs', 'inputs'],
  'compute_loss_tf2': ['outputs', 'inputs'],
  'build_tf1_optimizer': [],
  'build_tf2_optimizer': [],
  'clip_gradients': ['gradients'],
  'clip_gradients_tf1': ['gradients'],
  'clip_gradients_tf2': ['gradients'],
  'train_tf1': ['inputs'],
  'train_tf2': ['model', 'inputs'],
  'build_metrics_tf1': ['outputs', 'inputs'],
  'build_metrics_tf2': [],
  'update_metrics_tf2': ['metrics', 'outputs', 'inputs'],
}


def parameters_of(function):
  return inspect.signature(function).parameters


class NamesTest(parameterized.TestCase):
  def test_all(self):
    self.assertEqual(list(tf_equiv.__all__), sorted(tf_equiv.__all__))
    self.assertCountEqual(tf_equiv.__all__, (*_NAMES, *_MODULES))

  def test_names_that_are_imported_late(self):
    self.assertEqual(public.__all__, tf_equiv.__all__)
    self.assertContainsSubset(tf_equiv.__all__, dir(tf_equiv))
    with self.assertRaisesRegex(AttributeError, "has no attribute 'nothing'"):
      tf_equiv.nothing  # noqa: B018

  def test_nothing_else_is_public(self):
    found = {
      name
      for name, value in vars(tf_equiv).items()
      if not name.startswith('_') and not isinstance(value, types.ModuleType)
    }
    self.assertEqual(found, set(_NAMES))

  def test_version_is_that_of_the_distribution(self):
    config = configparser.ConfigParser()
    with open(os.path.join(_ROOT, 'setup.cfg'), encoding='utf-8') as file:
      config.read_file(file)
    self.assertEqual(tf_equiv.__version__, config['metadata']['version'])

  def test_marked_as_typed(self):
    folder = os.path.dirname(tf_equiv.__file__)
    self.assertTrue(os.path.exists(os.path.join(folder, 'py.typed')))

  @parameterized.parameters(*_ERRORS)
  def test_errors_have_a_common_base(self, name):
    error = getattr(tf_equiv, name)
    self.assertTrue(issubclass(error, tf_equiv.EquivalenceError))

  def test_creating_a_variable_fails_a_test(self):
    error = tf_equiv.VariableCreationError
    self.assertTrue(issubclass(error, AssertionError))
    self.assertTrue(issubclass(error, ValueError))

  def test_seed_modes(self):
    self.assertEqual(
      [mode.value for mode in tf_equiv.SeedMode], ['constant', 'num_random_ops']
    )
    self.assertEqual(tf_equiv.SeedMode.CONSTANT, 'constant')
    self.assertEqual(tf_equiv.SeedMode.NUM_RANDOM_OPS, 'num_random_ops')


class SignaturesTest(parameterized.TestCase):
  @parameterized.named_parameters((name, name) for name in _ASSERTIONS)
  def test_assertion(self, name):
    method = getattr(tf_equiv.MigrationTestCase, name)
    this, *parameters = parameters_of(method).values()
    parameters = [p for p in parameters if p.name != 'path']
    self.assertEqual(this.name, 'self')
    self.assertEqual({p.kind for p in parameters}, {this.KEYWORD_ONLY})
    defaults = {p.name: p.default for p in parameters}
    self.assertEqual(defaults, _ASSERTIONS[name])

  def test_no_other_assertion(self):
    added = set(dir(tf_equiv.MigrationTestCase)) - set(dir(tf.test.TestCase))
    found = {name for name in added if name.startswith('assert')}
    self.assertEqual(found, set(_ASSERTIONS))

  @parameterized.named_parameters((name, name) for name in _TEMPLATE)
  def test_template_method(self, name):
    method = getattr(tf_equiv.MigrationTestCase, name)
    parameters = parameters_of(method)
    self.assertEqual(list(parameters), ['self', *_TEMPLATE[name]])
    for parameter in parameters.values():
      self.assertEqual(parameter.kind, parameter.POSITIONAL_OR_KEYWORD)
      self.assertIs(parameter.default, parameter.empty)

  def test_class_attributes(self):
    self.assertEqual(tf_equiv.MigrationTestCase.ignored_variables, ())
    self.assertEqual(
      tf_equiv.MigrationTestCase.tf1_behavior, tf_equiv.TF1Behavior()
    )
    self.assertTrue(issubclass(tf_equiv.MigrationTestCase, tf.test.TestCase))

  def test_functions(self):
    for function, expected in (
      (tf_equiv.assert_no_variable_creations, '()'),
      (tf_equiv.catch_created_variables, '()'),
    ):
      self.assertEqual(str(inspect.signature(function)), expected)
    for function, expected in (
      (tf_equiv.deterministic_seeds, {'mode': 'constant', 'seed': 42}),
      (tf_equiv.constant_weights, {'value': 0.001}),
    ):
      found = {p.name: p.default for p in parameters_of(function).values()}
      self.assertEqual(found, expected)

  def test_convert_checkpoint(self):
    required = inspect.Parameter.empty
    found = parameters_of(tf_equiv.convert_checkpoint).values()
    self.assertEqual(
      [(p.name, p.default) for p in found if p.kind is not p.KEYWORD_ONLY],
      [('tf1_path', required), ('model', required), ('optimizer', None)],
    )
    self.assertEqual(
      {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY},
      {
        'output': required,
        'rename_variable': None,
        'convert_variable': None,
        'ignored_variables': (),
        'moving_averages': False,
        'optimizer_name': None,
        'learning_rate': None,
        'iterations': None,
        'overwrite': False,
        'rename_slot': None,
      },
    )
    self.assertEqual(
      [f.name for f in dataclasses.fields(tf_equiv.ConvertedCheckpoint)],
      ['path', 'variables', 'slots', 'step', 'unused', 'fresh'],
    )


def module_state():
  """Returns {(module, name): value} of tf_equiv, with copied containers."""
  return {
    (module_name, name): copy.copy(value)
    if isinstance(value, (list, dict, set))
    else id(value)
    for module_name, module in list(sys.modules.items())
    if module_name.partition('.')[0] == 'tf_equiv'
    for name, value in vars(module).items()
    if not name.startswith('__') and not isinstance(value, types.ModuleType)
  }


class Scale(tf.Module):
  def __init__(self):
    super().__init__()
    self.w = tf.Variable([0.0, 0.0, 0.0], name='w')

  def __call__(self, x):
    return x * self.w


class StateTest(parameterized.TestCase):
  """A test cannot change what another test gets."""

  class Twice(tf_equiv.MigrationTestCase):
    def make_inputs(self):
      return np.ones((2, 3), np.float32)

    def build_tf1(self, inputs, training):
      return inputs * tf.compat.v1.get_variable('w', (3,))

    def build_tf2(self):
      return Scale()

    def build_tf1_optimizer(self):
      return tf.compat.v1.train.GradientDescentOptimizer(0.1)

    def build_tf2_optimizer(self):
      return tf.keras.optimizers.SGD(0.1)

    def build_metrics_tf1(self, outputs, inputs):
      return {'mean': tf.compat.v1.metrics.mean(outputs)}

    def build_metrics_tf2(self):
      return {'mean': tf.keras.metrics.Mean()}

    def update_metrics_tf2(self, metrics, outputs, inputs):
      metrics['mean'].update_state(outputs)

  def test_public_values_are_immutable(self):
    for name in _NAMES:
      value = getattr(tf_equiv, name)
      self.assertIsInstance(value, (type, types.FunctionType, tuple), name)
    self.assertIsInstance(tf_equiv.__all__, tuple)
    for cls in (
      tf_equiv.ConvertedCheckpoint,
      tf_equiv.Draw,
      tf_equiv.TF1Behavior,
    ):
      self.assertTrue(cls.__dataclass_params__.frozen)
    with self.assertRaises(dataclasses.FrozenInstanceError):
      tf_equiv.MigrationTestCase.tf1_behavior.control_flow_v2 = False

  def test_assertions_leave_the_modules_as_they_were(self):
    case = self.Twice()
    case.assertForwardEquivalent()  # Imports what is imported when needed.
    before = module_state()
    self.assertNotEmpty(before)
    for name in _ASSERTIONS:
      arguments = {}
      if name == 'assertCheckpointEquivalent':
        arguments['path'] = self.create_checkpoint()
      if name == 'assertTrainingEquivalent':
        arguments['weights'] = 'fixed'
      if name == 'assertTrainingCurvesMatch':
        arguments['steps'] = 2
      getattr(case, name)(**arguments)
    self.assertEqual(module_state(), before)

  def create_checkpoint(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    path = os.path.join(folder.name, 'model')
    tf.raw_ops.SaveV2(
      prefix=path,
      tensor_names=['w'],
      shape_and_slices=[''],
      tensors=[tf.constant([1.0, 2.0, 3.0])],
    )
    return path

  def test_state_of_a_test_is_its_own(self):
    case = self.Twice()
    attributes = set(vars(case))
    case.assertForwardEquivalent()
    self.assertEqual(set(vars(case)), attributes)
    first, second = case.assertVariablesMatch(), case.assertVariablesMatch()
    self.assertIsNot(first, second)
    self.assertIsNot(first.comparisons, second.comparisons)


if __name__ == '__main__':
  absltest.main()
