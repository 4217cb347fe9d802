"""`tf_equiv check` and `tf_equiv init`, from files to verdicts."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest, parameterized

from tf_equiv.cli import check, guide, infer, main

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))

# Written for TensorFlow 1, as it is found in public repositories.
_LEGACY = """
import tensorflow as tf

def net(images, num_classes=10, is_training=False):
  with tf.variable_scope('net'):
    net = tf.layers.conv2d(images, 4, 3, activation=tf.nn.relu, name='conv')
    net = tf.layers.batch_normalization(net, training=is_training, name='bn')
    flat = tf.layers.flatten(net)
    return tf.layers.dense(flat, num_classes, name='logits'), {'flat': flat}
"""

_MIGRATED = """
import tensorflow as tf

def Net():
  layers = tf.keras.layers
  return tf.keras.Sequential([
    tf.keras.Input((6, 6, 3)),
    layers.Conv2D(4, 3, activation='relu', name='conv'),
    layers.BatchNormalization(epsilon=EPSILON, name='bn'),
    layers.Flatten(),
    layers.Dense(10, name='logits'),
  ])
"""

_TEXT_CNN = """
import numpy as np
import tensorflow as tf

class TextModel(object):
  def __init__(self, vocab_size, size=4):
    self.input_x = tf.placeholder(tf.int32, [None, 5], name='input_x')
    self.input_y = tf.placeholder(tf.float32, [None, 2], name='input_y')
    self.keep_prob = tf.placeholder(tf.float32, name='dropout_keep_prob')
    table = tf.get_variable('embedding', [vocab_size, size])
    words = tf.nn.embedding_lookup(table, self.input_x)
    pooled = tf.nn.dropout(tf.reduce_max(words, 1), self.keep_prob)
    self.scores = tf.layers.dense(pooled, 2, name='scores')
    self.loss = tf.reduce_mean(
      tf.nn.softmax_cross_entropy_with_logits_v2(
        logits=self.scores, labels=self.input_y))
    self.train_op = tf.train.AdamOptimizer(1e-3).minimize(self.loss)
"""

_TEXT_KERAS = """
import tensorflow as tf

class TextModel(tf.keras.Model):
  def __init__(self, vocab_size):
    super().__init__()
    self.table = self.add_weight(name='embedding', shape=(vocab_size, 4))
    self.drop = tf.keras.layers.Dropout(0.5)
    self.scores = tf.keras.layers.Dense(2, name='scores')

  def call(self, ids, training=False):
    words = tf.nn.embedding_lookup(self.table, ids)
    pooled = tf.reduce_max(words, 1)
    return self.scores(self.drop(pooled, training=training))
