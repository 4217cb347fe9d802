"""Tests of the comparison of structures."""

import collections

import numpy as np
from absl.testing import absltest

from tf_equiv.compare import structures, tolerances, values
from tf_equiv.core import nest
from tf_equiv.report import differences

_Pair = collections.namedtuple('_Pair', ['first', 'second'])


def _differences(tf1, tf2):
  found = structures.structure_differences(
    nest.describe(tf1), nest.describe(tf2)
  )
  return [*map(differences.describe, found)]


def _specs(tf1, tf2):
  return [*map(differences.describe, structures.spec_differences(tf1, tf2))]


class StructureDifferencesTest(absltest.TestCase):
  def test_same(self):
    self.assertEmpty(_differences({'a': [1, None]}, {'a': [2, None]}))
    self.assertEmpty(_differences(1, 2))

  def test_kinds_of_sequences_are_the_same(self):
    self.assertEmpty(_differences((1, 2), [1, 2]))
    self.assertEmpty(_differences([1, 2], _Pair(1, 2)))
    self.assertEmpty(_differences((), []))

  def test_mapping_is_no_sequence(self):
    self.assertEqual(
      _differences({'a': 1, 'b': 2}, [1, 2]),
      ['outputs: TF1 returns a dict of 2 items, TF2 returns a list of 2 items'],
    )

  def test_tensor_is_no_sequence(self):
    self.assertEqual(
      _differences(1, (1,)),
      ['outputs: TF1 returns a tensor, TF2 returns a tuple of 1 items'],
    )

  def test_none_on_one_side(self):
    self.assertEqual(
      _differences((1, None), (1, 2)),
      ['outputs[1]: TF1 returns None, TF2 returns a tensor'],
    )
    self.assertEqual(
      _differences({'a': 1}, {'a': None}),
      ["outputs['a']: TF1 returns a tensor, TF2 returns None"],
    )

  def test_length(self):
    self.assertEqual(
      _differences({'a': [1, 2, 3]}, {'a': [1, 2]}),
      ["outputs['a']: TF1 returns 3 items, TF2 returns 2"],
    )

  def test_missing_and_extra_keys(self):
    self.assertEqual(
      _differences({'a': 1, 'b': 2}, {'a': 1, 'c': 2}),
      [
        "outputs: keys missing on the TF2 side: 'b'",
        "outputs: keys only on the TF2 side: 'c'",
      ],
    )

  def test_other_items_are_still_looked_at(self):
    found = _differences({'a': 1, 'b': {'x': 1}}, {'b': {'x': None}})
    self.assertEqual(
      found,
      [
        "outputs: keys missing on the TF2 side: 'a'",
        "outputs['b']['x']: TF1 returns a tensor, TF2 returns None",
      ],
    )

  def test_order_counts_for_two_ordered_dicts_only(self):
    ordered = collections.OrderedDict
    one, two = [('a', 1), ('b', 2)], [('b', 2), ('a', 1)]
    self.assertEmpty(_differences(dict(one), dict(two)))
    self.assertEmpty(_differences(ordered(one), dict(two)))
    self.assertEmpty(_differences(dict(one), ordered(two)))
    self.assertEmpty(_differences(ordered(one), ordered(one)))
    self.assertEqual(
      _differences(ordered(one), ordered(two)),
      [
        "outputs: the OrderedDicts have another order: TF1 'a', 'b', "
        "TF2 'b', 'a'"
      ],
    )

  def test_many_keys_are_cut(self):
    (line,) = _differences({i: 1 for i in range(1000)}, {})
    self.assertEndsWith(line, '8, 9, ...')
    self.assertLess(len(line), 100)


class SpecDifferencesTest(absltest.TestCase):
  def test_same(self):
    tf1 = [('[0]', np.zeros(2)), ('[1]', np.zeros(3))]
    self.assertEmpty(structures.spec_differences(tf1, tf1[::-1]))

  def test_shape_and_dtype(self):
    tf1 = [("['a']", np.zeros((2, 3), np.float32)), ("['b']", np.zeros(1))]
    tf2 = [("['a']", np.zeros((2, 4), np.float32)), ("['b']", np.array(['x']))]
    self.assertEqual(
      _specs(tf1, tf2),
      [
        "outputs['a']: TF1 float32[2, 3], TF2 float32[2, 4]",
        "outputs['b']: TF1 float64[1], TF2 string[1]",
      ],
    )

  def test_single_output(self):
    self.assertEqual(
      _specs([('', np.zeros(2))], [('', np.zeros(()))]),
      ['outputs: TF1 float64[2], TF2 float64[]'],
    )

  def test_permutation_is_named_first(self):
    a, b = np.zeros(2), np.zeros(3)
    found = _specs([('[0]', a), ('[1]', b)], [('[0]', b), ('[1]', a)])
    self.assertLen(found, 3)
    self.assertEqual(
      found[0], 'the outputs look like the same ones in another order'
    )


class FindPermutationTest(absltest.TestCase):
  def _find(self, tf1, tf2):
    tolerance = tolerances.Tolerance()
    comparisons = [
      values.compare_arrays('outputs' + path, tf1[path], tf2[path], tolerance)
      for path in tf1
    ]
    return structures.find_permutation(comparisons, tf1, tf2, tolerance)

  def test_exchanged_outputs_are_named(self):
    a, b = np.arange(3.0), np.ones(3)
    self.assertEqual(
      self._find(
        {"['logits']": a, "['probs']": b}, {"['logits']": b, "['probs']": a}
      ),
      [
        structures.EqualOutputs("outputs['logits']", "outputs['probs']"),
        structures.EqualOutputs("outputs['probs']", "outputs['logits']"),
      ],
    )

  def test_other_differences_are_not_named(self):
    a, b = np.arange(3.0), np.ones(3)
    self.assertEmpty(
      self._find({'[0]': a, '[1]': b}, {'[0]': a + 1, '[1]': b + 5})
    )

  def test_outputs_that_agree_are_not_named(self):
    a = np.arange(3.0)
    self.assertEmpty(self._find({'[0]': a, '[1]': a}, {'[0]': a, '[1]': a}))

  def test_scalars_are_too_alike_to_be_named(self):
    self.assertEmpty(
      self._find(
        {'[0]': np.array(1.0), '[1]': np.array(2.0)},
        {'[0]': np.array(2.0), '[1]': np.array(1.0)},
      )
    )


if __name__ == '__main__':
  absltest.main()
