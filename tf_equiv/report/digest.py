"""Each cause of several failures once, in words."""

from collections.abc import Iterable, Mapping, Sequence

from tf_equiv.core import errors
from tf_equiv.core.text import capped, listed
from tf_equiv.report import causes, wording

_MAX_CAUSES = 10
_MAX_TESTS = 8
# With fewer tests the messages themselves are no longer.
_MIN_TESTS = 2


def of_class(
  name: str, count: int, failures: Mapping[str, Sequence[causes.Cause]]
) -> str:
  """Returns the digest of a test class, '' where it needs none.

  Args:
    name: name of the class.
    count: number of tests that ran.
    failures: the causes of each test that failed, by its name.
  """
  if len(failures) < _MIN_TESTS:
    return ''
  found = causes.group(failures)
  rows = [_row(i, common) for i, common in enumerate(found, start=1)]
  head = (
    f'{name}: {len(failures)} of {_count(count, "test")} fail, for '
    f'{_count(len(found), "cause")}:'
  )
  return errors.printable('\n'.join([head, *capped(rows, _MAX_CAUSES)]))


def of_reports(count: int, failed: int, tests: int, found: int) -> str:
  """Returns in one line what the reports of a directory are about.

  Args:
    count: number of reports.
    failed: number of those of failed assertions.
    tests: number of tests with such a report.
    found: number of different causes.
  """
  if not failed:
    return f'{_count(count, "report")}, none of a failed assertion'
  return (
    f'{_count(failed, "failed assertion")} in {_count(tests, "test")}, for '
    f'{_count(found, "cause")}'
  )


def tests(names: Iterable[str], most: int = _MAX_TESTS) -> str:
  """Says which tests fail for a cause.

  Args:
    names: their names, sorted.
    most: number of names that are written.
  """
  names = list(names)
  return f'{_count(len(names), "test")}: {listed(names, most)}'


def _row(number: int, common: causes.Common) -> str:
  cause = common.cause
  lines = [cause.headline] if cause.headline else []
  for side, place in zip(wording.SIDES, (cause.tf1, cause.tf2), strict=True):
    if place is not None:
      lines.append(f'{side} {causes.of_place(place)}')
  lines += [*cause.texts, tests(common.tests)]
  head = f'  {number}. '
  return '\n'.join(
    (head if not i else ' ' * len(head)) + line for i, line in enumerate(lines)
  )


def _count(number: int, noun: str) -> str:
  return f'{number} {noun}{"s" * (number != 1)}'
