"""Tests that the parts of the package depend on each other one way only."""

import ast
import functools
import importlib.util
import os
import re
import subprocess
import sys

from absl.testing import absltest, parameterized

(_ROOT,) = importlib.util.find_spec('tf_equiv').submodule_search_locations
# The only package that may touch private TensorFlow.
_COMPAT = 'compat/'

# The package runs both sides, decides whether they agree, explains a
# difference, and tells of it. What is in a layer may be imported by those after
# it only.
_LAYERS = (
  ('core',),
  ('compat',),
  ('tf1',),
  ('compare', 'converters', 'fingerprint', 'golden'),
  ('report', 'tf2'),
  ('certificate', 'checkpoints', 'reporting'),
  ('class_digest', 'references'),
  ('diagnose',),
  ('dormant',),
  ('template',),
  ('class_state', 'reproductions', 'trials', 'user_methods'),
  ('looks', 'runner'),
  ('dormancy',),
  ('session',),
  ('streaming_metrics', 'training_curves'),
  ('assertions', 'conversion', 'suggestions'),
  ('testcase',),
  ('cli', 'guide_steps'),
  ('public',),
  ('import_hook',),
  ('__init__',),
  ('__main__',),
)
_RUN = ('core', 'compat', 'tf1', 'fingerprint', 'golden', 'tf2', 'references')
_DECIDE = ('compare',)
_EXPLAIN = ('diagnose', 'dormant')
_TELL = ('report', 'reporting', 'certificate', 'class_digest')
_PLAIN = ('core', *_DECIDE, 'report', 'certificate')
_TENSORFLOW = ('tensorflow', 'tf_keras', 'keras', 'tf_slim')

# Imports modules without running `tf_equiv/__init__.py`, which needs all.
_BLOCKED = """
import importlib, sys, types
package = types.ModuleType('tf_equiv')
package.__path__ = [{folder!r}]
sys.modules.update(tf_equiv=package, tensorflow=None, tf_keras=None, keras=None)
modules = {modules!r}
for name in modules:
  importlib.import_module(name)
print('imported', len(modules))
"""


@functools.cache
def _sources(folder=''):
  """Returns {path relative to the package: source} of all modules."""
  found = {}
  for parent, _, names in os.walk(os.path.join(_ROOT, folder)):
    for name in names:
      if name.endswith('.py'):
        path = os.path.join(parent, name)
        with open(path, encoding='utf-8') as file:
          key = os.path.relpath(path, _ROOT).replace(os.sep, '/')
          found[key] = file.read()
  return found


def imported_names(source):
  """Returns the full names of all that a module imports, wherever it does."""
  found = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      found.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      prefix = '.' * node.level + (node.module or '')
      found.update('%s.%s' % (prefix, alias.name) for alias in node.names)
  return found


def _is_below(name, package):
  return name == package or name.startswith(package + '.')


def _module_of(path):
  """Returns the full name of a module, by its path in the package."""
  parts = ['tf_equiv', *path[: -len('.py')].split('/')]
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports_of(sources):
  """Returns {module: (modules of ours that it imports, names of others)}.

  Args:
    sources: {path relative to the package: source}.
  """
  modules = {_module_of(path): source for path, source in sources.items()}
  found = {}
  for module, source in modules.items():
    ours, others = set(), set()
    for name in imported_names(source):
      if not _is_below(name, 'tf_equiv'):
        others.add(name)
        continue
      while name not in modules:  # A function or class in a module.
        name = name.rpartition('.')[0]
      ours.add(name)
    found[module] = ours, others
  return found


def package_of(module):
  """Returns the package below tf_equiv, or the module at the top."""
  return (module.split('.') + ['__init__'])[1]


def reached(imports, module):
  """Returns all of our modules that a module imports, directly or not."""
  seen, pending = set(), [module]
  while pending:
    current = pending.pop()
    if current not in seen:
      seen.add(current)
      pending.extend(imports[current][0])
  return seen


def upward(imports, layers):
  """Returns the imports that do not go down by at least one layer."""
  rank = {name: i for i, layer in enumerate(layers) for name in layer}
  return sorted(
    f'{module} imports {other}'
    for module, (ours, _) in imports.items()
    for other in ours
    if package_of(module) != package_of(other)
    and rank[package_of(module)] <= rank[package_of(other)]
  )


def between(imports, sources, targets):
  """Returns direct imports from some packages into others."""
  return sorted(
    f'{module} imports {other}'
    for module, (ours, _) in imports.items()
    for other in ours
    if package_of(module) in sources and package_of(other) in targets
  )


