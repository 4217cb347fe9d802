"""Members that claim too much, or unpack to more than they say."""

import io
import os
import resource
import tempfile
import zipfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.golden import archive, members

_MB = 1 << 20


class BombTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.path = os.path.join(folder.name, 'a.golden')
    self.enter_context(
      absltest.mock.patch.dict(os.environ, {members.LIMIT_VARIABLE: ''})
    )

  def add(self, data, name='arrays/%s.npy'):
    """Adds a member, and returns its name."""
    name %= members.digest_of(data)
    with zipfile.ZipFile(self.path, 'a', zipfile.ZIP_DEFLATED) as file:
      file.writestr(name, data)
    return name

  def read(self, name):
    with zipfile.ZipFile(self.path) as file:
      return members.read_checked(self.path, file, name)

  def refused(self, function, *args):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with self.assertRaises(members.DamagedError) as caught:
      function(*args)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    self.assertLess(grown, 200 << 10)  # KB
    text = str(caught.exception)
    self.assertLess(len(text), 1000)
    return text

  def test_clean(self):
    name = self.add(bytes(5 * _MB))
    self.assertLen(self.read(name), 5 * _MB)

  def test_limit_can_be_set(self):
    name = self.add(bytes(5 * _MB))
    os.environ[members.LIMIT_VARIABLE] = str(5 * _MB - 1)
    text = self.refused(self.read, name)
    self.assertIn('has 5242880 bytes, more than the 5242879 that are', text)
    self.assertIn('set the environment variable TF_EQUIV_MAX_GOLDEN', text)
    self.assertEndsWith(text, 'to 5242880.')
    os.environ[members.LIMIT_VARIABLE] = '5242880'
    self.assertLen(self.read(name), 5 * _MB)
    for wrong in ('4GB', '-1', '0', '1.5'):
      os.environ[members.LIMIT_VARIABLE] = wrong
      with self.assertRaisesRegex(
        tf_equiv.UsageError,
        f"TF_EQUIV_MAX_GOLDEN_BYTES is '{wrong}'; expected a number of bytes",
      ):
        self.read(name)

  def test_text_has_a_lower_limit(self):
    name = self.add(b' ' * (65 * _MB), 'objects/%s.json')
    text = self.refused(self.read, name)
    self.assertIn('more than the 67108864 that are read', text)

  def test_member_that_unpacks_to_more_than_it_says(self):
    data = bytes(400 * _MB)
    name = self.add(data)
    del data
    with open(self.path, 'rb') as file:
      content = file.read()
    # The size in both headers.
    size = (400 * _MB).to_bytes(4, 'little')
    self.assertEqual(content.count(size), 2)
    with open(self.path, 'wb') as file:
      file.write(content.replace(size, (1000).to_bytes(4, 'little')))
    text = self.refused(self.read, name)
    self.assertIn('is damaged: its member', text)

  def test_one_array_many_times(self):
    os.environ[members.LIMIT_VARIABLE] = str(20 * _MB)
    with archive.updated(self.path) as writer:
      ones = np.ones(_MB)
      one = writer.add(ones)
      many = writer.add([ones] * 50)
      writer.index['entries'].append({'objects': {'a': one, 'b': many}})
    self.assertLen(archive.load(self.path, one), _MB)
    text = self.refused(archive.load, self.path, many)
    self.assertIn('holds an object of more than 20971520 bytes', text)

  def array_of(self, header):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return self.add(stream.getvalue() + bytes(8))

  @parameterized.parameters(
    ((1 << 40,), '<f8', 'its header is about 8796093022208 bytes'),
    ((2,), '<f8', 'its header is about 16 bytes'),
    ((0,), '<f8', 'its header is about 0 bytes'),
    ((1,), '|O', 'Object arrays cannot be loaded'),
    ((1,), '|S8', 'are none of a golden'),
    ((1,), [('a', '<f8')], 'are none of a golden'),
  )
  def test_header(self, shape, descr, message):
    name = self.array_of(
      {'shape': shape, 'fortran_order': False, 'descr': descr}
    )
    digest = name[len('arrays/') : -len('.npy')]
    with zipfile.ZipFile(self.path) as file:
      arrays = members.Arrays(self.path, file, [digest])
      text = self.refused(lambda: arrays['a0'])
    self.assertIn(message, text)
    self.assertIn(repr(name), text)

  def test_array_that_fits(self):
    name = self.array_of(
      {'shape': (1,), 'fortran_order': False, 'descr': '<f8'}
    )
    digest = name[len('arrays/') : -len('.npy')]
    with zipfile.ZipFile(self.path) as file:
      self.assertEqual(members.Arrays(self.path, file, [digest])['a0'], [0.0])

  def test_another_way_of_packing(self):
    with zipfile.ZipFile(self.path, 'w', zipfile.ZIP_LZMA) as file:
      file.writestr('arrays/x.npy', bytes(_MB))
    self.assertIn(
      'it is packed in another way than goldens are',
      self.refused(self.read, 'arrays/x.npy'),
    )

  def test_errors_are_one_short_line(self):
    text = members.in_short(ValueError('\x1b[2J\nb' + 'x' * 10**7))
    self.assertEqual(text, r'ValueError: \x1b[2J')
    self.assertLess(len(members.in_short(ValueError('x' * 10**7))), 300)


if __name__ == '__main__':
  absltest.main()
