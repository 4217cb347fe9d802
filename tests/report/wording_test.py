"""Tests of the sentences about what was compared, on records alone."""

from absl.testing import absltest, parameterized

from tf_equiv.compare import difference, optimizers, outcome, structures
from tf_equiv.compare.difference import Kind
from tf_equiv.compare.optimizers import HyperparameterDifference
from tf_equiv.compare.values import Assigned, Change, Problem, ProblemKind
from tf_equiv.report import wording

_FILES = ('A', 'B')


class ProblemTest(parameterized.TestCase):
  @parameterized.parameters(
    (ProblemKind.DTYPE, 'int8', 'string', 'dtype: TF1 int8, TF2 string'),
    (ProblemKind.SHAPE, (2, 1), (), 'shape: TF1 [2, 1], TF2 []'),
    (
      ProblemKind.NO_GRADIENT,
      False,
      True,
      'TF1 has no gradient (None): its loss does not depend on the variable; '
      'TF2 has one',
    ),
    (
      ProblemKind.NO_LOSS,
      True,
      False,
      'compute_loss returned no such loss on the TF2 side',
    ),
    (
      ProblemKind.NO_REGULARIZATION,
      False,
      True,
      'TF1 has no such regularization loss',
    ),
    (ProblemKind.NOT_TRAINABLE, True, False, 'not trainable on the TF2 side'),
    (
      ProblemKind.UNEXPECTED_UPDATE,
      True,
      False,
      'trainable on the TF2 side, but not in TF1',
    ),
    (
      ProblemKind.TIMES_TRAINED,
      0,
      2,
      'an optimizer of TF2 trains it, but none of TF1',
    ),
    (
      ProblemKind.TIMES_TRAINED,
      1,
      2,
      'trained 1 time(s) in each step of TF1, 2 time(s) in TF2',
    ),
  )
  def test_text(self, kind, tf1, tf2, expected):
    self.assertEqual(wording.problem(Problem(kind, tf1, tf2)), expected)

  @parameterized.parameters(*ProblemKind)
  def test_sides_have_the_names_that_are_given(self, kind):
    problem = Problem(kind, (1,), (2,))
    self.assertNotRegex(wording.problem(problem, _FILES), 'TF1|TF2')

  def test_nothing(self):
    self.assertEqual(wording.problem(None), '')


class NoteTest(parameterized.TestCase):
  @parameterized.parameters(
    (
      Change(0.5, 0.0),
      'TF2 did not update it in this step; TF1 changed it by up to 0.5',
    ),
    (
      Change(0.0, 0.25),
      'TF1 did not update it in this step; TF2 changed it by up to 0.25',
    ),
    (
      Change(1.0, 2.0, 2.0),
      "TF2's change in this step is 2 times that of TF1",
    ),
    (
      Change(0.0, 0.25, in_forward=True),
      'TF2 changes it by up to 0.25 in the forward pass itself, TF1 does not',
    ),
    (
      Change(1.0, 0.1, 0.1, in_forward=True),
      "TF2's change in the forward pass itself is 0.1 times that of TF1",
    ),
    (Assigned('net.py:3'), 'assigned by net.py:3'),
    (None, ''),
  )
  def test_text(self, note, expected):
    self.assertEqual(wording.note(note), expected)


class EvidenceTest(parameterized.TestCase):
  @parameterized.parameters(
    (
      structures.EqualOutputs('outputs[0]', 'outputs[1]'),
      'A outputs[0] equals B outputs[1]',
    ),
    (
      difference.Difference(Kind.OUTPUT, 'outputs', 'int8[]', 'int8[2]'),
      'outputs: A int8[], B int8[2]',
    ),
    (
      difference.one_sided(Kind.KEYS, 0, ('a',), subject='outputs'),
      "outputs: keys missing on the B side: 'a'",
    ),
    (
      difference.one_sided(Kind.KEYS, 1, ('a',), subject='outputs'),
      "outputs: keys only on the B side: 'a'",
    ),
    (
      optimizers.OptimizerDifference(
        'SGD', 'Adam', HyperparameterDifference('kind', 'sgd', 'adam')
      ),
      'kind: SGD sgd, Adam adam: they are different algorithms',
    ),
    (
      optimizers.OptimizerDifference(
        'x', 'y', HyperparameterDifference('unheard_of', 1, 2)
      ),
      'unheard_of: x 1, y 2',
    ),
    (
      optimizers.LoneSlots(
        (
          optimizers.LoneSlot('momentum', 0),
          optimizers.LoneSlot('mean square', 1),
        )
      ),
      'slots not compared: momentum (only in A); mean square (only in B)',
    ),
    (outcome.OtherWeights('TF1/w'), 'TF1/w'),
    (outcome.Exchanged('a', 'b'), 'a holds what b was saved with'),
    ('what TensorFlow says', 'what TensorFlow says'),
  )
  def test_text(self, found, expected):
    self.assertEqual(wording.evidence(found, _FILES), [expected])

  def test_many_names_are_cut(self):
    names = tuple(f'w{i}' for i in range(12))
    (text,) = wording.evidence(outcome.Unsaved(names))
    self.assertEndsWith(text, '... and 2 more')


if __name__ == '__main__':
  absltest.main()
