import re
import unittest

import tf_equiv  # noqa: F401 isort: skip (before tensorflow)
import keras
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests import optimizer_formulas as formulas
from tf_equiv.compat import optimizers as optimizers_lib
from tf_equiv.core import errors
from tf_equiv.tf2 import optimizers

v1 = tf.compat.v1
train = v1.train
KERAS = {
  'tf_keras': tf.keras.optimizers,
  'legacy': tf.keras.optimizers.legacy,
  'Keras 3': keras.optimizers,
}
LR = 0.1
STEPS = 4

# name -> (optimizer, kind, formula, arguments of the formula)
ROWS = {
  'gradient descent': (
    lambda k: k.SGD(LR),
    'gradient descent',
    formulas.gradient_descent,
    {},
  ),
  'momentum': (
    lambda k: k.SGD(LR, momentum=0.8),
    'momentum',
    formulas.momentum,
    {'momentum': 0.8, 'nesterov': False},
  ),
  'nesterov': (
    lambda k: k.SGD(LR, momentum=0.8, nesterov=True),
    'momentum',
    formulas.momentum,
    {'momentum': 0.8, 'nesterov': True},
  ),
  'adam': (
    lambda k: k.Adam(LR, 0.7, 0.9, 0.01),
    'adam',
    formulas.adam,
    {'beta_1': 0.7, 'beta_2': 0.9, 'epsilon': 0.01},
  ),
  'rmsprop momentum': (
    lambda k: k.RMSprop(LR, 0.7, 0.5, 0.01),
    'rmsprop',
    formulas.rms_prop,
    {'rho': 0.7, 'momentum': 0.5, 'epsilon': 0.01, 'centered': False},
  ),
  'rmsprop centered': (
    lambda k: k.RMSprop(LR, 0.7, 0.5, 0.01, centered=True),
    'rmsprop',
    formulas.rms_prop,
    {'rho': 0.7, 'momentum': 0.5, 'epsilon': 0.01, 'centered': True},
  ),
  'adadelta': (
    lambda k: k.Adadelta(LR, 0.7, 0.01),
    'adadelta',
    formulas.adadelta,
    {'rho': 0.7, 'epsilon': 0.01},
  ),
  'adagrad': (
    lambda k: k.Adagrad(LR, 0.3, 1e-7),
    'adagrad',
    formulas.adagrad,
    {'initial_accumulator_value': 0.3, 'epsilon': 1e-7},
  ),
  'ftrl': (
    lambda k: k.Ftrl(
      LR,
      -0.6,
      0.2,
      0.01,
      0.02,
      l2_shrinkage_regularization_strength=0.03,
      beta=0.04,
    ),
    'ftrl',
    formulas.ftrl,
    {
      'learning_rate_power': -0.6,
      'initial_accumulator_value': 0.2,
      'l1': 0.01,
      'l2': 0.02,
      'l2_shrinkage': 0.03,
      'beta': 0.04,
    },
  ),
}


def gradients():
  rng = np.random.default_rng(0)
  return [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(STEPS)]


def initial():
  return np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)


def trained(optimizer, steps=STEPS, value=None):
  """Returns a variable after real updates."""
  variable = tf.Variable(initial() if value is None else value)
  for gradient in gradients()[:steps]:
    optimizer.apply_gradients([(tf.constant(gradient), variable)])
  return variable


def constant_rate(s):
  """A schedule as people write it, which cannot be serialized."""

  class Halved(s.LearningRateSchedule):
    def __call__(self, step):
      return 0.5 ** (tf.cast(step, tf.float32) + 1)

  return Halved()


def schedules(k):
  return getattr(k, 'schedules', tf.keras.optimizers.schedules)


