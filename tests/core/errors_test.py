"""Messages of errors, which may quote anything."""

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

from tf_equiv.core import errors


class MessageTest(absltest.TestCase):
  """What an error quotes is cut and escaped, whoever raises it."""

  def test_long_message(self):
    error = tf_equiv.UsageError(f'The name {"x" * 10**8} is not known. Stop.')
    self.assertLess(len(str(error)), 51000)
    self.assertStartsWith(str(error), 'The name xxx')
    self.assertEndsWith(str(error), 'xxx is not known. Stop.')
    self.assertIn(' [... 99950', str(error))

  def test_short_message(self):
    self.assertEqual(str(tf_equiv.UsageError('a\n\tb')), 'a\n\tb')
    self.assertEqual(tf_equiv.UsageError('a', 2).args, ('a', 2))
    self.assertEqual(tf_equiv.UsageError().args, ())

  def test_control_characters(self):
    for text in ('\x1b[2J', '\r', '\x9b', '\u202e', '\ud800', '\x00', '\x7f'):
      for cls in (tf_equiv.UsageError, tf_equiv.ModelCodeError):
        found = str(cls(f'The name {text} is not known.'))
        self.assertTrue(found.isprintable(), repr(found))
        self.assertIn(f'The name {ascii(text)[1:-1]} is not', found)

  def test_other_letters_stay(self):
    text = 'Größe, 大きさ, размер, 😀'
    self.assertEqual(errors.printable(text), text)
    self.assertFalse(errors.has_control(text))


if __name__ == '__main__':
  absltest.main()
