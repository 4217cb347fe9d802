"""Recording, replaying, and what is said where a golden does not fit."""

import inspect
import os
import tempfile
import warnings

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl import flags
from absl.testing import absltest, flagsaver, parameterized

from examples.lenet import legacy, migrated
from tests.references import golden_legacy, golden_net
from tf_equiv.golden import archive
from tf_equiv.golden import flags as flags_lib
from tf_equiv.references import golden

v1 = tf.compat.v1


class Tf1Side:
  """The TF1 side, for those classes that record."""

  def build_tf1(self, inputs, training):
    return golden_legacy.net(inputs, training)

  def build_tf1_optimizer(self):
    return golden_legacy.build_tf1_optimizer()


class LiveNet(Tf1Side, golden_net.NetCase):
  pass


class LegacyIsGone:
  """Fails if any TF1 code is asked for."""

  def build_tf1(self, inputs, training):
    raise AssertionError('TF1 code ran')

  def build_tf1_optimizer(self):
    raise AssertionError('TF1 code ran')


class Replay(LegacyIsGone, golden_net.NetCase):
  pass


def line_of(text):
  """Returns the number of the line of golden_legacy.py that starts so."""
  lines = inspect.getsource(golden_legacy).splitlines()
  return next(
    i for i, line in enumerate(lines, 1) if line.strip().startswith(text)
  )


class GoldenTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.path = os.path.join(folder.name, 'data', 'net.golden')

  def recording(self, cls=LiveNet, **options):
    case = cls()
    case.tf1_reference = tf_equiv.Golden(self.path, update=True, **options)
    return case

  def replaying(self, cls=Replay):
    case = cls()
    case.tf1_reference = tf_equiv.Golden(self.path)
    return case

  def fails(self, function, *args, **kwargs):
    with self.assertRaises(AssertionError) as caught:
      function(*args, **kwargs)
    return str(caught.exception)

  def refused(self, function, *args, **kwargs):
    with self.assertRaises(tf_equiv.UsageError) as caught:
      function(*args, **kwargs)
    return str(caught.exception)

  def entries(self):
    return archive.read_index(self.path)['entries']


