"""Tests of the data of a report."""

import math

import numpy as np
from absl.testing import absltest

from tests.report import planted_verdicts as planted
from tf_equiv.compare import divergence, vacuity, values, variables
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.report import document, tables, text


class DocumentTest(absltest.TestCase):
  def test_failure(self):
    verdict = planted.full()
    found = document.build(verdict)
    self.assertEqual(found.result, 'fail')
    self.assertEqual(found.headline, verdict.headline)
    self.assertEqual(found.message, text.failure(verdict))
    self.assertEqual(found.test, 'net_test.NetTest.test_it')
    self.assertRegex(found.written, r'^\d{4}-\d\d-\d\dT.*[+-]\d\d:\d\d$')

  def test_pass(self):
    found = document.build(
      planted.make('assertX', summary='pass assertX: 3 outputs')
    )
    self.assertEqual(found.result, 'pass')
    self.assertEqual(found.headline, 'pass assertX: 3 outputs')
    self.assertEqual(found.message, found.headline)

  def test_difference_without_failure(self):
    place = divergence.Place('net/bn', 'FusedBatchNormV3')
    found = document.build(
      planted.make(
        'locateDivergence',
        summary='located: ...',
        divergences=(divergence.Divergence(place, None),),
      )
    )
    self.assertEqual(found.result, 'differs')
    self.assertEqual(
      found.headline, 'First divergence: net/bn (FusedBatchNormV3)'
    )

  def test_pairs_that_differ_most_come_first(self):
    rows = document.build(planted.full()).comparisons[Key(Quantity.OUTPUTS)]
    self.assertEqual([row.passed for row in rows], [False, False, True])
    self.assertEqual(
      [math.isinf(tables.ratio(row)) for row in rows], [True, False, False]
    )
    self.assertEqual(rows[1].worst_index, (1,))
    self.assertEqual((rows[1].tf1_value, rows[1].tf2_value), (2.0, 3.0))

  def test_groups_say_what_would_have_passed(self):
    groups = {g.name: g for g in document.build(planted.full()).groups}
    self.assertEqual(
      (groups['weights'].count, groups['weights'].differing), (2, 1)
    )
    self.assertEqual(groups['weights'].worst, 'net/b')
    self.assertAlmostEqual(groups['weights'].needed_atol, 0.25, places=5)
    self.assertIsNone(groups['gradients'].needed_atol)  # NaN
    self.assertIsNone(groups['outputs'].needed_atol)  # another dtype

  def test_layers_in_program_order(self):
    layers = document.build(planted.full()).layers
    self.assertEqual([x.differs for x in layers], [False, False, True])
    self.assertEqual([x.noise for x in layers], [1e-6, 1e-6, None])

  def test_noise(self):
    found = document.build(planted.noisy())
    self.assertEqual(found.noise.place.name, 'net/sub')
    self.assertEqual((found.noise.factor, found.noise.tolerance), (1234.5, 0.5))
    self.assertLen(found.layers, 2)
    self.assertIsNone(document.build(planted.full()).noise)

  def test_parting(self):
    parting = document.build(planted.full()).parting
    self.assertEqual(parting.tf2.line, 'net2.py:9  elu(x)')
    self.assertEqual(parting.comparison.differing, 6)
    self.assertEqual(parting.others[0].tf1.name, 'net/z')
    self.assertIsNone(parting.others[0].tf2)

  def test_training_steps(self):
    steps = document.build(planted.full()).training
    self.assertEqual([step.number for step in steps], [1, 2])
    self.assertEqual([step.passed for step in steps], [True, False])
    self.assertEqual(steps[1].scalars, {'loss': [1.0, 1.5]})


