"""The Bazel files mean what they should, also to a Bazel that is not here.

They are evaluated with stubs in place of what Bazel and rules_python define.
"""

import configparser
import os
import re

import starlark
from absl.testing import absltest, parameterized

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_GLOBALS = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
# What may be loaded, and the function that it exports.
_LOADED = {
  '//third_party/bazel4:repositories.bzl': 'bazel4_repositories',
  '//third_party/py:python_configure.bzl': 'python_configure',
  '@rules_python//python:py_test.bzl': 'py_test',
}
# `use_extension` returns an object whose methods are the tags.
_STUBS = """
def use_extension(file, extension, dev_dependency = False):
    def tag(name):
        return lambda **kwargs: _record(
            "%s.%s" % (extension, name),
            file = file,
            dev_dependency = dev_dependency,
            **kwargs
        )
    return struct(
        name = extension,
        **{tag_name: tag(tag_name) for tag_name in _TAGS}
    )

def use_repo(extension, *names):
    _record("use_repo", extension = extension.name, names = names)

attr = struct(string_list = lambda **kwargs: None)
repository_rule = lambda **kwargs: None
native = struct(
    glob = lambda patterns: _files,
    package_name = lambda: "tests/some",
    test_suite = lambda **kwargs: _record("test_suite", **kwargs),
)

def Label(name):
    return name
"""
_TAGS = ('default', 'defaults', 'dep', 'parse', 'toolchain')


def read(path):
  with open(os.path.join(_ROOT, path), encoding='utf-8') as file:
    return file.read()


class Evaluation:
  """Bazel code that was evaluated.

  Attributes:
    calls: (name, keyword arguments) of all calls of functions that Bazel
      defines.
  """

  def __init__(self, code, functions=(), files=()):
    """Evaluates code.

    Args:
      code: the text of a file.
      functions: the names of the functions that it calls, besides those that
        it defines or loads.
      files: what `native.glob` finds.
    """
    self.calls = []
    self._module = starlark.Module()
    self._module.add_callable('_record', self._record)
    self._module['_TAGS'] = list(_TAGS)
    self._module['_files'] = list(files)
    self.run(_STUBS)
    for name in functions:
      self.run(
        f'def {name}(*args, **kwargs): _record("{name}", args=args, **kwargs)'
      )
    self.run(code)

  def _record(self, function, **kwargs):
    self.calls.append((function, kwargs))

  def run(self, code):
    """Evaluates further code."""
    tree = starlark.parse('', code, starlark.Dialect.extended())
    loader = starlark.FileLoader(self._load)
    return starlark.eval(self._module, tree, _GLOBALS, loader)

  def _load(self, label):
    """Returns a module with a stub of what a file exports."""
    name = _LOADED[label]
    module = starlark.Module()
    module.add_callable('_record', self._record)
    code = f'def {name}(**kwargs): _record("{name}", **kwargs)'
    tree = starlark.parse(label, code, starlark.Dialect.extended())
    starlark.eval(module, tree, _GLOBALS)
    return module.freeze()

  def of(self, name):
    """Returns the keyword arguments of all calls of one function."""
    return [kwargs for called, kwargs in self.calls if called == name]


def module_file():
  return Evaluation(read('MODULE.bazel'), ['bazel_dep', 'module'])


def workspace():
  return Evaluation(read('WORKSPACE'), ['register_toolchains', 'workspace'])


def workspace_packages():
  (arguments,) = workspace().of('python_configure')
  return arguments['packages']


def locked_versions():
  """Returns {package: version} of the file that MODULE.bazel names."""
  (arguments,) = module_file().of('pip.parse')
  folder, name = arguments['requirements_lock'].removeprefix('//').split(':')
  lines = read(f'{folder}/{name}').splitlines()
  return dict(line.split('==') for line in lines if not line.startswith('#'))


def normalized(name):
  """Returns a package's name in labels, as rules_python normalizes it."""
  return re.sub('_+', '_', re.sub('[-.]', '_', name.lower()))


