"""Tests of the texts of `python -m tf_equiv diff`."""

import numpy as np
from absl.testing import absltest

from tf_equiv.cli import diff
from tf_equiv.compare import judge_variables, tolerances, values, variables
from tf_equiv.compare.outcome import Kind, OtherWeights, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core.observation import VariableSpec


def _compare(name, first, second):
  return values.compare_arrays(
    name, np.float32(first), np.float32(second), tolerances.Tolerance()
  )


class LinesTest(absltest.TestCase):
  def test_sides_are_named_and_variables_are_not_renamed(self):
    outcome = Outcome(
      'forward pass',
      'inference',
      kind=Kind.VALUES,
      comparisons={
        Key(Quantity.WEIGHTS): [
          _compare('TF1/w', [1.0], [2.0]),
          _compare('TF2/w', [1.0], [1.0]),
          _compare('TF1/shape', [1.0], [1.0, 2.0]),
        ]
      },
    )
    text = '\n'.join(diff._lines(outcome))
    self.assertIn('Initial weights differ: 2 of 3, first TF1/w', text)
    self.assertIn('worst at [0] A 1, B 2', text)
    self.assertIn('TF1/shape: shape: A [1], B [2]', text)
    self.assertNotIn('TF1 ', text)
    self.assertNotIn('(inference)', text)
    self.assertIn('exactly equal: 1 of 3 weights', text)

  def test_variables(self):
    specs = [
      VariableSpec(name, (2,), 'float32', True) for name in ('TF1/a', 'TF2/b')
    ]
    table = variables.match_variables(specs, specs[:1])
    outcome = judge_variables.judge_variables(table, 'variables', True)
    lines = diff._lines(outcome)
    self.assertEqual(lines[0], 'DIFFER: variables')
    self.assertIn('Variables differ: 1 missing in B', lines[1])
    self.assertIn('      TF2/b  float32[2]', lines)

  def test_other_weights(self):
    outcome = Outcome(
      'forward pass',
      kind=Kind.OTHER_WEIGHTS,
      evidence=tuple(OtherWeights(f'TF1/w{i}') for i in range(12)),
    )
    lines = diff._lines(outcome)
    self.assertIn('The fixed weights differ; nothing was compared', lines[1])
    self.assertIn('    TF1/w0', lines)
    self.assertIn('    ... and 2 more', lines)

  def test_equal(self):
    outcome = Outcome(
      'forward pass',
      comparisons={
        Key(Quantity.OUTPUTS): [_compare('outputs', [1.0], [1.0])],
        Key(Quantity.LOSS, 1): [_compare('loss', 1.0, 1.0)],
        Key(Quantity.LOSS, 2): [_compare('loss', 1.0, 1.0 + 1e-6)],
      },
      notes=('TF1/w was not compared',),
    )
    lines = diff._lines(outcome)
    self.assertEqual(lines[0], 'equal: forward pass')
    self.assertIn('1 of 1 outputs, 1 of 2 loss', lines[1])
    self.assertIn('largest difference', lines[2])
    self.assertEqual(lines[3], '  TF1/w was not compared')


if __name__ == '__main__':
  absltest.main()