class TrainedTest(parameterized.TestCase):
  @parameterized.product(name=tuple(ROWS), family=tuple(KERAS))
  def test_slots_are_those_of_the_formula(self, name, family):
    make, kind, formula, arguments = ROWS[name]
    optimizer = make(KERAS[family])
    variable = trained(optimizer)
    spec = optimizers.describe(optimizer)
    self.assertEqual(spec.kind, kind)
    for hyperparameter, value in arguments.items():
      found = spec.hyperparameters[hyperparameter]
      self.assertAlmostEqual(found, value, delta=1e-6, msg=hyperparameter)
    if kind == 'rmsprop':
      arguments = {**arguments, 'start': 0.0}
    expected, expected_slots = formula(
      initial().astype(np.float64), gradients(), LR, **arguments
    )
    np.testing.assert_allclose(variable, expected, rtol=1e-5, atol=1e-5)
    slots = optimizers.slots_of(optimizer, variable)
    self.assertCountEqual(slots, expected_slots)
    for meaning, value in expected_slots.items():
      found = optimizers.in_reference_terms(
        optimizer, meaning, np.asarray(slots[meaning]), LR
      )
      np.testing.assert_allclose(
        found, value, rtol=2e-5, atol=1e-6, err_msg=meaning
      )
    self.assertEqual(optimizers.iterations_of(optimizer), STEPS)

  @parameterized.parameters(*KERAS)
  def test_the_velocity_is_not_the_sum_of_gradients(self, family):
    optimizer = KERAS[family].SGD(LR, momentum=0.8)
    variable = trained(optimizer)
    (slot,) = optimizers.slots_of(optimizer, variable).values()
    raw = np.asarray(slot)
    _, expected = formulas.momentum(initial(), gradients(), LR, 0.8)
    self.assertGreater(np.max(np.abs(raw - expected['momentum'])), 0.5)
    for rate in (0.0, None):
      kept = optimizers.in_reference_terms(optimizer, 'momentum', raw, rate)
      np.testing.assert_array_equal(kept, raw)

  @parameterized.parameters(*KERAS)
  def test_slots_that_tf1_does_not_have(self, family):
    k = KERAS[family]
    optimizer = k.Adam(LR, amsgrad=True)
    variable = trained(optimizer)
    self.assertCountEqual(
      optimizers.slots_of(optimizer, variable),
      ['first moment', 'second moment', 'largest second moment'],
    )
    optimizer = k.Adamax(LR)
    slots = optimizers.slots_of(optimizer, trained(optimizer))
    self.assertCountEqual(slots, ['first moment', 'infinity norm'])

  @parameterized.parameters('tf_keras', 'Keras 3')
  def test_moving_averages_are_slots(self, family):
    optimizer = KERAS[family].SGD(LR, use_ema=True, ema_momentum=0.5)
    variable = trained(optimizer, steps=1)
    (meaning,), (slot,) = zip(
      *optimizers.slots_of(optimizer, variable).items(), strict=True
    )
    self.assertEqual(meaning, optimizers.MOVING_AVERAGE)
    after = variable.numpy()
    # Keras 3 starts to average after the first update.
    first = after if family == 'Keras 3' else (initial() + after) / 2
    np.testing.assert_allclose(slot, first, rtol=1e-6)
    found = optimizers.describe(optimizer).hyperparameters
    self.assertEqual(found['ema_momentum'], 0.5)
    plain = optimizers.describe(KERAS[family].SGD(LR)).hyperparameters
    self.assertNotIn('ema_momentum', plain)

  @parameterized.parameters(*KERAS)
  def test_a_variable_without_gradient_has_no_slots_or_fresh_ones(self, family):
    optimizer = KERAS[family].Adam(LR)
    other = tf.Variable(initial(), name='other')
    trained(optimizer)
    self.assertEmpty(optimizers.slots_of(optimizer, other))

  def test_slots_of_unknown_optimizers_keep_their_names(self):
    class Signed(tf.keras.optimizers.Optimizer):
      def __init__(self):
        super().__init__(name='Signed')
        self._learning_rate = self._build_learning_rate(LR)

      def build(self, var_list):
        super().build(var_list)
        if getattr(self, '_built', False):
          return
        self._built = True
        self.speed = [
          self.add_variable_from_reference(v, 'speed') for v in var_list
        ]

      def update_step(self, gradient, variable):
        speed = self.speed[self._index_dict[self._var_key(variable)]]
        speed.assign_add(gradient)
        variable.assign_sub(self.learning_rate * tf.sign(speed))

    optimizer = Signed()
    variable = trained(optimizer)
    slots = optimizers.slots_of(optimizer, variable)
    self.assertEqual(list(slots), ['speed'])
    np.testing.assert_allclose(
      slots['speed'], np.sum(gradients(), axis=0), rtol=1e-5
    )
    self.assertEqual(optimizers.describe(optimizer).kind, 'other')


