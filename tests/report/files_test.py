"""Tests of writing files."""

import errno
import os
import tempfile
from concurrent import futures
from unittest import mock

from absl.testing import absltest, parameterized

from tf_equiv.report import files


class SafeNameTest(parameterized.TestCase):
  @parameterized.parameters(
    ('NetTest.test_a-assertX', 'NetTest.test_a-assertX'),
    ('NetTest.test_a (1, "x/y")', 'NetTest.test_a_1_x_y'),
    ('../../etc/passwd', 'etc_passwd'),
    ('.hidden', 'hidden'),
    ('模型', 'report'),
    ('a\x00b\nc', 'a_b_c'),
  )
  def test_name(self, text, expected):
    self.assertEqual(files.safe_name(text), expected)

  def test_long_names_stay_different(self):
    names = {files.safe_name('x' * 300 + str(i)) for i in range(3)}
    self.assertLen(names, 3)
    self.assertLessEqual(max(map(len, names)), 150)


class WriteTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def write(self, content=b'x', folder=None):
    contents = {'.json': b'{}', '.html': content}
    return files.write_together(folder or self.folder, 'name', contents)

  def test_counter(self):
    stems = [os.path.basename(self.write()) for _ in range(3)]
    self.assertEqual(stems, ['name', 'name-2', 'name-3'])
    self.assertCountEqual(
      os.listdir(self.folder),
      [stem + ending for stem in stems for ending in ('.json', '.html')],
    )

  def test_makes_the_folder(self):
    stem = self.write(folder=os.path.join(self.folder, 'a', 'b'))
    self.assertTrue(os.path.exists(stem + '.html'))

  def test_many_at_once(self):
    contents = [b'%d' % i * 1000 for i in range(40)]
    with futures.ThreadPoolExecutor(8) as pool:
      stems = list(pool.map(self.write, contents))
    self.assertLen(set(stems), 40)
    for stem, content in zip(stems, contents, strict=True):
      with open(stem + '.html', 'rb') as file:
        self.assertEqual(file.read(), content)
    self.assertLen(os.listdir(self.folder), 80)

  def test_full_disk_leaves_nothing_behind(self):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    replace, calls = os.replace, []

    def second_fails(*paths):
      calls.append(paths)
      if len(calls) > 1:
        raise error
      replace(*paths)

    with mock.patch.object(os, 'replace', second_fails):
      with self.assertRaisesRegex(OSError, 'No space left'):
        self.write()
    self.assertLen(calls, 2)
    self.assertEmpty(os.listdir(self.folder))

  def test_a_file_in_the_place_of_the_folder(self):
    path = os.path.join(self.folder, 'file')
    with open(path, 'w', encoding='utf-8'):
      pass
    with self.assertRaises(OSError):
      self.write(folder=path)


if __name__ == '__main__':
  absltest.main()
