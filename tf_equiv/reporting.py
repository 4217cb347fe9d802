"""When and where assertions write reports, and what they know of their test.

Two flags of absl say so, and where a flag is not given, or the test runner does
not parse any, an environment variable of the same name in capitals.
"""

import dataclasses
import logging
import os
import unittest
from typing import Any

from absl import flags

from tf_equiv.compare import run_info
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.report import index, rerun, writer

_log = logging.getLogger('tf_equiv')

ALWAYS, FAILURES, NEVER = 'always', 'failures', 'never'
_MODES = (ALWAYS, FAILURES, NEVER)
_MODE, _DIRECTORY = 'tf_equiv_report', 'tf_equiv_report_dir'
_BAZEL_DIRECTORY = 'TEST_UNDECLARED_OUTPUTS_DIR'

# A module that is loaded twice must not define them twice.
if _MODE not in flags.FLAGS:
  flags.DEFINE_enum(
    _MODE,
    None,
    _MODES,
    'Of which assertions of tf_equiv to write a report; by default of those '
    'that fail.',
  )
if _DIRECTORY not in flags.FLAGS:
  flags.DEFINE_string(
    _DIRECTORY,
    None,
    'Directory of the reports of tf_equiv, where the test runner gives none '
    f'in {_BAZEL_DIRECTORY}.',
  )


class BadModeError(Exception):
  """The environment asks for a mode that does not exist."""


@dataclasses.dataclass(frozen=True)
class Test:
  """The test that an assertion belongs to.

  Attributes:
    owner: its class.
    method: its name; '' for a test case that was made by hand, to be used
      outside of a test.
  """

  owner: type
  method: str = ''

  @classmethod
  def of(cls, case: unittest.TestCase) -> 'Test':
    """Returns the test that a test case runs."""
    method = getattr(case, '_testMethodName', '')
    if not callable(getattr(case, method, None)):
      method = ''
    return cls(type(case), method)


def with_test(
  verdict: verdict_lib.Verdict, test: Test, ran: list[run_info.Step]
) -> verdict_lib.Verdict:
  """Returns a verdict that knows its test, and what ran before.

  Args:
    verdict: the verdict.
    test: the test.
    ran: the assertions that ran before in this test; gets that of the verdict.
  """
  owner, method = test.owner, test.method
  name = owner.__qualname__
  if method:
    name = f'{owner.__module__}.{name}.{method}'
  run = dataclasses.replace(
    verdict.run,
    test=name,
    rerun=rerun.commands(
      rerun.source_file(owner.__module__),
      owner.__qualname__,
      method,
      os.environ,
    ),
    earlier=tuple(ran),
  )
  ran.append(
    run_info.Step(
      verdict.assertion,
      verdict.conditions,
      verdict.passed,
      verdict.headline,
      verdict.seconds,
    )
  )
  return dataclasses.replace(verdict, run=run)


def write(verdict: verdict_lib.Verdict) -> str:
  """Writes the report of a verdict if one is wanted.

  Whatever goes wrong does not hide the verdict.

  Args:
    verdict: what to report.

  Returns:
    A line about the report for the message, '' if none is wanted.
  """
  try:
    directory = _directory()
    if not directory or not _is_wanted(verdict):
      return ''
    path, problem = writer.write(verdict, directory)
    line = 'Report: ' + path
    if problem:
      line = f'Report ({problem}): {path}'
  except Exception as error:
    line = f'Report: could not be written ({writer.describe(error)})'
  if verdict.passed:
    _log.info(line)
  return line


def directory_of(report: str) -> str:
  """Returns the directory that a report was written to."""
  return os.path.dirname(report)


def write_index(directory: str) -> str:
  """Writes the page that lists the reports of a directory.

  Args:
    directory: where they are.

  Returns:
    A line about the page, '' if it cannot be made because there are no pages.
  """
  try:
    path = index.write(directory)
  except Exception as error:
    return f'All reports: could not be listed ({writer.describe(error)})'
  return 'All reports: ' + path if path else ''


def directory_for(verdict: verdict_lib.Verdict) -> str:
  """Returns where the report of a verdict goes, '' if none is wanted."""
  try:
    return _directory() if _is_wanted(verdict) else ''
  except BadModeError:
    return ''


def witness_directory() -> str:
  """Returns where to save inputs that tell sides apart, '' if not known."""
  return _directory()


def reports_failures() -> bool:
  """Returns whether failures are reported; `write` names a wrong mode."""
  try:
    return bool(_directory()) and _mode() in (ALWAYS, FAILURES)
  except BadModeError:
    return False


def _is_wanted(verdict: verdict_lib.Verdict) -> bool:
  mode = _mode()
  return mode == ALWAYS or (mode == FAILURES and not verdict.passed)


def _mode() -> str:
  mode = _flag(_MODE)
  if mode is None:
    mode = os.environ.get(_MODE.upper()) or FAILURES
  if mode not in _MODES:
    raise BadModeError(
      f'{_MODE.upper()}={mode!r}; expected {", ".join(_MODES)}'
    )
  return str(mode)


def _directory() -> str:
  return str(
    os.environ.get(_BAZEL_DIRECTORY)
    or _flag(_DIRECTORY)
    or os.environ.get(_DIRECTORY.upper())
    or ''
  )


def _flag(name: str) -> Any:
  """Returns the value of a flag, None if it was not given."""
  try:
    return getattr(flags.FLAGS, name)
  except flags.UnparsedFlagAccessError:  # pytest leaves the flags alone.
    return None
