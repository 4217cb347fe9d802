from absl.testing import absltest

from tf_equiv.compare import variables
from tf_equiv.compare.quantity import Quantity
from tf_equiv.core import observation
from tf_equiv.core.source_line import SourceLine
from tf_equiv.diagnose import update_location
from tf_equiv.report import differences
from tf_equiv.tf1.optimizers import OptimizerSpec

SGD = OptimizerSpec('SGD', 'gradient descent', {})


def update(*names, line=0, **arguments):
  return observation.UpdateObservation(
    SGD,
    dict.fromkeys(names),
    made=SourceLine('made.py', 1),
    applied=SourceLine('loop.py', line) if line else SourceLine(),
    **arguments,
  )


def table(*names):
  specs = [observation.VariableSpec(n, (1,), 'float32', True) for n in names]
  return variables.match_variables(specs, specs, rename=lambda name: name)


def step(*found):
  return observation.StepObservation(updates=list(found))


class LocateTest(absltest.TestCase):
  def _locate(self, quantity, name, first, second):
    sides = step(*first), step(*second)
    return update_location.locate(quantity, name, sides, table('a', 'b'))

  def test_variable(self):
    first = update('a', operations={'a': ('SGD/update_a', 'ResourceApply')})
    found = self._locate(Quantity.VARIABLES, 'a', [first], [update('a')])
    self.assertEqual(str(found.tf1), 'SGD/update_a (ResourceApply)')
    self.assertEqual(str(found.tf2), 'SGD (gradient descent)')
    self.assertEqual(found.tf2.line, 'made.py:1')
    self.assertEqual(found.variables, ('a',))

  def test_gradients_show_where_they_are_applied(self):
    first = update('a', line=7, operations={'a': ('x', 'y')})
    found = self._locate(
      Quantity.GRADIENTS, 'a', [first], [update('a', line=8)]
    )
    self.assertEqual(found.tf1.name, 'SGD')
    self.assertEqual(found.tf1.line, 'loop.py:7')
    self.assertEqual(found.tf2.line, 'loop.py:8')

  def test_rate_shows_the_schedule(self):
    line = SourceLine('schedule.py', 3)
    second = update('a', scheduled=line)
    found = self._locate(
      Quantity.LEARNING_RATE, 'learning rate of SGD', [update('a')], [second]
    )
    self.assertEqual(found.tf1.line, 'made.py:1')
    self.assertEqual(found.tf2.line, 'schedule.py:3')

  def test_trained_on_one_side(self):
    found = self._locate(
      Quantity.GRADIENTS, 'b', [update('a')], [update('a', 'b')]
    )
    self.assertEqual(
      [*map(differences.describe, found.differences)], ['TF1 does not train b']
    )
    self.assertIsNotNone(found.tf1)

  def test_order(self):
    first, second = [update('a'), update('b')], [update('b'), update('a')]
    found = self._locate(Quantity.OUTPUTS, "outputs['loss']", first, second)
    self.assertEqual(
      [*map(differences.describe, found.differences)],
      ['order of updates: TF1 trains a first, TF2 b'],
    )
    self.assertIn('in another order', found.mistake)
    same = self._locate(Quantity.OUTPUTS, "outputs['loss']", first, first)
    self.assertIsNone(same)


if __name__ == '__main__':
  absltest.main()