class ModuleTest(absltest.TestCase):
  def test_is_the_module_of_the_workspace(self):
    (module,) = module_file().of('module')
    (arguments,) = workspace().of('workspace')
    self.assertEqual(module['name'], arguments['name'])
    setup = configparser.ConfigParser()
    setup.read_string(read('setup.cfg'))
    self.assertEqual(module['version'], setup['metadata']['version'])

  def test_depends_on_the_packages_of_the_workspace(self):
    tags = module_file().of('pip.dep')
    self.assertEqual([tag['name'] for tag in tags], workspace_packages())
    for tag in tags:
      self.assertFalse(tag['dev_dependency'], tag)

  def test_uses_the_common_repository(self):
    self.assertEqual(
      module_file().of('use_repo'), [{'extension': 'pip', 'names': ['pypi']}]
    )

  def test_extensions_are_those_of_rules_python(self):
    module = module_file()
    (dependency,) = module.of('bazel_dep')
    self.assertEqual(dependency['name'], 'rules_python')
    # The first one with the common repository `@pypi`, and `pip.dep`.
    version = [int(part) for part in dependency['version'].split('.')]
    self.assertGreaterEqual(version, [2, 2, 0])
    tags = [(name, each) for name, each in module.calls if '.' in name]
    self.assertNotEmpty(tags)
    for name, tag in tags:
      extension = name.split('.')[0]
      self.assertEqual(
        tag['file'], f'@rules_python//python/extensions:{extension}.bzl'
      )

  def test_versions_are_for_its_own_tests_only(self):
    """A module that depends on this one has versions of its own."""
    module = module_file()
    for name in (
      'pip.parse',
      'pip.default',
      'python.defaults',
      'python.toolchain',
    ):
      (tag,) = module.of(name)
      self.assertTrue(tag['dev_dependency'], name)

  def test_one_python_everywhere(self):
    module = module_file()
    versions = {
      module.of(name)[0]['python_version']
      for name in ('pip.parse', 'python.defaults', 'python.toolchain')
    }
    self.assertLen(versions, 1)

  def test_own_packages_are_the_default(self):
    module = module_file()
    (own,) = module.of('pip.parse')
    (default,) = module.of('pip.default')
    self.assertEqual(default['default_hub'], own['hub_name'])
    # Reserved for the common repository.
    self.assertNotEqual(own['hub_name'], 'pypi')


class DocumentTest(absltest.TestCase):
  def test_module_of_users(self):
    (code,) = [
      block
      for block in re.findall(
        r'```python\n(.*?)```', read('docs/bazel.md'), re.S
      )
      if 'bazel_dep' in block
    ]
    users = Evaluation(code, ['bazel_dep', 'local_path_override'])
    library, rules_python = users.of('bazel_dep')
    own = module_file()
    self.assertEqual(library['name'], own.of('module')[0]['name'])
    self.assertEqual(rules_python, own.of('bazel_dep')[0])
    self.assertEqual(users.of('use_repo'), own.of('use_repo'))
    (packages,) = users.of('pip.parse')
    (default,) = users.of('pip.default')
    self.assertEqual(default['default_hub'], packages['hub_name'])


class LockTest(absltest.TestCase):
  def test_has_all_packages_of_the_workspace(self):
    locked = {normalized(name) for name in locked_versions()}
    for name in workspace_packages():
      self.assertIn(normalized(name), locked)

  def test_has_versions(self):
    for name, version in locked_versions().items():
      self.assertRegex(version, r'^\d[\w.]*$', name)

  def test_has_all_that_the_package_needs(self):
    setup = configparser.ConfigParser()
    setup.read_string(read('setup.cfg'))
    needed = setup['options']['install_requires'].split()
    needed += setup['options.extras_require']['report'].split()
    locked = {normalized(name) for name in locked_versions()}
    for requirement in needed:
      (name,) = re.findall(r'^[\w.-]+', requirement)
      self.assertIn(normalized(name), locked)


class WorkspaceTest(absltest.TestCase):
  def test_labels_are_those_of_rules_python(self):
    """`@pypi//tf_slim` must be the same, whoever makes it."""
    evaluation = Evaluation(read('third_party/py/python_configure.bzl'))
    evaluation.run("""
written = []
def execute(command):
    versions = "".join(["1.0\\n" for _ in command[4:]])
    return struct(return_code = 0, stdout = "/bin/python3\\n" + versions)
""")
    packages = [*workspace_packages(), 'A.b-c']
    written = evaluation.run(f"""
_python_configure_impl(struct(
    attr = struct(packages = {packages}),
    execute = execute,
    file = lambda path, text, executable: written.append(path),
    os = struct(environ = {{}}),
    which = lambda name: "/bin/" + name,
))
written
""")
    self.assertContainsSubset(
      [f'{normalized(name)}/BUILD' for name in packages], written
    )


