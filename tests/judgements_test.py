"""Tests of what is said of two observations."""

import dataclasses

import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.compare import (
  criteria,
  judge_forward,
  judge_variables,
  pairing,
  tolerances,
  values,
  variables,
)
from tf_equiv.core import nest
from tf_equiv.core.draw import Draw
from tf_equiv.core.observation import (
  Observation,
  RegularizationLoss,
  VariableSpec,
)
from tf_equiv.core.plan import RunPlan
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.core.source_line import SourceLine
from tf_equiv.diagnose import advice, first_look
from tf_equiv.report import telling

_FULL = RunPlan(
  inputs=np.zeros(1),
  training=True,
  weights='seeded',
  seed_mode=SeedMode.NUM_RANDOM_OPS,
  gradients=True,
)
_FIXED = RunPlan(inputs=np.zeros(1))


def _draw(index, op='dropout', variable=''):
  line = SourceLine('model.py', index)
  return Draw(index, index, op, (2,), variable, '', line, 'graph')


def _observe(side, outputs=None, **kwargs):
  """An observation of a network with a kernel and a bias."""
  if outputs is None:
    outputs = {'hidden': np.ones(3), 'logits': np.arange(4.0)}
  outputs = nest.map_leaves(lambda path, leaf: np.asarray(leaf), outputs)
  defaults = dict(
    variables=[
      VariableSpec('w', (2,), 'float64', True),
      VariableSpec('b', (1,), 'float64', True),
    ],
    weights=[np.array([1.0, 2.0]), np.array([3.0])],
    structure=nest.describe(outputs),
    outputs=nest.flatten(outputs),
    losses=[RegularizationLoss(('w',), np.array(0.5))],
    loss=np.array(2.0),
    gradients=[np.array([0.1, 0.2]), np.array([0.3])],
    draws=[_draw(0, 'random_normal', 'w'), _draw(1)],
  )
  defaults.update(kwargs)
  return Observation(side, **defaults)


def _judge(tf1, tf2, plan=_FULL, table=None, convert=None, **kwargs):
  table = table or variables.match_variables(tf1.variables, tf2.variables)
  run = first_look.Run(
    plan, tf1, tf2, pairing.Pairing(table, convert or pairing.unchanged)
  )
  outcome = judge_forward.judge_forward(
    'assertSomething', plan, tf1, tf2, run.pairing, criteria.Criteria(**kwargs)
  )
  return telling.tell(outcome, first_look.diagnose(outcome, run))


# What to change on the TF2 side, from the first to the last in precedence,
# and how the headline then starts.
_FAULTS = (
  (
    dict(variables=[VariableSpec('w', (2,), 'float64', True)]),
    'Variables differ: 1 missing in TF2; outputs were not compared',
  ),
  (dict(outputs=np.ones(3)), 'The structure of the outputs differs'),
  (
    dict(weights=[np.array([1.0, 2.5]), np.array([3.0])]),
    'Initial weights differ: 1 of 2, first w',
  ),
  (
    dict(outputs={'hidden': np.ones(3), 'logits': np.arange(4.0) + 1}),
    "Outputs differ: 1 of 2, first outputs['logits']",
  ),
  (
    dict(losses=[RegularizationLoss(('w',), np.array(1.0))]),
    'Regularization losses differ: 2 of 2, first w',
  ),
  (dict(loss=np.array(2.5)), 'The loss differs'),
  (
    dict(gradients=[np.array([0.1, 0.2]), np.array([0.4])]),
    'Gradients differ: 1 of 2, first b',
  ),
)