"""


class CommandTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    before, path, modules = os.getcwd(), list(sys.path), set(sys.modules)
    os.chdir(self.folder)
    self.addCleanup(os.chdir, before)
    self.addCleanup(sys.path.__setitem__, slice(None), path)
    self.modules = modules
    self.addCleanup(self._forget)

  def _forget(self):
    """Forgets the modules of the folder, whose names other tests use."""
    for name, module in list(sys.modules.items()):
      path = getattr(module, '__file__', None) or ''
      if name not in self.modules and path.startswith(self.folder):
        del sys.modules[name]

  def write(self, name, text):
    path = os.path.join(self.folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
      file.write(textwrap.dedent(text))
    return path

  def run_main(self, *arguments):
    """Runs a command; returns (exit status, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
      code = main.main([str(each) for each in arguments])
    return code, out.getvalue(), err.getvalue()

  def infer(self, tf1, tf2, **more):
    path = os.path.join(self.folder, 'net_test.py')
    with contextlib.redirect_stdout(io.StringIO()):
      return infer.infer(infer.Request(tf1, tf2, path, **more))


class CheckTest(CommandTestCase):
  def test_equivalent(self):
    self.write('legacy.py', _LEGACY)
    self.write('migrated.py', _MIGRATED.replace('EPSILON', '1e-3'))
    code, out, err = self.run_main(
      'check',
      'legacy.py:net',
      'migrated.py:Net',
      '--json',
      'out.json',
      '--quick',
    )
    self.assertEqual(code, 0, out + err)
    self.assertIn('TF1 legacy.py:net: function\n', out)
    self.assertIn('TF2 migrated.py:Net: tf_keras model\n', out)
    self.assertIn('what it calls tensorflow is tf.compat.v1', out)
    self.assertIn('input float32[4,6,6,3]: migrated.py:Net says so', out)
    self.assertIn('training flag: is_training of net', out)
    self.assertIn('outputs of TF1: outputs[0]', out)
    self.assertIn('names: 8 of 8 variables renamed', out)
    self.assertNotIn('order only', out)
    self.assertIn('PASS  step 3, forward pass (inference, fixed w', out)
    self.assertIn('PASS  step 4, training (', out)
    self.assertIn('PASS  gradients (', out)
    self.assertNotIn('FAIL', out)
    self.assertNotIn('beyond', out)
    self.assertEndsWith(out, 'equivalent in all 5 steps\n')
    with open('out.json') as file:
      document = json.load(file)
    self.assertEqual(document['format'], 'tf_equiv check 1')
    self.assertEqual(document['result'], 'equivalent')
    self.assertEqual(document['tf1']['kind'], 'function')
    (given,) = document['inputs']
    self.assertEqual(given['shape'], [4, 6, 6, 3])
    self.assertEqual({x['result'] for x in document['steps']}, {'pass'})
    self.assertEqual(document['steps'][0]['assertion'], 'assertNoNewVariables')
    self.assertEqual(document['problem'], '')

  def test_different(self):
    self.write('legacy.py', _LEGACY)
    self.write('migrated.py', _MIGRATED.replace('EPSILON', '0.1'))
    code, out, err = self.run_main(
      *('check', 'legacy.py:net', 'migrated.py:Net', '--json', 'out.json'),
      *('--quick', '--no-training', '--report', 'reports'),
    )
    self.assertEqual(code, 1, out + err)
    self.assertIn('PASS  step 2, variables: 8 variables', out)
    self.assertRegex(out, r'FAIL  step 3, forward pass\n      Outputs differ')
    self.assertIn('repair: epsilon 0.001 for 0.1', out)
    self.assertEqual(out.count('repair: epsilon 0.001 for 0.1'), 1)
    self.assertIn('the cause is that of step 3, forward pass', out)
    self.assertNotIn('step 4, training', out)
    self.assertIn('different in 2 of 4 steps', out)
    self.assertNotEmpty(os.listdir('reports'))
    self.assertNotIn('TF_EQUIV_REPORT_DIR', os.environ)
    with open('out.json') as file:
      document = json.load(file)
    self.assertEqual(document['result'], 'different')
    failed = [x for x in document['steps'] if x['result'] == 'fail']
    self.assertStartsWith(failed[0]['headline'], 'Outputs differ: 1 of 1')
    self.assertTrue(os.path.exists(failed[0]['report']), failed[0]['report'])

  def test_steps_and_checkpoint(self):
    self.write(
      'legacy.py',
      """
      import tensorflow as tf
      v1 = tf.compat.v1

      def net(x):
        return tf.tanh(v1.layers.dense(x, 2, name='out'))
      """,
    )
    self.write(
      'migrated.py',
      """
      import tensorflow as tf

      class Net(tf.Module):
        def __init__(self):
          self.kernel = tf.Variable(tf.zeros((3, 2)), name='out/kernel')
          self.bias = tf.Variable(tf.zeros((2,)), name='out/bias')

        def __call__(self, x):
          return tf.tanh(x @ self.kernel + self.bias)
      """,
    )
    self.write('save.py', '')
    tf = sys.modules['tensorflow']
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
      v1.get_variable('out/kernel', (3, 2))
      v1.get_variable('out/bias', (2,))
      session.run(v1.global_variables_initializer())
      prefix = v1.train.Saver().save(session, './model.ckpt')
    code, out, err = self.run_main(
      *('check', 'legacy.py:net', 'migrated.py:Net', '--quick'),
      *('--inputs', 'float32[4,3]', '--steps', '2', '--checkpoint', prefix),
      *('--weights', 'fixed'),
    )
    self.assertEqual(code, 0, out + err)
    self.assertIn('no training: neither side takes a flag', out)
    self.assertNotIn('step 4', out)
    self.assertRegex(out, r'PASS  training steps \(.*, steps=2\): 2 var')
    self.assertIn('PASS  checkpoint (', out)

  def test_code_that_cannot_run(self):
    self.write(
      'legacy.py',
      """
      import tensorflow as tf

      def net(x):
        return tf.contrib.crf.crf_decode(x, 3, 4)
      """,
    )
    self.write('migrated.py', 'def net(x):\n  return x')
    code, out, err = self.run_main(
      *('check', 'legacy.py:net', 'migrated.py:net'),
      *('--inputs', 'float32[4,3]', '--json', 'out.json'),
    )
    self.assertEqual(code, 2)
    self.assertIn('tf.contrib is gone since TensorFlow 2.0', err)
    self.assertIn('legacy.py:5', err)
    self.assertNotIn('Traceback', err)
    with open('out.json') as file:
      document = json.load(file)
    self.assertEqual(document['result'], 'trouble')
    self.assertIn('tf.contrib is gone', document['problem'])

  def test_model_that_cannot_be_made(self):
    self.write('legacy.py', 'def net(x):\n  return x')
    self.write(
      'migrated.py', 'class Net:\n  x = 1\n\ndef make():\n  return {}[3]'
    )
    code, _, err = self.run_main(
      *('check', 'legacy.py:net', 'migrated.py:make', '--inputs', 'float32[4]')
    )
    self.assertEqual(code, 2)
    self.assertIn(
      'The code of the model failed: KeyError: 3\n  at migrated.py:5', err
    )
    self.assertNotIn('Traceback', err)

  @parameterized.named_parameters(
    ('no_file', ['lgacy.py:net'], "There is no file 'lgacy.py'. Did you mean"),
    ('no_symbol', ['legacy.py:nett'], "has no 'nett'; did you mean net"),
    ('no_name', ['legacy.py'], 'expected path/to/file.py:name or module:name'),
    ('no_module', ['nowhere:net'], "There is no module 'nowhere'"),
    ('no_call', ['legacy.py:SIZE'], 'is a int, which cannot be called'),
    ('syntax', ['broken.py:net'], 'broken.py could not be imported: SyntaxE'),
    (
      'fails',
      ['fails.py:net'],
      "fails.py could not be imported: KeyError: 'MODEL'\n  at fails.py:3",
    ),
    ('exits', ['exits.py:net'], 'exits.py called sys.exit(3) while it was'),
    (
      'dtype',
      ['legacy.py:net', '--inputs', 'flot32[4,3]'],
      "unknown dtype 'flot32'; did you mean float32?",
    ),
    (
      'spec',
      ['legacy.py:net', '--inputs', '4x3'],
      "--inputs has '4x3'; expected DTYPE[SIZES], as in 'float32[4,224,",
    ),
    (
      'size',
      ['legacy.py:net', '--inputs', 'float32[?,3]'],
      "with the size '?'; sizes must be positive whole numbers",
    ),
    (
      'range',
      ['legacy.py:net', '--inputs', 'int32[4]:5..2'],
      'whose range is empty: 5 is more than 2',
    ),
    (
      'shapes',
      ['legacy.py:net'],
      'has no input_shape, InputSpec or input_signature. Give them: --inputs',
    ),
    (
      'argument',
      ['legacy.py:sized', '--inputs', 'float32[4,3]'],
      'takes num_units, which has no default and does not look like an input. '
      'Give a value with --tf1_args num_units=...',
    ),
    (
      'pair',
      ['legacy.py:sized', '--tf1_args', '3'],
      "--tf1_args has '3'; expected NAME=VALUE",
    ),
    (
      'checkpoint',
      ['legacy.py:net', '--checkpoint', 'no.ckpt'],
      "There is no checkpoint 'no.ckpt': no file no.ckpt.index",
    ),
    (
      'json',
      ['legacy.py:net', '--json', 'no/out.json'],
      '--json no/out.json: there is no folder',
    ),
    ('golden', ['net.golden'], 'is a golden, which does not hold the inputs'),
    ('graph', ['frozen.pb'], 'is a graph without a signature'),
  )
  def test_bad_input(self, arguments, message):
    self.write(
      'legacy.py',
      """
      SIZE = 3

      def net(x):
        return x

      def sized(x, num_units):
        return x
      """,
    )
    self.write('broken.py', 'def net(x) return x')
    self.write('fails.py', 'import os\n\nMODEL = os.environ["MODEL"]\n')
    self.write('exits.py', 'import sys\nsys.exit(3)\n')
    self.write('migrated.py', 'def net(x):\n  return x')
    for name in ('net.golden', 'frozen.pb'):
      self.write(name, '')
    os.environ.pop('MODEL', None)
    first, *rest = arguments
    code, out, err = self.run_main('check', first, 'migrated.py:net', *rest)
    self.assertEqual(code, 2, out)
    self.assertIn(message, err)
    self.assertStartsWith(err, 'tf_equiv: ')
    self.assertLess(len(err.splitlines()), 6)


class InferTest(CommandTestCase):
  """What is inferred, without running the steps."""

  def test_placeholders_of_a_class(self):
    self.write('legacy.py', _TEXT_CNN)
    self.write('migrated.py', _TEXT_KERAS)
    found = self.infer(
      'legacy.py:TextModel',
      'migrated.py:TextModel',
      tf1_args=['vocab_size=50'],
      tf2_args=['vocab_size=50'],
    )
    source = found.draft.source(self.folder)
    self.assertIn('random.integers(0, 50, size=(4, 5), dtype=np.int32)', source)
    self.assertIn("'input_x': inputs,", source)
    self.assertIn("'dropout_keep_prob': 0.5 if training else 1.0,", source)
    self.assertIn('model = legacy.TextModel(vocab_size=50)', source)
    self.assertIn('return model.scores', source)
    self.assertNotIn('input_y', source)  # The scores do not depend on it.
    self.assertIn('the table of embedding', '\n'.join(found.assumed))
    name, _ = found.draft.tests[-3]
    self.assertEqual(name, 'test_step4_training')

  def test_several_inputs_and_a_mask(self):
    self.write(
      'legacy.py',
      """
      import tensorflow as tf

      def net(ids, lengths, keep_prob, scope=None):
        table = tf.compat.v1.get_variable('table', (7, 3))
        mask = tf.sequence_mask(lengths, 6, dtype=tf.float32)
        found = tf.nn.embedding_lookup(table, ids) * mask[:, :, None]
        return {'found': found, 'mask': mask}
      """,
    )
    self.write(
      'migrated.py',
      """
      import tensorflow as tf

      class Net(tf.Module):
        def __init__(self):
          self.table = tf.Variable(tf.zeros((7, 3)), name='table')

        def __call__(self, lengths, ids):
          mask = tf.sequence_mask(lengths, 6, dtype=tf.float32)
          return {'found': tf.nn.embedding_lookup(self.table, ids)
                  * mask[:, :, None]}
      """,
    )
    found = self.infer(
      'legacy.py:net', 'migrated.py:Net', inputs=['int32[4,6],int32[4]']
    )
    source = found.draft.source(self.folder)
    self.assertIn("'ids': random.integers(0, 7, size=(4, 6)", source)
    self.assertIn("'lengths': random.integers(1, 7, size=(4,)", source)
    self.assertIn(
      "legacy.net(inputs['ids'], inputs['lengths'], "
      'keep_prob=0.5 if training else 1.0)',
      source,
    )
    self.assertIn("model(inputs['lengths'], inputs['ids'])", source)
    self.assertIn("return {'found': outputs['found']}", source)

  def test_keras_3_and_a_rule(self):
    self.write(
      'legacy.py',
      """
      import tensorflow as tf
      v1 = tf.compat.v1

      def net(x):
        with v1.variable_scope('tower'):
          x = v1.layers.dense(x, 3, name='a')
          return v1.layers.dense(x, 2, name='b')
      """,
    )
    self.write(
      'migrated.py',
      """
      import keras

      def build(width=3):
        inputs = keras.Input((5,))
        net = keras.layers.Dense(width, name='a')(inputs)
        return keras.Model(inputs, keras.layers.Dense(2, name='b')(net))
      """,
    )
    found = self.infer('legacy.py:net', 'migrated.py:build')
    self.assertEqual(found.kinds, ('function', 'Keras 3 model'))
    source = found.draft.source(self.folder)
    self.assertIn("return tf1_name.removeprefix('tower/')", source)
    self.assertIn('size=(4, 5)', source)
    self.assertIn('initial weights are not compared', '\n'.join(found.assumed))
    self.assertNotIn('initial_weights', source)

  def test_model_fn(self):
    self.write(
      'legacy.py',
      """
      import tensorflow as tf
      v1 = tf.compat.v1

      def model_fn(features, labels, mode, params):
        logits = v1.layers.dense(features, params['units'], name='dense')
        loss = None
        if mode != 'infer':
          loss = v1.losses.mean_squared_error(labels, logits)
        return tf.estimator.EstimatorSpec(
          mode, predictions={'logits': logits}, loss=loss)
      """,
    )
    self.write(
      'migrated.py',
      """
      import tensorflow as tf

      def net():
        return tf.keras.Sequential([
          tf.keras.Input((3,)), tf.keras.layers.Dense(2, name='dense')])
      """,
    )
    found = self.infer(
      'legacy.py:model_fn',
      'migrated.py:net',
      tf1_args=['units=2'],
      wanted=guide.Wanted(training=False),
    )
    source = found.draft.source(self.folder)
    self.assertIn(
      "tf_equiv.from_model_fn(legacy.model_fn, params={'units': 2})", source
    )
    self.assertIn("return {'logits': outputs}", source)
    self.assertNotIn('build_tf1', source)

  def test_saved_model(self):
    tf = sys.modules['tensorflow']
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
      x = v1.placeholder(tf.float32, (None, 3), name='x')
      y = v1.layers.dense(x, 2, name='dense')
      session.run(v1.global_variables_initializer())
      v1.saved_model.simple_save(session, 'export', {'x': x}, {'y': y})
    self.write(
      'migrated.py',
      """
      import tensorflow as tf

      def net():
        return tf.keras.Sequential([
          tf.keras.Input((3,)), tf.keras.layers.Dense(2, name='dense')])
      """,
    )
    found = self.infer('export', 'migrated.py:net')
    source = found.draft.source(self.folder)
    self.assertIn('tf_equiv.SavedModel(os.path.join(', source)
    self.assertIn("model(inputs['x'], training=training)", source)
    self.assertIn("return {'y': outputs}", source)
    self.assertIn("'x': random.normal(size=(4, 3))", source)

  def test_output_that_is_not_known(self):
    self.write(
      'legacy.py',
      """
      import tensorflow as tf

      class Model:
        def __init__(self):
          self.x = tf.compat.v1.placeholder(tf.float32, (None, 3))
          self.first = self.x + 1
          self.second = self.x + 2
      """,
    )
    self.write('migrated.py', 'def net(x):\n  return x + 2')
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      'does not say which is its output. Its tensors are first, second, x; '
      'give one with --tf1_output',
    ):
      self.infer('legacy.py:Model', 'migrated.py:net')
    found = self.infer(
      'legacy.py:Model', 'migrated.py:net', tf1_output='second'
    )
    source = found.draft.source(self.folder)
    self.assertIn("'Placeholder': inputs,", source)
    self.assertIn('return model.second', source)

  def test_contrib(self):
    self.write(
      'legacy.py',
      """
      import tensorflow as tf
      from tensorflow.contrib import rnn
      import tensorflow.contrib.slim as slim

      def net(x, is_training):
        cell = rnn.BasicLSTMCell(3)
        net, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
        net = slim.fully_connected(net[:, -1], 4, scope='a')
        init = tf.contrib.layers.xavier_initializer()
        return net @ tf.get_variable('w', (4, 2), initializer=init)
      """,
    )
    self.write(
      'migrated.py',
      """
      import legacy
      import tf_equiv
      import tensorflow as tf

      class Net(tf.Module):
        @tf_equiv.track_tf1_style_variables
        def __call__(self, x, training=False):
          return legacy.net(x, training)
      """,
    )
    found = self.infer(
      'legacy.py:net', 'migrated.py:Net', inputs=['float32[2,5,3]']
    )
    self.assertIn('names TF1 alone (tf.contrib', found.assumed[0])
    self.assertEmpty(found.draft.renames)
    # Nothing of it is left behind.
    self.assertNotIn('tensorflow.contrib', sys.modules)
    self.assertFalse(hasattr(sys.modules['tensorflow'], 'contrib'))


