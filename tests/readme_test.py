"""What README.md shows is what happens."""

import os
import re
import subprocess
import sys
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))


def read():
  with open(os.path.join(_ROOT, 'README.md'), encoding='utf-8') as file:
    return file.read()


def blocks(language):
  found = re.findall(r'^```(\w*)\n(.*?)^```$', read(), re.M | re.S)
  return [text for name, text in found if name == language]


def run(code):
  """Runs a test file in a fresh process; returns (exit status, output)."""
  env = dict(os.environ, PYTHONPATH=os.pathsep.join([_ROOT, *sys.path]))
  env.pop('TF_USE_LEGACY_KERAS', None)
  env.pop('TEST_TOTAL_SHARDS', None)
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'net_migration_test.py')
    with open(path, 'w', encoding='utf-8') as file:
      file.write(code)
    done = subprocess.run(
      [sys.executable, '-W', 'ignore', path],
      env=env,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=300,
    )
  return done.returncode, done.stdout


class ReadmeTest(absltest.TestCase):
  def test_first_test_is_short_and_passes(self):
    code = blocks('python')[0]
    self.assertLess(len(code.splitlines()), 40)
    status, output = run(code)
    self.assertEqual(status, 0, output)
    self.assertIn('Ran 10 tests', output)  # one is TensorFlow's test_session

  def test_failure_looks_as_shown(self):
    shown = next(b for b in blocks('') if b.startswith('AssertionError'))
    code = blocks('python')[0].replace(
      'return legacy_net(images, is_training=bool(training))',
      'return legacy_net(images, is_training=bool(training), epsilon=1e-5)',
    )
    code = code.replace('is_training):', 'is_training, epsilon=1e-3):')
    code = code.replace(
      "training=is_training, name='bn'",
      "training=is_training, epsilon=epsilon, name='bn'",
    )
    status, output = run(code)
    self.assertEqual(status, 1)
    # Numbers may differ in the last digits from one processor to another.
    number = r'-?\d+\.\d+(?:e-?\d+)?|-?\d+e-?\d+'
    output = re.sub(r'\S*/(?=\w+\.py:)', '', output)
    self.assertIn(
      re.sub(number, '<n>', shown.strip()), re.sub(number, '<n>', output)
    )

  def test_training_steps(self):
    shown = next(b for b in blocks('') if 'Optimizers differ' in b)
    methods = next(b for b in blocks('python') if 'build_tf1_optimizer' in b)
    code = blocks('python')[0].replace('tf_equiv.GuideSteps, ', '')
    status, output = run(
      code.replace('\n\nif __name__', methods + '\nif __name__')
    )
    self.assertEqual(status, 1)
    output = re.sub(r'\S*/(?=\w+\.py:)', '', output)
    self.assertIn(shown.strip(), output)

  def test_native_rewrite(self):
    net, rewrite = (
      next(b for b in blocks('python') if start in b)
      for start in ('def native_net', 'def test_rewrite')
    )
    shown = next(b for b in blocks('') if 'Variables differ' in b)
    headline, proposal = shown.strip().split('\n...\n')
    optimizers = """
  def build_tf1_optimizer(self):
    return tf.compat.v1.train.AdamOptimizer(1e-3)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(1e-3, epsilon=1e-8)

"""
    code = blocks('python')[0].replace('tf_equiv.GuideSteps, ', '')
    code = code.replace('return MigratedNet()', 'return native_net()')
    code = code.replace('class NetMig', net + '\n\nclass NetMig')
    code = code.replace(
      '\n\nif __name__', optimizers + rewrite + '\n\nif __name__'
    )
    status, output = run(code)
    self.assertEqual(status, 1)
    self.assertIn(headline, output)
    self.assertIn(proposal, output)
    method = proposal[proposal.index('    def rename') :]
    pasted = '\n'.join(line[2:] for line in method.splitlines())
    status, output = run(
      code.replace('  def test_rewrite', pasted + '\n\n  def test_rewrite')
    )
    self.assertEqual(status, 0, output)

  def test_the_seed_context(self):
    (code,) = [b for b in blocks('python') if 'seeds.operation_seed' in b]
    printed = []
    exec(code, {'tf_equiv': tf_equiv, 'tf': tf, 'print': printed.append})
    expected = re.findall(r'print\(.*\) +# (.*)', code)
    self.assertEqual([str(item) for item in printed], expected)

  def test_the_lstm_recipe(self):
    (code,) = [b for b in blocks('python') if 'np.split' in b]
    recipe = {'np': np}
    exec(code, recipe)

    class LstmTest(tf_equiv.MigrationTestCase):
      rename_variable = recipe['rename_variable']
      convert_variable = recipe['convert_variable']

      def make_inputs(self):
        rng = np.random.default_rng(0)
        return rng.normal(size=(4, 5, 3)).astype(np.float32)

      def build_tf1(self, inputs, training):
        cell = tf.compat.v1.nn.rnn_cell.BasicLSTMCell(6)
        return tf.compat.v1.nn.dynamic_rnn(cell, inputs, dtype=tf.float32)[0]

      def build_tf2(self):
        lstm = tf.keras.layers.LSTM(6, return_sequences=True, name='lstm')
        return tf.keras.Sequential([tf.keras.Input((5, 3)), lstm])

      def runTest(self):
        self.assertVariablesMatch()
        self.assertForwardEquivalent()
        self.assertTrainingEquivalent(weights='fixed')
        self.assertGradientsClose()

    LstmTest().debug()

  def test_links_lead_somewhere(self):
    links = re.findall(r'\]\(([^)]+)\)', read())
    local = [link for link in links if not link.startswith('http')]
    self.assertNotEmpty(local)
    for link in local:
      self.assertTrue(os.path.exists(os.path.join(_ROOT, link)), link)

  def test_assertions_of_the_table_exist(self):
    names = re.findall(r'\| `(assert\w+)\(', read())
    self.assertGreaterEqual(len(names), 6)
    for name in names:
      self.assertTrue(hasattr(tf_equiv.MigrationTestCase, name), name)


if __name__ == '__main__':
  absltest.main()
