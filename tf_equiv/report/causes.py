"""Why assertions fail, and which of the failures have a cause in common.

A cause is read from the JSON of a report, whether that is about to be made of a
verdict or comes from a file.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tf_equiv.compare import divergence as divergence_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors
from tf_equiv.core import text as text_lib
from tf_equiv.report import json_file

_MAX_DIFFERENCES = 2
_MAX_CHANGES = 3
_LONGEST = 400


@dataclasses.dataclass(frozen=True)
class Cause:
  """What makes an assertion fail, as far as it is known.

  Attributes:
    tf1: the op of TF1 where the sides diverge, None if it has none there.
    tf2: the same of TF2.
    texts: what is different about them, and what repairs it, in words.
    headline: the failure in one line where no place is known, else ''.
    signs: by what it is known again: two that share a sign are the same.
  """

  tf1: divergence_lib.Place | None = None
  tf2: divergence_lib.Place | None = None
  texts: tuple[str, ...] = ()
  headline: str = ''
  signs: frozenset[tuple[str, ...]] = frozenset()


@dataclasses.dataclass(frozen=True)
class Common:
  """A cause, and the tests that fail for it.

  Attributes:
    cause: as the first of the tests has seen it.
    tests: their names, sorted.
  """

  cause: Cause
  tests: tuple[str, ...]


def of_error(error: BaseException | None) -> list[Cause]:
  """Returns the causes of what a test raised."""
  verdict = getattr(error, 'verdict', None)
  if isinstance(verdict, verdict_lib.Verdict) and not verdict.passed:
    return of_verdict(verdict)
  return [_without_place(_first_line(error), '')]


def of_verdict(verdict: verdict_lib.Verdict) -> list[Cause]:
  """Returns the causes of the failure of an assertion."""
  return of_report(as_data(verdict))


def as_data(verdict: verdict_lib.Verdict) -> Any:
  """Returns what `of_report` needs to know of a failure, as JSON knows it."""
  places = [
    # The rest is large, and says nothing of the cause.
    dataclasses.replace(each, layers=[], others=[], excerpts=None)
    for each in verdict.divergences
  ]
  return json_file.as_json(
    {
      'result': 'fail',
      'headline': verdict.headline,
      'cause': verdict.words.cause,
      'places': places,
    }
  )


def in_short(verdict: verdict_lib.Verdict) -> list[str]:
  """Returns each cause of a failure in one line."""
  found = []
  for cause in of_verdict(verdict):
    place = cause.tf2 or cause.tf1
    parts = [of_place(place)] if place is not None else [cause.headline]
    found.append('; '.join(filter(None, [*parts, *cause.texts])))
  return found


def of_report(report: Mapping[str, Any], owner: str = '') -> list[Cause]:
  """Returns the causes of the failure that a report is about.

  Args:
    report: fields of its JSON; those that a file lacks, or that are something
      else, are not known.
    owner: tells its test class from others, where there are any. What has no
      line of code is not known again in a different class.
  """
  if report.get('result') != 'fail':
    return []
  found = [_of_place(each, owner) for each in _dicts(report.get('places'))]
  headline = _text(report.get('cause')) or _text(report.get('headline'))
  return found or [_without_place(headline, owner)]


def group(failures: Mapping[str, Iterable[Cause]]) -> list[Common]:
  """Puts together what is one cause.

  Args:
    failures: the causes by the name of the test.

  Returns:
    Each cause once, that of most tests first.
  """
  groups: list[tuple[set[tuple[str, ...]], list[Cause], set[str]]] = []
  for test in sorted(failures):
    for cause in failures[test]:
      same = [each for each in groups if each[0] & cause.signs]
      groups = [each for each in groups if not each[0] & cause.signs]
      # One may be what two that were seen before have in common.
      signs = set(cause.signs).union(*(each[0] for each in same))
      causes = [other for each in same for other in each[1]] + [cause]
      tests = {test}.union(*(each[2] for each in same))
      groups.append((signs, causes, tests))
  found = [
    Common(causes[0], tuple(sorted(tests))) for _, causes, tests in groups
  ]
  return sorted(found, key=lambda each: (-len(each.tests), each.tests))


def _without_place(headline: str, owner: str) -> Cause:
  signs = frozenset([('headline', owner, headline)])
  return Cause(headline=headline, signs=signs)


def _first_line(error: BaseException | None) -> str:
  if error is None:
    return ''
  return errors.printable(errors.cut(text_lib.of_error(error), _LONGEST))


def _of_place(found: Mapping[str, Any], owner: str) -> Cause:
  tf1, tf2 = _place(found.get('tf1')), _place(found.get('tf2'))
  repair = found.get('repair')
  repair = repair if isinstance(repair, dict) else {}
  changes = _dicts(repair.get('changes'))
  mistake = _text(found.get('mistake'))
  texts = [mistake] if mistake else _differences(found)
  if changes:
    parts = dict.fromkeys(_text(change.get('text')) for change in changes)
    texts.append('repair: ' + ', '.join(text_lib.capped(parts, _MAX_CHANGES)))
  # What is different is evidence of one cause only at the same lines: an
  # inference call and a training step have different ops there.
  lines = tuple(place.line if place else '' for place in (tf1, tf2))
  names = [place.name if place else '' for place in (tf1, tf2)]
  if not any(lines):
    return Cause(tf1, tf2, tuple(texts), signs=_all([(owner, *names)]))
  op: tuple[str, ...] = (
    ('op', names[0]) if names[0] else ('op of TF2', names[1])
  )
  if found.get('values') is None:  # An optimizer, which may differ in much.
    op += (mistake, *_differences(found))
  signs: list[tuple[Any, ...]] = [op]
  if mistake:
    signs.append(('mistake', mistake))
  if repair.get('argument'):
    signs.append(('argument', repair['argument'], repair.get('value')))
  signs += [
    ('change', each.get('kind'), each['subject'], each.get('tf1'))
    for each in changes
    if each.get('subject')
  ]
  return Cause(
    tf1, tf2, tuple(texts), signs=_all((*lines, *sign) for sign in signs)
  )


def _all(signs: Iterable[Sequence[Any]]) -> frozenset[tuple[str, ...]]:
  return frozenset(tuple(map(str, sign)) for sign in signs)


def _differences(found: Mapping[str, Any]) -> list[str]:
  """Says what is different about two ops of which no mistake is known."""
  told = found.get('differences')
  told = [_text(each) for each in told] if isinstance(told, list) else []
  texts = [each for each in told if each][:_MAX_DIFFERENCES]
  for side in ('TF1', 'TF2'):
    lone = _dicts(found.get('only_' + side.lower()))[-1:]
    texts += [f'only {side} {of_place(_place(each))}' for each in lone]
  return texts


def of_place(place: divergence_lib.Place | None) -> str:
  """Returns an op, and its line where that is known."""
  if place is None:
    return 'an op'
  return f'{place}  at {place.line}' if place.line else str(place)


def _place(found: Any) -> divergence_lib.Place | None:
  if not isinstance(found, dict):
    return None
  return divergence_lib.Place(
    *(_text(found.get(name)) for name in ('name', 'op_type', 'line'))
  )


def _dicts(found: Any) -> list[dict[str, Any]]:
  found = found if isinstance(found, list) else []
  return [each for each in found if isinstance(each, dict)]


def _text(found: Any) -> str:
  return found if isinstance(found, str) else ''
