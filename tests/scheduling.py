"""Which tests share a process under pytest-xdist, and which come first.

`--dist loadscope` keeps the tests of a class together, because they share
models and graphs. Here a scope may be larger or smaller than a class, and the
scopes that take longest begin first, so that no process works on while the
others have nothing left to do.
"""

import re

# What takes longest, by how the names of the tests begin.
_LONGEST = (
  'examples/inception_resnet_v2/',
  'tests/references/interpreter_faults_test.py',
  'tests/references/matrix_test.py',
  'tests/planted/',
  'tests/report/browser_test.py',
  'tests/guide_steps_test.py::ResnetTest',
  'tests/tf_slim_test.py',
  'tests/tf2/variants_test.py',
  'tests/runner_test.py',
  'tests/cli/main_test.py',
  'tests/references/interpreter/reference_test.py',
  'tests/reports_test.py',
  'tests/tf2/shared_models_test.py',
  'tests/robustness_test.py',
  'tests/readme_test.py',
  'tests/compat/',
  'tests/references/in_process_test.py',
)
# A large network at a time is enough for the memory; and what these files ran
# in other processes serves all tests in them.
_WHOLE = (
  re.compile(r'^(examples/inception_resnet_v2/[^:]+)::'),
  re.compile(r'^(tests/compat)/'),
  re.compile(r'^(tests/runner_test\.py)::'),
)
# Of the planted pairs, what a test finds serves those in other files as well:
# the pairs of a family, whose name begins that of the pair, stay together.
_PLANTED = re.compile(
  r'^tests/planted/(?:planted|culprits|causes)_test\.py::\w+::'
  r'(?:test_pair_|test_parts_nowhere_|test_is_(?:not_)?named_(?:\w+__)?)'
  r'(?P<pair>(?P<family>[a-z]+)_\w+)$'
)


def scope(nodeid: str) -> str:
  """Returns the name of the scope that a test belongs to."""
  for pattern in _WHOLE:
    whole = pattern.match(nodeid)
    if whole:
      return whole.group(1)
  pair = _PLANTED.match(nodeid)
  if pair:
    return 'tests/planted/' + pair.group('family')
  return nodeid.rsplit('::', 1)[0]


def rank(nodeid: str) -> tuple[int, str]:
  """Returns by what to order the tests.

  Args:
    nodeid: what pytest calls a test.

  Returns:
    (place among those that take long, the planted pair that it examines): what
    is asked of one pair runs in a row, while its graphs are kept.
  """
  pair = _PLANTED.match(nodeid)
  name = pair.group('pair') if pair else ''
  for place, start in enumerate(_LONGEST):
    if nodeid.startswith(start):
      return place, name
  return len(_LONGEST), name


def shares_out(config) -> bool:
  """Returns whether pytest has other processes to run the tests."""
  return bool(config.getoption('tx', None)) or bool(
    config.getoption('numprocesses', None)
  )


def new_scheduler(config, log):
  """Returns the scheduler of pytest-xdist that shares out these scopes."""
  from xdist.scheduler import LoadScopeScheduling

  class Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid):
      return scope(nodeid)

  # In the order of the tests, not by the number of tests.
  config.option.loadscopereorder = False
  return Scheduling(config, log)