class ReplayTest(GoldenTestCase):
  """What was recorded is replayed without TF1 code."""

  @parameterized.named_parameters(
    ('variables', 'assertVariablesMatch', {}),
    ('forward', 'assertForwardEquivalent', {}),
    ('seeded', 'assertForwardEquivalent', {'seed_mode': 'num_random_ops'}),
    ('training', 'assertTrainingEquivalent', {'seed_mode': 'constant'}),
    ('fixed training', 'assertTrainingEquivalent', {'weights': 'fixed'}),
    ('gradients', 'assertGradientsClose', {'inputs': True}),
    ('steps', 'assertTrainingEquivalent', {'steps': 2}),
    (
      'fixed steps',
      'assertTrainingEquivalent',
      {'steps': 1, 'weights': 'fixed'},
    ),
    ('variants', 'assertForwardEquivalent', {'variants': ('eager', 'jit')}),
    ('locating', 'locateDivergence', {'gradients': True}),
  )
  def test_assertion(self, name, arguments):
    live = getattr(LiveNet(), name)(**arguments)
    recorded = getattr(self.recording(), name)(**arguments)
    self.assertLen(self.entries(), 1)
    replayed = getattr(self.replaying(), name)(**arguments)
    for verdict in (recorded, replayed):
      self.assertTrue(verdict.passed)
      self.assertEqual(verdict.compared, live.compared)
      self.assertEqual(verdict.conditions, live.conditions)
      for group, pairs in live.comparisons.items():
        self.assertEqual(
          [(c.name, c.count) for c in verdict.comparisons[group]],
          [(c.name, c.count) for c in pairs],
        )

  def test_notes_name_file_and_version(self):
    self.recording().assertForwardEquivalent()
    verdict = self.replaying().assertForwardEquivalent()
    self.assertIn(
      'TF1 side: %s, recorded on TensorFlow %s' % (self.path, tf.__version__),
      '\n'.join(verdict.notes),
    )

  def test_notes_where_variables_differ(self):
    class Other(Replay):
      def rename_variable(self, tf1_name):
        return tf1_name.replace('logits', 'dense')

    self.recording().assertForwardEquivalent()
    case = self.replaying(Other)
    for assertion in (case.assertVariablesMatch, case.assertForwardEquivalent):
      text = self.fails(assertion)
      self.assertStartsWith(text, 'Variables differ: 2 missing in TF2')
      self.assertIn('TF1 side: %s, recorded on' % self.path, text)

  def test_no_new_variables_needs_no_golden(self):
    self.assertTrue(self.replaying().assertNoNewVariables().passed)
    self.assertFalse(os.path.exists(self.path))

  def test_variables_of_a_run_serve_a_list(self):
    self.recording().assertForwardEquivalent()
    self.assertTrue(self.replaying().assertVariablesMatch().passed)
    self.assertEmpty(tf_equiv.suggest_renames(self.replaying()).names)

  def test_own_training_step(self):
    class Own(LiveNet):
      def train_tf1(self, inputs):
        loss = tf.reduce_mean(
          tf.square(golden_legacy.net(inputs, True)['logits'])
        )
        optimizer = v1.train.GradientDescentOptimizer(0.1)
        return {'loss': loss, 'op': optimizer.minimize(loss)}

      def build_tf2_optimizer(self):
        self.optimizer = tf.keras.optimizers.SGD(0.1)
        return self.optimizer

      def train_tf2(self, model, inputs):
        with tf.GradientTape() as tape:
          logits = model(inputs, training=True)['logits']
          loss = tf.reduce_mean(tf.square(logits))
        weights = model.trainable_variables
        self.optimizer.apply_gradients(
          zip(tape.gradient(loss, weights), weights, strict=True)
        )
        return {'loss': loss}

    arguments = {'steps': 2, 'compare_updates': False}
    self.recording(Own).assertTrainingEquivalent(**arguments)

    class Replayed(Replay):  # It has no train_tf1.
      build_tf2_optimizer = Own.build_tf2_optimizer
      train_tf2 = Own.train_tf2
      tf1_reference = tf_equiv.Golden(self.path)

    verdict = Replayed().assertTrainingEquivalent(**arguments)
    self.assertEqual(verdict.compared['steps'], 2)

    class Default(Replay):
      tf1_reference = tf_equiv.Golden(self.path)

    self.assertIn(
      'defines train_tf1 only',
      self.refused(Default().assertTrainingEquivalent, **arguments),
    )

  def test_checkpoint(self):
    first, second = (
      self._checkpoint(name, value) for name, value in (('a', 0.5), ('b', 0.25))
    )
    self.recording().assertForwardEquivalent()
    self.recording().assertCheckpointEquivalent(first)
    self.assertLen(self.entries(), 2)
    case = self.replaying()
    self.assertTrue(case.assertCheckpointEquivalent(first).passed)
    self.assertTrue(case.assertForwardEquivalent().passed)
    self.assertRegex(
      self.refused(case.assertCheckpointEquivalent, second),
      r'recorded with other fixed weights: reset_weights \(or the checkpoint\) '
      r'now gives other values for \d of 8 variables: net/bn/beta',
    )

  def _checkpoint(self, name, value):
    path = os.path.join(self.folder, name)
    observed, _ = LiveNet()._session.list_variables()
    specs = observed.variables
    tf.raw_ops.SaveV2(
      prefix=path,
      tensor_names=[spec.name for spec in specs],
      shape_and_slices=[''] * len(specs),
      tensors=[
        np.random.RandomState(i).uniform(value, 1, s.shape).astype(np.float32)
        for i, s in enumerate(specs)
      ],
    )
    return path


class LenetTest(GoldenTestCase):
  def test_real_model(self):
    class Lenet(tf_equiv.MigrationTestCase):
      def make_inputs(self):
        images = np.random.RandomState(0).normal(size=(8, 28, 28, 1))
        return images.astype(np.float32)

      def build_tf1(self, inputs, training):
        return legacy.lenet(inputs, is_training=training)

      def build_tf2(self):
        return migrated.Lenet()

      def runTest(self):
        self.assertVariablesMatch()
        self.assertForwardEquivalent(seed_mode='num_random_ops')
        self.assertTrainingEquivalent(seed_mode='num_random_ops')

    self.recording(Lenet).debug()

    class Recorded(LegacyIsGone, Lenet):
      pass

    self.replaying(Recorded).debug()


