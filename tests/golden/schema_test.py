"""Goldens that are not what they should be inside, with right digests."""

import copy
import hashlib
import json
import os
import shutil
import tempfile
import zipfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
from absl.testing import absltest, parameterized

from tf_equiv.cli import main
from tf_equiv.core import observation
from tf_equiv.core.source_line import SourceLine
from tf_equiv.golden import archive, checks, manifest, schema

_HERE = os.path.dirname(os.path.abspath(__file__))
_GOLDEN = os.path.join(_HERE, '..', 'references', 'testdata', 'tf115.golden')
_GONE = object()


def changed(data, path, value):
  """Returns JSON values of which one was replaced, or removed."""
  data = copy.deepcopy(data)
  inner = data
  for key in path[:-1]:
    inner = inner[key]
  if value is _GONE:
    del inner[path[-1]]
  else:
    inner[path[-1]] = value
  return data


class SchemaTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.path = os.path.join(folder.name, 'a.golden')
    shutil.copyfile(_GOLDEN, self.path)

  def refused(self, function, *args):
    with self.assertRaises(archive.DamagedError) as caught:
      function(*args)
    text = str(caught.exception)
    self.assertLess(len(text), 1000)
    self.assertTrue(text.isprintable(), text)
    return text

  def change_index(self, path, value):
    index = archive.read_index(self.path)
    self.replace('index.json', json.dumps(changed(index, path, value)).encode())

  def replace(self, member, data):
    """Replaces a member, without a look at digests."""
    with zipfile.ZipFile(self.path) as old:
      contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(self.path, 'w', zipfile.ZIP_DEFLATED) as new:
      for name, each in {**contents, member: data}.items():
        new.writestr(name, each)

  def change_object(self, what, path, value):
    """Changes an object of the first entry; returns the entry."""
    with archive.updated(self.path) as writer:
      entry = writer.index['entries'][0]
      with zipfile.ZipFile(self.path) as members:
        name = archive.object_name(entry['objects'][what])
        data = changed(json.loads(members.read(name)), path, value)
      text = json.dumps(data, sort_keys=True).encode()
      entry['objects'][what] = writer._put('objects/%s.json', text)
    return entry


class CleanTest(SchemaTestCase):
  def test_every_object_of_a_recorded_golden(self):
    index = schema.read_index(_GOLDEN)
    self.assertLen(index['entries'], 8)
    for entry in index['entries']:
      for what in entry['objects']:
        self.assertIsNotNone(schema.load(_GOLDEN, entry, what))

  def test_fields_of_a_later_version(self):
    self.change_index(('entries', 0, 'colour'), {'any': [1]})
    self.change_index(('entries', 0, 'plan', 'colour'), 'red')
    self.assertEqual(
      schema.read_index(self.path)['entries'][0]['colour'], {'any': [1]}
    )


class IndexTest(SchemaTestCase):
  @parameterized.parameters(
    (('manifests',), [], 'it lacks manifests, or entries with objects'),
    (('entries',), {}, 'it lacks manifests, or entries with objects'),
    (('entries', 0), None, 'it lacks manifests, or entries with objects'),
    (('entries', 0, 'objects'), _GONE, 'it lacks manifests, or entries'),
    (('entries', 0, 'owner'), 3, "['entries'][0]['owner'] is 3; expected text"),
    (('entries', 1, 'plan'), [], "['entries'][1]['plan'] is a list of 0"),
    (('entries', 0, 'plan', 'inputs'), _GONE, "['plan']['inputs'] is missing"),
    (('entries', 0, 'plan', 'kind'), 'x', "is 'x'; expected 'run', 'variab"),
    (('entries', 1, 'plan', 'seed_mode'), 1, "is 1; expected 'constant', 'num"),
    (
      ('entries', 0, 'plan', 'seed'),
      'x',
      "is 'x'; expected a whole number",
    ),
    (
      ('entries', 0, 'plan', 'inputs', '', 'shape'),
      [4, -1],
      "['shape'][1] is -1; expected a size",
    ),
    (('entries', 0, 'counts'), {'x': 'y'}, "['counts']['x'] is 'y'; expected"),
    (('entries', 0, 'source'), ['x'], "['source'] is a list of 1 item(s)"),
    (('entries', 0, 'manifest'), 'none', 'entries[0].manifest is not there'),
    (
      ('entries', 0, 'objects', 'observation'),
      '../../x',
      "['observation'] is '../../x'; expected a digest of 32 digits",
    ),
    (
      ('entries', 0, 'objects', 'observation'),
      _GONE,
      'entries[0].objects lack an observation',
    ),
    (
      ('entries', 0, 'owner'),
      'x\x1b[2J',
      r"['owner'] has control characters: 'x\x1b[2J'",
    ),
    (('entries', 0, 'recorded'), 'a\nb', r"control characters: 'a\nb'"),
    (
      ('entries', 0, 'plan', 'colour'),
      '\u202e',
      r"['colour'] has control characters: '\u202e'",
    ),
    (('entries', 0, 'owner'), 'x' * 10**6, 'is a text of 1000000 characters'),
    (('format',), 'y' * 10**6, "has the format 'yyyyyyyyyyyyy"),
  )
  def test_field_is_named(self, path, value, message):
    self.change_index(path, value)
    text = self.refused(schema.read_index, self.path)
    self.assertIn(message, text)
    self.assertIn(self.path, text)
    for command in (['show', self.path], ['diff', self.path, self.path]):
      self.assertEqual(main.main(command), 2)

  @parameterized.parameters(
    (b'{', 'JSONDecodeError'),
    (b'[' * 100000, 'RecursionError'),
    (b'\xff\xfe\x00', 'UnicodeDecodeError'),
    (b'[1]', 'has the format None'),
  )
  def test_no_json(self, data, message):
    self.replace('index.json', data)
    self.assertIn(message, self.refused(schema.read_index, self.path))