class JudgeRunTest(parameterized.TestCase):
  def test_pass(self):
    verdict = _judge(_observe('TF1'), _observe('TF2'))
    self.assertTrue(verdict.passed, verdict.headline)
    self.assertEqual(
      verdict.compared,
      {
        'variables': 2,
        'weights': 2,
        'outputs': 2,
        'regularization losses': 1,
        'loss': 1,
        'gradients': 2,
      },
    )
    self.assertIsNone(verdict.ledger)
    self.assertEmpty(verdict.advice)
    self.assertEqual(verdict.assertion, 'assertSomething')
    self.assertEqual(
      verdict.conditions, 'training, initial weights, seed_mode=num_random_ops'
    )

  @parameterized.parameters(*range(len(_FAULTS)))
  def test_earlier_steps_give_the_headline(self, first):
    changes = {}
    for change, _ in reversed(_FAULTS[first:]):
      changes.update(change)
    if first > 1:
      changes['outputs'] = changes.get('outputs')
      if not isinstance(changes['outputs'], dict):
        changes['outputs'] = None
    verdict = _judge(_observe('TF1'), _observe('TF2', **changes))
    self.assertFalse(verdict.passed)
    self.assertStartsWith(verdict.headline, _FAULTS[first][1])
    self.assertNotEmpty(verdict.advice)

  @parameterized.parameters(*range(len(_FAULTS)))
  def test_each_fault_alone(self, index):
    changes, headline = _FAULTS[index]
    verdict = _judge(_observe('TF1'), _observe('TF2', **changes))
    self.assertStartsWith(verdict.headline, headline)
    self.assertNotIn('so do', verdict.headline)

  def test_what_follows_is_said(self):
    changes = {**_FAULTS[2][0], **_FAULTS[3][0], **_FAULTS[6][0]}
    verdict = _judge(_observe('TF1'), _observe('TF2', **changes))
    self.assertEqual(
      verdict.headline,
      'Initial weights differ: 1 of 2, first w (so do the outputs, gradients)',
    )

  def test_no_number_is_compared_after_variables_or_structure(self):
    for changes, _ in _FAULTS[:2]:
      verdict = _judge(_observe('TF1'), _observe('TF2', **changes))
      self.assertEmpty(verdict.comparisons)

  def test_variables_carry_the_conditions(self):
    verdict = _judge(_observe('TF1'), _observe('TF2', **_FAULTS[0][0]))
    self.assertStartsWith(verdict.conditions, 'training, initial weights')

  def test_trainable_flag_alone_does_not_stop_the_comparison(self):
    frozen = [
      VariableSpec('w', (2,), 'float64', True),
      VariableSpec('b', (1,), 'float64', False),
    ]
    tf2 = _observe('TF2', variables=frozen, gradients=[np.array([0.1, 0.2])])
    self.assertTrue(_judge(_observe('TF1'), tf2, _FIXED).passed)
    verdict = _judge(_observe('TF1'), tf2)
    self.assertStartsWith(verdict.headline, 'Gradients differ: 1 of 2, first b')
    (failed,) = verdict.failed('gradients')
    self.assertEqual(
      failed.problem,
      values.Problem(values.ProblemKind.NOT_TRAINABLE, True, False),
    )

  def test_fixed_weights_are_not_compared(self):
    tf2 = _observe('TF2', **_FAULTS[2][0])
    verdict = _judge(_observe('TF1'), tf2, _FIXED)
    self.assertTrue(verdict.passed)
    self.assertNotIn('weights', verdict.comparisons)
    self.assertNotIn('gradients', verdict.comparisons)

  def test_output_shape_counts_as_structure(self):
    verdict = _judge(_observe('TF1', np.ones(3)), _observe('TF2', np.ones(4)))
    self.assertEqual(
      verdict.headline,
      'Outputs differ in shape: 1, first outputs; no number was compared',
    )
    self.assertEqual(
      verdict.evidence, ['outputs: TF1 float64[3], TF2 float64[4]']
    )

  def test_first_output_in_forward_order(self):
    order = {"['hidden']": 9, "['logits']": 4}
    tf1 = _observe('TF1', output_order=order)
    other = {'hidden': np.zeros(3), 'logits': np.zeros(4)}
    verdict = _judge(tf1, _observe('TF2', other), _FIXED)
    self.assertEqual(
      verdict.headline, "Outputs differ: 2 of 2, first outputs['logits']"
    )

  def test_permuted_outputs_are_named(self):
    tf1 = _observe('TF1', (np.ones(3), np.zeros(3)))
    tf2 = _observe('TF2', (np.zeros(3), np.ones(3)))
    verdict = _judge(tf1, tf2, _FIXED)
    self.assertEqual(
      verdict.evidence,
      [
        'TF1 outputs[0] equals TF2 outputs[1]',
        'TF1 outputs[1] equals TF2 outputs[0]',
      ],
    )

  def test_weights_and_gradients_are_converted(self):
    tf1 = _observe('TF1')
    tf2 = _observe(
      'TF2',
      weights=[np.array([2.0, 1.0]), np.array([3.0])],
      gradients=[np.array([0.2, 0.1]), np.array([0.3])],
    )
    self.assertFalse(_judge(tf1, tf2).passed)
    verdict = _judge(tf1, tf2, convert=lambda a, value, b: value[::-1])
    self.assertTrue(verdict.passed, verdict.headline)

  def test_gradient_missing_on_one_side(self):
    tf2 = _observe('TF2', gradients=[None, np.array([0.3])])
    verdict = _judge(_observe('TF1'), tf2)
    self.assertStartsWith(verdict.headline, 'Gradients differ: 1 of 2, first w')
    self.assertEqual(
      verdict.failed('gradients')[0].problem,
      values.Problem(values.ProblemKind.NO_GRADIENT, True, False),
    )
    self.assertIn('stop_gradient', ' '.join(verdict.advice))

  def test_untracked_variables_give_advice(self):
    tf1 = _observe('TF1')
    tf2 = _observe('TF2', **_FAULTS[0][0])
    table = variables.match_variables(
      tf1.variables, tf2.variables, untracked=[tf1.variables[1]]
    )
    verdict = _judge(tf1, tf2, table=table)
    self.assertIn('does not list', ' '.join(verdict.advice))