def with_tensorflow(imports, packages):
  """Returns how modules of some packages come to import TensorFlow."""
  return sorted(
    f'{module} reaches {other}, which imports {name}'
    for module in imports
    if package_of(module) in packages
    for other in reached(imports, module)
    for name in imports[other][1]
    if name.partition('.')[0] in _TENSORFLOW
  )


def circles(imports):
  """Returns the modules that import themselves, by way of others."""
  return sorted(
    module
    for module, (ours, _) in imports.items()
    if any(module in reached(imports, other) for other in ours)
  )


def private_uses(source):
  """Returns which private or version-dependent names a module mentions."""
  found = re.findall(r'\b(?:tf|v1|tensorflow)\._(?!_)\w+', source)
  found += re.findall(r'tensorflow\.python[.\w]*', source)
  found += re.findall(r'\boptimizer\._(?!_)\w+', source)
  return found + [
    name
    for name in sorted(imported_names(source))
    if any(_is_below(name, p) for p in ('tf_keras.src', 'keras.src'))
  ]


def too_new_for_3_7(source):
  """Returns uses of what parses as Python 3.7, but does not run there."""
  found = []
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
      if node.value.id in ('dict', 'frozenset', 'list', 'set', 'tuple', 'type'):
        found.append(ast.unparse(node))
    if isinstance(node, ast.Call):
      function = ast.unparse(node.func)
      keywords = {keyword.arg for keyword in node.keywords}
      if (function == 'zip' and 'strict' in keywords) or (
        function.endswith('dataclass') and keywords & {'slots', 'kw_only'}
      ):
        found.append(ast.unparse(node))
    annotation = getattr(node, 'annotation', getattr(node, 'returns', None))
    if annotation is not None and any(
      isinstance(part, ast.BinOp) for part in ast.walk(annotation)
    ):
      found.append(ast.unparse(annotation))
  return found


class ImportedNamesTest(absltest.TestCase):
  """The other tests can only fail if this finds imports."""

  def test_all_forms(self):
    source = (
      'import a.b as c\nfrom d import e, f\nfrom . import g\n'
      'def h():\n  import i\n  from ..j import k\n'
    )
    self.assertEqual(
      imported_names(source), {'a.b', 'd.e', 'd.f', '..g', 'i', '..j.k'}
    )

  def test_modules_and_names_of_modules(self):
    imports = imports_of(
      {
        'core/a.py': 'import numpy as np',
        'tf2/b.py': 'from tf_equiv.core import a\nimport tf_equiv.core.a.C',
        'core/__init__.py': '',
      }
    )
    self.assertEqual(
      imports,
      {
        'tf_equiv.core': (set(), set()),
        'tf_equiv.core.a': (set(), {'numpy'}),
        'tf_equiv.tf2.b': ({'tf_equiv.core.a'}, set()),
      },
    )

  def test_imports_upward_are_found(self):
    layers = (('core',), ('compare', 'golden'), ('tf2',))
    for path, imported, found in (
      ('core/a.py', 'compare.b', True),
      ('golden/a.py', 'compare.b', True),
      ('tf2/a.py', 'compare.b', False),
      ('compare/a.py', 'compare.b', False),
    ):
      sources = {'compare/b.py': '', path: f'import tf_equiv.{imported}'}
      self.assertEqual(bool(upward(imports_of(sources), layers)), found, path)

  def test_imports_between_packages_are_found(self):
    sources = {'a/x.py': 'def f():\n  from tf_equiv.b import y', 'b/y.py': ''}
    imports = imports_of(sources)
    found = ['tf_equiv.a.x imports tf_equiv.b.y']
    self.assertEqual(between(imports, ['a'], ['b', 'c']), found)
    self.assertEmpty(between(imports, ['b'], ['a']))

  def test_tensorflow_is_found_through_others(self):
    imports = imports_of(
      {
        'compare/a.py': 'from tf_equiv.core import b',
        'core/b.py': 'from tf_equiv.core.c import d',
        'core/c.py': 'import tensorflow.compat.v1 as tf',
        'core/e.py': 'import numpy',
      }
    )
    self.assertEqual(
      with_tensorflow(imports, ['compare']),
      [
        'tf_equiv.compare.a reaches tf_equiv.core.c, which imports '
        'tensorflow.compat.v1'
      ],
    )
    self.assertLen(with_tensorflow(imports, ['core']), 2)

  def test_circles_are_found(self):
    imports = imports_of(
      {
        'a.py': 'import tf_equiv.b',
        'b.py': 'import tf_equiv.c',
        'c.py': 'import tf_equiv.b',
      }
    )
    self.assertEqual(circles(imports), ['tf_equiv.b', 'tf_equiv.c'])

  def test_private_uses(self):
    self.assertEqual(private_uses('x = tf._api'), ['tf._api'])
    self.assertEqual(private_uses('y = [v1._z]'), ['v1._z'])
    self.assertEqual(
      private_uses("importlib.import_module('tensorflow.python.eager')"),
      ['tensorflow.python.eager'],
    )
    self.assertEqual(private_uses('rate = optimizer._lr'), ['optimizer._lr'])
    self.assertEmpty(private_uses('tf.__version__'))
    self.assertNotEmpty(private_uses('from tf_keras.src import backend'))
    self.assertEmpty(private_uses('import tf_keras\nx = tf.function'))