class DrawsTest(absltest.TestCase):
  def test_moved(self):
    rows = document.build(planted.full()).draws
    self.assertEqual([row.same for row in rows], [False, True, False, True])
    first, second, third, fourth = rows
    self.assertEqual(first.tf1.mark, 'TF2 makes it as draw 1')
    self.assertIsNone(first.tf2)
    self.assertEqual((second.tf1.index, second.tf2.index), (1, 0))
    self.assertIsNone(third.tf1)
    self.assertEqual(third.tf2.mark, 'TF1 makes it as draw 0')
    self.assertEqual(fourth.tf1.mark, '')

  def test_another_draw_for_the_same_variable(self):
    (row,) = document.align_draws(
      [planted.draw(0, 'random_normal', 'w')],
      [planted.draw(0, 'random_uniform', 'w')],
    )
    self.assertFalse(row.same)
    self.assertEqual(row.tf1.mark, 'TF2 makes another draw, 0')

  def test_only_on_one_side(self):
    rows = document.align_draws([planted.draw(0)], [])
    self.assertEqual([row.tf1.mark for row in rows], ['only in TF1'])

  def test_the_same(self):
    ledger = [planted.draw(i) for i in range(3)]
    rows = document.align_draws(ledger, ledger)
    self.assertTrue(all(row.same for row in rows))
    self.assertEqual({row.tf2.mark for row in rows}, {''})


class VariablesTest(absltest.TestCase):
  def test_sorted_by_error(self):
    rows = tables.variables(planted.full())
    self.assertEqual([row.tf2 for row in rows], ['net/w', 'net/b'])
    errors = {(e.stage, e.passed) for e in rows[0].errors}
    self.assertEqual(
      errors,
      {
        ('initial value', True),
        ('after step 1', True),
        ('after step 2', False),
      },
    )
    self.assertGreater(rows[0].ratio, 1)

  def test_what_does_not_correspond_comes_first(self):
    table = variables.match_variables(
      [planted.spec('a'), planted.spec('b'), planted.spec('c', (2,))],
      [planted.spec('a'), planted.spec('c', (3,)), planted.spec('x')],
    )
    rows = tables.variables(planted.make('assertX', headline='x', table=table))
    self.assertEqual(
      [(row.tf1, row.tf2, row.problem) for row in rows],
      [
        ('c', 'c', 'another shape: TF1 [2], TF2 [3]'),
        ('b', '', 'missing in TF2'),
        ('', 'x', 'extra in TF2'),
        ('a', 'a', ''),
      ],
    )
    self.assertEqual(rows[2].line, 'net.py:7')
    self.assertIsNone(rows[3].ratio)

  def test_effect_on_the_outputs(self):
    verdict = planted.full(response=vacuity.Response({'net/w': 0.25}))
    rows = {row.tf2: row.effect for row in tables.variables(verdict)}
    self.assertEqual(rows, {'net/w': 0.25, 'net/b': None})

  def test_without_a_table(self):
    pairs = [planted.compare('w', np.float32([1]), np.float32([2]))]
    group = 'variables before and after an inference call'
    (row,) = tables.variables(
      planted.make('assertX', comparisons={group: pairs})
    )
    self.assertEqual((row.tf2, row.tf2_shape, row.trainable), ('w', None, None))
    self.assertEqual(row.errors[0].stage, 'after an inference call')


class PlainTest(absltest.TestCase):
  def test_values(self):
    for value, expected in (
      (np.float32(0.5), 0.5),
      (np.int64(3), 3),
      (np.bool_(True), True),
      (np.str_('a'), 'a'),
      (b'a\xff', "b'a\\xff'"),
      (np.complex64(1 + 2j), '(1+2j)'),
      (np.array(2.0), 2.0),
      (None, None),
    ):
      found = tables.plain(value)
      self.assertEqual(found, expected)
      self.assertIs(type(found), type(expected))

  def test_ratio(self):
    problem = values.Problem(values.ProblemKind.SHAPE, (1,), (2,))

    def ratio(**kwargs):
      return tables.ratio(values.ValueComparison('x', **kwargs))

    self.assertEqual(ratio(passed=False, difference=3.0, allowed=2.0), 1.5)
    self.assertEqual(ratio(passed=True), 0.0)
    self.assertEqual(ratio(passed=False, difference=1.0), math.inf)
    self.assertEqual(ratio(passed=False, difference=math.nan), math.inf)
    self.assertEqual(ratio(passed=False, problem=problem), math.inf)


if __name__ == '__main__':
  absltest.main()
