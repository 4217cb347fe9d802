"""The pytest plugin of tf_equiv, which pytest loads by its entry point.

It is a module of its own, not one of the package: pytest loads it in every
project of an environment, and `import tf_equiv` chooses a Keras. It imports
neither tf_equiv nor TensorFlow, but at the end of a run in which an assertion
of tf_equiv has failed.
"""

import os
import re
import sys
import warnings

import pytest

_LEGACY_KERAS = 'tf_equiv_legacy_keras'
_KERAS_VARIABLE = 'TF_USE_LEGACY_KERAS'
_REPORT_DIR = 'TF_EQUIV_REPORT_DIR'
_CERTIFICATE = 'TF_EQUIV_CERTIFICATE'
_SEED_MODES = ('constant', 'num_random_ops')
# Distributions whose versions are in the header.
_DISTRIBUTIONS = ('tf_equiv', 'tensorflow', 'tf_keras', 'keras')
# Under these names a report of pytest carries what is known of a failure.
_FAILURE = 'tf_equiv_failure'
_PROPERTIES = 'tf_equiv_'


def pytest_addoption(parser):
  """Adds the options, and the setting that chooses the Keras."""
  group = parser.getgroup('tf_equiv', 'validation of TensorFlow migrations')
  group.addoption(
    '--tf-equiv-report-dir',
    metavar='DIR',
    help='write a report of each failed assertion of tf_equiv',
  )
  group.addoption(
    '--tf-equiv-update-goldens',
    action='store_true',
    help='record the TF1 side of tests that have a tf_equiv.Golden',
  )
  group.addoption(
    '--tf-equiv-certificate',
    metavar='FILE',
    help='collect in a file what the tests of tf_equiv have proven',
  )
  group.addoption(
    '--tf-equiv-seed-mode',
    metavar='MODE',
    help='seed mode of tf_equiv.GuideSteps and SEED_MODES: constant or '
    'num_random_ops; by default both',
  )
  parser.addini(
    _LEGACY_KERAS,
    'whether tf.keras is tf_keras (true) or Keras 3 (false) in the tests; set '
    'before test modules are imported',
    type='bool',
    default=None,
  )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
  """Chooses the Keras before a conftest can import TensorFlow."""
  _choose_keras(early_config)


def pytest_configure(config):
  """Hands the options on to the tests, by environment variables."""
  _choose_keras(config)  # Where the plugin was loaded late.
  changes = {}
  mode = config.getoption('--tf-equiv-seed-mode')
  if mode:
    modes = [part.strip() for part in mode.split(',')]
    unknown = sorted(set(modes) - set(_SEED_MODES))
    if unknown:
      raise pytest.UsageError(
        f'--tf-equiv-seed-mode must be one of {", ".join(_SEED_MODES)}, got '
        f'{unknown[0]!r}.'
      )
    changes['TF_EQUIV_SEED_MODES'] = ','.join(modes)
  if config.getoption('--tf-equiv-update-goldens'):
    changes['TF_EQUIV_UPDATE_GOLDENS'] = '1'
  directory = config.getoption('--tf-equiv-report-dir')
  if directory:
    if os.path.exists(directory) and not os.path.isdir(directory):
      raise pytest.UsageError(
        f'--tf-equiv-report-dir must be a folder, got the file {directory!r}.'
      )
    changes[_REPORT_DIR] = os.path.abspath(directory)
  certificate = config.getoption('--tf-equiv-certificate')
  if certificate:
    if os.path.isdir(certificate):
      raise pytest.UsageError(
        '--tf-equiv-certificate must be a file, got the folder '
        f'{certificate!r}.'
      )
    changes[_CERTIFICATE] = os.path.abspath(certificate)
  before = {name: os.environ.get(name) for name in changes}
  os.environ.update(changes)
  config.add_cleanup(lambda: _restore(before))


def _restore(before):
  for name, value in before.items():
    if value is None:
      os.environ.pop(name, None)
    else:
      os.environ[name] = value


def _choose_keras(config):
  wanted = config.getini(_LEGACY_KERAS)
  if wanted is not True and wanted is not False:
    return
  value = '1' if wanted else '0'
  if os.environ.get(_KERAS_VARIABLE) == value:
    return
  if 'tensorflow' in sys.modules:
    warnings.warn(
      pytest.PytestConfigWarning(
        f'{_LEGACY_KERAS} comes too late: tensorflow is imported already, by a '
        'plugin for example. Set the environment variable '
        f'{_KERAS_VARIABLE}={value} instead.'
      ),
      stacklevel=2,
    )
    return
  os.environ[_KERAS_VARIABLE] = value


