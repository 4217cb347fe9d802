"""Plans as what a recording is found by."""

import collections

import ml_dtypes
import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode
from tf_equiv.golden import plans


def key(kind=plans.RUN, **fields):
  fields.setdefault('inputs', np.arange(6.0).reshape(2, 3))
  plan = plan_lib.RunPlan(**fields)
  return plans.digest_of(plans.describe(kind, plan))


class KeyTest(parameterized.TestCase):
  @parameterized.parameters(
    {'training': True},
    {'weights': 'seeded'},
    {'seed_mode': SeedMode.NUM_RANDOM_OPS},
    {'seed': 43},
    {'gradients': True},
    {'input_gradients': True},
    {'updates': True},
    {'batches': (np.arange(6.0).reshape(2, 3),)},
    {'inputs': np.arange(6.0).reshape(3, 2)},
    {'inputs': np.arange(6.0, dtype=np.float32).reshape(2, 3)},
    {'inputs': np.arange(1.0, 7.0).reshape(2, 3)},
    {'inputs': {'x': np.arange(6.0).reshape(2, 3)}},
  )
  def test_whatever_a_result_depends_on_is_in_it(self, **fields):
    self.assertNotEqual(key(**fields), key())

  def test_how_arrays_lie_in_memory_is_not(self):
    array = np.arange(6.0).reshape(2, 3)
    turned = np.asfortranarray(array)
    for same in (turned, array.astype('>f8'), array.copy()):
      self.assertEqual(key(inputs=same), key(inputs=array))
    ordered = collections.OrderedDict([('b', array), ('a', array)])
    self.assertEqual(key(inputs=ordered), key(inputs={'a': array, 'b': array}))

  def test_it_stays_the_same(self):
    # Or all goldens would have to be recorded anew.
    self.assertStartsWith(key(training=True), '30969b15ca229b35')

  def test_variables_depend_on_shapes_only(self):
    first = key(plans.VARIABLES)
    self.assertEqual(first, key(plans.VARIABLES, inputs=np.ones((2, 3))))
    self.assertEqual(first, key(plans.VARIABLES, weights='seeded'))
    self.assertNotEqual(first, key(plans.VARIABLES, training=True))
    self.assertNotEqual(first, key(plans.VARIABLES, inputs=np.ones((2, 4))))

  def test_text_and_types_that_numpy_lacks(self):
    first = plans.describe_array(np.array([b'a', b'bc'], dtype=object))
    for same in (np.array(['a', 'bc']), np.array([b'a', b'bc'])):
      self.assertEqual(plans.describe_array(same), first)
    other = plans.describe_array(np.array([b'ab', b'c']))
    self.assertNotEqual(other, first)
    half = plans.describe_array(np.ones(2, ml_dtypes.bfloat16))
    self.assertEqual(half['dtype'], 'bfloat16')


class TextTest(absltest.TestCase):
  def test_title(self):
    plan = plan_lib.RunPlan(
      np.ones(2),
      training=True,
      weights='seeded',
      gradients=True,
      seed=7,
      batches=(np.ones(2), np.ones(2)),
    )
    self.assertEqual(
      plans.title(plans.describe(plans.RUN, plan)),
      'training, initial weights, seed_mode=constant, seed=7, gradients, '
      'steps=2',
    )
    self.assertEqual(
      plans.title(plans.describe(plans.VARIABLES, plan)),
      'list of variables, training',
    )

  def test_fields_of_another_version_are_shown(self):
    plan = plan_lib.RunPlan(np.ones(2))
    description = {**plans.describe(plans.RUN, plan), 'colour': 'red'}
    self.assertEndsWith(plans.title(description), ', colour=red')

  def test_plan_of(self):
    plan = plan_lib.RunPlan(
      np.ones(2),
      training=True,
      seed_mode=SeedMode.NUM_RANDOM_OPS,
      batches=(np.ones(2),),
    )
    found = plans.plan_of(plans.describe(plans.RUN, plan))
    self.assertEqual(found.describe(), plan.describe())

  def test_inputs_differences(self):
    recorded, given = (
      {'inputs': plans.describe_inputs(inputs)}
      for inputs in (
        {'a': np.ones(2), 'b': np.ones(2), 'c': np.ones(2)},
        {'a': np.ones(2), 'b': np.ones(3, np.float32), 'd': np.ones(2)},
      )
    )
    lines = plans.inputs_differences(recorded, given)
    self.assertLen(lines, 3)
    self.assertRegex(
      lines[0],
      r"^inputs\['b'\]: recorded float64\[2\] sha256 \w{12}\.\.\., given "
      r'float32\[3\] sha256 \w{12}\.\.\.$',
    )
    self.assertRegex(lines[1], r"\['c'\]: recorded float64\[2\].*, given none$")
    self.assertRegex(lines[2], r"\['d'\]: given float64\[2\].*, not recorded$")


if __name__ == '__main__':
  absltest.main()