class RandomOrderTest(parameterized.TestCase):
  def _run(self, mode, tf2_draws, changes):
    tf1 = _observe(
      'TF1',
      draws=[
        _draw(0, 'random_normal', 'w'),
        _draw(1),
        _draw(2, 'random_normal', 'b'),
      ],
    )
    tf2 = _observe('TF2', draws=tf2_draws, **changes)
    plan = dataclasses.replace(_FULL, seed_mode=mode)
    return _judge(tf1, tf2, plan)

  _MOVED = [
    _draw(0, 'random_normal', 'w'),
    _draw(1, 'random_normal', 'b'),
    _draw(2),
  ]

  def test_num_random_ops_names_the_order(self):
    verdict = self._run(SeedMode.NUM_RANDOM_OPS, self._MOVED, _FAULTS[2][0])
    self.assertEqual(
      verdict.headline,
      'Initial weights differ: 1 of 2, first w, because random numbers are '
      'drawn in another order',
    )
    self.assertTrue(verdict.ledger.initializers_first)
    self.assertIn('That is no bug of the model', verdict.advice[0])
    self.assertIn("seed_mode='constant'", ' '.join(verdict.advice))

  def test_constant_does_not_depend_on_the_order(self):
    verdict = self._run(SeedMode.CONSTANT, self._MOVED, _FAULTS[2][0])
    self.assertEqual(
      verdict.headline, 'Initial weights differ: 1 of 2, first w'
    )
    self.assertNotIn("seed_mode='constant'", ' '.join(verdict.advice))

  def test_order_alone_is_no_failure(self):
    verdict = self._run(SeedMode.NUM_RANDOM_OPS, self._MOVED, {})
    self.assertTrue(verdict.passed)

  def test_another_initializer_is_no_matter_of_order(self):
    draws = [
      _draw(0, 'truncated_normal', 'w'),
      _draw(1),
      _draw(2, 'random_normal', 'b'),
    ]
    verdict = self._run(SeedMode.NUM_RANDOM_OPS, draws, _FAULTS[2][0])
    self.assertNotIn('another order', verdict.headline)
    self.assertIn('same initializers', ' '.join(verdict.advice))

  def test_initializers_do_not_matter_with_fixed_weights(self):
    tf2 = _observe('TF2', np.zeros(3), draws=[_draw(1)])
    verdict = _judge(_observe('TF1', np.ones(3)), tf2, _FIXED)
    self.assertEqual(verdict.headline, 'Outputs differ: 1 of 1, first outputs')
    self.assertIsNone(verdict.ledger)


class NothingComparedTest(parameterized.TestCase):
  @parameterized.parameters(({},), (np.zeros((0, 3)),), ([None],))
  def test_no_output_element(self, outputs):
    tf1, tf2 = _observe('TF1', outputs), _observe('TF2', outputs)
    verdict = _judge(tf1, tf2)
    self.assertStartsWith(verdict.headline, 'No output was compared')
    self.assertIn('allow_empty=True', verdict.advice[0])
    self.assertTrue(_judge(tf1, tf2, allow_empty=True).passed)

  def test_no_gradient(self):
    nothing = dict(gradients=[None, None])
    tf1, tf2 = _observe('TF1', **nothing), _observe('TF2', **nothing)
    verdict = _judge(tf1, tf2)
    self.assertStartsWith(verdict.headline, 'No gradient was compared')
    self.assertTrue(_judge(tf1, tf2, allow_empty=True).passed)

  def test_a_difference_comes_before_emptiness(self):
    tf1 = _observe('TF1', np.zeros((0, 3)))
    tf2 = _observe('TF2', np.zeros((0, 3)), **_FAULTS[6][0])
    verdict = _judge(tf1, tf2, allow_empty=True)
    self.assertStartsWith(verdict.headline, 'Gradients differ')


