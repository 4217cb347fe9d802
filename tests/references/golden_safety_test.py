"""Goldens whose graphs would do harm."""

import os
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references import golden_attacks
from tf_equiv.golden import archive

v1 = tf.compat.v1


class HalfCase(tf_equiv.MigrationTestCase):
  """Three lines, one of which may be wrong on the TF2 side."""

  factor = 2.0

  def make_inputs(self):
    return np.array([1.0, 2.0, 4.0], np.float32)

  def build_tf1(self, inputs, training):
    w = v1.get_variable(
      'w', [3], initializer=v1.random_normal_initializer(seed=1)
    )
    return tf.tanh(inputs * w, name='tanh') * 2.0

  def build_tf2(self):
    return Half(self.factor)


class Half(tf.Module):
  def __init__(self, factor):
    super().__init__()
    self.factor = factor
    self.w = None

  @tf_equiv.track_tf1_style_variables
  def __call__(self, inputs):
    w = v1.get_variable(
      'w', [3], initializer=v1.random_normal_initializer(seed=1)
    )
    return tf.tanh(inputs * w) * self.factor


class GoldenCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.path = os.path.join(folder.name, 'half.golden')
    self.written = os.path.join(folder.name, 'written')

  def record(self, *, cls=HalfCase, keep=('graph', 'weights'), **arguments):
    case = cls()
    case.tf1_reference = tf_equiv.Golden(self.path, update=True, keep=keep)
    case.assertForwardEquivalent(**arguments)

  def replaying(self, cls=HalfCase, **options):
    case = cls()
    case.tf1_reference = tf_equiv.Golden(self.path, **options)
    return case


class Faulty(HalfCase):
  factor = 3.0


def write_file(path):
  """Returns what puts a WriteFile before the op 'tanh' of a graph."""

  def change(graph_def):
    golden_attacks.add_text(graph_def, 'filename', path)
    golden_attacks.add_text(graph_def, 'contents', 'PWNED')
    graph_def.node.add(
      name='evil', op='WriteFile', input=['filename', 'contents']
    )
    for node in graph_def.node:
      if node.op == 'Tanh':
        node.input.append('^evil')

  return change


def read_in_initializer(graph_def):
  """Lets the initial value wait for a file to be read."""
  golden_attacks.add_text(graph_def, 'filename', '/etc/passwd')
  graph_def.node.add(name='evil', op='ReadFile', input=['filename'])
  for node in graph_def.node:
    if node.op == 'RandomStandardNormal':
      node.input.append('^evil')


class GraphTest(GoldenCase):
  def test_graph_that_writes_a_file_is_not_run_to_locate(self):
    self.record()
    golden_attacks.change_graph(self.path, write_file(self.written))
    with self.assertRaises(AssertionError) as caught:
      self.replaying(Faulty).assertForwardEquivalent()
    text = str(caught.exception)
    self.assertStartsWith(text, 'Outputs differ')
    self.assertIn("and was not run: 'evil' (WriteFile)", text)
    self.assertIn("give trust_ops=('WriteFile',)", text)
    self.assertFalse(os.path.exists(self.written))

  def test_the_switch(self):
    self.record()
    golden_attacks.change_graph(self.path, write_file(self.written))
    with self.assertRaises(AssertionError) as caught:
      self.replaying(Faulty, trust_ops=('WriteFile',)).assertForwardEquivalent()
    self.assertNotIn('was not run', str(caught.exception))
    self.assertIn('first divergence', str(caught.exception))

  def test_clean_golden_is_located(self):
    self.record()
    with self.assertRaises(AssertionError) as caught:
      self.replaying(Faulty).assertForwardEquivalent()
    self.assertIn('first divergence', str(caught.exception))

  def test_graph_that_reads_a_file_is_not_run_to_draw_weights(self):
    self.record(keep=('graph',), seed_mode='constant')
    self.replaying().assertForwardEquivalent(seed_mode='constant')
    golden_attacks.change_graph(self.path, read_in_initializer)
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r'cannot give the initial weights .*: the graph has ops that may read or '
      r"write files, .* and was not run: 'evil' \(ReadFile\). If you trust it, "
      r"give trust_ops=\('ReadFile',\)",
    ):
      self.replaying().assertForwardEquivalent(seed_mode='constant')
    self.replaying(trust_ops=('ReadFile',)).assertForwardEquivalent(
      seed_mode='constant'
    )

  def test_ops_that_the_initializers_do_not_need_do_not_matter(self):
    self.record(keep=('graph',), seed_mode='constant')
    golden_attacks.change_graph(self.path, write_file(self.written))
    self.replaying().assertForwardEquivalent(seed_mode='constant')
    self.assertFalse(os.path.exists(self.written))

  def test_python_function(self):
    class Python(HalfCase):
      def build_tf1(self, inputs, training):
        net = super().build_tf1(inputs, training)
        return v1.py_func(lambda x: x, [net], tf.float32)

    self.record(cls=Python)
    with self.assertRaises(AssertionError) as caught:
      self.replaying(Faulty).assertForwardEquivalent()
    self.assertIn("give trust_ops=('PyFunc',)", str(caught.exception))

  def test_no_graph_at_all(self):
    self.record()
    with archive.updated(self.path) as writer:
      (entry,) = writer.index['entries']
      stored = archive.load(self.path, entry['objects']['graph'])
      stored.graph_def = np.frombuffer(b'\xff\xff no graph', np.uint8)
      entry['objects']['graph'] = writer.add(stored)
    with self.assertRaises(AssertionError) as caught:
      self.replaying(Faulty).assertForwardEquivalent()
    self.assertIn(
      'its graph is damaged: its graph is no GraphDef', str(caught.exception)
    )


if __name__ == '__main__':
  absltest.main()
