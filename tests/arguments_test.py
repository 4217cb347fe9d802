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

from tf_equiv import converters, session
from tf_equiv.core import arguments

v1 = tf.compat.v1


class _Unprintable:
  def __repr__(self):
    raise ValueError('no')


_NAN, _INF, _HUGE = float('nan'), float('inf'), 2**70
_ARRAY = np.array([1, 2])
# Values that are none of a kind.
_NOT = {
  'flag': ['x', '', None, 0, 1, 1.0, [], _ARRAY, _NAN, _Unprintable()],
  'optional flag': ['x', 0, 1, [], _ARRAY],
  'tolerance': ['x', '', True, [], _ARRAY, -1, _NAN, _INF, -_INF, 1j, 10**400],
  'steps': ['x', None, True, -1, 1.5, _NAN, _INF, _HUGE, [], _ARRAY],
  'seed': ['x', None, True, 1.5, _NAN, _INF, _HUGE, -_HUGE, [], _ARRAY],
  'seed mode': ['x', '', 1, True, [], {}, _ARRAY, _NAN],
  'weights': ['x', '', None, 1, True, [], _ARRAY],
  'variants': ['x', '', None, 1, [], ['eager', 1], [_ARRAY], {'eager': 1}],
  'path': ['', None, 1, True, [], b'bytes', 'a\0b', _ARRAY],
  'optional path': ['', 1, True, [], b'bytes', 'a\0b'],
  'name': ['', None, 1, True, [], b'bytes', ['a']],
  'optional name': ['', 1, True, [], b'bytes'],
  'optional word': ['x', '', 1, [], _ARRAY],
  'names': ['', 'x', None, 1, [], [1], [''], {'a': 1}],
  'three names': ['x', None, 1, [], ['a', 'b'], ['a', 'b', 1]],
  'several': ['x', None, 1, [1], [''], {'a': 1}],
  'tags': [None, 1, [1], [''], {'a': 1}],
  'patterns': ['x', None, 1, True, ['('], [1], [None], {'a': 1}],
  'number': ['x', None, True, _NAN, _INF, -_INF, 10**400, 1j, [], _ARRAY],
  'optional number': ['x', True, _NAN, _INF, 1j, [], _ARRAY],
  'seconds': ['x', None, True, 0, -1, _NAN, _INF, 1e30, [], _ARRAY],
  'size': ['x', None, True, 0, -1, 1.5, _NAN, _HUGE, [], _ARRAY],
  'optional size': ['x', True, 0, -1, 1.5, _NAN, _HUGE, [], _ARRAY],
  'optional count': ['x', True, -1, 1.5, _NAN, _HUGE, [], _ARRAY],
  'shape': ['x', None, 1, [-1], [None], [1.5], [True], ['a']],
  'dtype': ['x', None, [1], _ARRAY],
  'function': ['x', 1, None, []],
  'optional function': ['x', 1, True, []],
  'reference': ['x', 1, []],
  'verdict': ['x', 1, None, []],
  'variables': ['x', 1, None, True, [1], {'a': 'x'}, {1: (2,)}, {'a': [1.5]}],
  'environment': ['x', 1, [], {'a': 1}, {1: 'a'}, {'a=b': 'c'}, {'a': 'b\0'}],
  'feeds': ['x', 1, []],
  'renames': ['x', 1, [], {'a': 1}, {1: 'a'}, {'a': ''}, {'a': ['b', 1]}],
  'scopes': ['x', None, 1, [], {'keys': 'a'}, {'query': 1}, {'query': ''}],
  'tables': ['x', None, 1, [], {'a': 1}, {1: {}}],
}
# Kind of each argument of each public callable; None for those that take
# whatever is given, and for those whose errors tests of their own look at.
_COMPARING = {
  'rtol': 'tolerance',
  'atol': 'tolerance',
  'equal_nan': 'flag',
  'allow_empty': 'flag',
  'msg': None,
}
_ASSERTIONS = {
  'assertNoNewVariables': {'allow_empty': 'flag', 'msg': None},
  'assertVariablesMatch': {
    'training': 'flag',
    'allow_empty': 'flag',
    'msg': None,
  },
  'assertForwardEquivalent': {
    'training': 'flag',
    'seed_mode': 'seed mode',
    'compare_updates': 'flag',
    'variants': 'variants',
    'allow_vacuous': 'flag',
    'allow_dormant': 'optional flag',
    **_COMPARING,
  },
  'assertTrainingEquivalent': {
    'seed_mode': 'seed mode',
    'steps': 'steps',
    'weights': 'weights',
    'compare_updates': 'flag',
    'compare_hyperparameters': 'flag',
    'variants': 'variants',
    'allow_vacuous': 'flag',
    'allow_dormant': 'optional flag',
    **_COMPARING,
  },
  'assertGradientsClose': {
    'seed_mode': 'seed mode',
    'training': 'flag',
    'weights': 'weights',
    'inputs': 'flag',
    'variants': 'variants',
    'allow_vacuous': 'flag',
    'allow_dormant': 'optional flag',
    **_COMPARING,
  },
  'assertCheckpointEquivalent': {
    'path': 'path',
    'training': 'flag',
    'seed_mode': 'seed mode',
    'moving_averages': 'flag',
    **_COMPARING,
  },
  'assertNoDormantDifferences': {
    'training': 'flag',
    'make_probes': None,
    'msg': None,
  },
  'locateDivergence': {
    'training': 'flag',
    'seed_mode': 'seed mode',
    'weights': 'weights',
    'gradients': 'flag',
  },
}
_ATTRIBUTES = {
  'ignored_variables': 'patterns',
  'tf1_update_ops': 'flag',
  'tf1_behavior': 'verdict',
  'tf1_reference': 'reference',
  'share_tf2_models': 'flag',
  'allow_dormant': 'flag',
}
_GRAPH = {
  'inputs': None,
  'outputs': None,
  'feeds': 'feeds',
  'training_feeds': 'feeds',
  'allow_file_ops': 'flag',
  'trust_ops': 'several',
  'timeout': 'seconds',
}
_TRAINED = {'train_op': 'optional name', 'loss': 'optional name'}
_CELL = {'tf1_scope': 'name', 'tf2_layer': 'name'}
_FUNCTIONS = {
  'FrozenGraph': {'path': 'path', 'variables': 'several', **_GRAPH},
  'Golden': {
    'path': 'path',
    'source': 'reference',
    'keep': 'several',
    'update': 'optional flag',
    'trust_ops': 'several',
  },
  'InProcess': {'share_graphs': 'flag'},
  'MetaGraph': {
    'path': 'path',
    'checkpoint': 'optional path',
    **_GRAPH,
    **_TRAINED,
  },
  'SavedModel': {
    'export_dir': 'path',
    'signature': 'optional name',
    'tags': 'tags',
    **_GRAPH,
    **_TRAINED,
  },
  'TF1Behavior': {
    'tensor_equality': 'flag',
    'resource_variables': 'flag',
    'control_flow_v2': 'flag',
    'v2_tensorshape': 'flag',
  },
  'Tf1Interpreter': {
    'model': 'name',
    'python': 'optional path',
    'sys_path': 'several',
    'timeout': 'seconds',
    'env': 'environment',
  },
  'assert_no_variable_creations': {},
  'catch_created_variables': {},
  'constant_weights': {'value': 'number'},
  'convert_checkpoint': {
    'tf1_path': 'path',
    'model': 'function',
    'optimizer': 'reference',
    'output': 'path',
    'rename_variable': 'optional function',
    'convert_variable': 'optional function',
    'ignored_variables': 'patterns',
    'moving_averages': 'flag',
    'optimizer_name': 'optional name',
    'learning_rate': 'optional number',
    'iterations': 'optional count',
    'overwrite': 'flag',
  },
  'deterministic_seeds': {'mode': 'seed mode', 'seed': 'seed'},
  'from_model_fn': {
    'model_fn': 'function',
    'params': None,
    'mode': 'optional word',
    'config': None,
  },
  'named_weights': {'name': 'name', 'shape': 'shape', 'dtype': 'dtype'},
  'suggest_renames': {'tf1': 'variables', 'tf2': 'variables'},
  'track_tf1_style_variables': {'method': 'function'},
  'write_report': {'verdict': 'verdict', 'directory': 'path'},
}
_CONVERTERS = {
  'Attention': {
    'tf1_scopes': 'scopes',
    'tf2_layer': 'name',
    'heads': 'size',
    'output': 'name',
  },
  'BatchNorm': _CELL,
  'Converter': {'targets': 'tables'},
  'CudnnLSTM': {
    'tf1_name': 'name',
    'tf2_layers': 'names',
    'input_size': 'size',
    'units': 'size',
  },
  'FusedQKV': {
    'tf1_scope': 'name',
    'tf2_layers': 'three names',
    'heads': 'optional size',
  },
  'GRU': {**_CELL, 'reset_after': 'flag'},
  'LSTM': {**_CELL, 'forget_bias': 'number'},
  'Mapping': {'names': 'renames', 'converters': None},
  'SeparableConv': {
    'tf1_scope': 'name',
    'depthwise': 'name',
    'pointwise': 'optional name',
    'bias': 'optional name',
  },
}
# Good values of arguments that have no default, by callable or for all.
_GOOD = {
  'dtype': 'float32',
  'export_dir': 'folder',
  'heads': 2,
  'input_size': 2,
  'method': lambda self: None,
  'model_fn': lambda features, labels, mode: None,
  'name': 'a',
  'path': 'file',
  'shape': (2,),
  'targets': {},
  'tf1': {'a': (2,)},
  'tf1_name': 'a',
  'tf1_scope': 'a',
  'tf1_scopes': {'query': 'a'},
  'tf2_layer': 'b',
  'tf2_layers': ['a', 'b', 'c'],
  'depthwise': 'b',
  'units': 2,
}
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


