"""Tests that the parts of the package depend on each other one way only."""

import ast
import os
import re
import sys

from absl.testing import absltest, parameterized

import tf_equiv

_ROOT = os.path.dirname(tf_equiv.__file__)
# The only modules that may touch private TensorFlow.
_COMPAT = ('compat/__init__.py', 'compat/optimizers.py')


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


def allowed_in_tf1(name):
  top = name.partition('.')[0]
  return (
    top in sys.stdlib_module_names
    or top in ('numpy', 'tensorflow')
    or _is_below(name, 'tf_equiv.compat')
    or _is_below(name, 'tf_equiv.core')
    or _is_below(name, 'tf_equiv.tf1')
  )


def allowed_in_comparison(name, packages):
  """Tells what compare/ and report/ may import besides packages of theirs."""
  top = name.partition('.')[0]
  if top in sys.stdlib_module_names or top == 'numpy':
    return True
  packages = ('tf_equiv.core', *packages)
  return any(_is_below(name, package) for package in packages)


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

  def test_rules(self):
    self.assertTrue(allowed_in_tf1('tf_equiv.core.nest'))
    self.assertTrue(allowed_in_tf1('tensorflow.compat'))
    for name in ('tf_equiv.compare', 'tf_equiv.compatible', 'tf_keras', '.x'):
      self.assertFalse(allowed_in_tf1(name), name)
    packages = ('tf_equiv.compare',)
    for name in (
      're',
      'numpy',
      'tf_equiv.compare.values',
      'tf_equiv.core.nest',
    ):
      self.assertTrue(allowed_in_comparison(name, packages), name)
    for name in (
      'tensorflow',
      'tf_equiv.compat',
      'tf_equiv.tf2.model',
      'tf_equiv.tf1.runner',
      'tf_equiv.report.text',
      'tf_equiv.tf1',
    ):
      self.assertFalse(allowed_in_comparison(name, packages), name)
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

  def test_tf1_depends_on_nothing_else(self):
    for path, source in _sources('tf1').items():
      for name in sorted(imported_names(source)):
        with self.subTest('%s imports %s' % (path, name)):
          self.assertTrue(allowed_in_tf1(name))

  def test_compat_depends_on_nothing_of_the_package(self):
    for path, source in _sources('compat').items():
      for name in sorted(imported_names(source)):
        with self.subTest(f'{path} imports {name}'):
          is_compat = _is_below(name, 'tf_equiv.compat')
          self.assertTrue(is_compat or not _is_below(name, 'tf_equiv'))

  def test_core_depends_on_nothing_but_numpy(self):
    for path, source in _sources('core').items():
      for name in sorted(imported_names(source)):
        with self.subTest(f'{path} imports {name}'):
          self.assertTrue(allowed_in_comparison(name, ()))

  @parameterized.parameters(
    ('compare', ('tf_equiv.compare',)),
    (
      'report',
      (
        'tf_equiv.compare',
        'tf_equiv.report',
        'jinja2',
        'markupsafe',
        'matplotlib',
      ),
    ),
  )
  def test_comparison_knows_data_only(self, folder, packages):
    for path, source in _sources(folder).items():
      for name in sorted(imported_names(source)):
        with self.subTest('%s imports %s' % (path, name)):
          self.assertTrue(allowed_in_comparison(name, packages))

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
      if path not in _COMPAT:
        with self.subTest(path):
          self.assertEmpty(private_uses(source))


if __name__ == '__main__':
  absltest.main()
