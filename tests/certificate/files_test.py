"""The file of a certificate: whole, checked, and written by many at once."""

import concurrent.futures
import json
import os
import tempfile
from unittest import mock

from absl.testing import absltest, parameterized

from tf_equiv.certificate import files
from tf_equiv.core import locking


def entry(owner='net_test.NetTest', test='test_net', **changes):
  return {
    'class': owner,
    'test': test,
    'assertion': 'assertNoNewVariables',
    'terms': {},
    'vacuous': False,
    'compared': {'variables': 2},
    'tolerance': {},
    'variables': ['a/kernel'],
    'layers': ['a'],
    'silent': [],
    'versions': {'TF2': {'tensorflow': '2.21.0'}},
    **changes,
  }


def write_test(path, i):
  """Writes what one test of a class has proven."""
  files.replace_test(
    path, 'net_test.NetTest', f'test_{i}', [entry(test=f'test_{i}')], bool
  )


class FilesTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name
    self.path = os.path.join(self.folder, 'new', 'equivalence.json')

  def replace(self, test, entries, owner='net_test.NetTest', exists=bool):
    files.replace_test(self.path, owner, test, entries, exists)

  def names(self):
    return [each['test'] for each in files.read(self.path)]


class WritingTest(FilesTestCase):
  def test_what_is_written_is_read(self):
    several = [entry(), entry(assertion='assertVariablesMatch')]
    self.replace('test_net', several)
    self.assertEqual(files.read(self.path), several)
    self.assertEqual(
      os.listdir(os.path.dirname(self.path)), ['equivalence.json']
    )

  def test_equal_entries_are_one(self):
    self.replace('test_net', [entry(), entry()])
    self.assertLen(files.read(self.path), 1)

  def test_does_not_depend_on_the_order_of_the_tests(self):
    for test in ('test_b', 'test_a'):
      self.replace(test, [entry(test=test)])
    with open(self.path, 'rb') as file:
      first = file.read()
    os.unlink(self.path)
    for test in ('test_a', 'test_b'):
      self.replace(test, [entry(test=test)])
    with open(self.path, 'rb') as file:
      self.assertEqual(file.read(), first)

  def test_a_test_that_fails_now_has_proven_nothing(self):
    for test in ('test_a', 'test_b'):
      self.replace(test, [entry(test=test)])
    self.replace('test_a', [])
    self.assertEqual(self.names(), ['test_b'])

  def test_tests_that_a_class_no_longer_has(self):
    self.replace('test_a', [entry(test='test_a')])
    self.replace('test_a', [entry('b.B', 'test_a')], owner='b.B')
    self.replace(
      'test_b', [entry(test='test_b')], exists=lambda name: name == 'test_b'
    )
    found = [(e['class'], e['test']) for e in files.read(self.path)]
    self.assertEqual(found, [('b.B', 'test_a'), ('net_test.NetTest', 'test_b')])

  def test_nothing_to_say_makes_no_file(self):
    self.replace('test_a', [])
    self.assertFalse(os.path.exists(os.path.dirname(self.path)))

  def test_many_at_once(self):
    with concurrent.futures.ProcessPoolExecutor(3) as pool:
      list(pool.map(write_test, [self.path] * 12, range(12)))
    self.assertCountEqual(self.names(), [f'test_{i}' for i in range(12)])
    self.assertLen(os.listdir(os.path.dirname(self.path)), 1)

  def test_one_waits_for_another(self):
    write_test(self.path, 1)
    with mock.patch.object(locking, 'PATIENCE', 0.1):
      with locking.locked(self.path):
        with self.assertRaisesRegex(ValueError, 'has kept .* locked'):
          write_test(self.path, 2)
    self.assertEqual(self.names(), ['test_1'])

  def test_is_replaced_whole_or_not_at_all(self):
    write_test(self.path, 1)
    with mock.patch.object(os, 'replace', side_effect=OSError(28, 'No space')):
      with self.assertRaisesRegex(
        files.CertificateError, r"'.*json' cannot be written \(No space\)"
      ):
        write_test(self.path, 2)
    self.assertEqual(self.names(), ['test_1'])
    self.assertLen(os.listdir(os.path.dirname(self.path)), 1)

  def test_a_file_that_is_something_else_is_kept(self):
    os.makedirs(os.path.dirname(self.path))
    with open(self.path, 'w') as file:
      file.write('{"name": "my package"}')
    with self.assertRaisesRegex(
      files.CertificateError, 'is no certificate of tf_equiv: it has no format'
    ):
      write_test(self.path, 1)
    with open(self.path) as file:
      self.assertEqual(file.read(), '{"name": "my package"}')

  def test_certificates_of_shards_are_merged(self):
    parts = [[entry(), entry(test='b')], [entry(), entry(test='c')], []]
    found = files.merged(parts)
    self.assertEqual([e['test'] for e in found], ['test_net', 'b', 'c'])