class JudgeVariablesTest(absltest.TestCase):
  def _judge(self, tf1, tf2, allow_empty=False):
    table = variables.match_variables(tf1, tf2)
    outcome = judge_variables.judge_variables(
      table, 'assertVariablesMatch', allow_empty
    )
    return telling.tell(outcome, first_look.diagnose(outcome))

  def test_pass(self):
    spec = VariableSpec('a', (1,), 'float32', True)
    verdict = self._judge([spec], [spec])
    self.assertTrue(verdict.passed)
    self.assertEqual(verdict.compared, {'variables': 1})

  def test_counts_each_kind(self):
    def spec(name, shape=(1,), dtype='float32', trainable=True):
      return VariableSpec(name, shape, dtype, trainable)

    verdict = self._judge(
      [spec(n) for n in ('gone', 'lost', 'shape', 'dtype', 'flag', 'twice')],
      [
        spec('new', (9,)),
        spec('shape', (2,)),
        spec('dtype', dtype='float64'),
        spec('flag', trainable=False),
        spec('twice'),
        spec('twice'),
      ],
    )
    self.assertEqual(
      verdict.headline,
      'Variables differ: 2 missing in TF2, 1 extra in TF2, 1 duplicate '
      'name(s), 1 of another shape, 1 of another dtype, 1 with another '
      'trainable flag',
    )

  def test_each_kind_has_advice(self):
    spec = VariableSpec('a', (1,), 'float32', True)
    for change in (
      dict(shape=(2,)),
      dict(dtype='float64'),
      dict(trainable=False),
      dict(name='b'),
    ):
      verdict = self._judge([spec], [dataclasses.replace(spec, **change)])
      self.assertFalse(verdict.passed)
      self.assertNotEmpty(verdict.advice)
    self.assertNotEmpty(self._judge([spec], [spec, spec]).advice)

  def test_no_variables_at_all(self):
    verdict = self._judge([], [])
    self.assertFalse(verdict.passed)
    self.assertIn('neither side has any', verdict.headline)
    self.assertTrue(self._judge([], [], allow_empty=True).passed)


@dataclasses.dataclass
class _Record:
  name: str
  advice: str = 'Create it once.'

  def __str__(self):
    return 'variable %s' % self.name


class JudgeCreationsTest(absltest.TestCase):
  def _judge(self, created=(), changed=(), variable_count=3, **kwargs):
    kwargs.setdefault('allow_empty', False)
    outcome = judge_variables.judge_creations(
      'assertNoNewVariables',
      list(created),
      list(changed),
      calls=2,
      variables=variable_count,
      **kwargs,
    )
    return telling.tell(outcome, first_look.diagnose(outcome))

  def test_pass(self):
    verdict = self._judge()
    self.assertTrue(verdict.passed)
    self.assertEqual(verdict.compared, {'variables': 3, 'further calls': 2})

  def test_created(self):
    verdict = self._judge([('call 2', _Record('a')), ('call 2', _Record('b'))])
    self.assertStartsWith(
      verdict.headline, '2 variable(s) created after the first call'
    )
    self.assertEqual(
      verdict.evidence, ['call 2: variable a', 'call 2: variable b']
    )
    self.assertEqual(verdict.advice, ['Create it once.'])

  def test_changed(self):
    comparison = values.compare_arrays(
      'bn/mean', np.zeros(2), np.ones(2), tolerances.Tolerance()
    )
    verdict = self._judge(changed=[comparison])
    self.assertEqual(
      verdict.headline,
      '1 variable(s) changed by an inference call, first bn/mean',
    )
    self.assertIn('training flag', verdict.advice[0])

  def test_both(self):
    comparison = values.ValueComparison('v', False)
    verdict = self._judge([('call 2', _Record('a'))], [comparison])
    self.assertRegex(verdict.headline, r'^1 variable\(s\) created.*; 1 var')

  def test_no_variables(self):
    verdict = self._judge(variable_count=0)
    self.assertStartsWith(verdict.headline, 'No variable was watched')
    self.assertTrue(self._judge(variable_count=0, allow_empty=True).passed)


class ExplainMissingTrainingTest(absltest.TestCase):
  def test_explains_only_where_it_matters(self):
    training = RunPlan(inputs=np.zeros(1), training=True)
    for plan, takes, depends, explained in (
      (training, False, True, True),
      (training, True, True, False),
      (training, False, False, False),
      (_FIXED, False, True, False),
    ):
      tf1 = _observe('TF1', depends_on_training=depends)
      # Without dropout the TF2 model only draws the initial value.
      draws = [_draw(0, 'random_normal', 'w')]
      tf2 = _observe('TF2', takes_training=takes, draws=draws)
      text = advice.explain_missing_training(plan, tf1, tf2)
      if explained:
        self.assertIn('takes no `training` argument', text)
        self.assertIn('call_tf2', text)
      else:
        self.assertIsNone(text)

  def test_noise_that_both_sides_draw_needs_no_flag(self):
    plan = RunPlan(inputs=np.zeros(1), training=True)
    tf1 = _observe('TF1', depends_on_training=True)
    tf2 = _observe('TF2', takes_training=False)
    self.assertIsNone(advice.explain_missing_training(plan, tf1, tf2))
    # A generator of its own, whose numbers are replaced by those of TF1.
    tf2 = _observe('TF2', takes_training=False, draws=[])
    self.assertIsNotNone(advice.explain_missing_training(plan, tf1, tf2))
    tf2.injected = True
    self.assertIsNone(advice.explain_missing_training(plan, tf1, tf2))


if __name__ == '__main__':
  absltest.main()
