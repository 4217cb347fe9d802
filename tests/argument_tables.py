"""What each argument of the public names takes, and what is none of it."""

import inspect

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


class Unprintable:
  def __repr__(self):
    raise ValueError('no')


_NAN, _INF, _HUGE = float('nan'), float('inf'), 2**70
_ARRAY = np.array([1, 2])
# Values that are none of a kind.
NOT = {
  'flag': ['x', '', None, 0, 1, 1.0, [], _ARRAY, _NAN, Unprintable()],
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
  'values by name': ['x', None, 1, [], {1: 1}, {'': 1}, {'a': None}],
}
# Kind of each argument of each public callable; None for those that take
# whatever is given, and for those whose errors tests of their own look at.
COMPARING = {
  'rtol': 'tolerance',
  'atol': 'tolerance',
  'equal_nan': 'flag',
  'allow_empty': 'flag',
  'msg': None,
}
ASSERTIONS = {
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
    **COMPARING,
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
    **COMPARING,
  },
  'assertTrainingCurvesMatch': {
    'steps': 'size',
    'seeds': 'size',
    'start_step': 'steps',
    'seed_mode': 'seed mode',
    'weights': 'weights',
    'runs': 'size',
    'factor': 'number',
    'margin': 'number',
    'rtol': 'tolerance',
    'atol': 'tolerance',
    'equal_nan': 'flag',
    'allow_vacuous': 'flag',
    'msg': None,
  },
  'assertGradientsClose': {
    'seed_mode': 'seed mode',
    'training': 'flag',
    'weights': 'weights',
    'inputs': 'flag',
    'variants': 'variants',
    'allow_vacuous': 'flag',
    'allow_dormant': 'optional flag',
    **COMPARING,
  },
  'assertCheckpointEquivalent': {
    'path': 'path',
    'training': 'flag',
    'seed_mode': 'seed mode',
    'moving_averages': 'flag',
    **COMPARING,
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
ATTRIBUTES = {
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
FUNCTIONS = {
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
  'bound_placeholders': {'values': 'values by name'},
  'catch_created_variables': {},
  'constant_weights': {'value': 'number'},
  'convert_checkpoint': {
    'tf1_path': 'path',
    'model': 'function',
    'optimizer': 'reference',
    'output': 'path',
    'rename_variable': 'optional function',
    'convert_variable': 'optional function',
    'rename_slot': 'optional function',
    'ignored_variables': 'patterns',
    'moving_averages': 'flag',
    'optimizer_name': 'optional name',
    'learning_rate': 'optional number',
    'iterations': 'optional count',
    'overwrite': 'flag',
  },
  'tf1_imports': {},
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
CONVERTERS = {
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
GOOD = {
  'values': {},
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


def required(function):
  """Returns good values for the arguments that have no default."""
  return {
    name: 'b' if name == 'model' else GOOD[name]
    for name, p in inspect.signature(function).parameters.items()
    if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
  }