class DescribeTest(parameterized.TestCase):
  @parameterized.parameters(*KERAS)
  def test_kinds(self, family):
    k = KERAS[family]

    class WarmAdam(k.Adam):
      pass

    for optimizer, kind in (
      (k.SGD(), 'gradient descent'),
      (k.SGD(momentum=0.5), 'momentum'),
      (WarmAdam(), 'adam'),
      (k.Nadam(), 'nadam'),
      (k.Adamax(), 'adamax'),
    ):
      spec = optimizers.describe(optimizer)
      self.assertEqual(spec.kind, kind)
      self.assertEqual(spec.name, type(optimizer).__name__)
    if hasattr(k, 'AdamW'):
      self.assertEqual(optimizers.describe(k.AdamW()).kind, 'adamw')
      self.assertEqual(optimizers.describe(k.Lion()).kind, 'lion')

  @parameterized.parameters(*KERAS)
  def test_a_schedule_that_cannot_be_serialized(self, family):
    k = KERAS[family]
    optimizer = k.Adam(constant_rate(schedules(k)), beta_1=0.5)
    spec = optimizers.describe(optimizer)
    self.assertEqual(spec.hyperparameters['beta_1'], 0.5)
    self.assertNotIn('learning_rate', spec.hyperparameters)

  @parameterized.parameters('tf_keras', 'legacy')
  def test_hyperparameters_may_be_tensors_and_variables(self, family):
    for value in (tf.constant(0.5), tf.Variable(0.5)):
      spec = optimizers.describe(KERAS[family].SGD(LR, momentum=value))
      self.assertEqual(spec.kind, 'momentum')
      self.assertEqual(spec.hyperparameters['momentum'], 0.5)

  def test_legacy_hyperparameters_are_read_without_making_variables(self):
    optimizer = KERAS['legacy'].Adam(LR)
    count = len(optimizers.variables_of(optimizer))
    optimizers.describe(optimizer)
    self.assertLen(optimizers.variables_of(optimizer), count)

  def test_what_only_keras_has(self):
    found = optimizers.describe(
      keras.optimizers.Adam(weight_decay=0.1, gradient_accumulation_steps=2)
    ).hyperparameters
    self.assertEqual(found['weight_decay'], 0.1)
    self.assertEqual(found['gradient_accumulation_steps'], 2)

  @parameterized.parameters(*KERAS)
  def test_loss_scaling_is_looked_through(self, family):
    k = KERAS[family]
    wrap = (
      keras.mixed_precision.LossScaleOptimizer
      if family == 'Keras 3'
      else tf.keras.mixed_precision.LossScaleOptimizer
    )
    optimizer = wrap(k.SGD(LR, momentum=0.8))
    variable = trained(optimizer, steps=1)
    self.assertEqual(optimizers.describe(optimizer).kind, 'momentum')
    self.assertEqual(
      list(optimizers.slots_of(optimizer, variable)), ['momentum']
    )
    self.assertEqual(optimizers.iterations_of(optimizer), 1)
    self.assertAlmostEqual(float(optimizers.learning_rate_of(optimizer)), LR)

  def test_v1_optimizers_run_eagerly(self):
    optimizer = train.AdamOptimizer(LR)
    variable = trained(optimizer)
    self.assertEqual(optimizers.describe(optimizer).kind, 'adam')
    self.assertIsNone(optimizers.iterations_of(optimizer))
    names = [v.name for v in optimizers.variables_of(optimizer)]
    self.assertLen(names, 4)  # Two slots, two powers of beta.
    tf.keras.backend.clear_session()  # Makes `optimizer.variables()` forget.
    self.assertEmpty(optimizer.variables())
    self.assertLen(optimizers.variables_of(optimizer), 4)
    self.assertLen(optimizers.slots_of(optimizer, variable), 2)

  @unittest.skipUnless(
    hasattr(keras.optimizers, 'MultiOptimizer'), 'this Keras 3 is too old'
  )
  def test_several_optimizers_in_one(self):
    weights, bias = keras.Variable(initial()), keras.Variable([1.0])
    adam, sgd = keras.optimizers.Adam(), keras.optimizers.SGD(momentum=0.5)
    chosen = {id(weights): adam, id(bias): sgd}
    both = keras.optimizers.MultiOptimizer(lambda v: chosen[id(v)])
    optimizers.build(both, [weights, bias])
    self.assertCountEqual(optimizers.parts_of(both), [adam, sgd])
    self.assertIsNone(optimizers.learning_rate_of(both))
    self.assertEqual(list(optimizers.slots_of(both, bias)), ['momentum'])
    self.assertLen(optimizers.slots_of(both, weights), 2)
    self.assertEqual(optimizers.parts_of(adam), [adam])


