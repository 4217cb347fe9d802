"""Tests of nested structures."""

import collections

from absl.testing import absltest, parameterized

from tf_equiv.core import nest

_Pair = collections.namedtuple('_Pair', ['first', 'second'])


class DescribeTest(absltest.TestCase):
  def test_leaf_and_none(self):
    self.assertEqual(nest.describe(1), nest.Structure('leaf', type_name='int'))
    self.assertEqual(nest.describe('ab').kind, nest.LEAF)
    self.assertEqual(nest.describe(None).kind, nest.NONE)

  def test_nested(self):
    found = nest.describe({'a': [1, None], 'b': ()})
    self.assertEqual(found.kind, nest.MAPPING)
    self.assertEqual(found.keys, ('a', 'b'))
    self.assertEqual(found.type_name, 'dict')
    self.assertEqual([c.kind for c in found.children], [nest.SEQUENCE] * 2)
    self.assertEqual(
      [c.kind for c in found.children[0].children], [nest.LEAF, nest.NONE]
    )
    self.assertEqual(found.children[1].keys, ())

  def test_ordered(self):
    items = [('b', 1), ('a', 2)]
    self.assertTrue(nest.describe(collections.OrderedDict(items)).ordered)
    self.assertFalse(nest.describe(dict(items)).ordered)
    self.assertEqual(nest.describe(dict(items)).keys, ('b', 'a'))

  def test_named_tuple(self):
    found = nest.describe(_Pair(1, 2))
    self.assertEqual((found.kind, found.type_name), ('sequence', '_Pair'))


class FlattenTest(parameterized.TestCase):
  @parameterized.parameters(
    (5, [('', 5)]),
    (None, []),
    ([], []),
    ((1, [2, None, 3]), [('[0]', 1), ('[1][0]', 2), ('[1][2]', 3)]),
    ([{'b': 1, 'a': {3: 2}}], [("[0]['b']", 1), ("[0]['a'][3]", 2)]),
    (_Pair(1, None), [('[0]', 1)]),
  )
  def test_paths(self, value, expected):
    self.assertEqual(nest.flatten(value), expected)

  def test_prefix(self):
    self.assertEqual(nest.flatten([1], 'outputs'), [('outputs[0]', 1)])


class MapLeavesTest(absltest.TestCase):
  def test_keeps_the_containers(self):
    value = {
      'a': [1, (2, None)],
      'b': _Pair(3, collections.OrderedDict([('z', 4), ('y', 5)])),
    }
    mapped = nest.map_leaves(lambda path, leaf: leaf * 10, value)
    self.assertEqual(
      mapped,
      {
        'a': [10, (20, None)],
        'b': _Pair(30, collections.OrderedDict([('z', 40), ('y', 50)])),
      },
    )
    self.assertIsInstance(mapped['b'], _Pair)
    self.assertIsInstance(mapped['b'].second, collections.OrderedDict)
    self.assertIsInstance(mapped['a'][1], tuple)

  def test_paths_are_those_of_flatten(self):
    value = [1, {'a': (2, 3)}, None]
    seen = []
    nest.map_leaves(lambda path, leaf: seen.append((path, leaf)), value)
    self.assertEqual(seen, nest.flatten(value))

  def test_other_mappings_become_dicts(self):
    value = collections.defaultdict(list, a=1)
    mapped = nest.map_leaves(lambda path, leaf: leaf, value)
    self.assertIs(type(mapped), dict)
    self.assertEqual(mapped, {'a': 1})

  def test_does_not_change_its_argument(self):
    value = {'a': [1]}
    nest.map_leaves(lambda path, leaf: 2, value)
    self.assertEqual(value, {'a': [1]})


if __name__ == '__main__':
  absltest.main()
