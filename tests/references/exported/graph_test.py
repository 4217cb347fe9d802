"""Exports of graphs made here compute what the code computes that made them."""

import contextlib
import os

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references.exported_test_helper import data_path, temporary_folder
from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.references import in_process
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import tensors, weights

v1 = tf.compat.v1

_OLD = program_lib.TF1Behavior(resource_variables=False, control_flow_v2=False)
_NEW = program_lib.TF1Behavior()
_V1_LOOPS = program_lib.TF1Behavior(control_flow_v2=False)


def convolutional(inputs, training):
  """Dropout and batch normalization, with a regularizer."""
  x = v1.layers.conv2d(
    inputs, 3, 3, name='conv', kernel_regularizer=lambda w: tf.reduce_sum(w * w)
  )
  x = v1.layers.batch_normalization(x, training=training, name='bn')
  x = v1.layers.dropout(tf.nn.relu(x), 0.4, training=training)
  return v1.layers.dense(v1.layers.flatten(x), 2, name='out')


def convolutional_with_flag(inputs, training):
  """The same, where the flag is a placeholder."""
  del training
  flag = v1.placeholder_with_default(False, [], name='is_training')
  return convolutional(inputs, flag)


def recurrent(inputs, unused_training):
  """An LSTM, whose loop makes functions or v1 control flow."""
  cell = v1.nn.rnn_cell.LSTMCell(3, name='cell')
  sequence = tf.reshape(inputs, [2, 3, 12])
  outputs, state = v1.nn.dynamic_rnn(cell, sequence, dtype=tf.float32)
  return {'outputs': outputs, 'h': state.h}


def with_get_variable(inputs, unused_training):
  """Several initializers, and a draw between them."""
  a = v1.get_variable('a', [2, 3], initializer=v1.glorot_uniform_initializer())
  noise = tf.random.normal([3])
  b = v1.get_variable('b', [3], initializer=v1.truncated_normal_initializer())
  c = v1.get_variable('c', initializer=tf.random.uniform([3]))
  orthogonal = v1.get_variable(
    'd', [3, 3], initializer=v1.orthogonal_initializer()
  )
  first = tf.reshape(inputs, [-1, 2])
  return tf.matmul(tf.matmul(first, a) + b * noise + c, orthogonal)


def custom_weights(name, shape, dtype):
  """A `reset_weights` of the test's own."""
  return 0.5 * weights.named_weights(name + '!', shape, dtype)


def inputs():
  """Returns images."""
  return np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype(np.float32)


def program_of(build, behavior=_NEW, reset_weights=custom_weights):
  """Returns a program."""
  return program_lib.Program(
    build=build,
    reset_weights=reset_weights,
    compute_loss=tensors.default_loss,
    behavior=behavior,
  )


def export(build, prefix, behavior=_NEW, training=False, as_tf1=True):
  """Builds a model, initializes it, and saves it with its MetaGraph.

  Args:
    build: builds it.
    prefix: of the checkpoint.
    behavior: TF2 behaviours.
    training: the training flag.
    as_tf1: whether default initializers draw as they did in TF1.

  Returns:
    Names of its outputs in their nest.
  """
  with contextlib.ExitStack() as stack:
    if as_tf1:
      stack.enter_context(compat.legacy_stateful_keras_generators())
    stack.enter_context(behavior.active())
    stack.enter_context(tf.Graph().as_default())
    session = stack.enter_context(v1.Session())
    v1.set_random_seed(7)
    x = v1.placeholder(tf.float32, [None, 6, 6, 1], name='x')
    outputs = build(x, training)
    names = tf.nest.map_structure(lambda tensor: tensor.name, outputs)
    session.run(v1.global_variables_initializer())
    v1.train.Saver().save(session, prefix, write_state=False)
  return names


class SameAsTheCodeTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.prefix = os.path.join(temporary_folder(self), 'model')

  def reference(self, build, behavior=_NEW, training=False, **members):
    names = export(build, self.prefix, behavior, training)
    return tf_equiv.MetaGraph(
      self.prefix + '.meta',
      checkpoint=self.prefix,
      inputs='x',
      outputs=names,
      **members,
    )

  def compare(self, reference, build, plan, behavior=_NEW):
    """Runs both, and asserts that they are equal bit for bit."""
    program = program_of(build, behavior)
    code = in_process.InProcess().submit(program, plan).result()
    mine = reference.submit(program, plan).result()
    self.assertEqual(
      [(s.name, s.shape, s.dtype, s.trainable) for s in mine.variables],
      [(s.name, s.shape, s.dtype, s.trainable) for s in code.variables],
    )
    for name, value in code.weight_of().items():
      np.testing.assert_array_equal(mine.weight_of()[name], value, name)
    self.assertEqual([p for p, _ in mine.outputs], [p for p, _ in code.outputs])
    for (path, value), (_, expected) in zip(
      mine.outputs, code.outputs, strict=True
    ):
      np.testing.assert_array_equal(value, expected, 'outputs' + path)
    self.assertLen(mine.losses, len(code.losses))
    for loss, expected in zip(mine.losses, code.losses, strict=True):
      self.assertEqual(loss.variables, expected.variables)
      np.testing.assert_array_equal(loss.value, expected.value)
    self.assertEqual(set(mine.updated), set(code.updated))
    for name, value in code.updated.items():
      np.testing.assert_array_equal(mine.updated[name], value, name)
    self.assertLen(mine.gradients, len(code.gradients))
    for gradient, expected in zip(mine.gradients, code.gradients, strict=True):
      np.testing.assert_array_equal(gradient, expected)
    return code, mine

  @parameterized.product(
    build=(convolutional, recurrent, with_get_variable),
    behavior=(_OLD, _NEW, _V1_LOOPS),
    seed_mode=tuple(tf_equiv.SeedMode),
  )
  def test_seeded(self, build, behavior, seed_mode):
    reference = self.reference(build, behavior)
    plan = plan_lib.RunPlan(
      inputs(), weights=plan_lib.SEEDED, seed_mode=seed_mode, gradients=True
    )
    code, mine = self.compare(reference, build, plan, behavior)
    self.assertEqual(
      [(d.seed, d.op, d.shape) for d in mine.draws],
      [(d.seed, d.op, d.shape) for d in code.draws],
    )

  @parameterized.product(
    behavior=(_OLD, _NEW), seed_mode=tuple(tf_equiv.SeedMode)
  )
  def test_training(self, behavior, seed_mode):
    reference = self.reference(convolutional, behavior, training=True)
    plan = plan_lib.RunPlan(
      inputs(),
      training=True,
      weights=plan_lib.SEEDED,
      seed_mode=seed_mode,
      updates=True,
    )
    code, mine = self.compare(reference, convolutional, plan, behavior)
    self.assertLen(mine.updated, 2)
    self.assertEqual([d.key for d in mine.draws], [d.key for d in code.draws])
    self.assertLen(mine.random_values, 1)

  @parameterized.product(training=(False, True), weights=('fixed', 'seeded'))
  def test_flag_is_a_placeholder(self, training, weights):
    # With v1 control flow: that of TF2 draws inside of functions.
    reference = self.reference(
      convolutional_with_flag,
      _V1_LOOPS,
      training_feeds={'is_training': True},
    )
    plan = plan_lib.RunPlan(
      inputs(),
      training=training,
      weights=weights,
      seed_mode=tf_equiv.SeedMode.NUM_RANDOM_OPS,
      updates=training,
      gradients=True,
    )
    _, mine = self.compare(reference, convolutional, plan, _V1_LOOPS)
    # The dropout is no longer inside of a branch.
    self.assertLen(mine.random_values, int(training))

  def test_stateless_initializers(self):
    names = export(convolutional, self.prefix, as_tf1=False)
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta', self.prefix, inputs='x', outputs=names
    )
    program = program_of(convolutional)
    reference.submit(program, plan_lib.RunPlan(inputs())).result()
    plan = plan_lib.RunPlan(inputs(), weights=plan_lib.SEEDED)
    with self.assertRaisesRegex(
      errors.UsageError,
      r'(?s)The initial values of 2 variable\(s\) of MetaGraph .*model.meta. '
      r"are drawn by stateless random ops.*: 'conv/kernel', 'out/kernel'\. .*"
      r"weights='fixed'",
    ):
      reference.submit(program, plan).result()

  def test_weights_of_the_export(self):
    reference = self.reference(convolutional)
    program = program_of(convolutional, reset_weights=weights.named_weights)
    found = reference.submit(program, plan_lib.RunPlan(inputs())).result()
    reader = tf.train.load_checkpoint(self.prefix)
    self.assertLen(found.weights, 8)
    for name, value in found.weight_of().items():
      np.testing.assert_array_equal(value, reader.get_tensor(name))

  def test_without_checkpoint(self):
    reference = self.reference(convolutional)
    reference.checkpoint = None
    program = program_of(convolutional, reset_weights=weights.named_weights)
    found = reference.submit(program, plan_lib.RunPlan(inputs())).result()
    for name, value in found.weight_of().items():
      np.testing.assert_array_equal(
        value, weights.named_weights(name, value.shape, value.dtype)
      )

  def test_partitioned(self):
    def build(x, unused_training):
      with v1.variable_scope('part', partitioner=v1.fixed_size_partitioner(2)):
        w = v1.get_variable('w', [36, 4])
      return tf.matmul(tf.reshape(x, [-1, 36]), w)

    reference = self.reference(build, _OLD)
    program = program_of(build, _OLD, weights.named_weights)
    found = reference.submit(program, plan_lib.RunPlan(inputs())).result()
    self.assertEqual(
      [s.name for s in found.variables], ['part/w/part_0', 'part/w/part_1']
    )
    whole = tf.train.load_checkpoint(self.prefix).get_tensor('part/w')
    np.testing.assert_array_equal(np.concatenate(found.weights), whole)

  def test_without_collections(self):
    # As tf.train.export_meta_graph(clear...) and other tools leave it.
    names = export(convolutional, self.prefix, _OLD)
    meta = v1.MetaGraphDef()
    with open(self.prefix + '.meta', 'rb') as file:
      meta.ParseFromString(file.read())
    meta.collection_def.clear()
    with open(self.prefix + '.meta', 'wb') as file:
      file.write(meta.SerializeToString())
    reference = tf_equiv.MetaGraph(
      self.prefix + '.meta', self.prefix, inputs='x', outputs=names
    )
    program = program_of(convolutional, _OLD, weights.named_weights)
    found = reference.submit(program, plan_lib.RunPlan(inputs())).result()
    self.assertLen(found.weights, 8)
    reader = tf.train.load_checkpoint(self.prefix)
    for name, value in found.weight_of().items():
      np.testing.assert_array_equal(value, reader.get_tensor(name))
    self.assertEqual(found.unknown, ['trainable flags'])

  def test_tables_from_assets(self):
    # Made by TF 1.15, in a folder that is no more.
    reference = tf_equiv.SavedModel(
      data_path('words'), inputs='words', outputs='found'
    )
    program = program_of(None, _OLD, weights.named_weights)
    plan = plan_lib.RunPlan(np.array(['c', 'a', 'z'], object))
    observed = reference.submit(program, plan).result()
    self.assertEqual(observed.weights[0].shape, (4, 2))
    np.testing.assert_array_equal(
      observed.outputs[0][1], observed.weights[0][[2, 0, 3]]
    )

  def test_global_step_in_the_forward_pass(self):
    def build(x, unused_training):
      step = v1.train.get_or_create_global_step()
      with tf.control_dependencies([]):
        w = v1.get_variable('w', [])
      return tf.cast(step, tf.float32) * w * x

    prefix = self.prefix
    with _OLD.active(), tf.Graph().as_default(), v1.Session() as session:
      x = v1.placeholder(tf.float32, [None], name='x')
      y = build(x, False)
      session.run(v1.global_variables_initializer())
      session.run(v1.assign_add(v1.train.get_global_step(), 5))
      v1.train.Saver().save(session, prefix)
    reference = tf_equiv.MetaGraph(
      prefix + '.meta', prefix, inputs='x', outputs=y.name
    )
    program = program_of(build, _OLD)
    plan = plan_lib.RunPlan(np.ones(2, np.float32))
    found = reference.submit(program, plan).result()
    self.assertEqual([s.name for s in found.variables], ['w'])
    self.assertEqual(found.optimizer_variables, ['global_step'])
    np.testing.assert_allclose(found.outputs[0][1], 5 * found.weights[0])


if __name__ == '__main__':
  absltest.main()
