"""Programs beside a report show a difference without the user's code."""

import contextlib
import os
import subprocess
import sys
import tempfile
from unittest import mock

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.compat import fresh_python
from tests.planted import pair
from tests.report import planted_verdicts
from tf_equiv import reproductions
from tf_equiv.compare import divergence, repairs
from tf_equiv.diagnose.reproduction import case as case_lib
from tf_equiv.diagnose.reproduction import reduction, script

v1 = tf.compat.v1
ROWS = 6
_ALONE = "import sys; sys.modules['tf_equiv'] = None; import numpy, tensorflow"


def dense(x, units, name):
  return v1.layers.dense(x, units, name=name)


def image(x, epsilon=1e-3, dilation=1, pool=tf.nn.max_pool2d, last=tf.nn.relu):
  net = v1.layers.conv2d(
    x, 4, 3, padding='same', dilation_rate=dilation, name='conv'
  )
  net = v1.layers.batch_normalization(net, epsilon=epsilon, name='norm')
  net = pool(net, 3, 2, 'SAME')
  return dense(last(90.0 * dense(v1.layers.flatten(net), 5, 'head')), 2, 'out')


def vector(x, factor=1.0, swap=False, alpha=0.2):
  net = tf.nn.leaky_relu(dense(x, 5, 'first'), alpha)
  parts = [tf.sin(net), tf.cos(net)]
  return factor * dense(tf.concat(parts[::-1] if swap else parts, -1), 2, 'out')


def scaled_back(factor):
  @tf.custom_gradient
  def forward(x):
    return tf.tanh(x), lambda dy: factor * dy * (1 - tf.square(tf.tanh(x)))

  return lambda x: dense(forward(dense(x, 4, 'first')), 2, 'out')


class Native(tf.keras.Model):
  """A rewrite with Keras, whose faults are arguments."""

  def __init__(self, epsilon, last):
    super().__init__()
    self.first = tf.keras.layers.Dense(7, name='first')
    self.norm = tf.keras.layers.BatchNormalization(epsilon=epsilon, name='norm')
    self.last, self.out = last, tf.keras.layers.Dense(2, name='out')

  def call(self, inputs, training=None):
    net = self.norm(self.first(inputs), training=training)
    return self.out(self.last(90.0 * net))


def legacy_of_native(x, training):
  net = dense(x, 7, 'first')
  net = v1.layers.batch_normalization(net, training=training, name='norm')
  return dense(tf.nn.relu(90.0 * net), 2, 'out')


def pair_of(tf1, tf2, *shape):
  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(ROWS, *shape),
      build_tf1=lambda x, training: tf1(x),
      build_tf2=pair.shim(lambda x, training: tf2(x)),
    )
  )


def native(epsilon=1e-3, last=tf.nn.relu):
  return pair.PairCase(
    pair.clean(
      'pair',
      make_inputs=pair.numbers(ROWS, 5),
      build_tf1=legacy_of_native,
      rename_variable=pair.below('native'),
      build_tf2=lambda: Native(epsilon, last),
    )
  )


def of_image(**fault):
  return pair_of(image, lambda x: image(x, **fault), 8, 8, 3)


def of_vector(**fault):
  return pair_of(vector, lambda x: vector(x, **fault), 5)


def run_alone(path, *arguments):
  """Returns (exit status, output) of a program, without tf_equiv."""
  return fresh_python.run(
    f'import runpy, sys; sys.argv = {[path, *arguments]!r}; '
    "runpy.run_path(sys.argv[0], run_name='__main__')",
    first=_ALONE,
  )


class FolderTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())

  def failure(self, assertion, folder=None):
    """Returns the message and the verdict of a failing assertion."""
    environment = {
      name: value
      for name, value in os.environ.items()
      if not name.startswith(('TEST_UNDECLARED', 'TF_EQUIV_'))
    }
    if folder is None:
      environment['TF_EQUIV_REPORT_DIR'] = self.folder
    with mock.patch.dict(os.environ, environment, clear=True):
      with self.assertRaises(AssertionError) as raised:
        assertion()
    return str(raised.exception), raised.exception.verdict

  def files(self, ending=''):
    return sorted(x for x in os.listdir(self.folder) if x.endswith(ending))


