"""The worker's program is understood by any Python."""

import ast

from absl.testing import absltest

from tf_equiv.tf1.worker import main

# What Python 2 has no syntax for.
_NEW = (ast.JoinedStr, ast.AnnAssign, ast.Nonlocal, ast.YieldFrom, ast.Await)


class SyntaxTest(absltest.TestCase):
  def test_python_2_could_parse_it(self):
    with open(main.__file__) as file:
      nodes = list(ast.walk(ast.parse(file.read())))
    self.assertEmpty([node.lineno for node in nodes if isinstance(node, _NEW)])
    for node in nodes:
      if isinstance(node, ast.FunctionDef):
        arguments = node.args
        self.assertIsNone(node.returns, node.name)
        self.assertEmpty(arguments.kwonlyargs, node.name)
        self.assertEmpty(arguments.posonlyargs, node.name)
        self.assertFalse(
          any(argument.annotation for argument in arguments.args), node.name
        )
      elif isinstance(node, ast.Raise):
        self.assertIsNone(node.cause)

  def test_an_old_python_is_refused_in_words(self):
    with absltest.mock.patch.object(main.sys, 'version_info', (2, 7, 18)):
      with self.assertRaisesRegex(
        main.UnsuitableError, 'it is Python 2.7; needed is 3.7 or later'
      ):
        main.check_python()


if __name__ == '__main__':
  absltest.main()
