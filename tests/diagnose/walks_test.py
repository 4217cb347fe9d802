from absl.testing import absltest

from tf_equiv.diagnose import walks

_BEFORE = {'e': 'cd', 'd': 'b', 'c': 'b', 'b': 'a', 'a': ''}


def _before(name):
  return list(_BEFORE[name])


class AncestorsTest(absltest.TestCase):
  def test_each_once(self):
    self.assertCountEqual(walks.ancestors('ee', _before), 'edcba')
    self.assertEqual([*walks.ancestors('', _before)], [])

  def test_stop(self):
    self.assertCountEqual(walks.ancestors('e', _before, stop={'b'}), 'edc')
    self.assertCountEqual(walks.ancestors('e', _before, stop={'c'}), 'edba')
    self.assertEqual([*walks.ancestors('e', _before, stop={'e'})], [])

  def test_cycle(self):
    self.assertCountEqual(
      walks.ancestors('a', {'a': 'b', 'b': 'a'}.__getitem__), 'ab'
    )

  def test_key(self):
    found = walks.ancestors([3], lambda x: [x - 2, x + 2], lambda x: x % 3)
    self.assertCountEqual([x % 3 for x in found], [0, 1, 2])


class InOrderTest(absltest.TestCase):
  def test_what_is_read_comes_first(self):
    found = ''.join(walks.in_order('ec', _before))
    self.assertCountEqual(found, 'abcde')
    for name, read in _BEFORE.items():
      for other in read:
        self.assertLess(found.index(other), found.index(name))


if __name__ == '__main__':
  absltest.main()