class LearningRateTest(parameterized.TestCase):
  @parameterized.parameters(*KERAS)
  def test_it_is_that_of_the_next_update(self, family):
    k = KERAS[family]
    optimizer = k.SGD(constant_rate(schedules(k)))
    variable = tf.Variable(1.0)
    for step in range(3):
      rate = float(optimizers.learning_rate_of(optimizer))
      before = variable.numpy()
      optimizer.apply_gradients([(tf.constant(1.0), variable)])
      self.assertAlmostEqual(before - variable.numpy(), rate, places=6)
      self.assertEqual(rate, 0.5 ** (step + 1))

  @parameterized.parameters('legacy', 'Keras 3')
  def test_callables(self, family):
    optimizer = KERAS[family].SGD(lambda: 0.25)
    self.assertEqual(float(optimizers.learning_rate_of(optimizer)), 0.25)

  def test_legacy_decay(self):
    optimizer = KERAS['legacy'].SGD(1.0, decay=0.5)
    trained(optimizer, steps=2)
    self.assertEqual(float(optimizers.learning_rate_of(optimizer)), 0.5)
    # Nadam's `decay` is none of the learning rate.
    optimizer = KERAS['legacy'].Nadam(1.0)
    optimizers.set_iterations(optimizer, 100)
    self.assertEqual(float(optimizers.learning_rate_of(optimizer)), 1.0)

  @parameterized.parameters(True, False)
  def test_v1_schedules_are_evaluated_for_each_update(self, compiled):
    counter = tf.Variable(0, dtype=tf.int64)
    optimizer = train.GradientDescentOptimizer(
      train.exponential_decay(1.0, counter, 1, 0.5)
    )
    variable = tf.Variable(0.0)

    def step(unused):
      rate = tf.identity(optimizers.learning_rate_of(optimizer))
      optimizer.apply_gradients(
        [(tf.constant(1.0), variable)], global_step=counter
      )
      return rate

    rates = [float(step(0))]
    # Two traces: a tensor of the first one must not be used in the second.
    step = tf.function(step) if compiled else step
    rates += [float(step(1)), float(step(2))]
    self.assertEqual(rates, [1.0, 0.5, 0.25])
    self.assertEqual(variable.numpy(), -1.75)


