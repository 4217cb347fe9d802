"""Shows the score of the planted pairs at the end of pytest's report.

It is read off the reports of the tests, so that it is also there when several
processes share the tests, and TensorFlow need not be imported for it.
"""

import re

import pytest

from tests.planted import tally

_TEST = re.compile(r'planted_test\.py::PairsTest::test_pair_?(\w+)$')
_PROPERTY = 'planted pair'


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
  """Adds to the report of a pair what the score needs to know of it."""
  outcome = yield
  found = _TEST.search(item.nodeid)
  if found and call.when == 'call':
    # Which the test has imported.
    from tests.planted import catalogue

    pairs = catalogue.by_test_name()
    family, pair = pairs[found.group(1)]
    known = [family, pair.is_faulty, len(pairs)]
    outcome.get_result().user_properties.append((_PROPERTY, known))


def pytest_terminal_summary(terminalreporter):
  """Shows the score of the pairs that ran."""
  examined, count = [], 0
  for result in ('passed', 'failed'):
    for report in terminalreporter.getreports(result):
      for name, known in getattr(report, 'user_properties', ()):
        if name == _PROPERTY:
          family, is_faulty, count = known
          problem = '' if result == 'passed' else result
          examined.append(tally.Examined(family, is_faulty, problem))
  if examined:
    terminalreporter.section('planted pairs')
    for line in tally.lines(sorted(examined), count):
      terminalreporter.write_line(line)
