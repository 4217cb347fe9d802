"""No function takes more than seven parameters, but for those of users."""

import ast
import os

from absl.testing import absltest

import tf_equiv

_ROOT = os.path.dirname(tf_equiv.__file__)
_MAX_PARAMETERS = 7
# Keyword-only parameters that users give by name.
_PUBLIC = (
  'assertCheckpointEquivalent',
  'assertForwardEquivalent',
  'assertGradientsClose',
  'assertMetricsMatch',
  'assertTrainingCurvesMatch',
  'assertTrainingEquivalent',
  'convert_checkpoint',
)


def long_signatures(source):
  """Returns {name: number of parameters} of functions that take too many."""
  found = {}
  for node in ast.walk(ast.parse(source)):
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
      continue
    arguments = node.args
    names = [
      each.arg
      for each in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
      )
      if each.arg not in ('self', 'cls')
    ]
    if len(names) > _MAX_PARAMETERS:
      found[node.name] = len(names)
  return found


def _sources():
  for folder, _, names in os.walk(_ROOT):
    for name in names:
      if name.endswith('.py'):
        path = os.path.join(folder, name)
        with open(path, encoding='utf-8') as file:
          yield os.path.relpath(path, _ROOT), file.read()


class SignaturesTest(absltest.TestCase):
  def test_all_kinds_of_parameters_count(self):
    self.assertEqual(
      long_signatures(
        'class A:\n  def f(self, a, b, c, /, d, e, *, f, g, h=1): pass\n'
        'def g(a, b, c, d, e, f, g): pass\n'
      ),
      {'f': 8},
    )

  def test_no_internal_function_takes_too_many(self):
    found = {}
    for path, source in _sources():
      for name, count in long_signatures(source).items():
        found[name] = f'{path}: {name} takes {count}'
    self.assertContainsSubset(_PUBLIC, found)
    self.assertEmpty([found[n] for n in sorted(set(found) - set(_PUBLIC))])


if __name__ == '__main__':
  absltest.main()
