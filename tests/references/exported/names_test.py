"""Wrong names, feeds, ops and checkpoints of exports are named as such."""

import os

from tf_equiv.core.seed_mode import SeedMode

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references.exported_test_helper import (
  data_path,
  images,
  temporary_folder,
)
from tf_equiv.core import capture_errors, errors
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import weights
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1

_V1_FLOW = program_lib.TF1Behavior(
  resource_variables=False, control_flow_v2=False
)


def run(reference, inputs=None, **members):
  """Runs the forward pass of a reference."""
  inputs = images() if inputs is None else inputs
  plan = plan_lib.RunPlan(inputs, **members)
  program = program_lib.Program(build=None, behavior=_V1_FLOW)
  return reference.submit(program, plan)


class _ErrorsTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = temporary_folder(self)

  def fails(self, message, reference, error=errors.UsageError, **members):
    with self.assertRaises(error) as caught:
      run(reference, **members)
    text = str(caught.exception).replace(data_path(''), 'DATA/')
    self.assertIn(message, text.replace(self.folder, 'DIR'))

  def export(self, build, collections=True):
    """Saves a graph made here; returns the name of its output."""
    prefix = os.path.join(self.folder, 'model')
    with _V1_FLOW.active(), tf.Graph().as_default() as graph:
      with v1.Session() as session:
        y = build()
        session.run(v1.global_variables_initializer())
        if v1.global_variables():
          v1.train.Saver().save(session, prefix, write_state=False)
        else:
          v1.train.export_meta_graph(prefix + '.meta')
    with open(os.path.join(self.folder, 'graph.pb'), 'wb') as file:
      file.write(graph.as_graph_def().SerializeToString())
    return y.name

  def meta(self, output, **members):
    path = os.path.join(self.folder, 'model.meta')
    return tf_equiv.MetaGraph(path, outputs=output, **members)


def serving(**members):
  return tf_equiv.SavedModel(data_path('serving'), **members)


def frozen(**members):
  return tf_equiv.FrozenGraph(
    data_path('frozen.pb'),
    **{'inputs': 'images', 'outputs': 'probabilities', **members},
  )