class MigrationTestTest(parameterized.TestCase):
  """`migration_test`, with the py_test of whatever version."""

  def call(self, code):
    evaluation = Evaluation(read('tf_equiv/build_defs.bzl'))
    evaluation.run(code)
    return evaluation

  def test_one_test_per_seed_mode(self):
    evaluation = self.call(
      'migration_test(name = "net_test", srcs = ["net_test.py"],'
      ' shard_count = 4, deps = [":net"], tags = ["slow"])'
    )
    tests = evaluation.of('py_test')
    self.assertEqual(
      [test['name'] for test in tests],
      ['net_test_constant', 'net_test_num_random_ops'],
    )
    for test, mode in zip(tests, ('constant', 'num_random_ops'), strict=True):
      self.assertEqual(test['size'], 'medium')
      self.assertEqual(test['shard_count'], 4)
      self.assertEqual(test['main'], 'net_test.py')
      self.assertEqual(test['deps'], ['//tf_equiv:tf_equiv', ':net'])
      self.assertEqual(test['tags'], ['slow', f'seed_mode={mode}'])
      self.assertEqual(
        test['env'],
        {'TF_EQUIV_SEED_MODES': mode, 'TF_USE_LEGACY_KERAS': '1'},
      )
    (suite,) = evaluation.of('test_suite')
    self.assertEqual(suite['name'], 'net_test')
    self.assertEqual(
      suite['tests'], [':net_test_constant', ':net_test_num_random_ops']
    )

  @parameterized.parameters(
    ('seed_modes = []', 'must be a non-empty list'),
    ('seed_modes = ["graph"]', 'unknown seed mode'),
    ('seed_modes = ["constant", "constant"]', 'is given twice'),
    ('env = {"TF_EQUIV_SEED_MODES": "constant"}', 'use seed_modes'),
  )
  def test_mistakes(self, argument, message):
    with self.assertRaisesRegex(starlark.StarlarkError, message):
      self.call(
        f'migration_test(name = "a_test", srcs = ["a_test.py"], {argument})'
      )


class PyTestsTest(parameterized.TestCase):
  """The macro of the tests of this repository."""

  def call(self, arguments):
    evaluation = Evaluation(
      read('tests/test_defs.bzl'), files=['a_test.py', 'b_test.py']
    )
    evaluation.run(f'py_tests(name = "tests", {arguments})')
    return evaluation

  def test_one_test_per_file(self):
    evaluation = self.call(
      'sizes = {"large": ["b_test"]}, data = {"a_test": ["a.txt"]},'
      ' deps = ["//x"], test_deps = {"b_test": ["//y"]},'
      ' shard_counts = {"b_test": 2}'
    )
    a, b = evaluation.of('py_test')
    self.assertEqual((a['name'], b['name']), ('a_test', 'b_test'))
    self.assertEqual((a['srcs'], b['srcs']), (['a_test.py'], ['b_test.py']))
    self.assertEqual((a['size'], b['size']), ('medium', 'large'))
    self.assertEqual((a['data'], b['data']), (['a.txt'], []))
    self.assertEqual((a['shard_count'], b['shard_count']), (None, 2))
    self.assertEqual(a['deps'], ['@pypi//absl_py', '//x'])
    self.assertEqual(b['deps'], ['@pypi//absl_py', '//x', '//y'])
    (suite,) = evaluation.of('test_suite')
    self.assertEqual(suite['tests'], [':a_test', ':b_test'])

  def test_small_ones_run_together(self):
    evaluation = self.call(
      'size = "small", data = {"a_test": ["a.txt"], "b_test": ["a.txt"]},'
      ' deps = ["//x"], test_deps = {"b_test": ["//y", "//x"]}'
    )
    a, b, together = evaluation.of('py_test')
    self.assertEqual((a['tags'], b['tags']), (['manual'], ['manual']))
    self.assertEqual(together['name'], 'small_tests')
    self.assertEqual(
      together['args'], ['tests.some.a_test', 'tests.some.b_test']
    )
    self.assertEqual(
      together['srcs'], ['a_test.py', 'b_test.py', '//tests:together.py']
    )
    self.assertEqual(together['data'], ['a.txt'])
    self.assertEqual(together['deps'], ['@pypi//absl_py', '//x', '//y'])
    (suite,) = evaluation.of('test_suite')
    self.assertEqual(suite['tests'], [':small_tests'])

  def test_a_single_small_one_runs_by_itself(self):
    evaluation = self.call('sizes = {"small": ["a_test"]}')
    a, b = evaluation.of('py_test')
    self.assertEqual((a['tags'], b['tags']), ([], []))
    (suite,) = evaluation.of('test_suite')
    self.assertEqual(suite['tests'], [':a_test', ':b_test'])

  @parameterized.parameters(
    ('sizes = {"large": ["c_test"]}', 'there is no c_test.py'),
    ('sizes = {"huge": ["a_test"]}', 'no size'),
    ('data = {"c_test": []}', 'there is no c_test.py'),
    ('shard_counts = {"c_test": 2}', 'there is no c_test.py'),
    ('test_deps = {"c_test": []}', 'there is no c_test.py'),
  )
  def test_mistakes(self, arguments, message):
    with self.assertRaisesRegex(starlark.StarlarkError, message):
      self.call(arguments)


if __name__ == '__main__':
  absltest.main()
