"""Verdicts of all kinds, made by hand, for the tests of reports."""

import numpy as np

from tf_equiv.compare import divergence, tolerances, values, variables
from tf_equiv.compare import draws as draws_lib
from tf_equiv.compare.verdict import Step, Verdict
from tf_equiv.core.draw import Draw
from tf_equiv.core.observation import VariableSpec
from tf_equiv.core.source_line import SourceLine

EVIL = '<script>alert("x")</script>&\'$\\'


def compare(name, tf1, tf2, **kwargs):
  return values.compare_arrays(
    name, np.asarray(tf1), np.asarray(tf2), tolerances.Tolerance(**kwargs)
  )


def spec(name, shape=(2, 3), trainable=True):
  line = SourceLine('net.py', 7)
  return VariableSpec(name, shape, 'float32', trainable, line)


def draw(index, op='random_normal', variable=''):
  line = SourceLine('net.py', index + 1)
  return Draw(index, index, op, (2,), variable, 'net', line, 'graph')


def layer(i, difference, noise=None):
  name = 'net/op_%d' % i
  return divergence.LayerError(
    name, 'model/' + name, 'Relu', (2, 3), difference, 1e-9, 10.0, noise
  )


def step(number, tf2_loss=1.0):
  weight = np.full((2, 3), number, np.float32)
  return {
    'loss': [compare('loss', np.float32(1.0), np.float32(tf2_loss))],
    'gradients': [compare('net/w', weight, weight)],
    'variables': [compare('net/w', weight, weight * tf2_loss)],
  }


def noisy():
  """A failure that is rounding noise."""
  return Verdict(
    'assertForwardEquivalent',
    'inference, fixed weights',
    headline='Outputs differ: 1 of 1, first outputs',
    kind=divergence.NOISE,
    noise=divergence.Noise(
      'TF1',
      'outputs',
      0.25,
      8.0,
      divergence.Place('net/sub', 'Sub', 'net.py:5  a - b'),
      1234.5,
      0.5,
      [layer(0, 1e-7, 1e-7), layer(1, 2e-4, 1e-4)],
    ),
  )


def full(names=('net/w', 'net/b')):
  """A failure of which everything is known."""
  table = variables.match_variables(
    [spec(name) for name in names], [spec(name) for name in names]
  )
  weight = np.ones((2, 3), np.float32)
  comparisons = {
    'weights': [
      compare(name, weight, weight + i * 0.25) for i, name in enumerate(names)
    ],
    'outputs': [
      compare("outputs['%s']" % EVIL, np.float32([1, 2]), np.float32([1, 3])),
      compare("outputs['same']", np.float32([1, 2]), np.float32([1, 2])),
      values.ValueComparison(
        'outputs[2]', False, problem='dtype: TF1 a, TF2 b'
      ),
    ],
    'gradients': [
      compare('net/w', np.float32([np.nan]), np.float32([1.0])),
      compare('net/b', np.float32([np.inf]), np.float32([1.0])),
    ],
  }
  tf1 = [draw(0), draw(1, variable='net/w'), draw(2, 'dropout')]
  tf2 = [draw(0, variable='net/w'), draw(1), draw(2, 'dropout')]
  return Verdict(
    'assertGradientsClose',
    'training, initial weights',
    headline='Outputs differ: 2 of 3, first %s' % EVIL,
    comparisons=comparisons,
    compared={'weights': 2, 'outputs': 3, 'gradients': 2},
    table=table,
    evidence=['TF1 outputs[0] is %s' % EVIL],
    ledger=draws_lib.compare_ledgers(tf1, tf2),
    notes=['a note'],
    divergence=divergence.Divergence(
      divergence.Place('net/' + EVIL, 'Relu', 'net.py:7  relu(%s)' % EVIL),
      divergence.Place('model/net/relu', 'Elu', 'net2.py:9  elu(x)'),
      comparison=compare('net/relu', weight, weight * 2),
      differences=['op: TF1 Relu, TF2 Elu'],
      only_tf1=[divergence.Place('net/pad', 'Pad')],
      variables=('net/w',),
      mistake='Another activation.',
      others=[divergence.Divergence(divergence.Place('net/z', 'Add'), None)],
      layers=[layer(0, 0.0, 1e-6), layer(1, 1e-12, 1e-6), layer(2, 0.5)],
    ),
    kind=divergence.REAL,
    advice=['do this', 'or that'],
    seconds=1.25,
    settings={'seed': '42', 'rtol': 'by dtype and scale'},
    environments={
      'TF1': {'tensorflow': '2.21.0', 'python': '3.11'},
      'TF2': {'tensorflow': '2.21.0', 'TF_USE_LEGACY_KERAS': '1'},
    },
    draws=(tf1, tf2),
    steps=[step(1), step(2, 1.5)],
    test='net_test.NetTest.test_it',
    earlier=[Step('assertVariablesMatch', '', True, '', 0.5)],
    rerun={'pytest': 'python -m pytest net_test.py::NetTest::test_it'},
  )