class InputsAndOutputsTest(_ErrorsTest):
  def test_output(self):
    self.fails(
      "outputs['y'] names 'logit', and SavedModel 'DATA/serving' has no such "
      'tensor and no such key in its signature, which has '
      "'logits', 'probabilities'. Similar: 'logits'",
      serving(inputs='images', outputs={'y': 'logit'}),
    )
    self.fails(
      "outputs names 'softmax:0', and frozen graph 'DATA/frozen.pb' has no "
      "such tensor. Tensors that nothing else reads: 'probabilities'.",
      frozen(outputs='softmax:0'),
    )

  def test_input(self):
    self.fails(
      "inputs names 'input_images', and frozen graph 'DATA/frozen.pb' has no "
      "such tensor. Similar: 'images'.",
      frozen(inputs='input_images'),
    )
    self.fails(
      "inputs names 'zzz', and frozen graph 'DATA/frozen.pb' has no such "
      "tensor. Its placeholders are 'images'.",
      frozen(inputs='zzz'),
    )

  def test_not_given(self):
    self.fails(
      "frozen graph 'DATA/frozen.pb' has no signature, so inputs must be "
      "given: a dict of names of tensors, as in inputs={'x': 'x:0'}, or one "
      "such name. Its placeholders are 'images'.",
      frozen(inputs=None),
    )
    self.fails(
      'so outputs must be given', serving(signature=None, inputs='images')
    )
    self.fails('outputs is {}; expected names of', frozen(outputs={}))

  def test_no_names(self):
    self.fails(
      'outputs[0] is 3; expected the name of a tensor of', frozen(outputs=[3])
    )

  def test_index(self):
    self.fails(
      "outputs names 'probabilities:1', and the op 'probabilities' (Softmax) "
      "of frozen graph 'DATA/frozen.pb' has 1 output(s).",
      frozen(outputs='probabilities:1'),
    )

  def test_operation(self):
    self.fails(
      'It is an operation; an output must be a tensor.',
      tf_equiv.MetaGraph(
        data_path('classifier.ckpt.meta'),
        inputs={'x': 'images', 'y': 'labels'},
        outputs='train/update',
        training_feeds={'is_training': True},
      ),
      inputs={'x': images(), 'y': np.zeros(4, np.int64)},
    )

  def test_nest(self):
    self.fails(
      "make_inputs() does not fit the inputs of SavedModel 'DATA/serving': it "
      "lacks inputs['images'] and has inputs['image']. Expected is "
      "inputs['images'] (images:0).",
      serving(),
      inputs={'image': images()},
    )
    self.fails(
      "it has inputs['b'].",
      frozen(inputs={'a': 'images'}),
      inputs={'a': images(), 'b': images()},
    )

  def test_bare_array_for_one_key(self):
    found = run(serving(outputs='logits')).result()
    self.assertEqual(found.outputs[0][0], '')
    self.assertEqual(found.outputs[0][1].shape, (4, 3))

  def test_dtype(self):
    self.fails(
      'make_inputs() is float64[4, 8, 8, 1], but images:0 of frozen graph '
      "'DATA/frozen.pb' takes float32. Use .astype('float32') in make_inputs.",
      frozen(),
      inputs=images().astype(np.float64),
    )

  def test_shape(self):
    self.fails(
      'make_inputs() is float32[4, 8, 8, 3], but images:0 of frozen graph '
      "'DATA/frozen.pb' takes the shape [None, 8, 8, 1] (None: any size).",
      frozen(),
      inputs=np.zeros((4, 8, 8, 3), np.float32),
    )

  def test_output_that_is_an_input(self):
    found = run(frozen(outputs='images')).result()
    np.testing.assert_array_equal(found.outputs[0][1], images())


class FeedsTest(_ErrorsTest):
  def build(self):
    x = v1.placeholder(tf.float32, [None], name='x')
    keep = v1.placeholder(tf.float32, [], name='keep_prob')
    flag = v1.placeholder(tf.bool, name='is_training')
    return tf.cond(
      flag, lambda: tf.nn.dropout(x, rate=1 - keep), lambda: 2 * x, name='y'
    )

  def test_unfed(self):
    name = self.export(self.build)
    self.fails(
      "MetaGraph 'DIR/model.meta': 2 placeholder(s) that the results depend on "
      'are not fed:\n'
      '  is_training  bool<unknown>\n'
      '  keep_prob  float32()\n'
      "Name them in inputs, or give their values: feeds={'is_training:0': "
      "...}, and training_feeds={'is_training:0': ...} where training "
      'takes another',
      self.meta(name, inputs='x'),
      inputs=np.ones(3, np.float32),
    )

  def test_only_what_is_needed(self):
    name = self.export(self.build)
    reference = self.meta(
      name,
      inputs='x',
      feeds={'is_training': False},
      training_feeds={'is_training:0': True, 'keep_prob:0': 0.5},
    )
    x = np.arange(1, 4, dtype=np.float32)
    found = run(reference, x).result()
    np.testing.assert_array_equal(found.outputs[0][1], 2 * x)
    self.assertEmpty(found.random_values)
    found = run(reference, x, training=True).result()
    self.assertLen(found.random_values, 1)
    self.assertTrue(found.depends_on_training)

  def test_wrong(self):
    name = self.export(self.build)
    for feeds, message in (
      (
        {'is_trainig': True},
        "feeds names 'is_trainig', and MetaGraph 'DIR/model.meta' has no such "
        "tensor. Similar: 'is_training'.",
      ),
      (
        {'keep_prob': [1.0, 2.0]},
        "feeds gives 'keep_prob' the value [1.0, 2.0]; it takes float32().",
      ),
      ({'keep_prob': 'x'}, "feeds gives 'keep_prob' the value 'x'"),
      (
        {'x': 1.0, 'is_training': True, 'keep_prob': 1.0},
        "x:0 of MetaGraph 'DIR/model.meta' is named both in inputs and in "
        'feeds',
      ),
    ):
      reference = self.meta(name, inputs='x', feeds=feeds)
      x = np.ones(3, np.float32)
      if 'x' in feeds:
        feeds['x'] = x
      self.fails(message, reference, inputs=x)

  def test_default_is_noted(self):
    reference = tf_equiv.MetaGraph(
      data_path('classifier.ckpt.meta'), None, 'images', 'probabilities'
    )
    found = run(reference).result()
    self.assertIn(
      "placeholders that keep their default: 'is_training'", found.notes
    )

  def test_result_of_another_branch(self):
    reference = tf_equiv.MetaGraph(
      data_path('classifier.ckpt.meta'),
      inputs='images',
      outputs='net/bn/cond/FusedBatchNormV3',
      feeds={'is_training': False},
    )
    self.fails(
      "outputs is 'net/bn/cond/FusedBatchNormV3:0', which MetaGraph "
      "'DATA/classifier.ckpt.meta' does not compute with these feeds: it is in "
      'a branch (tf.cond) that is not taken when training is False.',
      reference,
    )