class LayeringTest(parameterized.TestCase):
  def test_modules_are_found(self):
    self.assertGreater(len(_sources('tf1')), 8)
    self.assertGreater(len(_sources('compare')), 7)
    self.assertIn('compat/__init__.py', _sources())

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.imports = imports_of(_sources())

  def test_all_packages_have_a_layer(self):
    self.assertCountEqual(
      {package_of(module) for module in self.imports},
      [name for layer in _LAYERS for name in layer],
    )

  def test_imports_go_down(self):
    self.assertEmpty(upward(self.imports, _LAYERS))

  def test_no_circles(self):
    self.assertEmpty(circles(self.imports))

  def test_what_runs_neither_decides_nor_explains_nor_tells(self):
    later = (*_DECIDE, *_EXPLAIN, *_TELL)
    self.assertEmpty(between(self.imports, _RUN, later))

  def test_what_decides_knows_plain_data_only(self):
    others = {package_of(m) for m in self.imports} - {'core', *_DECIDE}
    self.assertEmpty(between(self.imports, _DECIDE, others))

  def test_what_explains_does_not_tell(self):
    self.assertEmpty(between(self.imports, _EXPLAIN, _TELL))

  def test_what_tells_knows_decisions_and_plain_data_only(self):
    packages = {package_of(module) for module in self.imports}
    others = packages - {'core', *_DECIDE, *_TELL}
    self.assertEmpty(between(self.imports, _TELL, others))

  def test_no_tensorflow_where_data_is_read_and_compared(self):
    self.assertEmpty(with_tensorflow(self.imports, _PLAIN))
    self.assertNotEmpty(with_tensorflow(self.imports, ['tf1']))

  def test_no_tensorflow_is_imported_there(self):
    modules = [m for m in self.imports if package_of(m) in _PLAIN]
    code = _BLOCKED.format(folder=_ROOT, modules=sorted(modules))
    done = subprocess.run(
      [sys.executable, '-c', code],
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      timeout=300,
    )
    self.assertEqual(done.stdout, f'imported {len(modules)}\n')
    self.assertGreater(len(modules), 20)

  @parameterized.parameters(
    ('core', ('numpy',)),
    ('compare', ('numpy',)),
    ('compat', ('tensorflow',)),
    ('tf1', ('numpy', 'tensorflow')),
    ('report', ('numpy', 'jinja2', 'markupsafe', 'matplotlib')),
  )
  def test_other_packages_that_are_imported(self, package, allowed):
    others = {
      name.partition('.')[0]
      for module, (_, names) in self.imports.items()
      if package_of(module) == package
      for name in names
    }
    self.assertEmpty(others - sys.stdlib_module_names - set(allowed))

  def test_tf1_is_python_3_7(self):
    sources = {
      path: source
      for folder in ('core', 'compat', 'tf1')
      for path, source in _sources(folder).items()
    }
    for path, source in sources.items():
      with self.subTest(path):
        ast.parse(source, path, feature_version=(3, 7))
        self.assertEmpty(too_new_for_3_7(source))

  def test_python_3_7_would_be_noticed(self):
    with self.assertRaises(SyntaxError):
      ast.parse('(a := 1)', feature_version=(3, 7))
    for source in (
      'x: list[int] = []',
      'def f(x: int | None): pass',
      'def f() -> int | None: pass',
      'zip(a, b, strict=True)',
      '@dataclasses.dataclass(kw_only=True)\nclass A: pass',
    ):
      self.assertLen(too_new_for_3_7(source), 1)

  def test_only_compat_touches_private_tensorflow(self):
    for path, source in _sources().items():
      if not path.startswith(_COMPAT):
        with self.subTest(path):
          self.assertEmpty(private_uses(source))


if __name__ == '__main__':
  absltest.main()
