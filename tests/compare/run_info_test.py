"""Tests of what a verdict says of the run that it is about."""

import numpy as np
from absl.testing import absltest

from tf_equiv.compare import run_info, tolerances, variables
from tf_equiv.compare.verdict import Verdict
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


class NoteRunTest(absltest.TestCase):
  def note(self, tf1, tf2, **fields):
    verdict = Verdict('assertX', table=table())
    run = plan.RunPlan(inputs={'x': np.float32([1, 3])}, **fields)
    run_info.note_run(verdict, run, tf1, tf2)
    return verdict

  def test_settings_and_environments(self):
    verdict = self.note(side('TF1'), side('TF2'), training=True)
    self.assertEqual(verdict.settings["inputs['x']"], 'float32[2], 1 to 3')
    self.assertEqual(verdict.settings['training'], 'True')
    self.assertEqual(verdict.settings['weights'], 'fixed by reset_weights')
    self.assertEqual(
      verdict.environments,
      {'TF1': {'tensorflow': 'TF1'}, 'TF2': {'tensorflow': 'TF2'}},
    )

  def test_draws_with_initial_weights(self):
    verdict = self.note(
      side('TF1', 'tf1/w', ''), side('TF2', 'tf2/w', ''), weights=plan.SEEDED
    )
    for found in verdict.draws:
      self.assertEqual([d.variable for d in found], ['tf1/w', ''])
    self.assertIn('order does not matter', verdict.settings['draws'])

  def test_draws_with_fixed_weights(self):
    verdict = self.note(side('TF1', 'tf1/w', ''), side('TF2', '', ''))
    self.assertEqual(
      [[d.index for d in x] for x in verdict.draws], [[0], [0, 1]]
    )
    self.assertIn('not used', verdict.settings['draws'])

  def test_injected_draws(self):
    verdict = self.note(side('TF1', ''), side('TF2', '', injected=True))
    self.assertIn('random numbers of TF1', verdict.settings['draws'])

  def test_one_side(self):
    verdict = Verdict('assertX', table=table())
    run = plan.RunPlan(inputs=np.array(['a']))
    run_info.note_run(verdict, run, side('TF1', ''))
    self.assertEqual(list(verdict.environments), ['TF1'])
    self.assertIsNone(verdict.draws)
    self.assertEqual(verdict.settings['inputs'], 'string[1]')

  def test_many_inputs(self):
    verdict = Verdict('assertX')
    run = plan.RunPlan(inputs=[np.zeros(1)] * 25)
    run_info.note_run(verdict, run, side('TF1'))
    self.assertEqual(verdict.settings['further inputs'], '5')


class NoteToleranceTest(absltest.TestCase):
  def note(self, **fields):
    verdict = Verdict('assertX')
    run_info.note_tolerance(verdict, tolerances.Tolerance(**fields))
    return verdict.settings

  def test_default(self):
    self.assertEqual(
      self.note(), {'rtol': 'by dtype and scale', 'atol': 'by dtype and scale'}
    )

  def test_given(self):
    self.assertEqual(
      self.note(rtol=0, atol=1e-3, equal_nan=True, slack=10),
      {
        'rtol': '0',
        'atol': '0.001',
        'default tolerances times': '10',
        'equal_nan': 'True',
      },
    )


if __name__ == '__main__':
  absltest.main()
