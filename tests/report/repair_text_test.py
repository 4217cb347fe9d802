"""Changes that repair a place, in words."""

from absl.testing import absltest, parameterized

from tf_equiv.compare import divergence
from tf_equiv.compare.repairs import Change, ChangeKind, Proof, Repair, Rest
from tf_equiv.report import repair_text


def of_constant(tf1, tf2):
  """Returns the text of a constant that is another one."""
  return repair_text.change(
    Change(ChangeKind.CONSTANT, 'net/mul', '', tf1, tf2, 1)
  )


class ChangeTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.5, 0.25, '0.5 for 0.25'),
    ((0.5, 0.25), (0.25, 0.5), '[0.5, 0.25] for [0.25, 0.5]'),
    ((0, 2, 1), (0, 1, 2), '[0, 2, 1] for [0, 1, 2]'),
    ((1, 1), (2, 1), '[1, 1] for [2, 1]'),
    (
      ((1.0,),) * 6,
      ((1 / 6,),) * 6,
      '1 in all 6 elements for 0.1666667 in all 6 elements',
    ),
    (
      (((0.5, 0.5),) * 8,) * 4,
      0.25,
      '0.5 in all 64 elements for 0.25',
    ),
    (
      tuple(float(i) for i in range(20)),
      0.0,
      '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, ...] for 0',
    ),
  )
  def test_constants(self, tf1, tf2, text):
    self.assertEqual(of_constant(tf1, tf2), f'operand 1 of net/mul {text}')

  @parameterized.parameters(
    (('Tanh',), ('Elu',), 'Tanh for Elu'),
    (('Neg', 'Mul'), (), 'Neg + Mul put in before net/mul'),
    ((), ('Neg',), 'without Neg'),
    (('PyFunc',), ('PyFunc',), 'the PyFunc of TF1 for that of TF2'),
  )
  def test_ops(self, tf1, tf2, text):
    found = Change(ChangeKind.OP, 'net/mul', '', tf1, tf2)
    self.assertEqual(repair_text.change(found), text)


_VALUES_HELP = 'only the values of TF1 help here'
_AGREES = Proof(0, 1, 2, 1e-15)
_DIFFERS = Proof(0, 1, 2, 0.0, (Rest("outputs['y']", 0.5),))


def place(**fields):
  """Returns a place at which a repair was looked for."""
  found = divergence.Divergence(
    divergence.Place('net/a', 'Mul'),
    divergence.Place('net/b', 'Mul'),
    tried=True,
  )
  for name, value in fields.items():
    setattr(found, name, value)
  return found


def repaired(argument='', mistake='', count=1, group='outputs'):
  """Returns a place with a repair."""
  change = Change(ChangeKind.CONSTANT, 'net/b', '', 0.5, 0.25, 1)
  repair = Repair((change,) * count, 0.0, argument, 0.5, 'net.py:7')
  return place(repair=repair, mistake=mistake, group=group)


class RepairTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('values_that_help', True, _AGREES, True),
    ('values_that_do_not_help', True, _DIFFERS, False),
    ('values_that_were_not_given', False, _AGREES, False),
    ('no_proof', True, None, False),
  )
  def test_none(self, given, proof, helps):
    text = repair_text.repair(place(given=given), proof)
    self.assertStartsWith(text, 'repair: none that was tried')
    self.assertEqual(_VALUES_HELP in text, helps)

  def test_of_a_place_for_which_none_was_looked_for(self):
    text = repair_text.repair(place(tried=False, given=True), _AGREES)
    self.assertEqual(text, '')


class NextStepsTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ('none', (place(),), []),
    ('argument', (repaired('alpha'),), ['Write alpha=0.5 at net.py:7.']),
    ('mistake', (repaired(mistake='It is another slope.'),), []),
    (
      'change',
      (repaired(),),
      ['Make the change in TF2 that is listed as repair above.'],
    ),
    (
      'gradient_beside_what_it_follows_from',
      (repaired(mistake='The loss is a sum.'), repaired(group='gradients')),
      [],
    ),
    (
      'gradient_alone',
      (repaired(group='gradients'),),
      ['Make the change in TF2 that is listed as repair above.'],
    ),
    (
      'change_among_others',
      (repaired('alpha'), place(), repaired()),
      [
        'Write alpha=0.5 at net.py:7.',
        'Make the change in TF2 that is listed as repair of place 3.',
      ],
    ),
    (
      'several_changes_of_one_place',
      (repaired('alpha', 'It is another slope.', 2),),
      [
        'Write alpha=0.5 at net.py:7.',
        'Make the changes in TF2 that are listed as repair above.',
      ],
    ),
    (
      'changes',
      (repaired(), place(), repaired()),
      ['Make the changes in TF2 that are listed as repair of places 1, 3.'],
    ),
  )
  def test_text(self, places, expected):
    proof = Proof(len(places), 0, 2, 1e-15)
    self.assertEqual(repair_text.next_steps(places, proof), expected)

  @parameterized.parameters(None, _AGREES, _DIFFERS, Proof(1, 1, 2, 1e-15))
  def test_changes_that_do_not_suffice(self, proof):
    places = repaired(), repaired('alpha')
    self.assertEqual(
      repair_text.next_steps(places, proof), ['Write alpha=0.5 at net.py:7.']
    )


if __name__ == '__main__':
  absltest.main()
