"""Training steps of an exported graph are those of the code that made it."""

import os

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references.exported_test_helper import (
  AdamWeightDecay,
  temporary_folder,
)
from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.references import in_process
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import tensors, weights

v1 = tf.compat.v1
train = v1.train

_REF = program_lib.TF1Behavior(resource_variables=False, control_flow_v2=False)
_RESOURCE = program_lib.TF1Behavior(control_flow_v2=False)

_OPTIMIZERS = {
  'gradient_descent': lambda: train.GradientDescentOptimizer(0.1),
  'momentum': lambda: train.MomentumOptimizer(0.1, 0.9),
  'nesterov': lambda: train.MomentumOptimizer(0.1, 0.8, use_nesterov=True),
  'adam': lambda: train.AdamOptimizer(0.01, 0.8, 0.99, 1e-4),
  'rmsprop': lambda: train.RMSPropOptimizer(0.01, 0.8, 0.5, 1e-4),
  'centered': lambda: train.RMSPropOptimizer(0.01, centered=True),
  'adagrad': lambda: train.AdagradOptimizer(0.1),
  'adadelta': lambda: train.AdadeltaOptimizer(1.0, 0.9, 1e-4),
  'ftrl': lambda: train.FtrlOptimizer(
    0.1, l1_regularization_strength=1e-3, l2_regularization_strength=1e-2
  ),
}


def model(inputs, unused_training):
  """An embedding and a dense layer."""
  table = v1.get_variable('embedding', [7, 3])
  rows = tf.nn.embedding_lookup(table, inputs)
  return v1.layers.dense(rows, 2, name='dense')


def ids(step=0):
  """Returns a batch; one row is looked up twice."""
  return np.array([step, 1, 1, 3], np.int64)


def plan_of(**members):
  """Returns a plan of two steps."""
  batches = (ids(), ids(2))
  return plan_lib.RunPlan(batches[0], training=True, batches=batches, **members)


def schedule():
  """A learning rate that the global step changes."""
  step = train.get_or_create_global_step()
  return train.exponential_decay(0.1, step, 1, 0.5)


def export(prefix, optimizer, behavior, extra=None):
  """Saves the model with a training step; returns the name of its output."""
  with behavior.active(), tf.Graph().as_default(), v1.Session() as session:
    x = v1.placeholder(tf.int64, [None], name='x')
    y = model(x, True)
    loss = tf.identity(tensors.default_loss(y, x), name='loss')
    step = train.get_or_create_global_step()
    op = optimizer().minimize(loss, global_step=step)
    if extra is not None:
      extra(op)
    session.run(v1.global_variables_initializer())
    train.Saver().save(session, prefix, write_state=False)
    return y.name


class StepsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.prefix = os.path.join(temporary_folder(self), 'model')

  def run_both(self, optimizer, behavior, plan=None, **members):
    """Returns the observations of the code, and of its export."""
    name = export(self.prefix, optimizer, behavior)
    program = program_lib.Program(
      build=model,
      reset_weights=lambda n, s, d: weights.named_weights('_' + n, s, d),
      behavior=behavior,
      build_optimizer=optimizer,
    )
    plan = plan or plan_of()
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta',
      self.prefix,
      inputs='x',
      outputs=name,
      loss='loss',
      **members,
    )
    code = in_process.InProcess().submit(program, plan).result()
    return code, reference.submit(program, plan).result()

  def assertSame(self, first, second, what):
    np.testing.assert_allclose(second, first, 1e-6, 1e-8, err_msg=what)

  @parameterized.product(
    optimizer=tuple(_OPTIMIZERS), behavior=(_REF, _RESOURCE)
  )
  def test_optimizer(self, optimizer, behavior):
    code, mine = self.run_both(_OPTIMIZERS[optimizer], behavior)
    self.assertEqual(
      [s.name for s in mine.variables],
      ['embedding', 'dense/kernel', 'dense/bias'],
    )
    self.assertEqual(mine.optimizer_variables, code.optimizer_variables)
    for i in range(2):
      self.compare_steps(code.steps[i], mine.steps[i])

  def compare_steps(self, code, mine):
    self.assertEmpty(mine.unknown)
    self.assertSame(code.loss, mine.loss, 'loss')
    self.assertSame(code.outputs[0][1], mine.outputs[0][1], 'outputs')
    self.assertEqual(set(code.variables), set(mine.variables))
    for name, value in code.variables.items():
      self.assertSame(value, mine.variables[name], name)
    self.assertEqual(set(code.slots), set(mine.slots))
    for meaning, slots in code.slots.items():
      self.assertEqual(set(slots), set(mine.slots[meaning]), meaning)
      for name, value in slots.items():
        self.assertSame(value, mine.slots[meaning][name], meaning)
    self.assertLen(mine.updates, 1)
    expected, update = code.updates[0], mine.updates[0]
    self.assertEqual(update.optimizer.kind, expected.optimizer.kind)
    self.assertEqual(update.step, expected.step)
    self.assertSame(expected.learning_rate, update.learning_rate, 'rate')
    for name, value in update.optimizer.hyperparameters.items():
      self.assertSame(expected.optimizer.hyperparameters[name], value, name)
    self.assertEqual(set(update.gradients), set(expected.gradients))
    for name, value in expected.gradients.items():
      self.assertSame(value, update.gradients[name], name)

  def test_hyperparameters(self):
    _, mine = self.run_both(_OPTIMIZERS['adam'], _REF)
    spec = mine.steps[0].updates[0].optimizer
    self.assertEqual(spec.name, 'AdamOptimizer')
    np.testing.assert_allclose(
      [spec.hyperparameters[n] for n in ('beta_1', 'beta_2', 'epsilon')],
      [0.8, 0.99, 1e-4],
      rtol=1e-6,
    )

  def test_schedule(self):
    code, mine = self.run_both(
      lambda: train.MomentumOptimizer(schedule(), 0.9), _REF
    )
    rates = [float(s.updates[0].learning_rate) for s in mine.steps]
    np.testing.assert_allclose(rates, [0.1, 0.05], rtol=1e-6)
    self.assertEqual([s.updates[0].step for s in mine.steps], [1, 2])
    self.compare_steps(code.steps[1], mine.steps[1])

  def test_seeded(self):
    plan = plan_of(
      weights=plan_lib.SEEDED, seed_mode=tf_equiv.SeedMode.NUM_RANDOM_OPS
    )
    with compat.legacy_stateful_keras_generators():
      name = export(self.prefix, _OPTIMIZERS['adam'], _REF)
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta', self.prefix, inputs='x', outputs=name, loss='loss'
    )
    program = program_lib.Program(
      build=model, behavior=_REF, build_optimizer=_OPTIMIZERS['adam']
    )
    code = in_process.InProcess().submit(program, plan).result()
    mine = reference.submit(program, plan).result()
    for expected, value in zip(code.weights, mine.weights, strict=True):
      np.testing.assert_array_equal(value, expected)
    self.compare_steps(code.steps[0], mine.steps[0])

  def test_moving_averages(self):
    def averaged():
      optimizer = train.GradientDescentOptimizer(0.1)
      average = train.ExponentialMovingAverage(0.9)
      apply_gradients = optimizer.apply_gradients

      def apply(pairs, *args, **kwargs):
        operation = apply_gradients(pairs, *args, **kwargs)
        with tf.control_dependencies([operation]):
          return average.apply([variable for _, variable in pairs])

      optimizer.apply_gradients = apply
      return optimizer

    name = export(self.prefix, averaged, _REF)
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta',
      self.prefix,
      inputs='x',
      outputs=name,
      train_op='ExponentialMovingAverage',
    )
    program = program_lib.Program(build=model, behavior=_REF)
    mine = reference.submit(program, plan_of()).result()
    self.assertLen(mine.variables, 3)
    averages = mine.steps[0].slots['moving average']
    self.assertEqual(set(averages), {'embedding', 'dense/kernel', 'dense/bias'})
    start = mine.weight_of()['dense/kernel']
    np.testing.assert_allclose(
      averages['dense/kernel'],
      0.9 * start + 0.1 * mine.steps[0].variables['dense/kernel'],
      rtol=1e-5,
    )
    self.assertIsNone(mine.steps[0].loss)
    self.assertIn(
      'not compared: the loss (name its tensor with loss=...)', mine.notes
    )

  def test_updates_of_its_own(self):
    _, mine = self.run_both(AdamWeightDecay, _REF, train_op='group_deps')
    self.assertEmpty(mine.steps[0].updates)
    self.assertEqual(
      mine.steps[0].unknown, ['dense/bias', 'dense/kernel', 'embedding']
    )
    self.assertEqual(
      [s.name for s in mine.variables],
      ['embedding', 'dense/kernel', 'dense/bias'],
    )
    self.assertIn(
      'not compared: gradients, slots, learning rate and hyperparameters of 3 '
      'variable(s) that the train op updates by ops of its own, first '
      'dense/bias',
      mine.notes,
    )
    before = mine.weight_of()['dense/bias']
    self.assertTrue(np.all(mine.steps[0].variables['dense/bias'] != before))

  def test_default_step_on_the_export(self):
    # Without a train op in the graph, build_tf1_optimizer trains it.
    code, _ = self.run_both(_OPTIMIZERS['adam'], _REF)
    with tf.Graph().as_default(), _REF.active(), v1.Session() as session:
      x = v1.placeholder(tf.int64, [None], name='x')
      y = model(x, True)
      session.run(v1.global_variables_initializer())
      train.Saver().save(session, self.prefix)
    program = program_lib.Program(
      build=model,
      reset_weights=lambda n, s, d: weights.named_weights('_' + n, s, d),
      behavior=_REF,
      build_optimizer=_OPTIMIZERS['adam'],
    )
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta', self.prefix, inputs='x', outputs=y.name
    )
    mine = reference.submit(program, plan_of()).result()
    for i in range(2):
      self.compare_steps(code.steps[i], mine.steps[i])

  def test_several_train_ops(self):
    def another(op):
      with tf.control_dependencies([]):
        v1.add_to_collection('train_op', tf.group(op, name='outer'))
        v1.add_to_collection('train_op', tf.no_op(name='alone'))

    name = export(self.prefix, _OPTIMIZERS['adam'], _REF, another)
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta', self.prefix, inputs='x', outputs=name
    )
    program = program_lib.Program(build=model, behavior=_REF)
    with self.assertRaisesRegex(
      errors.UsageError,
      r"(?s)MetaGraph .* has 3 train ops: 'Adam', 'alone', 'outer'\. Say which "
      r"of them takes a training step: train_op='Adam'\.",
    ):
      reference.submit(program, plan_of()).result()
    for chosen, message in (
      ('alone', "train op 'alone' of .* updates no trainable variable"),
      ('Adan', "train_op names 'Adan', and .* no such tensor.*Similar: 'Adam'"),
    ):
      reference.train_op = chosen
      with self.assertRaisesRegex(errors.UsageError, '(?s)' + message):
        reference.submit(program, plan_of()).result()

  def test_outer_train_op(self):
    def slim(op):  # tf_slim adds one that contains the optimizer's.
      v1.add_to_collection('train_op', tf.group(op, name='outer'))

    name = export(self.prefix, _OPTIMIZERS['adam'], _REF, slim)
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta', self.prefix, inputs='x', outputs=name
    )
    program = program_lib.Program(build=model, behavior=_REF)
    found = reference.submit(program, plan_of()).result()
    note = "training steps: the train op 'outer' of the graph"
    self.assertIn(note, found.notes)


if __name__ == '__main__':
  absltest.main()