class ClippedTest(parameterized.TestCase):
  """`clipped` must say what the update really took."""

  def _effective(self, optimizer, given, function=False):
    """Returns what an SGD with learning rate one subtracted."""
    variables = [
      tf.Variable(tf.zeros_like(tf.convert_to_tensor(g))) for g in given
    ]

    def step():
      optimizer.apply_gradients(list(zip(given, variables, strict=True)))

    optimizers.build(optimizer, variables)
    (tf.function(step) if function else step)()
    return [-v.numpy() for v in variables]

  @parameterized.product(
    family=tuple(KERAS),
    argument=('clipnorm', 'clipvalue', 'global_clipnorm'),
    function=(True, False),
  )
  def test_clipping(self, family, argument, function):
    optimizer = KERAS[family].SGD(1.0, **{argument: 0.5})
    given = [tf.constant([3.0, 0.25]), tf.constant([[-0.1]])]

    def clip():
      return optimizers.clipped(optimizer, given)

    found = (tf.function(clip) if function else clip)()
    self.assertGreater(np.max(np.abs(found[0] - given[0])), 1.0)
    expected = self._effective(optimizer, given, function)
    for a, b in zip(found, expected, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-6)

  @parameterized.product(
    family=tuple(KERAS), argument=('clipnorm', 'clipvalue', 'global_clipnorm')
  )
  def test_clipping_of_sparse_gradients(self, family, argument):
    optimizer = KERAS[family].SGD(1.0, **{argument: 0.5})
    given = [
      tf.IndexedSlices(
        tf.constant([[3.0], [4.0]]), tf.constant([0, 2]), tf.constant([3, 1])
      ),
      tf.constant([0.3]),
    ]
    found = optimizers.clipped(optimizer, given)
    expected = self._effective(optimizer, given)
    for a, b in zip(found, expected, strict=True):
      np.testing.assert_allclose(tf.convert_to_tensor(a), b, rtol=1e-6)

  def test_legacy_clips_by_value_and_norm(self):
    optimizer = KERAS['legacy'].SGD(1.0, clipvalue=1.0, clipnorm=1.0)
    (found,) = optimizers.clipped(optimizer, [tf.constant([30.0, 40.0])])
    np.testing.assert_allclose(found, [0.5**0.5] * 2, rtol=1e-6)

  def test_transformers_of_legacy_optimizers(self):
    kernel, bias = tf.Variable([1.0], name='kernel'), tf.Variable([1.0])
    optimizer = KERAS['legacy'].SGD(
      gradient_transformers=[
        lambda pairs: [
          (2 * g if 'kernel' in v.name else g, v) for g, v in pairs
        ]
      ]
    )
    ones = [tf.ones([1]), tf.ones([1])]
    found = optimizers.clipped(optimizer, ones, [kernel, bias])
    self.assertEqual([float(g[0]) for g in found], [2.0, 1.0])

  def test_loss_scaling_of_keras_3_is_undone_before_clipping(self):
    for optimizer in (
      keras.optimizers.SGD(1.0, clipnorm=1.0, loss_scale_factor=1024.0),
      keras.mixed_precision.LossScaleOptimizer(
        keras.optimizers.SGD(1.0, clipnorm=1.0), initial_scale=1024.0
      ),
    ):
      loss = tf.constant(1.0)
      self.assertEqual(optimizers.scaled_loss(optimizer, loss), 1024.0)
      given = [tf.constant([512.0]), tf.constant([2048.0])]
      found = optimizers.clipped(optimizer, given)
      self.assertEqual([float(g[0]) for g in found], [0.5, 1.0])
      expected = self._effective(optimizer, given)
      self.assertEqual([float(g[0]) for g in expected], [0.5, 1.0])

  def test_others_do_not_scale_the_loss(self):
    loss = tf.constant(1.0)
    for optimizer in (
      train.AdamOptimizer(),
      KERAS['legacy'].SGD(),
      tf.keras.mixed_precision.LossScaleOptimizer(KERAS['tf_keras'].SGD()),
    ):
      self.assertIs(optimizers.scaled_loss(optimizer, loss), loss)

  def test_gradients_that_are_none_stay_none(self):
    given = [None, tf.constant([3.0]), None]
    for k in KERAS.values():
      found = optimizers.clipped(k.SGD(clipnorm=1.0), given)
      self.assertEqual([g is None for g in found], [True, False, True])
      self.assertEqual(float(found[1][0]), 1.0)
    self.assertIs(optimizers.clipped(train.AdamOptimizer(), given)[1], given[1])


