"""Tests of the judgement over checkpoints, on arrays alone."""

import numpy as np
from absl.testing import absltest

from tf_equiv.checkpoints import judge
from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import tolerances, variables
from tf_equiv.compare.outcome import Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.compare.values import ProblemKind
from tf_equiv.core.observation import Observation, VariableSpec

_PASS = Outcome('assertX', compared={'variables': 2})


def _spec(name, shape=(2,)):
  return VariableSpec(name, shape, 'float32', True)


def _observe(outputs=1.0, **weights):
  weights = weights or {'a': 1.0, 'b': 2.0}
  return Observation(
    'TF2',
    variables=[_spec(name) for name in weights],
    weights=[np.full(2, x, np.float32) for x in weights.values()],
    outputs=[('', np.full(3, outputs, np.float32))],
  )


def _restore(restored, unmatched='', outcome=_PASS):
  return judge.judge_restored(
    outcome,
    _observe(),
    _observe(),
    restored,
    unmatched,
    tolerances.Tolerance(),
  )


class JudgeFitTest(absltest.TestCase):
  def test_fits(self):
    table = variables.match_variables([_spec('a')], [_spec('a')])
    found = judge.judge_fit('assertX', 'model.ckpt', table)
    self.assertTrue(found.passed)
    self.assertEqual(found.compared, {'variables': 1})

  def test_misfits(self):
    for mine, theirs in (
      ([_spec('a')], []),
      ([], [_spec('a')]),
      ([_spec('a')], [_spec('a', (3,))]),
    ):
      table = variables.match_variables(mine, theirs)
      found = judge.judge_fit('assertX', 'model.ckpt', table)
      self.assertIs(found.kind, Kind.MISFIT)
      (misfit,) = found.evidence_of(outcome_lib.Misfit)
      self.assertEqual(misfit.path, 'model.ckpt')


class JudgeLoadedTest(absltest.TestCase):
  def test_values_must_be_equal(self):
    expected = {'a': np.ones(2), 'b': np.full(2, 2.0)}
    self.assertTrue(judge.judge_loaded(_PASS, expected, _observe()).passed)
    expected['b'] = expected['b'] + 1e-6
    found = judge.judge_loaded(_PASS, expected, _observe())
    self.assertEqual(
      [c.name for c in found.failed(Key(Quantity.LOADED))], ['b']
    )
    self.assertEqual(found.compared, {'variables': 2, 'variables loaded': 2})


class JudgeUnsavedTest(absltest.TestCase):
  def test_names_are_kept(self):
    self.assertIs(judge.judge_unsaved(_PASS, []), _PASS)
    found = judge.judge_unsaved(_PASS, ['x'])
    self.assertIs(found.kind, Kind.UNSAVED)
    self.assertEqual(found.evidence, (outcome_lib.Unsaved(('x',)),))


class JudgeRestoredTest(absltest.TestCase):
  def test_pass(self):
    found = _restore(_observe())
    self.assertTrue(found.passed)
    self.assertEqual(found.compared['outputs restored'], 1)

  def test_mixed_up(self):
    found = _restore(_observe(a=2.0, b=1.0))
    self.assertIs(found.kind, Kind.NOT_RESTORED)
    self.assertEqual(
      found.evidence,
      (outcome_lib.Exchanged('a', 'b'), outcome_lib.Exchanged('b', 'a')),
    )

  def test_variable_that_is_not_built_again(self):
    found = _restore(_observe(a=1.0))
    (failed,) = found.failed(Key(Quantity.RESTORED))
    self.assertIs(failed.problem.kind, ProblemKind.NOT_REBUILT)

  def test_what_tensorflow_says(self):
    found = _restore(_observe(), 'nothing matches')
    self.assertIs(found.kind, Kind.NOT_RESTORED)
    self.assertEqual(found.evidence, ('nothing matches',))
    self.assertEmpty(found.failing())

  def test_outputs(self):
    found = _restore(_observe(outputs=2.0))
    self.assertIs(found.kind, Kind.VALUES)
    self.assertEqual(found.failing(), [Key(Quantity.RESTORED_OUTPUTS)])


if __name__ == '__main__':
  absltest.main()