class FaultTest(GoldenTestCase):
  """A fault on the TF2 side is found on replay as it is beside TF1."""

  def faulty(self, **options):
    class Faulty(Replay):
      def build_tf2(self):
        return golden_net.Net(**options)

    return self.replaying(Faulty)

  def test_located_with_lines(self):
    self.recording().assertForwardEquivalent()
    text = self.fails(self.faulty(epsilon=1e-5).assertForwardEquivalent)
    self.assertStartsWith(
      text, "Outputs differ: 1 of 1, first outputs['logits']"
    )
    self.assertRegex(
      text,
      r'TF1 net/bn/FusedBatchNormV3 .*at .*golden_legacy\.py:%d  '
      r'x = v1\.layers\.batch_normalization\('
      % line_of('x = v1.layers.batch_normalization'),
    )
    self.assertIn('epsilon: TF1 0.001, TF2 1e-05', text)
    self.assertIn('TF1 side: ', text)

  def test_lines_without_the_file(self):
    # The text of a line is recorded with it.
    self.recording().assertForwardEquivalent()
    moved = os.path.join(self.folder, 'elsewhere.golden')
    os.rename(self.path, moved)
    case = self.faulty(epsilon=1e-5)
    case.tf1_reference = tf_equiv.Golden(moved)
    self.assertIn(
      'x = v1.layers.batch_normalization(',
      self.fails(case.assertForwardEquivalent),
    )

  def test_initializer(self):
    self.recording().assertForwardEquivalent(seed_mode='num_random_ops')
    text = self.fails(
      self.faulty(stddev=0.2).assertForwardEquivalent,
      seed_mode='num_random_ops',
    )
    self.assertStartsWith(text, 'Initial weights differ: 1 of 8')
    self.assertIn('TF1 draw 0: random_uniform[3x3x3x8]', text)
    self.assertIn('golden_legacy.py:%d' % line_of('x = v1.layers.conv2d'), text)

  def test_dropout(self):
    self.recording().assertTrainingEquivalent()
    text = self.fails(self.faulty(rate=0.5).assertTrainingEquivalent)
    self.assertStartsWith(
      text, "Outputs differ: 1 of 1, first outputs['logits']"
    )
    self.assertIn(
      'golden_legacy.py:%d' % line_of('x = v1.layers.dropout'), text
    )

  def test_training_step(self):
    self.recording().assertTrainingEquivalent(steps=2)

    class Faulty(Replay):
      def build_tf2_optimizer(self):
        return tf.keras.optimizers.Adam(0.02, epsilon=1e-8)

    text = self.fails(self.replaying(Faulty).assertTrainingEquivalent, steps=2)
    self.assertStartsWith(
      text, 'Training diverges at step 1 of 2 in learning rate of AdamOptimizer'
    )

  def test_loss_of_a_step_is_located(self):
    self.recording().assertTrainingEquivalent(steps=2)
    text = self.fails(
      self.faulty(epsilon=1e-5).assertTrainingEquivalent, steps=2
    )
    self.assertStartsWith(text, 'Training diverges at step 1 of 2 in outputs')
    self.assertIn('epsilon: TF1 0.001, TF2 1e-05', text)

  def test_locate_divergence(self):
    self.recording().locateDivergence()
    verdict = self.faulty(epsilon=1.0001e-3).locateDivergence()
    self.assertIn('golden_legacy.py', str(verdict.divergence.tf1.line))

  def test_without_graph(self):
    self.recording(keep=('weights',)).assertForwardEquivalent()
    self.recording(keep=('weights',)).locateDivergence()
    case = self.faulty(epsilon=1e-5)
    text = self.fails(case.assertForwardEquivalent)
    self.assertIn(
      'the first op that differs was not looked for: the golden %s has no '
      'graph to look into: it was recorded without the graph (keep without '
      "'graph'); record it with 'graph' in keep" % self.path,
      text,
    )
    self.assertIn(
      'locateDivergence needs the graph of the TF1 side: the golden',
      self.refused(case.locateDivergence),
    )


