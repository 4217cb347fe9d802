"""What was proven and no longer is, is named; what is as strong is not."""

import copy
import random

from absl.testing import absltest, parameterized

from tf_equiv.certificate import ratchet

_LAYERS = {'conv1': ('kernel', 'bias'), 'conv4': ('kernel', 'bias')}
_VARIABLES = [f'net/{a}/{b}' for a, names in _LAYERS.items() for b in names]


def entry(assertion, test='test_net', owner='net_test.NetTest', **changes):
  """Returns an entry; changes are those of its terms or of its fields."""
  terms = {
    'training': False,
    'weights': 'fixed',
    'seed_mode': 'constant',
    'seed': 42,
    'steps': 0,
    'start_step': 0,
    'seeds': 1,
    'rtol': None,
    'atol': None,
    'equal_nan': False,
    'variants': ['eager'],
    'searched': True,
  }
  made = {
    'class': owner,
    'test': test,
    'assertion': assertion,
    'terms': terms,
    'vacuous': False,
    'compared': {'variables': 4, 'outputs': 2},
    'tolerance': {'float32': [1e-6, 3.2e-5]},
    'variables': list(_VARIABLES),
    'layers': ['net/conv1', 'net/conv4'],
    'silent': [],
    'versions': {'TF1': {'tensorflow': '1.15.5'}, 'TF2': {}},
  }
  for name, value in changes.items():
    (terms if name in terms else made)[name] = value
  return made


def suite():
  """Returns what the tests of a class have proven."""
  steps = {'training': True, 'weights': 'seeded', 'steps': 3}
  return [
    entry('assertNoNewVariables', variables=[]),
    entry('assertVariablesMatch', compared={'variables': 4}),
    entry('assertForwardEquivalent', variants=['eager', 'function']),
    entry('assertTrainingEquivalent', 'test_training', **steps),
    entry(
      'assertTrainingEquivalent',
      'test_training',
      **steps,
      seed_mode='num_random_ops',
    ),
    entry('assertGradientsClose', training=True, compared={'gradients': 4}),
  ]


def without(name, variables):
  return [each for each in variables if name not in each]


class CleanTest(parameterized.TestCase):
  """Nothing is lost where all is proven that was before."""

  def assert_clean(self, old, new):
    change = ratchet.compare(old, new)
    self.assertEqual(change.lost, ())
    return change

  def test_same(self):
    change = self.assert_clean(suite(), suite())
    self.assertEqual((change.gained, change.kept), ((), 7))

  def test_other_order_and_other_tests(self):
    new = suite()
    random.Random(1).shuffle(new)
    for i, each in enumerate(new):
      each['test'] = f'test_{i}'
      each['variables'].reverse()
    self.assert_clean(suite(), new)

  def test_variants_in_assertions_of_their_own(self):
    new = suite()
    new[2]['terms']['variants'] = ['function']
    new.append(entry('assertForwardEquivalent'))
    self.assert_clean(suite(), new)

  def test_variables_that_another_assertion_of_the_kind_covers(self):
    new = suite()
    new.append(copy.deepcopy(new[3]))
    for i, name in ((3, 'conv1'), (-1, 'conv4')):
      new[i]['variables'] = without(name, _VARIABLES)
    self.assert_clean(suite(), new)

  def test_more(self):
    new = suite()
    new[3]['terms']['steps'] = 5
    new[3]['variables'].append('net/conv5/kernel')
    new[2]['compared']['outputs'] = 3
    new[5]['vacuous'] = False
    new.append(entry('assertCheckpointEquivalent'))
    new.append(entry('assertForwardEquivalent', owner='other_test.OtherTest'))
    change = self.assert_clean(suite(), new)
    self.assertEqual(
      change.gained,
      (
        'checkpoint of NetTest in constant (fixed weights)',
        'forward pass of OtherTest in constant (fixed weights)',
      ),
    )

  @parameterized.parameters(
    # (asked for before, allowed before, asked for now, allowed now)
    (1e-3, 1e-3, 1e-4, 1e-4),
    (1e-3, 1e-3, None, 3.2e-5),
    (None, 3.2e-5, 1e-5, 1e-5),
    (None, 3.2e-5, None, 6.4e-5),  # The values are larger.
  )
  def test_tolerances(self, *numbers):
    self.assert_clean(*_with_atol(*numbers))

  def test_what_was_vacuous_or_by_another_reference(self):
    old, new = suite(), suite()
    old[2].update(vacuous=True, variables=[])
    old[3]['versions']['TF1']['tensorflow'] = '2.21.0'
    self.assert_clean(old, new)
    new[3]['versions']['TF1']['tensorflow'] = '2.18.0'
    new[4]['versions']['TF1']['tensorflow'] = '1.14.0'
    self.assert_clean(old, new)


def _with_atol(asked1, allowed1, asked2, allowed2):
  found = []
  for asked, allowed in ((asked1, allowed1), (asked2, allowed2)):
    entries = suite()
    entries[2]['terms']['atol'] = asked
    entries[2]['tolerance'] = {'float32': [1e-6, allowed]}
    found.append(entries)
  return found