class ObjectTest(SchemaTestCase):
  @parameterized.parameters(
    (('value', 'dataclass'), 'Popen', "it is a 'Popen', unknown here"),
    (('value', 'fields'), [], 'it lacks the fields of Observation'),
    (('value', 'fields', 'x\x1b'), 1, r"has a field 'x\x1b', which Observ"),
    (('value', 'fields', 'side'), _GONE, "it lacks the field 'side' of Obs"),
    (
      ('value', 'fields', 'side'),
      'TF3',
      "is 'TF3'; expected 'TF1', 'TF2'",
    ),
    (('value', 'fields', 'outputs'), 7, 'outputs is 7; expected a list'),
    (('value', 'fields', 'outputs'), [7], 'outputs[0] is 7; expected 2 items'),
    (
      ('value', 'fields', 'outputs'),
      [{'tuple': ['', True]}],
      'outputs[0][1] is True; expected an array',
    ),
    (('value', 'fields', 'outputs'), {}, 'outputs is a dict of 0 item(s), wh'),
    (
      ('value', 'fields', 'outputs'),
      [{'array': 10**9, 'dtype': 'float32'}],
      'outputs[0] is array 1000000000 of',
    ),
    (
      ('value', 'fields', 'outputs'),
      {'namedtuple': 'x, y=__import__("os")', 'names': ['a'], 'items': [1]},
      'expected the name of a type',
    ),
    (
      ('value', 'fields', 'environment'),
      {'dict': [[['unhashable'], 1]]},
      'environment has a list of 1 item(s) as a key',
    ),
    (('value', 'fields', 'notes'), ['\x1b]0;x\x07'], 'notes[0] has control'),
    (
      ('value', 'fields', 'variables', 0, 'fields', 'name'),
      'conv\x1b[8m',
      r"variables[0].name has control characters: 'conv\x1b[8m'",
    ),
    (
      ('value', 'fields', 'variables', 0, 'fields', 'dtype'),
      'float33',
      "variables[0].dtype is 'float33'; expected the name of a dtype",
    ),
    (
      ('value', 'fields', 'variables', 0, 'fields', 'shape'),
      {'tuple': [1 << 60, 8]},
      'variables[0].shape is',
    ),
    (
      ('value', 'fields', 'weights'),
      [1.0],
      'weights[0] is 1.0; expected an array',
    ),
    (
      ('value', 'fields', 'gradients'),
      [None],
      'gradients are 1, for 6 variables',
    ),
    (
      ('value', 'fields', 'structure', 'fields', 'keys'),
      {'tuple': []},
      'structure does not have a child for each key',
    ),
  )
  def test_field_is_named(self, path, value, message):
    entry = self.change_object('observation', path, value)
    text = self.refused(schema.load, self.path, entry, 'observation')
    self.assertIn(message, text)
    member = archive.object_name(entry['objects']['observation'])
    self.assertIn(repr(member), text)
    self.assertEqual(main.main(['diff', self.path, self.path]), 2)

  @parameterized.parameters(
    (('value', 'fields', 'line_of'), {'dict': [['x', 99]]}, 'is 99, of'),
    (('value', 'fields', 'graph_def'), 3, 'graph_def is 3; expected an array'),
    (('value', 'fields', 'targets'), 3, 'targets is 3; expected a dict'),
    (
      ('value', 'fields', 'inputs'),
      {'dict': [['no tensor', 'x']]},
      "inputs is 'no tensor'; expected the name of a tensor",
    ),
    (
      ('value', 'fields', 'variables'),
      {'dict': [['x', ['y']]]},
      "variables['x'] is no pair of a name and a value",
    ),
  )
  def test_graph(self, path, value, message):
    entry = self.change_object('graph', path, value)
    text = self.refused(schema.load, self.path, entry, 'graph')
    self.assertIn(message, text)

  def test_nested_too_deep(self):
    value = 1
    for _ in range(200):
      value = [value]
    entry = self.change_object('weights', ('value',), value)
    text = self.refused(schema.load, self.path, entry, 'weights')
    self.assertIn('is nested more than 60 levels deep', text)

  def test_arrays_that_are_no_names(self):
    data = b'{"arrays": [3], "value": 1}'
    digest = hashlib.sha256(data).hexdigest()[:32]
    self.replace(archive.object_name(digest), data)
    self.change_index(('entries', 0, 'objects', 'weights'), digest)
    (entry, *_) = schema.read_index(self.path)['entries']
    text = self.refused(schema.load, self.path, entry, 'weights')
    self.assertIn('it has no value, or no list of arrays', text)
    self.assertEqual(main.main(['show', self.path]), 2)

  def test_object_that_is_missing(self):
    (entry, *_) = schema.read_index(self.path)['entries']
    del entry['objects']['graph']
    text = self.refused(schema.load, self.path, entry, 'graph')
    self.assertIn("objects lack 'graph'", text)

  def test_lines_of_code_are_shown_without_control_characters(self):
    line = SourceLine('a.py', 1, 'f', 'x = "\x1b[2J" # \u202e')
    spec = observation.VariableSpec('v', (), 'float32', True, line)
    with archive.updated(self.path) as writer:
      entry = writer.index['entries'][0]
      entry['objects']['observation'] = writer.add(
        observation.Observation('TF1', variables=[spec])
      )
    found = schema.load(self.path, entry, 'observation').variables[0].line
    self.assertEqual(found.code, r'x = "\x1b[2J" # \u202e')


