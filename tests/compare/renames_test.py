"""Tests of the proposals for `rename_variable`."""

from absl.testing import absltest

from tf_equiv.compare import renames


class _Spec:
  def __init__(self, name, shape, dtype='float32'):
    self.name, self.shape, self.dtype = name, shape, dtype


def _propose(tf1, tf2):
  return renames.propose(
    [_Spec(*entry) for entry in tf1], [_Spec(*entry) for entry in tf2]
  )


class ProposeTest(absltest.TestCase):
  def test_by_words(self):
    found = _propose(
      [('net/fc/weights', (3, 3)), ('net/conv/weights', (3, 3))],
      [('conv/kernel', (3, 3)), ('dense/kernel', (3, 3))],
    )
    self.assertEqual(
      found.names,
      {'net/fc/weights': 'dense/kernel', 'net/conv/weights': 'conv/kernel'},
    )
    self.assertEmpty(found.unsure)

  def test_layers_stay_together(self):
    found = _propose(
      [('a/w', (2,)), ('a/b', (3,)), ('c/w', (2,)), ('c/b', (3,))],
      [('x/w', (2,)), ('x/b', (3,)), ('y/w', (2,)), ('y/b', (3,))],
    )
    self.assertEqual(
      found.names, {'a/w': 'x/w', 'a/b': 'x/b', 'c/w': 'y/w', 'c/b': 'y/b'}
    )

  def test_order_alone_is_unsure(self):
    found = _propose([('p', (2,)), ('q', (2,))], [('r', (2,)), ('s', (2,))])
    self.assertEqual(found.names, {'p': 'r', 'q': 's'})
    self.assertNotEmpty(found.unsure)
    self.assertIn('# by order only', '\n'.join(found.lines()))

  def test_dtype_and_shape_must_fit(self):
    found = _propose([('w', (2,), 'int32')], [('w2', (2,), 'float32')])
    self.assertEmpty(found.names)
    self.assertEqual(found.unmatched, ('w',))
    self.assertIn('# No match: w', str(found))

  def test_hints(self):
    found = _propose(
      [('lstm/kernel', (7, 8)), ('dense', (3, 5))],
      [('k', (5, 8)), ('r', (2, 8)), ('turned', (5, 3))],
    )
    self.assertIn('converters.LSTM', found.hints[0])
    self.assertIn('return value.T', found.hints[1])

  def test_squeezed_kernel(self):
    found = _propose(
      [('conv/kernel', (1, 3, 4)), ('conv/bias', (4,))],
      [('dense/kernel', (3, 4)), ('dense/bias', (4,))],
    )
    self.assertEqual(
      found.names, {'conv/kernel': 'dense/kernel', 'conv/bias': 'dense/bias'}
    )
    self.assertEmpty(found.unmatched)
    self.assertEqual(
      found.hints,
      (
        'conv/kernel [1, 3, 4] fits dense/kernel [3, 4] but for dimensions of '
        'size one: return value.reshape((3, 4)) from convert_variable.',
      ),
    )

  def test_squeezed_kernels_are_not_guessed(self):
    found = _propose(
      [('p', (1, 3, 4)), ('q', (1, 3, 4))], [('r', (3, 4)), ('s', (3, 4))]
    )
    self.assertEmpty(found.names)
    self.assertEqual(found.unmatched, ('p', 'q'))

  def test_exact_shapes_come_first(self):
    found = _propose(
      [('a/kernel', (1, 3)), ('b/kernel', (3,))],
      [('x/kernel', (3,)), ('y/kernel', (1, 3))],
    )
    self.assertEqual(
      found.names, {'a/kernel': 'y/kernel', 'b/kernel': 'x/kernel'}
    )
    self.assertEmpty(found.hints)

  def test_long_proposals_are_whole(self):
    found = renames.RenameSuggestion({f'a{i}': f'b{i}' for i in range(5)})
    self.assertNotIn('more', '\n'.join(found.lines()))


if __name__ == '__main__':
  absltest.main()