def pytest_report_header(config):
  """Says which versions are installed, without importing them."""
  del config
  from importlib import metadata

  found = []
  for name in _DISTRIBUTIONS:
    try:
      found.append(f'{name} {metadata.version(name)}')
    except metadata.PackageNotFoundError:
      continue
  keras = os.environ.get(_KERAS_VARIABLE)
  if keras is not None:
    found.append(f'{_KERAS_VARIABLE}={keras}')
  return ', '.join(found)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
  """Adds to the report of a test why an assertion of tf_equiv failed."""
  outcome = yield
  # Of a unittest, the error is known only now.
  error = call.excinfo.value if call.excinfo is not None else None
  verdict = getattr(error, 'verdict', None)
  if verdict is None or 'tf_equiv' not in sys.modules:
    return
  failure = _failure_of(verdict)
  if failure is None:
    return
  report = outcome.get_result()
  setattr(report, _FAILURE, failure)
  # What JUnit's file gets.
  properties = [
    (_PROPERTIES + name, value)
    for name, value in failure['properties']
    if value
  ]
  item.user_properties += properties
  report.user_properties += properties


def _failure_of(verdict):
  """Returns what is told of a failure, as plain data; None if it is none."""
  try:
    from tf_equiv.report import causes

    found = causes.as_data(verdict)
    properties = [
      ('headline', verdict.headline),
      *(('cause', text) for text in causes.in_short(verdict)),
      ('report', verdict.report),
    ]
  except Exception:  # The failure itself is told in any case.
    return None
  return {
    'test': verdict.test,
    'data': found,
    'report': verdict.report,
    'properties': properties,
  }


def pytest_terminal_summary(terminalreporter, config):
  """Tells each cause once, and where reports and certificate are."""
  certificate = config.getoption('--tf-equiv-certificate')
  failures = []
  for report in terminalreporter.stats.get('failed', ()):
    failure = getattr(report, _FAILURE, None)
    if failure is not None:
      failures.append((report, failure))
  lines = []
  if failures:
    lines = _digest(failures, terminalreporter.stats) + _indexes(failures)
  if certificate and os.path.isfile(certificate):
    lines.append(f'Certificate: {certificate}')
  elif certificate:
    lines.append('Certificate: none, as no test of tf_equiv has passed')
  if lines:
    terminalreporter.section('tf_equiv')
    for line in lines:
      terminalreporter.write_line(line)
  if os.environ.get('GITHUB_ACTIONS') == 'true':
    for line in annotations([failure for _, failure in failures]):
      terminalreporter.write_line(line)


def annotations(failures):
  """Returns what makes GitHub show failures beside the migrated lines.

  Args:
    failures: what is told of each.
  """
  from tf_equiv.report import causes

  found = {}
  for failure in failures:
    headline = dict(failure['properties'])['headline']
    for cause in causes.of_report(failure['data']):
      place = cause.tf2 or cause.tf1
      match = re.match(r'(.*?):(\d+)', place.line) if place else None
      if match is not None:
        path, number = os.path.relpath(match[1]), match[2]
        text = '; '.join([headline, *cause.texts])
        found[f'::error file={_escaped(path)},line={number}::'] = text
  return [head + _escaped(text) for head, text in found.items()]


def _escaped(text):
  """Writes what GitHub's commands end at in another way."""
  return text.replace('%', '%25').replace('\r', '%0D').replace('\n', '%0A')


def _digest(failures, stats):
  """Returns the digest of each class with several failures, as lines."""
  from tf_equiv.report import causes, digest

  ran = {}
  for outcome in ('passed', 'failed', 'error'):
    for report in stats.get(outcome, ()):
      if getattr(report, 'when', '') == 'call':
        ran.setdefault(_class_of(report.nodeid), set()).add(report.nodeid)
  by_class = {}
  for report, failure in failures:
    tests = by_class.setdefault(_class_of(report.nodeid), {})
    name = report.nodeid.rpartition('::')[2]
    tests[name] = causes.of_report(failure['data'])
  lines = []
  for name, tests in by_class.items():
    count = max(len(ran.get(name, ())), len(tests))
    text = digest.of_class(name.rpartition('::')[2], count, tests)
    lines += text.splitlines()
  return lines


def _class_of(nodeid):
  return nodeid.rpartition('::')[0]


def _indexes(failures):
  """Returns lines about the pages that list the reports."""
  from tf_equiv.report import index

  reports = [f['report'] for _, f in failures if f['report']]
  lines = []
  for folder in sorted({os.path.dirname(each) for each in reports}):
    try:
      path = index.write(folder)
    except Exception:  # As where nothing can be written.
      path = ''
    if path:
      lines.append(f'All reports: {path}')
  if reports and not lines:
    lines = [f'Report: {each}' for each in reports]
  return lines
