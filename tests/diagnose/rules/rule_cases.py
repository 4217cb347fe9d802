"""Records on which rules must speak, and near misses on which they must not."""

import dataclasses
from collections.abc import Callable
from typing import Any

from absl.testing import absltest

from tf_equiv.compare import difference, divergence
from tf_equiv.diagnose.rules import table

Difference, Kind = difference.Difference, difference.Kind


@dataclasses.dataclass(frozen=True)
class Case:
  """What a rule says.

  Attributes:
    rule: its function.
    fires: pairs of a record that it fits and a part of its sentence.
    misses: records that are close, and that it does not fit.
  """

  rule: Callable[[Any], str]
  fires: tuple[tuple[Any, str], ...]
  misses: tuple[Any, ...]


class RuleTestCase(absltest.TestCase):
  """Runs the cases of a module."""

  cases: tuple[Case, ...] = ()

  def test_fires(self):
    for case in self.cases:
      for record, sentence in case.fires:
        with self.subTest(f'{case.rule.__name__}: {sentence}'):
          self.assertIn(sentence, case.rule(record))

  def test_no_rule_before_it_fires(self):
    for case in self.cases:
      for record, sentence in case.fires:
        with self.subTest(f'{case.rule.__name__}: {sentence}'):
          self.assertIn(sentence, table.recognize(record))

  def test_near_misses(self):
    for case in self.cases:
      for record in case.misses:
        with self.subTest(f'{case.rule.__name__}: {record}'):
          self.assertEqual(case.rule(record), '')


def place(text: str) -> divergence.Place:
  """Returns the op 'name (Type)', or one of a type without a name."""
  name, _, op_type = text.rpartition(' ')
  return divergence.Place(name, op_type.strip('()'))


def diverge(
  *differences: Difference,
  tf1: str = 'net/op (Add)',
  tf2: str = 'net/op (Add)',
  only: tuple[str, str] = ('', ''),
  **fields: Any,
) -> divergence.Divergence:
  """Returns a divergence.

  Args:
    *differences: what differs there.
    tf1: the op of TF1, as 'name (Type)'.
    tf2: the op of TF2.
    only: for each side the ops that it alone has, with ';' between.
    **fields: other fields.
  """
  only_tf1, only_tf2 = (
    [place(each) for each in side.split(';') if each] for side in only
  )
  return divergence.Divergence(
    place(tf1),
    place(tf2),
    differences=list(differences),
    only_tf1=only_tf1,
    only_tf2=only_tf2,
    **fields,
  )


def attribute(name: str, tf1: Any, tf2: Any) -> Difference:
  """Returns another value of an attribute."""
  return Difference(Kind.ATTRIBUTE, name, tf1, tf2)


def constant(tf1: Any, tf2: Any) -> Difference:
  """Returns another constant."""
  return Difference(Kind.CONSTANT, tf1=tf1, tf2=tf2, operand=1)


def numbers(tf1: tuple = (), tf2: tuple = ()) -> tuple[Difference, ...]:
  """Returns the numbers that each side alone computes with."""
  return tuple(
    difference.one_sided(Kind.NUMBERS, i, side)
    for i, side in enumerate((tf1, tf2))
    if side
  )


def assigned(name: str) -> Difference:
  """Returns that a variable is assigned by both sides."""
  return Difference(Kind.ASSIGNED_BY, name, 'a', 'b')