class OpsTest(_ErrorsTest):
  def test_python(self):
    def build():
      x = v1.placeholder(tf.float32, [None], name='x')
      return tf.identity(v1.py_func(lambda a: a, [x], tf.float32), name='y')

    self.fails(
      "MetaGraph 'DIR/model.meta' cannot run outside of the program that "
      'exported it: its outputs depend on Python functions (tf.py_func), which '
      "a graph holds by number only: 'PyFunc (PyFunc)'.",
      self.meta(self.export(build), inputs='x'),
      inputs=np.ones(3, np.float32),
    )

  def test_files(self):
    secret = os.path.join(self.folder, 'secret')
    with open(secret, 'w', encoding='utf-8') as file:
      file.write('text')

    def build():
      x = v1.placeholder(tf.float32, [None], name='x')
      size = tf.cast(tf.strings.length(tf.io.read_file(secret)), tf.float32)
      with tf.control_dependencies([tf.io.write_file(secret + '2', 'new')]):
        return size * x

    reference = self.meta(self.export(build), inputs='x')
    self.fails(
      "MetaGraph 'DIR/model.meta' has ops that may read or write files, or "
      'reach a network, Python or other processes, and was not run: '
      "'ReadFile' (ReadFile), 'WriteFile' (WriteFile). If you trust it, give "
      "trust_ops=('ReadFile', 'WriteFile'). If that is its input pipeline, "
      'name inputs after it; allow_file_ops=True trusts all ops but Python '
      'functions.',
      reference,
      inputs=np.ones(3, np.float32),
    )
    self.assertFalse(os.path.exists(secret + '2'))
    reference.allow_file_ops = True
    found = run(reference, np.ones(3, np.float32)).result()
    np.testing.assert_array_equal(found.outputs[0][1], [4.0] * 3)
    self.assertTrue(os.path.exists(secret + '2'))
    reference.allow_file_ops, reference.trust_ops = False, ['ReadFile']
    self.fails(
      "was not run: 'WriteFile' (WriteFile). If you trust it, give "
      "trust_ops=('WriteFile',).",
      reference,
      inputs=np.ones(3, np.float32),
    )
    reference.trust_ops = ('ReadFile', 'WriteFile')
    found = run(reference, np.ones(3, np.float32)).result()
    np.testing.assert_array_equal(found.outputs[0][1], [4.0] * 3)
    reference.trust_ops = 'ReadFile'
    self.fails(
      "trust_ops of MetaGraph is 'ReadFile'; expected a tuple of types of ops",
      reference,
      inputs=np.ones(3, np.float32),
    )

  def test_dataset_of_a_file_in_a_function(self):
    # It is in the body of a function that makes the dataset.
    def build():
      x = v1.placeholder(tf.float32, [None], name='x')
      data = tf.data.Dataset.from_tensors(np.float32(2)).flat_map(
        lambda y: tf.data.experimental.CsvDataset('/etc/passwd', [tf.float32])
      )
      (number,) = v1.data.make_one_shot_iterator(data).get_next()
      return tf.multiply(x, number, name='y')

    self.fails(
      "(CSVDatasetV2). If you trust it, give trust_ops=('CSVDatasetV2',).",
      self.meta(self.export(build), inputs='x'),
      inputs=np.ones(3, np.float32),
    )

  def test_dataset_in_memory(self):
    def build():
      x = v1.placeholder(tf.float32, [None], name='x')
      data = tf.data.Dataset.from_tensors(np.float32(2)).map(lambda y: y + 1)
      number = v1.data.make_one_shot_iterator(data.batch(1).repeat()).get_next()
      return tf.multiply(x, number[0], name='y')

    reference = self.meta(self.export(build), inputs='x')
    found = run(reference, np.ones(3, np.float32)).result()
    np.testing.assert_array_equal(found.outputs[0][1], [3.0] * 3)

  def test_files_that_are_not_needed(self):
    def build():
      x = v1.placeholder(tf.float32, [None], name='x')
      v1.io.write_file('nowhere', 'text')
      return tf.identity(x, name='y')

    reference = self.meta(self.export(build), inputs='x')
    found = run(reference, np.ones(3, np.float32)).result()
    self.assertLen(found.outputs, 1)

  def test_initializer_that_reads_a_file(self):
    # As tf.train.init_from_checkpoint makes it.
    def build():
      x = v1.placeholder(tf.float32, [None], name='x')
      w = v1.get_variable('w', [])
      value = tf.strings.to_number(tf.io.read_file('nowhere'))
      assign = v1.assign(w, value)
      w._initializer_op = assign.op
      w._initial_value = value
      v1.global_variables_initializer = lambda: tf.no_op()
      return w * x

    original = v1.global_variables_initializer
    prefix = os.path.join(self.folder, 'model')
    with _V1_FLOW.active(), tf.Graph().as_default():
      try:
        y = build()
        v1.train.export_meta_graph(prefix + '.meta')
      finally:
        v1.global_variables_initializer = original
    reference = self.meta(y.name, inputs='x')
    found = run(reference, np.ones(3, np.float32)).result()
    self.assertEqual(
      found.weights[0], weights.named_weights('w', (), np.float32)
    )
    self.fails(
      'has ops that may read or write files',
      reference,
      inputs=np.ones(3, np.float32),
      weights=plan_lib.SEEDED,
    )

  def test_unknown(self):
    self.export(
      lambda: tf.identity(v1.placeholder(tf.float32, [None], name='x'), 'y')
    )
    path = os.path.join(self.folder, 'graph.pb')
    with open(path, 'rb') as file:
      graph_def = v1.GraphDef.FromString(file.read())
    for i in range(12):
      graph_def.node.add(name='n%02d' % i, op='Contrib%02d' % i, input=['x'])
    graph_def.node.add(
      name='z',
      op='AddN',
      input=['n%02d' % i for i in range(12)],
      attr={'T': {'type': 1}, 'N': {'i': 12}},
    )
    with open(path, 'wb') as file:
      file.write(graph_def.SerializeToString())
    x = np.ones(3, np.float32)
    with self.assertRaises(errors.EnvironmentSetupError) as caught:
      run(tf_equiv.FrozenGraph(path, 'x', 'z'), x)
    message = str(caught.exception)
    self.assertStartsWith(
      message,
      'TensorFlow %s lacks 12 type(s) of op that the outputs of frozen graph '
      % tf.__version__,
    )
    self.assertIn('  Contrib00, 1 time(s), first n00\n', message)
    self.assertIn('  ... and 2 more\n', message)
    self.assertIn('tf.load_op_library', message)
    self.assertIn('tf_equiv.Tf1Interpreter', message)
    # What the outputs do not depend on does not matter.
    found = run(tf_equiv.FrozenGraph(path, 'x', 'y'), x).result()
    self.assertLen(found.outputs, 1)