class Module(tf.Module):
  def __init__(self):
    super().__init__()
    self.w = tf.Variable([1.0, 2.0], name='w')

  def __call__(self, x):
    return x * self.w


class Case(tf_equiv.MigrationTestCase):
  def runTest(self):
    """The case is used without a runner."""

  def make_inputs(self):
    return np.array([[3.0, -4.0]], np.float32)

  def build_tf1(self, inputs, training):
    return inputs * v1.get_variable('w', [2])

  def build_tf2(self):
    return Module()


def cases(table):
  return [
    {'testcase_name': f'{name}_{argument}', 'name': name, 'argument': argument}
    for name, kinds in table.items()
    for argument, kind in kinds.items()
    if kind is not None
  ]


def required(function):
  """Returns good values for the arguments that have no default."""
  return {
    name: 'b' if name == 'model' else _GOOD[name]
    for name, p in inspect.signature(function).parameters.items()
    if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
  }


def parameters(function):
  found = inspect.signature(function).parameters
  return [name for name in found if name != 'self']


class ArgumentsTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.addClassCleanup(session.end, Case)
    cls.folder = folder.name
    with tf.Graph().as_default(), v1.Session() as v1_session:
      v1.get_variable('w', [2])
      v1_session.run(v1.global_variables_initializer())
      prefix = os.path.join(folder.name, 'tf1')
      cls.checkpoint = v1.train.Saver().save(v1_session, prefix)

  def assertRefused(self, function, argument, kind, called=None):
    for value in _NOT[kind]:
      with self.subTest(value=arguments.quoted(value)):
        with self.assertRaises(tf_equiv.UsageError) as caught:
          function(**{argument: value})
        message = str(caught.exception)
        self.assertIn(called or argument, message)
        self.assertLess(len(message), 1000)

  @parameterized.named_parameters(cases(_ASSERTIONS))
  def test_assertion(self, name, argument):
    def function(**given):
      if name == 'assertCheckpointEquivalent':
        given.setdefault('path', self.checkpoint)
      getattr(Case(), name)(**given)

    kind = _ASSERTIONS[name][argument]
    self.assertRefused(function, argument, kind, _NAMED.get((name, argument)))

  @parameterized.parameters(*_ATTRIBUTES.items())
  def test_attribute(self, attribute, kind):
    def function(**given):
      case = Case()
      for name, value in given.items():
        setattr(case, name, value)
      case.assertForwardEquivalent()

    self.assertRefused(function, attribute, kind)

  @parameterized.named_parameters(cases(_FUNCTIONS))
  def test_function(self, name, argument):
    function = getattr(tf_equiv, name)
    if name == 'convert_checkpoint':
      good = {
        'tf1_path': self.checkpoint,
        'model': Module(),
        'output': os.path.join(self.folder, 'tf2'),
      }
    elif name == 'write_report':
      verdict = Case().assertForwardEquivalent()
      good = {'verdict': verdict, 'directory': self.folder}
    else:
      good = required(function)
      if name == 'suggest_renames':
        good['tf2'] = {'b': (2,)}
    kind = _FUNCTIONS[name][argument]
    before = sorted(os.listdir(self.folder))
    self.assertRefused(
      lambda **given: function(**{**good, **given}),
      argument,
      kind,
      _NAMED.get((name, argument)),
    )
    self.assertEqual(sorted(os.listdir(self.folder)), before)

  @parameterized.named_parameters(cases(_CONVERTERS))
  def test_converter(self, name, argument):
    function = getattr(converters, name)
    good = required(function)
    self.assertRefused(
      lambda **given: function(**{**good, **given}),
      argument,
      _CONVERTERS[name][argument],
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
    verdict = getattr(Case(), name)(
      training=np.bool_(False),
      rtol=np.float32(1e-5),
      atol=np.int64(0),
      equal_nan=np.bool_(True),
    )
    self.assertTrue(verdict.passed)

  def test_the_table_has_all_that_is_public(self):
    self.assertCountEqual([*_FUNCTIONS, *_RESULTS], tf_equiv.__all__)
    self.assertCountEqual(_CONVERTERS, converters.__all__)
    names = [n for n in dir(Case) if re.match('assert|locate', n)]
    inherited = dir(tf.test.TestCase)
    self.assertCountEqual(_ASSERTIONS, [n for n in names if n not in inherited])
    for owner, table in (
      (tf_equiv, _FUNCTIONS),
      (converters, _CONVERTERS),
      (Case, _ASSERTIONS),
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
      arguments.quoted(_Unprintable()), 'a _Unprintable that cannot be shown'
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
