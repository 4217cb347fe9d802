"""Changes that repair a place, in words."""

from absl.testing import absltest, parameterized

from tf_equiv.compare.repairs import Change, ChangeKind
from tf_equiv.report import repair_text


def of_constant(tf1, tf2):
  """Returns the text of a constant that is another one."""
  return repair_text.change(
    Change(ChangeKind.CONSTANT, 'net/mul', '', tf1, tf2, 1)
  )


class ChangeTest(parameterized.TestCase):
  @parameterized.parameters(
    (0.5, 0.25, '0.5 for 0.25'),
    ((0.5, 0.25), (0.25, 0.5), '[0.5, 0.25] for [0.25, 0.5]'),
    ((0, 2, 1), (0, 1, 2), '[0, 2, 1] for [0, 1, 2]'),
    ((1, 1), (2, 1), '[1, 1] for [2, 1]'),
    (
      ((1.0,),) * 6,
      ((1 / 6,),) * 6,
      '1 in all 6 elements for 0.1666667 in all 6 elements',
    ),
    (
      (((0.5, 0.5),) * 8,) * 4,
      0.25,
      '0.5 in all 64 elements for 0.25',
    ),
    (
      tuple(float(i) for i in range(20)),
      0.0,
      '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, ...] for 0',
    ),
  )
  def test_constants(self, tf1, tf2, text):
    self.assertEqual(of_constant(tf1, tf2), f'operand 1 of net/mul {text}')

  @parameterized.parameters(
    (('Tanh',), ('Elu',), 'Tanh for Elu'),
    (('Neg', 'Mul'), (), 'Neg + Mul put in before net/mul'),
    ((), ('Neg',), 'without Neg'),
    (('PyFunc',), ('PyFunc',), 'the PyFunc of TF1 for that of TF2'),
  )
  def test_ops(self, tf1, tf2, text):
    found = Change(ChangeKind.OP, 'net/mul', '', tf1, tf2)
    self.assertEqual(repair_text.change(found), text)


if __name__ == '__main__':
  absltest.main()