class AssertionsTest(FolderTest):
  """Programs of planted faults."""

  def test_planted_faults(self):
    """They share a process, which is what takes time."""
    failures = [
      self.failure(case.assertForwardEquivalent, folder='')
      for case in (
        of_image(epsilon=3e-2),
        of_image(pool=tf.nn.avg_pool2d),
        of_image(last=tf.nn.relu6),
        of_vector(swap=True),
        of_vector(factor=1.25),
        of_vector(alpha=0.3),
        native(epsilon=5e-2),
        native(last=tf.nn.relu6),
      )
    ]
    for text, verdict in failures:
      self.assertLen(verdict.divergences, 1, text)
    places = [verdict.divergence for _, verdict in failures]
    found = reproductions.offer(verdict_of(*places), self.folder)
    self.assertLen(found, len(places))
    self.assertLen(self.files(), 2 * len(places))
    for place, made in zip(places, found, strict=True):
      with self.subTest(f'{place.tf1} {place.differences}'):
        self.assertIsNone(made.problem)
        self.assertTrue(made.is_repaired)
        self.check(made)

  def check(self, made):
    """Fails if a program does not show what it is said to show."""
    status, output = run_alone(made.path)
    self.assertEqual(status, 1, output)
    self.assertRegex(output, r'\d+ of \d+ elements differ, by up to \S+\nTF1 ')
    self.assertNotIn('Traceback', output)
    status, output = run_alone(made.path, '--repaired')
    if made.is_repaired:
      self.assertEqual(status, 0, output)
      self.assertRegex(output, r'(?m)^0 of ')
    else:
      self.assertEqual(status, 2, output)
    with open(made.path, encoding='ascii') as file:
      source = file.read()
    self.assertLessEqual(source.count('\n'), 60)
    for word in ('tf_equiv', 'tf_keras', 'keras', 'layers'):
      self.assertNotRegex(source, rf'(?m)^[^#]*\b{word}\b')
    with np.load(made.path[:-2] + 'npz') as data:
      for name in data:
        self.assertNotEqual(data[name].shape[0], ROWS, name)

  def test_other_dilation(self):
    """Graphs undilate in ways of their own."""
    case = of_image(dilation=2)
    _, verdict = self.failure(case.assertForwardEquivalent, folder='')
    for made in reproductions.offer(verdict, self.folder):
      if made.problem is None:
        self.check(made)

  def test_gradient(self):
    case = pair_of(scaled_back(1.0), scaled_back(1.5), 5)
    _, verdict = self.failure(case.assertGradientsClose, folder='')
    self.assertEqual(verdict.divergence.group, 'gradients')
    made = reproductions.offer(verdict, self.folder)[0]
    self.assertIsNone(made.problem)
    self.check(made)

  def test_each_of_several(self):
    text, verdict = self.failure(
      of_vector(factor=2.0, swap=True, alpha=0.3).assertForwardEquivalent
    )
    self.assertLen(verdict.divergences, 3)
    self.assertEqual([x.place for x in verdict.reproductions], [1, 2, 3])
    self.assertLen({x.path for x in verdict.reproductions}, 3)
    self.assertLen(self.files('.npz'), 3)
    for number in (1, 2, 3):
      self.assertIn(f'it shows place {number} with TensorFlow alone', text)

  def test_no_program_without_a_report(self):
    text, verdict = self.failure(
      of_vector(factor=2.0).assertForwardEquivalent, folder=''
    )
    self.assertEqual(verdict.reproductions, ())
    self.assertNotIn('Run python', text)
    self.assertNotIn('No program', text)

  def test_clean(self):
    environment = {'TF_EQUIV_REPORT_DIR': self.folder}
    with mock.patch.dict(os.environ, environment):
      verdict = of_vector().assertForwardEquivalent()
    self.assertEqual(verdict.reproductions, ())
    self.assertEmpty(self.files('.py'))

  def test_python_of_a_shell_runs_it(self):
    _, verdict = self.failure(of_vector(factor=2.0).assertForwardEquivalent)
    (made,) = verdict.reproductions
    done = subprocess.run(
      [sys.executable, made.path],
      cwd=os.path.dirname(made.path),
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
      stdout=subprocess.PIPE,
      text=True,
      check=False,
    )
    self.assertEqual(done.returncode, 1)
    self.assertIn('elements differ, by up to', done.stdout)


