"""What README.md and the pages of docs/ show is what happens."""

import glob
import os
import re
import subprocess
import sys
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl import flags
from absl.testing import absltest, parameterized

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tf_equiv.__file__)))


_README = 'README.md'
_REWRITES = 'docs/rewrites.md'
_TRAINING = 'docs/training.md'
_TROUBLESHOOTING = 'docs/troubleshooting.md'
# Pages at the top, and one beside the benchmarks.
_OTHERS = (
  _README,
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'benchmarks/README.md',
)
_MAX_README_LINES = 220
_MAX_COLUMNS = 80


def pages():
  """Returns the paths of all documents, relative to the top."""
  found = glob.glob(os.path.join(_ROOT, 'docs', '*.md'))
  return sorted([*_OTHERS, *(os.path.relpath(p, _ROOT) for p in found)])


def read(page):
  with open(os.path.join(_ROOT, page), encoding='utf-8') as file:
    return file.read()


def blocks(language, page):
  found = re.findall(r'^```(\w*)\n(.*?)^```$', read(page), re.M | re.S)
  return [text for name, text in found if name == language]


def prose(page):
  """Returns a page without its blocks of code."""
  return re.sub(r'^( *)```.*?^\1```$', '', read(page), flags=re.M | re.S)


def anchors(page):
  """Returns the anchors of the headings of a page, as GitHub makes them."""
  headings = re.findall(r'^#+ (.*)$', prose(page), re.M)
  return {
    re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
    for heading in headings
  }


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


class ExamplesTest(absltest.TestCase):
  def test_first_test_is_short_and_passes(self):
    code = blocks('python', _README)[0]
    self.assertLess(len(code.splitlines()), 40)
    status, output = run(code)
    self.assertEqual(status, 0, output)
    self.assertIn('Ran 11 tests', output)  # one is TensorFlow's test_session

  def test_failure_looks_as_shown(self):
    shown = next(
      b for b in blocks('', _README) if b.startswith('AssertionError')
    )
    code = blocks('python', _README)[0].replace(
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
    shown = next(b for b in blocks('', _TRAINING) if 'Optimizers differ' in b)
    methods = next(
      b for b in blocks('python', _TRAINING) if 'build_tf1_optimizer' in b
    )
    code = blocks('python', _README)[0].replace('tf_equiv.GuideSteps, ', '')
    status, output = run(
      code.replace('\n\nif __name__', methods + '\nif __name__')
    )
    self.assertEqual(status, 1)
    output = re.sub(r'\S*/(?=\w+\.py:)', '', output)
    self.assertIn(shown.strip(), output)

  def test_native_rewrite(self):
    net, rewrite = (
      next(b for b in blocks('python', _REWRITES) if start in b)
      for start in ('def native_net', 'def test_rewrite')
    )
    shown = next(b for b in blocks('', _REWRITES) if 'Variables differ' in b)
    headline, proposal = shown.strip().split('\n...\n')
    optimizers = """
  def build_tf1_optimizer(self):
    return tf.compat.v1.train.AdamOptimizer(1e-3)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.Adam(1e-3, epsilon=1e-8)

"""
    code = blocks('python', _README)[0].replace('tf_equiv.GuideSteps, ', '')
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
    (code,) = [
      b
      for b in blocks('python', _TROUBLESHOOTING)
      if 'seeds.operation_seed' in b
    ]
    printed = []
    exec(code, {'tf_equiv': tf_equiv, 'tf': tf, 'print': printed.append})
    expected = re.findall(r'print\(.*\) +# (.*)', code)
    self.assertEqual([str(item) for item in printed], expected)

  def test_the_lstm_recipe(self):
    (code,) = [b for b in blocks('python', _REWRITES) if 'np.split' in b]
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

  def test_the_mapping(self):
    (code,) = [b for b in blocks('python', _REWRITES) if '.Mapping(' in b]
    *lines, last = code.strip().splitlines()
    names = {'tf_equiv': tf_equiv}
    exec('\n'.join(lines), names)
    call, expected = re.fullmatch(r'(.*?) +# (.*)', last).groups()
    self.assertEqual(repr(eval(call, names)), expected)

  def test_assertions_of_the_table_exist(self):
    names = re.findall(r'\| `(assert\w+)\(', read(_README))
    self.assertGreaterEqual(len(names), 6)
    for name in names:
      self.assertTrue(hasattr(tf_equiv.MigrationTestCase, name), name)

  def test_variants_of_the_table_exist(self):
    table = read(_TRAINING).partition('| variant |')[2].partition('\n\n')[0]
    names = re.findall(r'^\| `(\w+)` \|', table, re.M)
    self.assertCountEqual(names, tf_equiv.VARIANTS)


class PagesTest(parameterized.TestCase):
  def test_pages_are_found(self):
    self.assertGreater(len(pages()), 12)

  def test_readme_is_short(self):
    self.assertLessEqual(len(read(_README).splitlines()), _MAX_README_LINES)

  def test_readme_names_every_page(self):
    for page in glob.glob(os.path.join(_ROOT, 'docs', '*.md')):
      name = os.path.relpath(page, _ROOT)
      self.assertIn('](%s)' % name, read(_README))

  def test_the_api_reference_has_every_public_name(self):
    names = re.findall(r'^::: tf_equiv\.(\w+)$', read('docs/api.md'), re.M)
    self.assertCountEqual(names, tf_equiv.__all__)

  def test_the_api_reference_has_every_flag(self):
    self.assertIsNotNone(tf_equiv.MigrationTestCase)  # It brings the flags.
    table = read('docs/api.md').partition('| flag | variable |')[2]
    names = re.findall(r'`--(\w+)`', table)
    own = [
      flag.name
      for module, found in flags.FLAGS.flags_by_module_dict().items()
      if module.startswith('tf_equiv.')
      for flag in found
    ]
    self.assertCountEqual(names, own)

  @parameterized.parameters(*pages())
  def test_links_lead_somewhere(self, page):
    links = re.findall(r'\]\(([^)]+)\)', prose(page))
    for link in links:
      if link.startswith('http'):
        continue
      target, _, anchor = link.partition('#')
      path = os.path.normpath(os.path.join(os.path.dirname(page), target))
      path = path if target else page
      self.assertTrue(os.path.exists(os.path.join(_ROOT, path)), link)
      if anchor:
        self.assertIn(anchor, anchors(path), link)

  @parameterized.parameters(*pages())
  def test_lines_are_short(self, page):
    for line in prose(page).splitlines():
      if not line.startswith('|'):
        self.assertLessEqual(len(line), _MAX_COLUMNS, line)

  @parameterized.parameters(*pages())
  def test_a_blank_line_is_above_each_heading(self, page):
    before = ''
    for line in prose(page).splitlines():
      if re.match(r'#+ ', line):
        self.assertEqual(before, '', line)
      before = line


if __name__ == '__main__':
  absltest.main()