class StateTest(parameterized.TestCase):
  """Slots and counters that are set continue as the reference would."""

  # A checkpoint of TF1 after three steps; the fourth must be the same.
  _KINDS = {
    'momentum': (
      lambda: train.MomentumOptimizer(LR, 0.8),
      lambda k: k.SGD(LR, momentum=0.8),
    ),
    'adam': (
      lambda: train.AdamOptimizer(LR),
      lambda k: k.Adam(LR, epsilon=1e-8),
    ),
    'rmsprop': (
      lambda: train.RMSPropOptimizer(LR, momentum=0.5, centered=True),
      lambda k: k.RMSprop(LR, momentum=0.5, centered=True, epsilon=1e-10),
    ),
    'adagrad': (
      lambda: train.AdagradOptimizer(LR),
      lambda k: k.Adagrad(LR),
    ),
    'adadelta': (
      lambda: train.AdadeltaOptimizer(LR),
      lambda k: k.Adadelta(LR, epsilon=1e-8),
    ),
    'ftrl': (lambda: train.FtrlOptimizer(LR), lambda k: k.Ftrl(LR)),
  }

  def _resumed(self, kind, make):
    reference = self._KINDS[kind][0]()
    variable = trained(reference, steps=3)
    slots = {
      meaning: np.asarray(slot)
      for meaning, slot in optimizers.slots_of(reference, variable).items()
    }
    mine = make()
    resumed = tf.Variable(variable.numpy())
    optimizers.build(mine, [resumed])
    for meaning, value in slots.items():
      self.assertTrue(
        optimizers.set_slot(mine, resumed, meaning, value, LR), meaning
      )
    optimizers.set_iterations(mine, 3)
    last = tf.constant(gradients()[3])
    before = variable.numpy()
    reference.apply_gradients([(last, variable)])
    mine.apply_gradients([(last, resumed)])
    moved = np.max(np.abs(variable.numpy() - before))
    return np.max(np.abs(variable.numpy() - resumed.numpy())) / moved

  @parameterized.product(kind=tuple(_KINDS), family=tuple(KERAS))
  def test_keras_continues_what_tf1_began(self, kind, family):
    make = self._KINDS[kind][1]
    self.assertLess(self._resumed(kind, lambda: make(KERAS[family])), 2e-5)

  @parameterized.parameters(*_KINDS)
  def test_v1_continues_what_tf1_began(self, kind):
    self.assertLess(self._resumed(kind, self._KINDS[kind][0]), 2e-6)

  def test_a_forgotten_counter_would_be_seen(self):
    with absltest.mock.patch.object(optimizers, 'set_iterations'):
      make = self._KINDS['adam'][1]
      difference = self._resumed('adam', lambda: make(KERAS['tf_keras']))
    self.assertGreater(difference, 0.1)

  @parameterized.parameters(*KERAS)
  def test_a_velocity_needs_the_learning_rate(self, family):
    optimizer = KERAS[family].SGD(LR, momentum=0.8)
    variable = tf.Variable(initial())
    optimizers.build(optimizer, [variable])
    with self.assertRaisesRegex(errors.UsageError, 'minus the learning rate'):
      optimizers.set_slot(optimizer, variable, 'momentum', initial(), 0.0)

  def test_a_slot_that_is_not_there(self):
    optimizer = KERAS['tf_keras'].SGD(LR)
    variable = trained(optimizer)
    self.assertFalse(
      optimizers.set_slot(optimizer, variable, 'second moment', initial())
    )

  def test_gradient_accumulation_counts_updates(self):
    optimizer = keras.optimizers.SGD(LR, gradient_accumulation_steps=2)
    optimizers.build(optimizer, [tf.Variable(initial())])
    optimizers.set_iterations(optimizer, 3)
    self.assertEqual(optimizers.iterations_of(optimizer), 3)

  @parameterized.parameters(*KERAS)
  def test_build_makes_all_slots_outside_of_a_function(self, family):
    optimizer = KERAS[family].Adam(LR)
    variable = tf.Variable(initial())
    optimizers.build(optimizer, [variable])
    before = {id(v) for v in optimizers.variables_of(optimizer)}
    self.assertLen(optimizers.slots_of(optimizer, variable), 2)
    optimizers.build(optimizer, [variable])  # Again, to no effect.

    @tf.function
    def step():
      optimizer.apply_gradients([(tf.constant(gradients()[0]), variable)])

    step()
    after = {id(v) for v in optimizers.variables_of(optimizer)}
    self.assertEqual(after, before)

  @parameterized.parameters(*KERAS)
  def test_the_learning_rate_is_among_the_variables(self, family):
    optimizer = KERAS[family].SGD(0.375)
    trained(optimizer, steps=1)
    values = [np.asarray(v) for v in optimizers.variables_of(optimizer)]
    values = [float(value) for value in values if value.shape == ()]
    self.assertIn(0.375, values)


class CheckOptimizerTest(parameterized.TestCase):
  @parameterized.parameters(*KERAS)
  def test_optimizers_are_returned(self, family):
    optimizer = KERAS[family].Adam()
    self.assertIs(optimizers.check_optimizer(optimizer), optimizer)

  def test_v1_is_one(self):
    optimizer = train.AdamOptimizer()
    self.assertIs(optimizers.check_optimizer(optimizer), optimizer)
    self.assertTrue(optimizers_lib.is_v1(optimizer))

  @parameterized.parameters(
    (None, 'returned None; expected an optimizer .* Is a `return` missing?'),
    ('adam', r"returned 'adam'; .* Return tf.keras.optimizers.get\('adam'\)"),
    (
      tf.keras.optimizers.Adam,
      r'the class Adam; return an object of it: `return Adam\(',
    ),
    (lambda: 0, 'Return what it makes, not the function'),
    ({'class_name': 'Adam'}, 'returned {.*; expected an optimizer'),
    (0.1, 'returned 0.1; expected an optimizer'),
  )
  def test_what_is_no_optimizer(self, given, pattern):
    with self.assertRaises(errors.UsageError) as caught:
      optimizers.check_optimizer(given)
    self.assertRegex(str(caught.exception), re.compile(pattern, re.DOTALL))


if __name__ == '__main__':
  absltest.main()
