"""Writes reports: a page, and JSON with the same content."""

import logging
import os
import warnings
from collections.abc import Callable

from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments
from tf_equiv.report import document as document_lib
from tf_equiv.report import files, html, json_file

_log = logging.getLogger('tf_equiv')


def write_report(
  verdict: verdict_lib.Verdict, directory: str | os.PathLike[str]
) -> str:
  """Writes a report of a verdict: an HTML page, and JSON beside it.

  The page needs the packages of the `report` extra. Without Jinja2 only the
  JSON file is written, without Matplotlib the page has no plots; a warning says
  so. What failing assertions write by themselves is the same.

  Example:
    >>> import os, tempfile
    >>> class TwiceTest(MigrationTestCase):
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0])
    ...   def build_tf1(self, inputs, training):
    ...     return inputs + inputs
    ...   def build_tf2(self):
    ...     return lambda x: 2 * x
    >>> verdict = TwiceTest().locateDivergence()
    >>> with tempfile.TemporaryDirectory() as directory:
    ...   path = write_report(verdict, directory)
    ...   print(os.path.basename(path), len(os.listdir(directory)))
    TwiceTest-locateDivergence.html 2

  Args:
    verdict: what an assertion or `locateDivergence` returned.
    directory: where to write; made if it does not exist. Files that are there
      remain: the names get a counter.

  Returns:
    The path of the page, or that of the JSON file if there is no page.

  Raises:
    UsageError: for an argument of another kind.
    OSError: if the files cannot be written; then none is left behind.
  """
  if not isinstance(verdict, verdict_lib.Verdict):
    raise arguments.wrong('verdict', 'what an assertion returned', verdict)
  directory = arguments.check_path(directory, 'directory')
  path, problem = write(verdict, directory)
  if problem:
    warnings.warn(f'{path}: {problem}', stacklevel=2)
  return path


def write(
  verdict: verdict_lib.Verdict,
  directory: str,
  render: Callable[[document_lib.Document], bytes] = html.render,
) -> tuple[str, str]:
  """Writes a report, and notes its path in the verdict.

  Args:
    verdict: what to report.
    directory: where to write.
    render: makes the page.

  Returns:
    (path of the page, or of the JSON file if there is no page; what is missing
    and why, '' if nothing is).

  Raises:
    OSError: if the files cannot be written.
  """
  document = document_lib.build(verdict)
  contents = {'.json': json_file.render(document)}
  problem = ''
  missing = html.missing_packages()
  if missing:
    problem = '%s not installed, %s; for %s: %s' % (
      ' and '.join(missing) + (' are' if missing[1:] else ' is'),
      'so there is no HTML page'
      if 'Jinja2' in missing
      else 'so the page has no plots',
      'it' if 'Jinja2' in missing else 'them',
      html.INSTALL,
    )
  if 'Jinja2' not in missing:
    try:
      contents['.html'] = render(document)
    except Exception as error:  # The data are worth more than their looks.
      _log.info('rendering a report failed', exc_info=True)
      problem = 'the HTML page could not be made: ' + describe(error)
  stem = files.write_together(directory, name_of(verdict), contents)
  verdict.run.report = stem + ('.html' if '.html' in contents else '.json')
  return verdict.report, problem


def name_of(verdict: verdict_lib.Verdict) -> str:
  """Returns the name of a report's files without the ending."""
  # Class and method.
  parts = [part for part in verdict.test.split('.') if '<' not in part]
  test = '.'.join(parts[-2:])
  return files.safe_name(f'{test}-{verdict.assertion}')


def describe(error: BaseException) -> str:
  """Returns an exception in one line."""
  lines = str(error).strip().splitlines()
  return ': '.join([type(error).__name__, *lines[:1]])
