"""Every public symbol has a docstring, whose examples do what they show."""

import doctest
import inspect
import types

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

_FLAGS = doctest.ELLIPSIS


def public_symbols(*kinds):
  """Returns (name, value) of the public symbols that are of these types."""
  symbols = [(name, getattr(tf_equiv, name)) for name in tf_equiv.__all__]
  return [(name, value) for name, value in symbols if isinstance(value, kinds)]


def public_methods():
  """Returns (name, method) of what MigrationTestCase adds to its base."""
  return [
    (name, member)
    for name, member in inspect.getmembers(tf_equiv.MigrationTestCase)
    if isinstance(member, types.FunctionType)
    and not name.startswith('_')
    and not hasattr(tf.test.TestCase, name)
  ]


def run_examples(name, docstring):
  """Runs examples; returns (their number, what failed, as text)."""
  # The names that examples use without importing them.
  names = {public: getattr(tf_equiv, public) for public in tf_equiv.__all__}
  names.update(np=np, tf=tf, tf_equiv=tf_equiv, v1=tf.compat.v1)
  test = doctest.DocTestParser().get_doctest(docstring, names, name, None, 0)
  reported = []
  runner = doctest.DocTestRunner(verbose=False, optionflags=_FLAGS)
  runner.run(test, out=reported.append)
  return len(test.examples), ''.join(reported)


class ExamplesTest(parameterized.TestCase):
  @parameterized.named_parameters(*public_symbols(type, types.FunctionType))
  def test_docstring(self, symbol):
    self.assertTrue(symbol.__doc__)
    docstring = inspect.cleandoc(symbol.__doc__)
    self.assertIn('\nExample:\n', docstring)
    count, failures = run_examples(symbol.__name__, docstring)
    self.assertGreater(count, 0)
    self.assertEqual(failures, '')

  def test_wrong_example_is_found(self):
    count, failures = run_examples('wrong', '>>> 1 + int(tf.constant(1))\n3')
    self.assertEqual(count, 1)
    self.assertIn('Expected:\n    3\nGot:\n    2\n', failures)


class ArgumentsTest(parameterized.TestCase):
  """Docstrings name the arguments that there are, in their order."""

  @parameterized.named_parameters(
    *public_symbols(types.FunctionType), *public_methods()
  )
  def test_docstring(self, function):
    self.assertTrue(function.__doc__)
    summary, *sections = inspect.cleandoc(function.__doc__).split('\n\n')
    self.assertEndsWith(summary, '.')
    if not sections:  # One line says all there is to say.
      return
    documented = [
      line.split(':')[0].strip()
      for section in sections
      if section.startswith('Args:\n')
      for line in section.splitlines()[1:]
      if not line.startswith(' ' * 3)
    ]
    arguments = inspect.signature(function).parameters
    self.assertEqual(documented, [name for name in arguments if name != 'self'])


if __name__ == '__main__':
  absltest.main()