def excerpt(build, **feeds):
  """Returns the ops of a graph, whose placeholders have the names of values."""
  with tf.Graph().as_default() as graph:
    made = {
      name: v1.placeholder(tf.as_dtype(x.dtype), x.shape, name)
      for name, x in feeds.items()
    }
    target = build(**made)
  wide = {
    name + ':0': x.astype(np.float64) if x.dtype == np.float32 else x
    for name, x in feeds.items()
  }
  sources = {name: repairs.Source('node', name[:-2]) for name in wide}
  return repairs.Excerpt(
    graph.as_graph_def().SerializeToString(),
    wide,
    target.name,
    sources=sources,
  )


def numbers(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def verdict_of(*places):
  return planted_verdicts.make(
    'assertForwardEquivalent',
    'Outputs differ',
    test='m.NetTest.test_net',
    divergences=places,
  )


def place_of(first, second, **fields):
  return divergence.Divergence(
    divergence.Place('net/mul"""\n\\', 'Mul', 'net.py:7  x = secret(y)'),
    divergence.Place('shim/mul', 'Mul'),
    excerpts=(first, second),
    **fields,
  )


def twice(x):
  return x * 2.0


class OfferingTest(FolderTest):
  """Programs are offered only where they show what they are said to show."""

  def offered(self, *places, **arguments):
    found = reproductions.offer(verdict_of(*places), self.folder, **arguments)
    return [(x.place, x.problem) for x in found]

  def differing(self, **fields):
    x = numbers(3, 2)
    return place_of(excerpt(twice, x=x), excerpt(tf.square, x=x), **fields)

  def test_names_are_no_code(self):
    self.assertEqual(self.offered(self.differing()), [(1, None)])
    (name,) = self.files('.py')
    with open(os.path.join(self.folder, name), encoding='ascii') as file:
      source = file.read()
    self.assertIn('# found at net/mul""" \\\\ (Mul) at net.py:7\n', source)
    self.assertNotIn('secret', source)

  def test_agreeing_ops_are_not_offered(self):
    x = numbers(3, 2)
    both = excerpt(twice, x=x), excerpt(lambda x: x + x, x=x)
    self.assertEqual(
      self.offered(place_of(*both)), [(1, repairs.Problem.AGREES)]
    )
    self.assertEmpty(self.files())

  def test_a_wrong_repair_is_not_offered(self):
    change = repairs.Change(repairs.ChangeKind.CONSTANT, 'mul', '', 5.0, 2.0, 1)
    place = self.differing(repair=repairs.Repair((change,), 0.0), tried=True)
    found = reproductions.offer(verdict_of(place), self.folder)
    self.assertEqual([x.is_repaired for x in found], [False])

  @parameterized.parameters(
    ('raise SystemExit(0)', repairs.Problem.FAILED),
    ('1 / 0', repairs.Problem.FAILED),
    ('import time; time.sleep(60)', repairs.Problem.TIME),
  )
  def test_what_does_not_run_is_not_offered(self, code, problem):
    python = os.path.join(self.folder, 'python')
    with open(python, 'w', encoding='utf-8') as file:
      file.write(f'#!{sys.executable}\n{code}\n')
    os.chmod(python, 0o700)
    with contextlib.ExitStack() as stack:
      stack.enter_context(mock.patch.object(sys, 'executable', python))
      stack.enter_context(mock.patch.object(reproductions, '_SECONDS_EACH', 0))
      found = self.offered(self.differing(), seconds=2)
    self.assertEqual(found, [(1, problem)])
    self.assertEqual(self.files(), ['python'])

  def test_another_result_in_the_process_is_not_offered(self):
    text = script.write

    def agreeing(*arguments):
      return text(*arguments).replace('tf.raw_ops.Square(x=', '2.0 * (')

    with mock.patch.object(script, 'write', agreeing):
      found = self.offered(self.differing())
    self.assertEqual(found, [(1, repairs.Problem.AGREES)])
    self.assertEmpty(self.files())

  def test_too_large(self):
    with mock.patch.object(reproductions, '_MAX_BYTES', 3):
      found = self.offered(
        place_of(
          excerpt(twice, x=numbers(2, 9)), excerpt(tf.square, x=numbers(2, 9))
        )
      )
    self.assertEqual(found, [(1, repairs.Problem.LARGE)])
    large = divergence.Divergence(None, None, is_large=True)
    found = reproductions.offer(verdict_of(large), self.folder)
    self.assertEqual([x.problem for x in found], [repairs.Problem.LARGE])
    self.assertEmpty(self.files())

  def test_too_long(self):
    def many(x):
      for _ in range(50):
        x = tf.sin(x)
      return x

    x = numbers(3, 2)
    found = self.offered(place_of(excerpt(many, x=x), excerpt(tf.square, x=x)))
    self.assertEqual(found, [(1, repairs.Problem.LONG)])

  def test_loops_are_no_ops(self):
    def loop(x):
      return tf.while_loop(
        lambda i, _: i < 3, lambda i, y: (i + 1, 2.0 * y), [0, x]
      )[1]

    x = numbers(3, 2)
    found = self.offered(place_of(excerpt(loop, x=x), excerpt(tf.square, x=x)))
    self.assertEqual(found, [(1, repairs.Problem.OPS)])
    self.assertEmpty(self.files())

  def test_folder_that_cannot_be_made(self):
    path = os.path.join(self.folder, 'file')
    with open(path, 'w', encoding='utf-8'):
      pass
    self.assertEqual(
      reproductions.offer(verdict_of(self.differing()), path),
      (),
    )


class CaseTest(parameterized.TestCase):
  """Cases are as small as they can be, and no smaller."""

  def test_small_differences_need_float64(self):
    x = np.float32([[0.5, 1.0]])
    near = lambda x: x * np.float32(1 + 3e-7)  # noqa: E731
    for other, dtype in ((near, np.float64), (tf.square, np.float32)):
      same = lambda x: x * np.float32(1)  # noqa: E731
      case = case_lib.of_excerpts(
        (excerpt(same, x=x), excerpt(other, x=x)), None
      )
      self.assertEqual(case.values()[0].dtype, dtype)

  def test_common_ops_become_values(self):
    x = numbers(ROWS, 3)

    def build(last):
      return lambda x: last(tf.sin(tf.cos(x)))

    case = case_lib.of_excerpts(
      (excerpt(build(tf.exp), x=x), excerpt(build(tf.square), x=x)), None
    )
    case = reduction.reduce(case)
    self.assertEqual(case.size, 2)
    (value,) = case.feeds.values()
    self.assertEqual(value.shape, (1, 3))

  def test_ends_where_the_sides_first_differ(self):
    x = numbers(ROWS, 3)

    def build(slope):
      return lambda x: tf.sin(tf.exp(tf.nn.leaky_relu(tf.cos(x) - 0.5, slope)))

    change = repairs.Change(
      repairs.ChangeKind.ATTRIBUTE, 'LeakyRelu', 'alpha', 0.2, 0.3
    )
    case = case_lib.of_excerpts(
      (excerpt(build(0.2), x=x), excerpt(build(0.3), x=x)),
      repairs.Repair((change,), 0.0),
    )
    case = reduction.reduce(case)
    self.assertEqual([x.op for x in case_lib.ops_of(case.tf2)], ['LeakyRelu'])
    self.assertTrue(case.differs())

  def test_batch_that_shows_it(self):
    """A difference of two examples needs two."""
    x = numbers(ROWS, 3)
    case = case_lib.of_excerpts(
      (
        excerpt(lambda x: tf.cumsum(x, 0), x=x),
        excerpt(lambda x: tf.cumsum(x, 0, reverse=True), x=x),
      ),
      None,
    )
    case = reduction.reduce(case)
    self.assertEqual([v.shape[0] for v in case.feeds.values() if v.ndim], [2])

  def test_batch_that_ops_name(self):
    x = numbers(ROWS, 4)
    case = case_lib.of_excerpts(
      (
        excerpt(lambda x: tf.reshape(x, [ROWS, 2, 2]), x=x),
        excerpt(lambda x: tf.reshape(2 * x, [ROWS, 2, 2]), x=x),
      ),
      None,
    )
    case = reduction.reduce(case)
    self.assertTrue(case.differs())
    self.assertIn((ROWS, 4), [value.shape for value in case.feeds.values()])

  @parameterized.parameters(
    ([1.0, 2.0], [1.0, 2.0], 0.0),
    ([np.nan, 2.0], [np.nan, 2.0], 0.0),
    ([np.nan, 2.0], [1.0, 2.0], np.inf),
    ([np.inf, 2.0], [1.0, 2.0], np.inf),
    ([1.0, 2.0], [1.0, 4.0], 0.5),
    ([1.0], [1.0, 4.0], np.inf),
  )
  def test_distance(self, first, second, expected):
    self.assertEqual(
      case_lib.distance(np.array(first), np.array(second)), expected
    )


del tf_equiv

if __name__ == '__main__':
  absltest.main()
