"""Puts a verdict into words."""

import dataclasses

from tf_equiv.compare import outcome as outcome_lib
from tf_equiv.compare import run_info
from tf_equiv.compare.diagnosis import Diagnosis
from tf_equiv.compare.verdict import Verdict, Words
from tf_equiv.core.text import listed
from tf_equiv.report import (
  curve_text,
  dormant,
  headlines,
  metric_text,
  text,
  wording,
)

_MAX_NAMES = 3


def tell(
  outcome: outcome_lib.Outcome,
  diagnosis: Diagnosis | None = None,
  run: run_info.RunInfo | None = None,
  sides: wording.Sides = wording.SIDES,
) -> Verdict:
  """Makes the verdict of an outcome, with all that is said of it.

  Args:
    outcome: what a judge found.
    diagnosis: what is known of the cause.
    run: under what it was found.
    sides: names of both sides.

  Returns:
    The verdict.
  """
  diagnosis = diagnosis or Diagnosis()
  lines = [
    line for each in outcome.evidence for line in wording.evidence(each, sides)
  ]
  matter = diagnosis.draws_matter
  # Assertions that fail for one reason are stopped at different points.
  reason = dataclasses.replace(outcome, stopped=False)
  verdict = Verdict(
    outcome,
    diagnosis,
    run or run_info.RunInfo(),
    Words(
      headline=headlines.headline(outcome, sides, matter),
      cause=headlines.headline(reason, sides, matter),
      evidence=(*diagnosis.evidence, *lines),
      notes=(*_notes(outcome, diagnosis), *diagnosis.notes),
      power='; '.join(wording.power(each) for each in outcome.power),
    ),
  )
  return with_summary(verdict, text.summary(verdict))


def with_summary(verdict: Verdict, summary: str) -> Verdict:
  """Returns a verdict whose `str()` is another one.

  Args:
    verdict: the verdict.
    summary: the outcome in one line, or in several.
  """
  words = dataclasses.replace(verdict.words, summary=summary)
  return dataclasses.replace(verdict, words=words)


def _notes(outcome: outcome_lib.Outcome, diagnosis: Diagnosis) -> list[str]:
  found = [*outcome.notes, headlines.later_steps(outcome)]
  if outcome.curves is not None:
    found += curve_text.notes(outcome.curves)
  if outcome.metrics is not None:
    found += metric_text.notes(outcome.metrics)
  # Where the sides agree all the same, the draws do not matter.
  if not outcome.passed and diagnosis.draws_matter is not False:
    if outcome.unaligned:
      found.append('random draws could not be aligned: ' + outcome.unaligned)
  if outcome.vacuity is not None and outcome.passed:
    found.append('vacuous: ' + wording.vacuous(outcome.vacuity))
  if outcome.noise:
    found.append(
      f'not compared: the updates of {sum(outcome.noise.values())} element(s) '
      'whose gradients are rounding noise, in '
      + listed(sorted(outcome.noise), _MAX_NAMES)
    )
  if outcome.variants is not None and outcome.passed:
    found.append('variants: ' + ', '.join(outcome.variants.passed))
  if outcome.examination is not None and outcome.passed:
    found += dormant.notes(outcome.examination)
  return [note for note in found if note]