class WeightsTest(GoldenTestCase):
  def test_seeded_weights_are_drawn_again(self):
    arguments = {'seed_mode': 'num_random_ops'}
    self.recording().assertForwardEquivalent(**arguments)
    large = os.path.getsize(self.path)
    self.recording(keep=('graph',)).assertForwardEquivalent(**arguments)
    self.assertLess(os.path.getsize(self.path), large)
    verdict = self.replaying().assertForwardEquivalent(**arguments)
    self.assertEqual(verdict.compared['weights'], 8)

  def test_without_graph_they_are_stored(self):
    case = self.recording(keep=())
    case.assertForwardEquivalent(seed_mode='constant')
    (recorded,) = case.tf1_reference.recorded
    self.assertEqual(
      recorded.note,
      'the initial weights were stored, because there is no graph to draw them '
      'from',
    )
    self.replaying().assertForwardEquivalent(seed_mode='constant')

  def test_weights_that_the_graph_no_longer_draws(self):
    self.recording(keep=('graph',)).assertForwardEquivalent(
      seed_mode='constant'
    )
    with archive.updated(self.path) as writer:
      (entry,) = writer.index['entries']
      digests = archive.load(self.path, entry['objects']['weights'])
      digests['net/conv/kernel'] = '0' * 64
      entry['objects']['weights'] = writer.add(digests)
    text = self.refused(
      self.replaying().assertForwardEquivalent, seed_mode='constant'
    )
    self.assertIn(
      'cannot give the initial weights (inference, initial weights, '
      'seed_mode=constant): drawn here, 1 of 8 differ from those recorded: '
      "net/conv/kernel. Record it with keep=('graph', 'weights')",
      text,
    )

  def test_other_fixed_weights(self):
    self.recording().assertForwardEquivalent()

    class Other(Replay):
      def reset_weights(self, name, shape, dtype):
        value = super().reset_weights(name, shape, dtype)
        return value + 1 if name == 'net/logits/bias' else value

    text = self.refused(self.replaying(Other).assertForwardEquivalent)
    self.assertStartsWith(
      text,
      'The golden %s was recorded with other fixed weights: reset_weights (or '
      'the checkpoint) now gives other values for 1 of 8 variables: '
      'net/logits/bias.\nTo record it where the TF1 code runs: `python -m '
      'tf_equiv record ' % self.path,
    )

    # A new recording of the class replaces the old one.
    class Changed(Tf1Side, Other):
      pass

    self.recording(Changed).assertForwardEquivalent()
    self.recording(Changed).assertForwardEquivalent()
    self.assertLen(self.entries(), 2)