class InitTest(CommandTestCase):
  def test_runs_unedited(self):
    self.write('src/legacy.py', _LEGACY)
    self.write('src/migrated.py', _MIGRATED.replace('EPSILON', '1e-3'))
    arguments = (
      *('init', 'src/legacy.py:net', 'src/migrated.py:Net', '--quick'),
      *('-o', 'net_migration_test.py', '--steps', '1'),
    )
    code, out, err = self.run_main(*arguments)
    self.assertEqual(code, 0, out + err)
    self.assertIn('net_migration_test.py: NetMigrationTest with 6 tests', out)
    self.assertIn('Run it: python net_migration_test.py', out)
    with open('net_migration_test.py') as file:
      source = file.read()
    self.assertIn("sys.path.insert(0, os.path.join(_FOLDER, 'src'))", source)
    self.assertIn('with tf_equiv.tf1_imports():\n  import legacy\n', source)
    self.assertIn('# Take the optimizer and the schedule of your', source)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]))
    env.pop('TF_USE_LEGACY_KERAS', None)
    env.pop('TEST_TOTAL_SHARDS', None)
    done = subprocess.run(
      [sys.executable, '-W', 'ignore', 'net_migration_test.py'],
      env=env,
      stderr=subprocess.PIPE,
      text=True,
      timeout=300,
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertRegex(done.stderr, r'Ran 7 tests')  # With test_session.
    code, _, err = self.run_main(*arguments)
    self.assertEqual(code, 2)
    self.assertIn(
      'net_migration_test.py exists, and was left as it is; --force replaces',
      err,
    )
    with open('net_migration_test.py') as file:
      self.assertEqual(file.read(), source)

  def test_output_that_cannot_be(self):
    self.write('legacy.py', 'def net(x):\n  return x')
    for output, message in (
      ('net_test.txt', 'expected a file that ends with .py'),
      ('no/net_test.py', 'there is no folder'),
    ):
      code, _, err = self.run_main(
        'init', 'legacy.py:net', 'legacy.py:net', '-o', output
      )
      self.assertEqual(code, 2)
      self.assertIn(message, err)


class LightTest(absltest.TestCase):
  """What does not import TensorFlow."""

  def test_help_and_show(self):
    code = (
      'import sys\n'
      'from tf_equiv.cli import main\n'
      "for args in (['--help'], ['check', '--help'], ['init', '--help'], "
      "['show', 'none.golden'], ['check']):\n"
      '  print(main.main(args), file=sys.stderr)\n'
      "print('tensorflow' in sys.modules, file=sys.stderr)\n"
    )
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]))
    done = subprocess.run(
      [sys.executable, '-c', code],
      env=env,
      capture_output=True,
      text=True,
      timeout=300,
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertEndsWith(done.stderr, '2\nFalse\n')
    self.assertIn('examples:\n  tf_equiv check legacy.py:net', done.stdout)
    self.assertIn('exit status: 0 if all steps pass, 1 if', done.stdout)


class ConclusionTest(absltest.TestCase):
  def test_errors_do_not_look_like_differences(self):
    steps = [
      check.Step('test_gradients', check.PASS, 'pass', 'pass'),
      check.Step('test_beyond', check.ERROR, 'no', 'no'),
    ]
    self.assertEqual(check.result_of(steps), check.TROUBLE)
    text = check.conclusion(check.TROUBLE, steps)
    self.assertEqual(text, '1 could not run: beyond: other inputs and weights')
    self.assertEqual(check.result_of([]), check.TROUBLE)


if __name__ == '__main__':
  absltest.main()