class CheckpointTest(_ErrorsTest):
  def test_misfit(self):
    def build(kernel, bias, shape):
      def built():
        x = v1.placeholder(tf.float32, [None, 3], name='x')
        return tf.matmul(x, v1.get_variable(kernel, shape)) + v1.get_variable(
          bias, []
        )

      return built

    self.export(build('net/kernel', 'net/bias', [3, 2]))
    prefix = os.path.join(self.folder, 'model')
    for name in ('.index', '.data-00000-of-00001'):
      os.rename(prefix + name, prefix + '-old' + name)
    name = self.export(build('net/kernel', 'net/biases', [3, 4]))
    self.fails(
      "The checkpoint 'DIR/model-old' does not fit MetaGraph "
      "'DIR/model.meta':\n"
      '  1 variable(s) of the graph are missing in it:\n'
      '    net/biases (similar: net/bias)\n'
      '  1 are of another shape or dtype:\n'
      '    net/kernel: float32[3,4] in the graph, float32[3,2] there\n'
      '  1 in it have no variable in the graph:\n'
      '    net/bias\n'
      'Give the checkpoint that was saved with this graph',
      self.meta(name, inputs='x', checkpoint=prefix + '-old'),
    )

  def test_what_is_not_used_is_noted(self):
    def build():
      x = v1.placeholder(tf.float32, [None], name='x')
      return x * v1.get_variable('w', [])

    def more():
      v1.get_variable('other', [])
      return build()

    self.export(more)
    prefix = os.path.join(self.folder, 'model')
    for name in ('.index', '.data-00000-of-00001'):
      os.rename(prefix + name, prefix + '-old' + name)
    name = self.export(build)
    reference = self.meta(name, inputs='x', checkpoint=prefix + '-old')
    found = run(reference, np.ones(3, np.float32)).result()
    self.assertIn(
      "in the checkpoint without a variable in the graph: 'other'", found.notes
    )