class LostTest(parameterized.TestCase):
  """Each loss is named, and nothing besides."""

  def setUp(self):
    super().setUp()
    self.new = suite()

  def assert_lost(self, *texts, old=None):
    change = ratchet.compare(old or suite(), self.new)
    self.assertEqual(change.lost, texts)
    # What is lost one way is gained the other, or stronger there.
    self.assertEqual(ratchet.compare(self.new, old or suite()).lost, ())

  def test_a_claim(self):
    del self.new[4]
    self.assert_lost(
      'training steps of NetTest in num_random_ops (initial weights)'
    )

  def test_a_variant(self):
    self.new[2]['terms']['variants'] = ['eager']
    self.assert_lost(
      'forward pass of NetTest in constant (fixed weights, function)'
    )

  def test_a_class(self):
    self.new = [entry('assertForwardEquivalent', owner='net_test.OtherTest')]
    change = ratchet.compare(suite(), self.new)
    self.assertEqual(change.lost, ('all of NetTest (7 claims)',))

  def test_classes_of_one_name_are_told_apart(self):
    old = [
      entry('assertGradientsClose', owner=f'{each}.NetTest') for each in 'ab'
    ]
    self.new = old[:1] + [entry('assertNoNewVariables', owner='b.NetTest')]
    change = ratchet.compare(old, self.new)
    self.assertEqual(
      change.lost, ('gradients of b.NetTest in constant (fixed weights)',)
    )

  def test_a_layer_nowhere(self):
    for each in self.new[2:]:
      each['variables'] = without('conv4', each['variables'])
    self.assert_lost('layer net/conv4 is no longer covered in NetTest')

  def test_a_layer_in_one_claim(self):
    self.new[5]['variables'] = without('conv4', _VARIABLES)
    self.assert_lost(
      'layer net/conv4 is no longer covered by the gradients in training of '
      'NetTest in constant (fixed weights)'
    )

  def test_a_variable(self):
    for each in self.new:
      each['variables'] = without('conv4/bias', each['variables'])
    self.assert_lost('variable net/conv4/bias is no longer covered in NetTest')

  def test_a_variable_that_was_matched_by_name_only(self):
    old = [entry('assertVariablesMatch')]
    self.new = [
      entry('assertVariablesMatch', variables=without('conv4/bias', _VARIABLES))
    ]
    self.assert_lost(
      'variable net/conv4/bias is no longer covered in NetTest', old=old
    )

  def test_steps(self):
    self.new[4]['terms']['steps'] = 1
    self.new[4]['compared']['outputs'] = 1  # Which follows from that.
    self.assert_lost(
      '2 of 3 steps of the training steps of NetTest in num_random_ops '
      '(initial weights)'
    )

  def test_outputs(self):
    self.new[2]['compared']['outputs'] = 1
    (first, second) = ratchet.compare(suite(), self.new).lost
    self.assertStartsWith(
      first, '1 of 2 outputs of the forward pass of NetTest'
    )
    self.assertIn('function', second)

  def test_a_quantity(self):
    del self.new[5]['compared']['gradients']
    self.assert_lost(
      '4 of 4 gradients of the gradients in training of NetTest in constant '
      '(fixed weights)'
    )

  def test_meaning(self):
    self.new[3].update(vacuous=True, variables=[])
    lost = ratchet.compare(suite(), self.new).lost
    self.assertStartsWith(
      lost[0], 'the meaning (the agreement now proves nothing) of the training'
    )
    self.assertLen(lost, 3)  # And the two layers.

  def test_search(self):
    self.new[5]['terms']['searched'] = False
    self.assert_lost(
      'the search for inputs that tell the sides apart of the gradients in '
      'training of NetTest in constant (fixed weights)'
    )

  @parameterized.parameters(
    (1e-4, 1e-4, 1e-3, 1e-3, 'atol=0.0001 (now 0.001)'),
    (None, 3.2e-5, 1e-3, 1e-3, 'the default atol (now 0.001)'),
    (1e-7, 1e-7, None, 3.2e-5, 'atol=1e-07 (now the default)'),
  )
  def test_tolerance(self, *numbers):
    *numbers, text = numbers
    old, new = _with_atol(*numbers)
    lost = ratchet.compare(old, new).lost
    self.assertLen(lost, 2)  # In both variants.
    self.assertStartsWith(lost[0], f'{text} of the forward pass of NetTest')

  def test_equal_nan(self):
    self.new[5]['terms']['equal_nan'] = True
    self.assert_lost(
      'equal_nan=False of the gradients in training of NetTest in constant '
      '(fixed weights)'
    )

  def test_the_real_tensorflow_1(self):
    self.new[5]['versions']['TF1']['tensorflow'] = '2.21.0'
    self.assert_lost(
      'TensorFlow 1.15.5 as TF1 (now 2.21.0) of the gradients in training of '
      'NetTest in constant (fixed weights)'
    )

  def test_a_strong_claim_is_not_replaced_by_two_weak_ones(self):
    weak = copy.deepcopy(self.new[5])
    self.new[5]['terms']['searched'] = False
    weak['terms']['equal_nan'] = True
    self.new.append(weak)
    self.assertLen(ratchet.compare(suite(), self.new).lost, 1)


if __name__ == '__main__':
  absltest.main()