class SourceTest(SchemaTestCase):
  """A golden names no file outside itself."""

  def setUp(self):
    super().setUp()
    self.folder = os.path.dirname(self.path)
    self.outside = self.enter_context(tempfile.TemporaryDirectory())
    for folder in (self.folder, self.outside):
      with open(os.path.join(folder, 'net.py'), 'w') as file:
        file.write('SECRET = 1\n')

  def shown(self, name, text='kept = 1'):
    line = SourceLine(name, 1, 'f', text)
    return str(manifest.local(line, self.folder))

  def test_code_beside_the_golden(self):
    self.assertEqual(
      manifest.absolute('net.py', self.folder),
      os.path.join(self.folder, 'net.py'),
    )
    self.assertIn('SECRET = 1', self.shown('net.py', ''))

  def test_code_where_modules_are_found(self):
    name = os.path.relpath(__file__, self.folder)
    self.assertEqual(manifest.absolute(name, self.folder), __file__)

  def test_files_elsewhere(self):
    relative = os.path.relpath(
      os.path.join(self.outside, 'net.py'), self.folder
    )
    for name in (
      os.path.join(self.outside, 'net.py'),
      relative,
      '/etc/passwd',
      '../../../../../../etc/passwd',
      '/dev/zero',
      '../../../../../../dev/zero',
      '/proc/self/environ',
    ):
      self.assertEqual(manifest.absolute(name, self.folder), '')
      self.assertIn('kept = 1', self.shown(name))
      self.assertEndsWith(
        self.shown(name, ''), '(its text is not in the golden)'
      )

  def test_no_regular_files(self):
    os.mkfifo(os.path.join(self.folder, 'pipe.py'))
    os.mkdir(os.path.join(self.folder, 'folder.py'))
    os.symlink('/dev/zero', os.path.join(self.folder, 'zero.py'))
    os.symlink('loop.py', os.path.join(self.folder, 'loop.py'))
    with open(os.path.join(self.folder, 'large.py'), 'wb') as file:
      file.truncate(1 << 30)
    for name in ('pipe', 'folder', 'zero', 'loop', 'large', 'missing'):
      self.assertEqual(manifest.absolute(f'{name}.py', self.folder), '', name)
    owner = tf_equiv.references.golden.recorders.Owner()
    names = ['net', 'pipe', 'zero', 'large']
    self.assertEqual(
      manifest.changed_source(
        {f'{name}.py': '0' * 64 for name in names}, owner, self.folder
      ),
      ['net.py'],
    )


class ChecksTest(absltest.TestCase):
  def test_numbers_without_dimensions_may_be_arrays(self):
    for hint, good, bad in (
      (int, np.int64(3), np.float32(1)),
      (float, np.float32(3), 'x'),
      (bool, np.bool_(True), 1),
    ):
      check = checks.of_type(hint)
      check(np.asarray(good), 'it')
      with self.assertRaises(checks.WrongError):
        check(bad, 'it')

  def test_quotes_are_short(self):
    self.assertLess(len(checks.quoted('\x1b' * 10**7)), 100)
    self.assertLess(len(checks.printable('x' * 10**7)), 5000)


if __name__ == '__main__':
  absltest.main()