class ControlFlowTest(_ErrorsTest):
  """Loops and branches of TF1, with and without their collections."""

  def loop(self):
    x = v1.placeholder(tf.float32, [3], name='x')
    w = v1.get_variable('w', [3])
    _, y = tf.while_loop(
      lambda i, _: i < 3, lambda i, a: (i + 1, a * w + x), (0, x)
    )
    return tf.identity(y, name='y')

  def test_loop_with_collections(self):
    name = self.export(self.loop)
    plan = plan_lib.RunPlan(np.ones(3, np.float32), gradients=True)
    reference = self.meta(name, inputs='x')
    program = program_lib.Program(build=None, behavior=_V1_FLOW)
    found = reference.submit(program, plan)
    w = found.result().weights[0]
    np.testing.assert_allclose(
      found.result().outputs[0][1], ((w + 1) * w + 1) * w + 1, rtol=1e-5
    )
    self.assertTrue(np.all(np.isfinite(found.result().gradients[0])))
    captured = found.capture(plan, found.result().weight_of())
    self.assertIn((capture.OUTPUT, 'outputs'), captured.targets)
    self.assertEqual(captured.line_of('y').filename, '')

  def test_loop_without_collections(self):
    name = self.export(self.loop)
    path = os.path.join(self.folder, 'model.meta')
    with open(path, 'rb') as file:
      meta = v1.MetaGraphDef.FromString(file.read())
    del meta.collection_def[v1.GraphKeys.WHILE_CONTEXT]
    with open(path, 'wb') as file:
      file.write(meta.SerializeToString())
    reference = self.meta(name, inputs='x')
    x = np.ones(3, np.float32)
    found = run(reference, x)
    with self.assertRaisesRegex(
      capture_errors.CannotCaptureError,
      'has loops or conditionals of TF1 without the',
    ):
      found.capture(plan_lib.RunPlan(x), found.result().weight_of())
    self.fails(
      'has loops or conditionals of TF1 without the collections that gradients',
      reference,
      inputs=x,
      gradients=True,
    )

  def test_branches_inside_of_branches(self):
    def build():
      x = v1.placeholder(tf.float32, [], name='x')
      a = v1.placeholder(tf.bool, [], name='a')
      b = v1.placeholder(tf.bool, [], name='b')

      def outer():
        inner = tf.cond(b, lambda: x + 1, lambda: x + 2)
        _, looped = tf.while_loop(
          lambda i, _: i < 2, lambda i, y: (i + 1, y * 10), (0, inner)
        )
        return looped

      return tf.cond(tf.logical_not(a), outer, lambda: x - 1)

    name = self.export(build)
    one = np.float32(1)
    for a, b, expected in (
      (False, True, 200),
      (False, False, 300),
      (True, True, 0),
    ):
      reference = self.meta(name, inputs='x', feeds={'a': a, 'b': b})
      found = run(reference, np.asarray(one)).result()
      self.assertEqual(found.outputs[0][1], expected)
    # What is not known before the run stays a branch.
    reference = self.meta(name, inputs={'x': 'x', 'b': 'b'}, feeds={'a': False})
    for b, expected in ((True, 200), (False, 300)):
      given = {'x': np.asarray(one), 'b': np.asarray(b)}
      found = run(reference, given, gradients=False).result()
      self.assertEqual(found.outputs[0][1], expected)

  def test_order_of_ops(self):
    def build():
      x = v1.placeholder(tf.float32, [2], name='x')
      return x + tf.random.normal([2])

    name = self.export(build)
    path = os.path.join(self.folder, 'model.meta')
    with open(path, 'rb') as file:
      meta = v1.MetaGraphDef.FromString(file.read())
    nodes = list(meta.graph_def.node)[::-1]
    del meta.graph_def.node[:]
    meta.graph_def.node.extend(nodes)
    with open(path, 'wb') as file:
      file.write(meta.SerializeToString())
    reference = self.meta(name, inputs='x')
    x = np.ones(2, np.float32)
    self.fails(
      "The ops of MetaGraph 'DIR/model.meta' are not in the order in which "
      'they were created',
      reference,
      inputs=x,
      seed_mode=SeedMode.NUM_RANDOM_OPS,
    )
    run(reference, x, seed_mode=SeedMode.CONSTANT)


