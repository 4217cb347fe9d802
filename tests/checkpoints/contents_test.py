"""What is a variable in a checkpoint, what a slot, and what does not fit."""

from absl.testing import absltest, parameterized

import tf_equiv
from tf_equiv.checkpoints import contents as contents_lib
from tf_equiv.checkpoints import judge
from tf_equiv.core.observation import VariableSpec
from tf_equiv.diagnose import advice
from tf_equiv.report import misfit


def entries_of(**shapes):
  return entries_from(
    {name.replace('__', '/'): shape for name, shape in shapes.items()}
  )


def entries_from(shapes):
  return {
    name: VariableSpec(name, tuple(shape), 'float32', True)
    for name, shape in shapes.items()
  }


def names(specs):
  return [spec.name for spec in specs]


class SortEntriesTest(parameterized.TestCase):
  def test_kinds(self):
    found = contents_lib.sort_entries(
      entries_from(
        {
          'net/w': (3, 2),
          'net/w/Adam': (3, 2),
          'net/w/Adam_1': (3, 2),
          'net/w/ExponentialMovingAverage': (3, 2),
          'net/w/ExponentialMovingAverage/biased': (3, 2),
          'net/w/ExponentialMovingAverage/local_step': (),
          'net/b': (2,),
          'beta1_power': (),
          'train/beta2_power_1': (),
          'global_step': (),
        }
      )
    )
    self.assertEqual(names(found.variables), ['net/b', 'net/w'])
    self.assertEqual(
      found.slots, {'net/w': {'Adam': 'net/w/Adam', 'Adam_1': 'net/w/Adam_1'}}
    )
    self.assertEqual(
      found.averages, {'net/w': 'net/w/ExponentialMovingAverage'}
    )
    self.assertEqual(
      found.counters, ['beta1_power', 'global_step', 'train/beta2_power_1']
    )
    self.assertLen(found.parts, 2)
    self.assertEqual(
      found.describe(),
      '2 optimizer slots, 1 moving averages, 3 counters (beta1_power, '
      'global_step, train/beta2_power_1)',
    )

  def test_slots_below_a_scope(self):
    found = contents_lib.sort_entries(
      entries_from({'net/w': (3,), 'train/net/w/RMSProp_1': (3,)})
    )
    self.assertEqual(
      found.slots, {'net/w': {'RMSProp_1': 'train/net/w/RMSProp_1'}}
    )

  def test_optimizer_with_a_name_of_its_own(self):
    entries = entries_from({'w': (3,), 'w/Mine': (3,), 'w/Mine_1': (3,)})
    slots = {'w': {'Mine': 'w/Mine', 'Mine_1': 'w/Mine_1'}}
    found = contents_lib.sort_entries(entries, optimizer_name='Mine')
    self.assertEqual(found.slots, slots)
    # It could as well be a variable.
    self.assertLen(contents_lib.sort_entries(entries).variables, 3)
    entries.update(entries_from({'b': (2,), 'b/Mine': (2,), 'b/Mine_1': (2,)}))
    found = contents_lib.sort_entries(entries)
    self.assertEqual(names(found.variables), ['b', 'w'])
    self.assertEqual(found.slots['w'], slots['w'])

  @parameterized.parameters(
    ('net/Adam', ()),  # a layer of this name, without a variable 'net'
    ('net/w/scale', (3,)),  # no default name, and below one variable only
    ('train/net/w/scale', (3,)),  # no default name, and below a scope
    ('not_global_step', (3,)),
    ('other/ExponentialMovingAverage', (3,)),
  )
  def test_no_slot(self, name, shape):
    found = contents_lib.sort_entries(
      entries_from({'net/w': (3,), name: shape})
    )
    self.assertCountEqual(names(found.variables), ['net/w', name])

  def test_known_variables_are_no_slots(self):
    entries = entries_from({'w': (3,), 'w/gate': (3,), 'global_step': ()})
    found = contents_lib.sort_entries(entries, list(entries))
    self.assertCountEqual(names(found.variables), entries)

  def test_averages(self):
    entries = entries_from({'w': (3,), 'w/ExponentialMovingAverage': (3,)})
    self.assertEqual(
      contents_lib.averages_of(entries, 'a.ckpt'),
      {'w': 'w/ExponentialMovingAverage'},
    )
    with self.assertRaisesRegex(tf_equiv.UsageError, "'a.ckpt' holds no movin"):
      contents_lib.averages_of(entries_from({'w': (3,)}), 'a.ckpt')


def advise(table):
  outcome = judge.judge_fit('assertX', 'a.ckpt', table)
  return advice.for_outcome(outcome)


class FitTest(absltest.TestCase):
  def fit(self, model, checkpoint, ignored=()):
    variables = list(entries_from(model).values())
    entries = entries_from(checkpoint)
    contents = contents_lib.sort_entries(entries, names(variables))
    return contents_lib.fit(variables, contents, entries, ignored)

  def test_all_fits(self):
    table = self.fit({'w': (3,)}, {'w': (3,), 'w/Adam': (3,)})
    self.assertEqual(misfit.headline(table, 'a.ckpt', 'the model'), '')

  def test_every_kind_of_misfit_is_counted_and_named(self):
    table = self.fit(
      {'a/w': (3, 2), 'a/b': (2,), 'same': (1,)},
      {'a/w': (2, 3), 'a/bias': (2,), 'head/w': (7,), 'same': (1,)},
    )
    self.assertEqual(
      misfit.headline(table, 'a.ckpt', 'the TF1 model'),
      "Checkpoint 'a.ckpt' does not fit the TF1 model: 1 missing, 1 of another "
      'shape, 2 unused',
    )
    self.assertEqual(
      misfit.describe(table),
      [
        'variables missing from the checkpoint:\n'
        '    a/b  float32[2] -> a/bias?',
        'another shape:\n    a/w: model [3, 2], checkpoint [2, 3]',
        'unused in the checkpoint:\n'
        '    a/bias  float32[2]\n    head/w  float32[7]',
      ],
    )
    self.assertLen(advise(table), 3)

  def test_ignored_on_either_side(self):
    model, checkpoint = {'w': (3,), 'new': ()}, {'w': (3,), 'head/w': (2,)}
    table = self.fit(model, checkpoint, ('^head/', '^new$'))
    self.assertEqual(misfit.headline(table, 'a', 'b'), '')
    table = self.fit(model, checkpoint, ('^head/',))
    self.assertIn('1 missing', misfit.headline(table, 'a', 'b'))

  def test_slots_of_an_unused_variable_are_not_listed(self):
    table = self.fit({'w': (3,)}, {'w': (3,), 'v': (2,), 'v/Adam': (2,)})
    self.assertEqual(names(table.extra), ['v'])

  def test_partitioned_model(self):
    table = self.fit({'w/part_0': (1, 2), 'w/part_1': (1, 2)}, {'w': (2, 2)})
    self.assertIn('without the partitioner', advise(table)[0])

  def test_long_lists_are_capped(self):
    table = self.fit({'w%02d' % i: (i,) for i in range(25)}, {'v': ()})
    text = misfit.describe(table)[0]
    self.assertLen(text.splitlines(), 12)
    self.assertEndsWith(text, '\n    ... and 15 more')


if __name__ == '__main__':
  absltest.main()
