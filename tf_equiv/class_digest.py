"""What the tests of a class came to, and how that is told at its end.

What a test has proven is written to the certificate when it has passed.

What a runner calls a failed test counts: an assertion that a test expects to
fail does not.
"""

import contextlib
import logging
import sys
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from tf_equiv import reporting
from tf_equiv.certificate import collecting
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.report import causes, digest, rerun

_log = logging.getLogger('tf_equiv')

# What our plugin is called, by its entry point and by `-p`.
_PLUGINS = ('tf_equiv', 'tf_equiv_pytest')
# What pytest raises in a test that has no result, or is expected to fail. They
# are no exceptions of the standard library, so runners call them errors.
_NO_FAILURES = ('Skipped', 'XFailed')


class ClassRun:
  """The tests of a class that have run."""

  def __init__(self) -> None:
    """None has run."""
    self._causes: dict[str, list[causes.Cause]] = {}
    self._directories: set[str] = set()
    self._result: Any = None
    self._running: _NotingResult | None = None

  def add_pass(
    self, case: unittest.TestCase, verdict: verdict_lib.Verdict
  ) -> None:
    """Notes that an assertion passed.

    Args:
      case: the test case; it may be none that a runner runs.
      verdict: the verdict.
    """
    if self._running is not None and self._running.is_of(case):
      self._running.proven.add(verdict)

  def add_report(self, path: str) -> None:
    """Notes that a report was written."""
    self._directories.add(reporting.directory_of(path))

  @contextlib.contextmanager
  def noting(self, case: unittest.TestCase, result: Any) -> Iterator[Any]:
    """Notes what becomes of a test while it runs.

    Args:
      case: the test.
      result: where the runner collects what becomes of its tests.

    Yields:
      What the test is to use in place of `result`.
    """
    noting = _NotingResult(case, result)
    before, self._running = self._running, noting
    try:
      yield noting
    finally:
      self._running = before
      if not noting.is_certified:
        noting.withdraw()
    self._result = result
    name = case._testMethodName
    if noting.failures or not noting.skipped:
      self._causes[name] = noting.failures  # A test may run again.

  def tell(self, name: str) -> None:
    """Prints the digest of the class, and writes the index of its reports.

    Whatever goes wrong, the tests have their results.

    Args:
      name: name of the class.
    """
    try:
      failures = {test: found for test, found in self._causes.items() if found}
      text = digest.of_class(name, len(self._causes), failures)
      lines = [
        reporting.write_index(each) for each in sorted(self._directories)
      ]
      if text and not _is_told_by_pytest(self._result):
        _print('\n'.join([text, *filter(None, lines)]), self._result)
    except Exception:
      _log.info('the digest of a test class failed', exc_info=True)


class _NotingResult:
  """The result of a runner, which also notes why one of its tests fails.

  Attributes:
    failures: causes of the failures of the test.
    skipped: whether it was skipped.
    proven: what its assertions have proven.
    is_certified: whether it passed, and what it has proven was written.
  """

  def __init__(self, case: unittest.TestCase, result: Any):
    """Takes the test and the result."""
    self._case, self._result = case, result
    self.failures: list[causes.Cause] = []
    self.skipped = self.is_certified = False
    owner = type(case)
    self.proven = collecting.Test(
      owner, case._testMethodName, rerun.source_file(owner.__module__)
    )

  def is_of(self, case: unittest.TestCase) -> bool:
    """Returns whether a test case is the one that runs."""
    return case is self._case

  def __getattr__(self, name: str) -> Any:
    # A runner may lack some of them, which unittest looks at.
    found = getattr(self._result, name)
    if name == 'addSuccess':
      return self._succeed
    note = _NOTES.get(name)
    if note is None:
      return found

    def add(*arguments: Any, **keywords: Any) -> Any:
      note(self, *arguments)
      return found(*arguments, **keywords)

    return add

  def _succeed(self, test: Any) -> Any:
    """Passes a success on, if what was proven can be written."""
    try:
      if not self._is_expected():
        self.proven.certify()
        self.is_certified = True
    except Exception:
      error = sys.exc_info()
      self.note_error(test, error)
      return self._result.addError(test, error)
    return self._result.addSuccess(test)

  def withdraw(self) -> None:
    """Removes what an earlier run of the test has proven."""
    try:
      self.proven.withdraw()
    except Exception:  # The test has not passed, which says enough.
      _log.info('the certificate could not be changed', exc_info=True)

  def note_skip(self, test: Any, *unused_reason: Any) -> None:
    """Notes that a test, or a part of one, was skipped."""
    self.skipped = self.skipped or test is self._case

  def note_error(self, unused_test: Any, error: Any) -> None:
    """Notes a failure or an error."""
    value = error[1]
    if type(value).__name__ in _NO_FAILURES and not isinstance(
      value, Exception
    ):
      self.skipped = True
    elif self._is_expected():
      self.skipped = True
    else:
      self.failures += causes.of_error(value)

  def note_subtest(self, test: Any, unused_subtest: Any, error: Any) -> None:
    """Notes the end of a part of a test."""
    if error is not None:
      self.note_error(test, error)

  def _is_expected(self) -> bool:
    """Returns whether pytest was told that the test fails."""
    marker = getattr(self._result, 'get_closest_marker', None)
    return marker is not None and marker('xfail') is not None


_NOTES: dict[str, Callable[..., None]] = {
  'addError': _NotingResult.note_error,
  'addFailure': _NotingResult.note_error,
  'addSkip': _NotingResult.note_skip,
  'addSubTest': _NotingResult.note_subtest,
}


def _print(text: str, result: Any) -> None:
  """Prints a text where the runner of the tests prints."""
  with _uncaptured(result):
    # Text runners have one, which no buffer of theirs stands in for.
    stream = getattr(result, 'stream', None)
    if not hasattr(stream, 'write'):
      stream = sys.stderr
    encoding = getattr(stream, 'encoding', None) or 'utf-8'
    text = text.encode(encoding, 'backslashreplace').decode(encoding)
    stream.write(f'\n{text}\n')
    stream.flush()


def _is_told_by_pytest(result: Any) -> bool:
  """Returns whether our plugin tells the digest in the summary of pytest."""
  plugins = getattr(getattr(result, 'config', None), 'pluginmanager', None)
  find = getattr(plugins, 'hasplugin', None)
  return find is not None and any(find(name) for name in _PLUGINS)


def _uncaptured(result: Any) -> contextlib.AbstractContextManager[Any]:
  """Lets prints through to the terminal if pytest runs the tests.

  It captures what is printed at the end of a class, and shows that only if the
  last test fails.
  """
  plugins = getattr(getattr(result, 'config', None), 'pluginmanager', None)
  manager = None if plugins is None else plugins.getplugin('capturemanager')
  disabled = getattr(manager, 'global_and_fixture_disabled', None)
  return contextlib.nullcontext() if disabled is None else disabled()