class FrozenVariablesTest(_ErrorsTest):
  def build(self):
    x = v1.placeholder(tf.float32, [None, 4], name='x')
    folded = tf.constant(np.ones((4, 3), np.float32), name='folded')
    scale = tf.constant(np.full(12, 2.0, np.float32), name='scale')
    y = tf.matmul(x, folded)
    return tf.reshape(y, [-1]) * tf.reshape(scale, [-1])

  def reference(self, name, **members):
    path = os.path.join(self.folder, 'graph.pb')
    return tf_equiv.FrozenGraph(path, 'x', name, **members)

  def test_unknown_constants_are_named(self):
    name = self.export(self.build)
    x = np.ones((4, 4), np.float32)
    found = run(self.reference(name), x).result()
    self.assertEqual([s.name for s in found.variables], ['folded'])
    self.assertIn(
      'constants that may be weights, and that the TF2 side does not get (name '
      "them in variables=...): 'scale'",
      found.notes,
    )
    found = run(self.reference(name, variables=('scale',)), x).result()
    self.assertEqual([s.name for s in found.variables], ['folded', 'scale'])
    np.testing.assert_array_equal(found.weights[1], 2.0)

  def test_wrong_name(self):
    name = self.export(self.build)
    self.fails(
      "variables names 'scales', and frozen graph 'DIR/graph.pb' has no such "
      "constant; similar: 'scale'.",
      self.reference(name, variables=('scales',)),
    )


if __name__ == '__main__':
  absltest.main()
