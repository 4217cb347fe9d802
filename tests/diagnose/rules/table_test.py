"""Tests of the table of known mistakes as a whole."""

import ast
import inspect
import sys

from absl.testing import absltest

from tests.diagnose.rules import (
  initializers_test,
  layers_test,
  losses_test,
  optimizers_test,
  recurrent_test,
  sequences_test,
  statistics_test,
  update_rules_test,
  updates_test,
  variances_test,
)
from tf_equiv.compare import divergence
from tf_equiv.diagnose.rules import evidence, table

_TESTS = (
  initializers_test,
  layers_test,
  losses_test,
  optimizers_test,
  recurrent_test,
  sequences_test,
  statistics_test,
  update_rules_test,
  updates_test,
  variances_test,
)


def _imported(module):
  """Returns the names of all that a module imports."""
  found = set()
  for node in ast.walk(ast.parse(inspect.getsource(module))):
    if isinstance(node, ast.Import):
      found.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      found.update(f'{node.module}.{alias.name}' for alias in node.names)
  return found


class TableTest(absltest.TestCase):
  def test_rules_know_data_only(self):
    modules = {inspect.getmodule(rule.function) for rule in table.RULES}
    for module in (*modules, evidence, table):
      for name in _imported(module):
        with self.subTest(f'{module.__name__} imports {name}'):
          parts = name.split('.')
          self.assertTrue(
            parts[0] in (*sys.stdlib_module_names, 'numpy')
            or parts[:2] in (['tf_equiv', 'compare'], ['tf_equiv', 'core'])
            or parts[1:3] in (['diagnose', 'rules'], ['diagnose', 'facts'])
          )

  def test_each_rule_has_a_case_and_a_near_miss(self):
    cases = [case for module in _TESTS for case in module.CASES]
    self.assertCountEqual(
      [case.rule for case in cases], [rule.function for rule in table.RULES]
    )
    for case in cases:
      with self.subTest(case.rule.__name__):
        self.assertNotEmpty(case.fires)
        self.assertNotEmpty(case.misses)

  def test_each_rule_is_tested_in_the_module_of_its_domain(self):
    for module in _TESTS:
      domain = module.__name__.rpartition('.')[2].removesuffix('_test')
      for case in module.CASES:
        rule = next(r for r in table.RULES if r.function is case.rule)
        self.assertEqual(rule.domain, domain)

  def test_names_are_unique(self):
    names = [rule.name for rule in table.RULES]
    self.assertLen(set(names), len(names))

  def test_records_of_other_types_are_left_alone(self):
    self.assertEqual(table.recognize('a record of no rule'), '')
    op = divergence.Place('a', 'Add')
    self.assertEqual(table.recognize(divergence.Divergence(op, None)), '')


if __name__ == '__main__':
  absltest.main()
