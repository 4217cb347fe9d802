"""Judges variables: whether they correspond, and are created once."""

from collections.abc import Sequence
from typing import Any

from tf_equiv.compare import values
from tf_equiv.compare import variables as variables_lib
from tf_equiv.compare.outcome import Creation, Kind, Outcome
from tf_equiv.compare.quantity import Key, Quantity


def judge_variables(
  table: variables_lib.VariableTable,
  assertion: str,
  allow_empty: bool,
  conditions: str = '',
) -> Outcome:
  """Judges whether the variables correspond (guide step 2).

  Args:
    table: how the variables correspond.
    assertion: name of the assertion.
    allow_empty: whether no variable on either side is a pass.
    conditions: what was to be compared besides, and is not where the variables
      do not correspond.

  Returns:
    The outcome.
  """
  kind = Kind.PASS
  if not table.passed:
    kind = Kind.VARIABLES
  elif not table.pairs and not allow_empty:
    kind = Kind.NO_VARIABLES
  return Outcome(
    assertion,
    conditions,
    kind,
    compared={'variables': len(table.pairs)},
    table=table,
    stopped=bool(conditions),
  )


def judge_creations(
  assertion: str,
  created: Sequence[tuple[str, Any]],
  changed: Sequence[values.ValueComparison],
  calls: int,
  variables: int,
  allow_empty: bool,
) -> Outcome:
  """Judges whether calls reuse the variables (guide step 1).

  Args:
    assertion: name of the assertion.
    created: (which call, `CreatedVariable`) of each variable that was created
      after the first call.
    changed: comparison of each variable that an inference call changed.
    calls: number of further calls.
    variables: number of variables after the first call.
    allow_empty: whether a model without variables is a pass.

  Returns:
    The outcome.
  """
  kind = Kind.PASS
  if created or changed:
    kind = Kind.CREATIONS
  elif not variables and not allow_empty:
    kind = Kind.NO_WATCHED_VARIABLES
  return Outcome(
    assertion,
    kind=kind,
    comparisons={
      Key(quantity): list(pairs)
      for quantity, pairs in ((Quantity.INFERENCE_CHANGES, changed),)
      if pairs
    },
    compared={'variables': variables, 'further calls': calls},
    evidence=tuple(Creation(call, variable) for call, variable in created),
  )
