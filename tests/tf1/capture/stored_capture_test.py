import dataclasses
import os
import tempfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest

from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import serialization
from tf_equiv.tf1.capture import capture, stored_capture

v1 = tf.compat.v1


def build(inputs, training):
  with v1.variable_scope('net'):
    net = v1.layers.dense(
      inputs['x'], 3, kernel_regularizer=tf.nn.l2_loss, name='d'
    )
  net = tf.while_loop(
    lambda i, unused: i < 3,
    lambda i, x: (i + 1, 2.0 * x),  # Ops in a function of the graph.
    (0, net),
  )[1]
  return {'scaled': net * 3.0, 'text': inputs['text']}  # the scaling


def captured():
  plan = plan_lib.RunPlan(
    inputs={
      'x': np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32),
      'text': np.array([b'a\0', b''], dtype=object),
    },
    gradients=True,
  )
  kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
  weights = {'net/d/kernel': kernel, 'net/d/bias': np.ones(3, np.float32)}
  return capture.capture(program_lib.Program(build), plan, weights)


def stored_and_loaded(stored):
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'capture.npz')
    serialization.save(path, stored)
    return serialization.load(path)


def results_of(captured):
  with v1.Session(graph=captured.graph) as session:
    feed = dict(captured.feeds)
    for name, (_, value) in captured.variables.items():
      handle = captured.graph.get_operation_by_name(name)
      with captured.graph.as_default():
        session.run(
          tf.raw_ops.AssignVariableOp(resource=handle.outputs[0], value=value)
        )
    return session.run(captured.targets, feed)


class StoredCaptureTest(absltest.TestCase):
  def test_computes_what_the_original_does(self):
    original = captured()
    loaded = stored_capture.load(
      stored_and_loaded(stored_capture.dump(original))
    )
    self.assertEqual(loaded.side, 'TF1')
    self.assertEqual(loaded.inputs, original.inputs)
    self.assertIsNot(loaded.graph, original.graph)
    first, second = results_of(original), results_of(loaded)
    self.assertEqual(set(first), set(second))
    self.assertContainsSubset(
      [
        ('outputs', "outputs['scaled']"),
        ('regularization losses', 'net/d/kernel'),
        ('loss', 'loss'),
        ('gradients', 'net/d/bias'),
      ],
      first,
    )
    for label, value in first.items():
      np.testing.assert_array_equal(value, second[label])

  def test_lines_come_along(self):
    original = captured()
    stored = stored_and_loaded(stored_capture.dump(original))
    # The file may be out of reach where it is read.
    stored.lines = [
      dataclasses.replace(line, filename='/elsewhere.py')
      for line in stored.lines
    ]
    loaded = stored_capture.load(stored)
    name = original.targets['outputs', "outputs['scaled']"].op.name
    line = loaded.line_of(name)
    self.assertEqual(line.lineno, original.line_of(name).lineno)
    self.assertIn('# the scaling', str(line))
    self.assertFalse(loaded.line_of('net/d/kernel/unknown').filename)

  def test_lines_can_be_asked_for_later(self):
    original, asked = captured(), []

    def known_lines(name):
      asked.append(name)
      return original.line_that_made(name)

    stored = stored_capture.dump(original, with_lines=False)
    self.assertFalse(stored.has_lines)
    self.assertEmpty(stored.line_of)
    loaded = stored_capture.load(stored, known_lines)
    name = original.targets['outputs', "outputs['scaled']"].op.name
    self.assertEqual(loaded.line_of(name), original.line_of(name))
    # The op of a gradient has the line of the op that it belongs to.
    gradient = original.targets['gradients', 'net/d/bias'].op.name
    self.assertEqual(loaded.line_of(gradient), original.line_of(gradient))
    self.assertContainsSubset([name, gradient], asked)

  def test_an_unknown_op_is_named(self):
    stored = stored_capture.dump(captured())
    graph_def = v1.GraphDef.FromString(stored.graph_def.tobytes())
    next(n for n in graph_def.node if n.op == 'MatMul').op = 'CudnnRNN2020'
    stored.graph_def = np.frombuffer(graph_def.SerializeToString(), np.uint8)
    with self.assertRaisesRegex(
      tf_equiv.EnvironmentSetupError, r'lacks the op\(s\) CudnnRNN2020'
    ):
      stored_capture.load(stored)

  def test_another_reason_is_given(self):
    stored = stored_capture.dump(captured())
    graph_def = v1.GraphDef.FromString(stored.graph_def.tobytes())
    next(n for n in graph_def.node if n.op == 'MatMul').input[0] = 'nowhere'
    stored.graph_def = np.frombuffer(graph_def.SerializeToString(), np.uint8)
    with self.assertRaisesRegex(
      tf_equiv.EnvironmentSetupError, 'cannot import the graph .*nowhere'
    ):
      stored_capture.load(stored)


if __name__ == '__main__':
  absltest.main()