class MisfitTest(GoldenTestCase):
  """A golden that does not fit says what has changed."""

  def test_missing_file(self):
    text = self.refused(self.replaying().assertForwardEquivalent)
    self.assertStartsWith(
      text,
      'There is no golden %r; looked for %s.' % (self.path, self.path),
    )
    self.assertIn('run the test with --update_goldens (pytest: TF_EQUIV', text)

  def test_other_values_of_the_inputs(self):
    self.recording().assertForwardEquivalent()

    class Other(Replay):
      seed = 1

    text = self.refused(self.replaying(Other).assertForwardEquivalent)
    self.assertRegex(
      text,
      r'The golden .*net\.golden was recorded for other inputs \(inference, '
      r'fixed weights, seed_mode=constant\):\n'
      r'  inputs: recorded float32\[4,8,8,3\] sha256 2bbd366df67e\.\.\., given '
      r'float32\[4,8,8,3\] sha256 \w{12}\.\.\.\n'
      r'  make_inputs must return the same arrays in each run',
    )

  def test_other_shape_and_another_input(self):
    self.recording().assertForwardEquivalent()

    class Other(Replay):
      def make_inputs(self):
        return {'x': super().make_inputs()[:2], 'y': np.arange(3)}

    text = self.refused(self.replaying(Other).assertForwardEquivalent)
    self.assertIn('  inputs: recorded float32[4,8,8,3] sha256 ', text)
    self.assertIn("  inputs['x']: given float32[2,8,8,3] sha256 ", text)
    self.assertIn("  inputs['y']: given int64[3] sha256 ", text)

  def test_other_batch(self):
    self.recording().assertTrainingEquivalent(steps=2)

    class Other(Replay):
      def make_batch(self, step):
        return self.make_inputs() + step

    text = self.refused(self.replaying(Other).assertTrainingEquivalent, steps=2)
    self.assertIn('  make_batch(1): recorded float32[4,8,8,3] sha256', text)
    self.assertNotIn('  inputs:', text)

  def test_another_plan(self):
    self.recording().assertForwardEquivalent()
    self.recording().assertForwardEquivalent(seed_mode='constant')
    text = self.refused(self.replaying().assertGradientsClose)
    self.assertRegex(
      text,
      r'The golden .* holds no recording of this plan: training, '
      r'fixed weights, seed_mode=num_random_ops, gradients\.\n'
      r'  It has, of other classes:\n'
      r'    golden_test:LiveNet: inference, fixed weights, seed_mode=const.*\n'
      r'    golden_test:LiveNet: inference, initial weights, seed_mode=co.*\n'
      r'To record it',
    )

  def test_changed_source(self):
    self.recording().assertForwardEquivalent()
    self.assertNotIn('has changed', str(self.recording_replayed()))

    class Changed(golden_net.NetCase):
      def build_tf1(self, inputs, training):
        return golden_legacy.net(1.0 * inputs, training)

    verdict = self.replaying(Changed).assertForwardEquivalent()
    self.assertIn(
      'the TF1 code has changed since then (build_tf1()): if what it computes '
      'has too, record it anew',
      verdict.notes,
    )

  def recording_replayed(self):
    return self.replaying(LiveNet).assertForwardEquivalent()

  def test_changed_file(self):
    self.recording().assertForwardEquivalent()
    with archive.updated(self.path) as writer:
      (entry,) = writer.index['entries']
      (name,) = [n for n in entry['source'] if n.endswith('golden_legacy.py')]
      entry['source'][name] = '0' * 64
    verdict = self.replaying(LiveNet).assertForwardEquivalent()
    self.assertRegex(
      '\n'.join(verdict.notes),
      r'has changed since then \(.*golden_legacy\.py\)',
    )

  def damaged(self, change):
    self.recording().assertForwardEquivalent()
    with open(self.path, 'rb') as file:
      data = bytearray(file.read())
    with open(self.path, 'wb') as file:
      file.write(change(data))
    text = self.refused(self.replaying().assertForwardEquivalent)
    self.assertIn('\nTo record it where the TF1 code runs: `python', text)
    self.assertIn(self.path, text)
    return text

  def test_truncated(self):
    text = self.damaged(lambda data: data[: len(data) // 2])
    self.assertIn('is damaged: it ends too early', text)

  def test_empty_and_foreign(self):
    self.assertIn('is no ZIP file', self.damaged(lambda data: b''))
    os.unlink(self.path)
    pointer = b'version https://git-lfs.github.com/spec/v1\noid sha256:12\n'
    self.assertIn('run `git lfs pull`', self.damaged(lambda data: pointer))

  def test_flipped_bytes(self):
    def flip(data):
      # In every member; which of them are needed, varies.
      for start in range(40, len(data) - 2000, 97):
        data[start] ^= 0x40
      return data

    self.assertIn('is damaged', self.damaged(flip))

  def test_another_format(self):
    self.recording().assertForwardEquivalent()
    with archive.updated(self.path) as writer:
      writer.index['format'] = 'tf_equiv golden 9'
    text = self.refused(self.replaying().assertForwardEquivalent)
    self.assertIn(
      "has the format 'tf_equiv golden 9'; this version of tf_equiv reads "
      "'tf_equiv golden 1'.\nTo record it",
      text,
    )

  def test_fields_of_another_version(self):
    self.recording().assertForwardEquivalent()
    with archive.updated(self.path) as writer:
      (entry,) = writer.index['entries']
      entry['objects']['observation'] = writer.add_encoded(
        {'dataclass': 'Observation', 'fields': {'side': 'TF1', 'colour': 'red'}}
      )
    self.assertIn(
      'or holds what this version of tf_equiv does not know: it has a field '
      "'colour', which Observation lacks.",
      self.refused(self.replaying().assertForwardEquivalent),
    )


class RecordingTest(GoldenTestCase):
  def test_a_recording_replaces_its_own_plan_only(self):
    self.recording().assertForwardEquivalent()
    self.recording().assertForwardEquivalent(seed_mode='constant')
    before = self.entries()

    class Net(Tf1Side, golden_net.NetCase):
      pass

    self.recording(Net).assertForwardEquivalent()
    self.assertLen(self.entries(), 3)
    self.recording().assertForwardEquivalent()
    self.assertLen(self.entries(), 3)
    self.assertEqual(
      [e for e in self.entries() if 'LiveNet' in e['owner']], before
    )

  def test_classes_of_one_file_have_their_own(self):
    class Half(LiveNet):
      def build_tf1(self, inputs, training):
        logits = super().build_tf1(inputs, training)['logits']
        return {'logits': logits / 2}

      def build_tf2(self):
        net = golden_net.Net()

        def call(inputs, training=None):
          return {'logits': net(inputs, training=training)['logits'] / 2}

        call.net = net
        return call

    self.recording().assertForwardEquivalent()
    self.recording(Half).locateDivergence()
    owners = {entry['owner'].rpartition('.')[2] for entry in self.entries()}
    self.assertEqual(owners, {'golden_test:LiveNet', 'Half'})

  def test_failed_comparison_is_recorded_too(self):
    class Faulty(LiveNet):
      def build_tf2(self):
        return golden_net.Net(epsilon=1e-5)

    self.fails(self.recording(Faulty).assertForwardEquivalent)
    self.assertTrue(self.replaying().assertForwardEquivalent().passed)

  def test_code_that_fails_leaves_the_file_as_it_was(self):
    self.recording().assertForwardEquivalent()
    before = self.entries()
    with self.assertRaisesRegex(AssertionError, 'TF1 code ran'):
      self.recording(Replay).assertForwardEquivalent(seed_mode='constant')
    self.assertEqual(self.entries(), before)
    self.assertEqual(os.listdir(os.path.dirname(self.path)), ['net.golden'])

  def test_a_damaged_file_is_not_overwritten(self):
    self.recording().assertForwardEquivalent()
    with open(self.path, 'r+b') as file:
      file.truncate(100)
    text = self.refused(self.recording().assertForwardEquivalent)
    self.assertIn('is damaged: it ends too early', text)
    self.assertEqual(os.path.getsize(self.path), 100)

  def test_environment_variable(self):
    case = LiveNet()
    case.tf1_reference = tf_equiv.Golden(self.path)
    with absltest.mock.patch.dict(os.environ, {flags_lib.VARIABLE: '1'}):
      case.assertForwardEquivalent()
    self.assertLen(self.entries(), 1)
    with absltest.mock.patch.dict(os.environ, {flags_lib.VARIABLE: 'perhaps'}):
      self.assertIn(
        "TF_EQUIV_UPDATE_GOLDENS is 'perhaps'; expected 1 or 0",
        self.refused(case.assertForwardEquivalent),
      )

  def test_flag(self):
    case = LiveNet()
    case.tf1_reference = tf_equiv.Golden(self.path)
    if not flags.FLAGS.is_parsed():
      flags.FLAGS(['test'])
      self.addCleanup(flags.FLAGS.unparse_flags)
    with flagsaver.flagsaver(update_goldens=True):
      case.assertForwardEquivalent()
    self.assertLen(self.entries(), 1)

  def test_size_is_told_and_large_files_warn(self):
    class Net(LiveNet):
      tf1_reference = tf_equiv.Golden(self.path, update=True)

    Net().assertForwardEquivalent(seed_mode='constant')
    stream = absltest.mock.patch('sys.stderr')
    with stream as written, absltest.mock.patch.object(golden, 'LARGE', 100):
      with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        Net.tearDownClass()
    self.assertIn('tf_equiv: recorded 1 plan(s) into', str(written.mock_calls))
    self.assertRegex(
      str(caught[-1].message),
      r"more than 100 bytes\. keep=\('graph',\) leaves out the initial weights",
    )


class ArgumentsTest(GoldenTestCase):
  def test_printed_and_compared(self):
    first, second = tf_equiv.Golden('a'), tf_equiv.Golden('a')
    self.assertEqual(repr(first), "Golden('a')")
    self.assertEqual(first, second)
    self.assertLen({first, second}, 1)
    self.assertNotEqual(first, tf_equiv.Golden('b'))
    self.assertNotEqual(first, tf_equiv.Golden('a', keep=()))

  def test_wrong_arguments(self):
    self.assertIn(
      'path of Golden must be a path, got 3', self.refused(tf_equiv.Golden, 3)
    )
    self.assertIn(
      "keep of Golden must be a tuple of some of 'graph', 'weights', got "
      "('graf',).",
      self.refused(tf_equiv.Golden, 'a', keep=('graf',)),
    )
    self.assertIn(
      'must be a tuple', self.refused(tf_equiv.Golden, 'a', keep='graph')
    )
    self.assertIn(
      'expected where the TF1 side runs',
      self.refused(tf_equiv.Golden, 'a', source=tf_equiv.Golden('b')),
    )


if __name__ == '__main__':
  absltest.main()
