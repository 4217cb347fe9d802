"""`python -m tf_equiv record`: records the TF1 side of test classes."""

import inspect
import os
import sys
import unittest
from collections.abc import Sequence

from tf_equiv import testcase
from tf_equiv.cli import importing, show
from tf_equiv.core import errors
from tf_equiv.golden import archive, recording
from tf_equiv.references import golden
from tf_equiv.references.interpreter import python, reference


def run(arguments) -> int:
  """Runs the tests and prints what was recorded; returns the exit code."""
  if arguments.tf1_python:
    os.environ[python.PYTHON_VARIABLE] = arguments.tf1_python
  classes = [cls for text in arguments.target for cls in find_classes(text)]
  emptied, failed, recorded = set(), False, []
  for cls in classes:
    wrapped, goldens = recording_class(cls, arguments, emptied)
    result = _run_tests(wrapped)
    failed = failed or not result.wasSuccessful()
    found = [each for one in goldens for each in one.recorded]
    recorded += found
    if not result.errors:
      _drop_stale(found)
  if not recorded:
    raise errors.UsageError(
      'Nothing was recorded: no test of %s got as far as running the TF1 side.'
      % ', '.join(cls.__qualname__ for cls in classes)
    )
  for path in dict.fromkeys(each.path for each in recorded):
    print('\n'.join(show.lines_of(path)))
    if os.path.getsize(path) > golden.LARGE:
      print(golden.too_large(path, recording.KEEP))
  for each in recorded:
    if each.note:
      print(f'{each.title}: {each.note}')
  if failed:
    print('Some tests failed; what their TF1 side computed was recorded.')
  return 1 if failed else 0


def find_classes(text: str) -> list[type]:
  """Imports the test classes that a target names.

  Args:
    text: 'module:Class', 'path/to/test.py:Class', or either without class.

  Returns:
    Subclasses of `MigrationTestCase`; those of the module if none is named.

  Raises:
    UsageError: if there is no such module or class, or it is something else.
  """
  where, _, name = text.rpartition(':')
  if not where or '/' in name or os.sep in name:
    where, name = text, ''
  module = importing.imported(where)
  found = [
    cls
    for _, cls in inspect.getmembers(module, inspect.isclass)
    if issubclass(cls, testcase.MigrationTestCase)
    and cls.__module__ == module.__name__
  ]
  if name:
    found = [cls for cls in found if cls.__qualname__ == name] or [
      cls
      for cls in (getattr(module, name, None),)
      if isinstance(cls, type) and issubclass(cls, testcase.MigrationTestCase)
    ]
  if not found:
    raise errors.UsageError(
      '%s has no %s; it defines %s.'
      % (
        where,
        f'MigrationTestCase called {name!r}' if name else 'MigrationTestCase',
        ', '.join(n for n, cls in vars(module).items() if isinstance(cls, type))
        or 'no class',
      )
    )
  return found


def recording_class(cls: type, arguments, emptied: set[str]):
  """Makes a test class record.

  Args:
    cls: the test class.
    arguments: `output`, `keep`, `model`, `tf1_python`, `sys_path` and `anew` of
      the command line.
    emptied: files that were dropped already.

  Returns:
    (a class with the same tests and name, list that gets its goldens).

  Raises:
    UsageError: if the class has no golden and none is given.
  """
  goldens, by_reference = [], {}

  def tf1_reference(self):
    found = super(wrapped, self).tf1_reference
    if id(found) not in by_reference:
      made = _golden(cls, found, arguments)
      if arguments.anew:
        _empty(made, self, emptied)
      goldens.append(made)
      # The reference is kept so that its id stays its own.
      by_reference[id(found)] = found, made
    return by_reference[id(found)][1]

  wrapped = type(cls)(
    cls.__name__,
    (cls,),
    {
      'tf1_reference': property(tf1_reference),
      '__module__': cls.__module__,
      '__qualname__': cls.__qualname__,
      '__doc__': cls.__doc__,
    },
  )
  return wrapped, goldens


def _golden(cls, found, arguments) -> golden.Golden:
  is_golden = isinstance(found, golden.Golden)
  source = found.source if is_golden else found
  if arguments.model:
    source = reference.Tf1Interpreter(
      model=arguments.model,
      sys_path=[os.path.abspath(each) for each in arguments.sys_path],
    )
  elif arguments.tf1_python and not isinstance(
    source, reference.Tf1Interpreter
  ):
    raise errors.UsageError(
      f'The TF1 side of {cls.__qualname__} is {source!r}, which needs no '
      'other interpreter. Give --model as well, the class or module that '
      'defines it there; see tf_equiv.Tf1Interpreter.'
    )
  if not is_golden and not arguments.output:
    raise errors.UsageError(
      f'{cls.__qualname__} has no golden: its tf1_reference is {found!r}. Say '
      'with -o FILE where to record it.'
    )
  keep = found.keep if is_golden else recording.KEEP
  if arguments.keep is not None:
    keep = [part for part in arguments.keep.split(',') if part]
  path = os.path.abspath(arguments.output) if arguments.output else found.path
  return golden.Golden(path, source=source, keep=keep, update=True)


def _empty(made, case, emptied) -> None:
  path = made.target(case)
  if path not in emptied and os.path.exists(path):
    with archive.updated(path, anew=True):
      pass
  emptied.add(path)


def _run_tests(cls: type) -> unittest.TestResult:
  names = unittest.defaultTestLoader.getTestCaseNames(cls)
  # A helper of tf.test.TestCase that looks like a test, and skips itself.
  tests = [cls(name) for name in names if name != 'test_session']
  suite = unittest.TestSuite(tests)
  return unittest.TextTestRunner(sys.stderr, verbosity=1).run(suite)


def _drop_stale(recorded: Sequence[recording.Recorded]) -> None:
  """Removes what the classes had recorded before and did not record again."""
  by_place = {}
  for each in recorded:
    by_place.setdefault((each.path, each.entry['owner']), []).append(each)
  for (path, owner), several in by_place.items():
    dropped = recording.drop_others(path, owner, [r.entry for r in several])
    if dropped:
      print(f'dropped {dropped} recording(s) of {owner} of before')