class DamagedTest(FilesTestCase):
  def setUp(self):
    super().setUp()
    self.replace('test_net', [entry()])

  def changed(self, change, digest=True):
    """Writes the file as a change of its content leaves it."""
    with open(self.path) as file:
      content = json.load(file)
    change(content)
    if digest:
      content['digest'] = files.digest_of(content['entries'])
    with open(self.path, 'w') as file:
      json.dump(content, file)

  def assert_refused(self, text):
    with self.assertRaisesRegex(files.CertificateError, text):
      files.read(self.path)

  def test_missing(self):
    self.path = os.path.join(self.folder, 'none.json')
    self.assert_refused(r"There is no file '.*none.json'\.")
    self.path = self.folder
    self.assert_refused('is no file')

  def test_edited(self):
    for change in (
      lambda content: content['entries'][0]['variables'].append('b/kernel'),
      lambda content: content['entries'].append(entry(test='other')),
      lambda content: content.update(digest='0' * 64),
      lambda content: content.pop('digest'),
    ):
      with self.subTest(change):
        self.replace('test_net', [entry()])
        self.changed(change, digest=False)
        self.assert_refused('was changed after it was written')
        os.unlink(self.path)

  def test_written_by_another_program_in_another_way(self):
    with open(self.path) as file:
      content = json.load(file)
    with open(self.path, 'w') as file:
      json.dump(dict(reversed(content.items())), file, indent=4)
    self.assertLen(files.read(self.path), 1)

  def test_other_format(self):
    self.changed(lambda content: content.update(format='tf_equiv report 1'))
    self.assert_refused(
      "has the format 'tf_equiv report 1'; this version of tf_equiv reads "
      "'tf_equiv certificate 1'"
    )
    self.changed(lambda content: content.update(format=['x' * 5000]))
    self.assert_refused('more')

  @parameterized.parameters('', '{', '[' * 100000, 'PK\x03\x04', 'NaN', '[]')
  def test_no_certificate(self, text):
    with open(self.path, 'w') as file:
      file.write(text)
    self.assert_refused('is no certificate of tf_equiv')

  def test_no_text(self):
    with open(self.path, 'wb') as file:
      file.write(b'\xff\xfe\x00')
    self.assert_refused('is no certificate of tf_equiv: it is no JSON')

  @parameterized.parameters(
    ({'class': 3}, 'class'),
    ({'variables': [1]}, 'variables'),
    ({'compared': {'outputs': 'many'}}, 'compared'),
    ({'compared': {'outputs': True}}, 'compared'),
    ({'tolerance': {'float32': [1.0]}}, 'tolerance'),
    ({'versions': {'TF1': '1.15'}}, 'versions'),
    ({'terms': {'training': True}}, 'terms.weights'),
    ({'terms': None}, 'terms'),
  )
  def test_fields(self, fields, name):
    self.changed(lambda content: content['entries'][0].update(fields))
    self.assert_refused(rf'entries\[0\] has no usable {name}\.')

  def test_no_entries(self):
    self.changed(lambda content: content.update(entries=[3]))
    self.assert_refused('has no usable fields')
    self.changed(lambda content: content.update(entries={}))
    self.assert_refused('it has no entries')


if __name__ == '__main__':
  absltest.main()
