import tensorflow as tf
from absl.testing import absltest

from tf_equiv.diagnose import partition

v1 = tf.compat.v1
_BYTES = 4 * 100


class DivideTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.graph = tf.Graph()
    with self.graph.as_default():
      net = v1.placeholder(tf.float32, [100], 'x')
      for name in 'abcd':
        net = tf.tanh(net, name=name)
      tf.nn.relu(self.graph.get_tensor_by_name('a:0') + net, name='end')
      tf.nn.elu(net, name='unused')

  def _divide(
    self, wanted, given=('x:0',), most=_BYTES, kept=1 << 20, nested=()
  ):
    parts = partition.divide(
      self.graph, wanted, given, nested.__contains__, most, kept
    )
    return [(part.wanted, part.kept, part.done) for part in parts]

  def test_all_in_one_part(self):
    self.assertEqual(
      self._divide(['d:0', 'a:0'], most=1 << 20), [(['a:0', 'd:0'], [], [])]
    )

  def test_what_later_parts_read_is_kept(self):
    first, second = self._divide(['a:0', 'b:0', 'c:0', 'end:0'])
    self.assertEqual(first[0], ['a:0', 'b:0'])
    self.assertCountEqual(first[1], ['a:0', 'b:0'])
    self.assertEqual(second[:2], (['c:0', 'end:0'], []))
    self.assertCountEqual(second[2], ['a:0', 'b:0'])

  def test_each_is_wanted_once(self):
    wanted = ['a:0', 'b:0', 'c:0', 'd:0', 'end:0']
    parts = self._divide(wanted, most=0)
    self.assertEqual([t for part in parts for t in part[0]], wanted)
    self.assertCountEqual(
      [t for part in parts for t in part[1]],
      [t for part in parts for t in part[2]],
    )

  def test_no_room_to_keep(self):
    parts = self._divide(['a:0', 'b:0', 'end:0'], most=0, kept=0)
    self.assertEmpty([t for part in parts for t in part[1]])

  def test_what_cannot_be_handed_on(self):
    parts = self._divide(['a:0', 'end:0'], most=0, nested={'a'})
    self.assertNotIn('a:0', [t for part in parts for t in part[1]])

  def test_what_is_given_is_not_computed(self):
    parts = self._divide(['end:0'], given=('a:0', 'd:0'), most=0)
    self.assertEqual(parts, [(['end:0'], [], [])])

  def test_size(self):
    with self.graph.as_default():
      self.assertEqual(
        partition.size_of(v1.placeholder(tf.float64, [3, None])), 24
      )
      self.assertEqual(partition.size_of(v1.placeholder(tf.float32)), 4)


if __name__ == '__main__':
  absltest.main()
