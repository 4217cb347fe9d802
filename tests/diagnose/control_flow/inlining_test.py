"""What is written out of loops and branches computes what they do."""

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv import compat
from tf_equiv.diagnose import replay
from tf_equiv.diagnose.control_flow import (
  branches,
  functions,
  inlining,
  iterations,
  unrolling,
  v1_frames,
)
from tf_equiv.tf1.capture import capture

v1 = tf.compat.v1

_INPUT = np.array([1.0, -2.0, 3.0], np.float32)


def built(function, v2: bool) -> capture.Capture:
  graph = tf.Graph()
  with compat.behaviors(control_flow_v2=v2), graph.as_default():
    x = v1.placeholder(tf.float32, _INPUT.shape)
    result = tf.identity(function(x), name='result')
  return capture.Capture(
    'TF1',
    graph,
    {('outputs', 'outputs'): result},
    {x.name: _INPUT},
    {x.name: ''},
    {},
  )


def looping(x):
  """Sums up 1 * x, 2 * x, ... and keeps each term in a list."""
  terms = tf.TensorArray(tf.float32, size=5)

  def body(i, total, terms):
    term = tf.cast(i + 1, tf.float32) * x
    return i + 1, total + term, terms.write(i, term)

  _, total, terms = tf.while_loop(
    lambda i, *_: i < 5, body, [0, tf.zeros_like(x), terms]
  )
  return total + tf.reduce_sum(terms.stack(), 0)


def branching(x):
  positive = tf.reduce_sum(x) > 0
  inner = lambda: v1.cond(x[0] > 5, lambda: x * 7, lambda: x * 3)  # noqa: E731
  return v1.cond(positive, inner, lambda: -x)


def values(captured, *names):
  with replay.Replay(captured, double=True) as run:
    return run.fetch(names)


def loops_of(captured) -> list[functions.Loop]:
  names = [op.name for op in captured.graph.get_operations()]
  return unrolling.loops_among(captured, names)


class UnrollingTest(parameterized.TestCase):
  @parameterized.product(v2=(False, True), whole=(False, True))
  def test_result_is_kept(self, v2, whole):
    captured = built(looping, v2)
    (loop,) = loops_of(captured)
    self.assertEqual(loop.name, 'while')
    count = 5 if whole else 3
    written_out = unrolling.unroll(captured, loop, count, whole=whole)
    (result,) = values(written_out.capture, 'result:0')
    np.testing.assert_allclose(result, 30 * _INPUT)
    self.assertLen(written_out.states, count + 1)

  @parameterized.product(v2=(False, True))
  def test_walk(self, v2):
    captured = built(looping, v2)
    (loop,) = loops_of(captured)
    self.assertEqual(iterations.total(captured, loop, {}), 5)
    for count in (5, None):  # Counted, or found out by the condition.
      walk = iterations.walk(captured, loop, {}, 8, count)
      self.assertEqual(walk.count, 5)
      tracks = walk.tracks()
      written = next(t for key, t in tracks.items() if key[0] == 'written')
      np.testing.assert_allclose(written, np.outer(range(1, 6), _INPUT))
      totals = [t for t in tracks.values() if np.shape(t[0]) == (3,)]
      self.assertTrue(any(np.allclose(t[-1], 15 * _INPUT) for t in totals))

  @parameterized.product(v2=(False, True))
  def test_given_state(self, v2):
    captured = built(looping, v2)
    (loop,) = loops_of(captured)
    walk = iterations.walk(captured, loop, {}, 8, 5)
    state = next(
      i
      for i, value in enumerate(walk.states[0])
      if value is not None and value.shape == (3,)
    )
    given = {state: (' given', np.full(3, 100.0))}
    written_out = unrolling.unroll(captured, loop, 2, given=given).capture
    (result,) = values(written_out, 'result:0')
    # The first term is no longer part of the sum, only of the list.
    np.testing.assert_allclose(result, 100 + 29 * _INPUT)
    self.assertIn(' given', written_out.inputs.values())

  def test_lines_and_names(self):
    for v2 in (False, True):
      captured = built(looping, v2)
      (loop,) = loops_of(captured)
      made = unrolling.unroll(captured, loop, 2).capture
      name = next(
        op.name
        for op in made.graph.get_operations()
        if op.type == 'Mul' and inlining.turn_of(op.name) == 2
      )
      self.assertIn('term = tf.cast', made.line_of(name).code)
      self.assertEqual(inlining.original_name(name).split('/')[0], 'while')


class BranchesTest(absltest.TestCase):
  def test_taken(self):
    captured = built(branching, v2=True)
    (op,) = [
      op
      for op in captured.graph.get_operations()
      if op.type in functions.IF + functions.CALL
    ]
    (value,) = values(captured, branches.reader_of(op.node_def))
    made, ways = branches.taken(captured, {op.name: value})
    self.assertEqual(ways, {op.name: 'true'})
    np.testing.assert_allclose(values(made, 'result:0')[0], 3 * _INPUT)
    # Whichever branch is asked for is written out.
    made, ways = branches.taken(captured, {op.name: False})
    np.testing.assert_allclose(values(made, 'result:0')[0], -_INPUT)

  def test_pruned(self):
    captured = built(branching, v2=False)
    graph_def = captured.graph.as_graph_def()
    switches = v1_frames.predicates(graph_def)
    self.assertNotEmpty(switches)
    nested = v1_frames.nested(captured.graph.get_operations())
    self.assertIn('cond/Switch', nested)
    self.assertNotIn('result', nested)
    names = [
      op.name
      for op in captured.graph.get_operations()
      if op.type == 'Switch' and op.inputs[0] is op.inputs[1]
    ]
    self.assertLen(names, 2)
    outer = switches['cond/Switch']
    chosen = {name: True for name, ref in switches.items() if ref == outer}
    made = branches.pruned(captured, chosen)
    np.testing.assert_allclose(values(made, 'result:0')[0], 3 * _INPUT)
    self.assertLess(
      len(v1_frames.nested(made.graph.get_operations())), len(nested)
    )


del tf_equiv

if __name__ == '__main__':
  absltest.main()
