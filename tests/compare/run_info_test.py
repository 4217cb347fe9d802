"""Tests of what is said of the run that it is about."""

import numpy as np
from absl.testing import absltest

from tf_equiv.compare import run_info, tolerances, variables
from tf_equiv.core import observation, plan
from tf_equiv.core.draw import Draw
from tf_equiv.core.source_line import SourceLine


def draw(index, variable):
  line = SourceLine('net.py', 1)
  return Draw(index, index, 'op', (2,), variable, '', line, 'graph')


def side(name, *variables_of_draws, **fields):
  return observation.Observation(
    name,
    environment={'tensorflow': name},
    draws=[draw(i, v) for i, v in enumerate(variables_of_draws)],
    **fields,
  )


def table():
  specs = [
    observation.VariableSpec(name, (2,), 'float32', True)
    for name in ('tf1/w', 'tf2/w')
  ]
  return variables.match_variables(
    specs[:1], specs[1:], rename=lambda name: 'tf2/w'
  )


class DescribeRunTest(absltest.TestCase):
  def describe(self, tf1, tf2, **fields):
    run = plan.RunPlan(inputs={'x': np.float32([1, 3])}, **fields)
    return run_info.describe_run(run, tf1, tf2, table=table())

  def test_settings_and_environments(self):
    found = self.describe(side('TF1'), side('TF2'), training=True)
    self.assertEqual(found.settings["inputs['x']"], 'float32[2], 1 to 3')
    self.assertEqual(found.settings['training'], 'True')
    self.assertEqual(found.settings['weights'], 'fixed by reset_weights')
    self.assertEqual(
      found.environments,
      {'TF1': {'tensorflow': 'TF1'}, 'TF2': {'tensorflow': 'TF2'}},
    )

  def test_draws_with_initial_weights(self):
    found = self.describe(
      side('TF1', 'tf1/w', ''), side('TF2', 'tf2/w', ''), weights=plan.SEEDED
    )
    for draws in found.draws:
      self.assertEqual([d.variable for d in draws], ['tf1/w', ''])
    self.assertIn('order does not matter', found.settings['draws'])

  def test_draws_with_fixed_weights(self):
    found = self.describe(side('TF1', 'tf1/w', ''), side('TF2', '', ''))
    self.assertEqual([[d.index for d in x] for x in found.draws], [[0], [0, 1]])
    self.assertIn('not used', found.settings['draws'])

  def test_injected_draws(self):
    found = self.describe(side('TF1', ''), side('TF2', '', injected=True))
    self.assertIn('random numbers of TF1', found.settings['draws'])

  def test_one_side(self):
    run = plan.RunPlan(inputs=np.array(['a']))
    found = run_info.describe_run(run, side('TF1', ''), table=table())
    self.assertEqual(list(found.environments), ['TF1'])
    self.assertIsNone(found.draws)
    self.assertEqual(found.settings['inputs'], 'string[1]')

  def test_many_inputs(self):
    run = plan.RunPlan(inputs=[np.zeros(1)] * 25)
    found = run_info.describe_run(run, side('TF1'))
    self.assertEqual(found.settings['further inputs'], '5')


class ToleranceTest(absltest.TestCase):
  def describe(self, **fields):
    run = plan.RunPlan(inputs=np.zeros(1))
    without = run_info.describe_run(run, side('TF1')).settings
    found = run_info.describe_run(
      run, side('TF1'), tolerance=tolerances.Tolerance(**fields)
    )
    return {
      name: value
      for name, value in found.settings.items()
      if name not in without
    }

  def test_default(self):
    self.assertEqual(
      self.describe(),
      {'rtol': 'by dtype and scale', 'atol': 'by dtype and scale'},
    )

  def test_given(self):
    self.assertEqual(
      self.describe(rtol=0, atol=1e-3, equal_nan=True, slack=10),
      {
        'rtol': '0',
        'atol': '0.001',
        'default tolerances times': '10',
        'equal_nan': 'True',
      },
    )


if __name__ == '__main__':
  absltest.main()
