"""Where goldens are looked for, and where they are written."""

import os
import sys
import tempfile
import types

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

from tf_equiv.golden import recorders

_HERE = os.path.dirname(os.path.abspath(__file__))


class Net(tf_equiv.MigrationTestCase):
  def build_tf1(self, inputs, training):
    """Returns its inputs."""
    return inputs


class OwnersTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = os.path.realpath(folder.name)
    for variable in (
      'BUILD_WORKSPACE_DIRECTORY',
      'TEST_UNDECLARED_OUTPUTS_DIR',
      'TEST_SRCDIR',
      'RUNFILES_DIR',
    ):
      self.set(variable, None)

  def set(self, variable, value):
    self.enter_context(absltest.mock.patch.dict(os.environ))
    os.environ.pop(variable, None)
    if value is not None:
      os.environ[variable] = value

  def create(self, *parts):
    path = os.path.join(self.folder, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w'):
      return path

  def class_in(self, *parts, bases=(Net,)):
    """Returns a test class that seems to be defined in another file."""
    path = self.create(*parts)
    name = 'owners_test_' + '_'.join(parts).replace('.', '_')
    module = types.ModuleType(name)
    module.__file__ = path
    self.enter_context(absltest.mock.patch.dict(sys.modules, {name: module}))
    return type('Other', bases, {'__module__': name})

  def test_owner(self):
    owner = recorders.owner_of(Net().build_tf1)
    self.assertEqual(owner.name, 'owners_test:Net')
    self.assertEqual(owner.folders, (_HERE,))
    self.assertEndsWith(owner.target, 'owners_test.py:Net')
    self.assertEqual(recorders.owner_of(lambda inputs, training: 1).name, '')

  def test_same_name_whoever_runs_it(self):
    cls = self.class_in('pkg', 'net_test.py')
    sys.modules['__main__x'] = sys.modules[cls.__module__]
    self.addCleanup(sys.modules.pop, '__main__x')
    cls.__module__ = '__main__x'
    self.assertEqual(recorders.owner_of_class(cls).name, 'net_test:Other')

  def test_folders_of_bases(self):
    base = self.class_in('a', 'base.py')
    cls = self.class_in('b', 'net_test.py', bases=(base,))
    owner = recorders.owner_of_class(cls)
    self.assertEqual(
      [os.path.relpath(f, self.folder) for f in owner.folders[:2]], ['b', 'a']
    )
    golden = self.create('a', 'data', 'net.golden')
    self.assertEqual(recorders.find('data/net.golden', owner), golden)
    self.assertEqual(recorders.target('data/net.golden', owner), golden)
    nearer = self.create('b', 'data', 'net.golden')
    self.assertEqual(recorders.find('data/net.golden', owner), nearer)

  def test_new_file_goes_beside_the_test(self):
    owner = recorders.owner_of_class(self.class_in('pkg', 'net_test.py'))
    self.assertEqual(
      recorders.target('none/net.golden', owner),
      os.path.join(self.folder, 'pkg', 'none', 'net.golden'),
    )
    self.assertIsNone(recorders.find('none/net.golden', owner))

  def test_current_folder_and_absolute_path(self):
    golden = self.create('net.golden')
    self.addCleanup(os.chdir, os.getcwd())
    os.chdir(self.folder)
    owner = recorders.owner_of(Net().build_tf1)
    self.assertEqual(recorders.find('net.golden', owner), golden)
    self.assertEqual(recorders.candidates(golden, owner), [golden])

  def test_runfiles(self):
    golden = self.create('x_test.runfiles', '_main', 'far', 'net.golden')
    self.set('RUNFILES_DIR', os.path.join(self.folder, 'x_test.runfiles'))
    owner = recorders.owner_of(Net().build_tf1)
    self.assertEqual(recorders.find('far/net.golden', owner), golden)

  def test_bazel_run_writes_into_the_workspace(self):
    cls = self.class_in('x_test.runfiles', '_main', 'pkg', 'x_test.py')
    owner = recorders.owner_of_class(cls)
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      r'Record it with `bazel run <test> -- --update_golden',
    ):
      recorders.target('testdata/net.golden', owner)
    self.set('TEST_UNDECLARED_OUTPUTS_DIR', '/outputs')
    self.assertEqual(
      recorders.target('testdata/net.golden', owner),
      '/outputs/pkg/testdata/net.golden',
    )
    self.set('BUILD_WORKSPACE_DIRECTORY', '/home/user/repository')
    self.assertEqual(
      recorders.target('testdata/net.golden', owner),
      '/home/user/repository/pkg/testdata/net.golden',
    )

  def test_sources(self):
    owner = recorders.owner_of(Net().build_tf1)
    found = recorders.sources(owner, ('build_tf1', 'compute_loss', 'nothing'))
    self.assertEqual(list(found), ['build_tf1'])
    self.assertStartsWith(found['build_tf1'], 'def build_tf1(self, inputs')


if __name__ == '__main__':
  absltest.main()
