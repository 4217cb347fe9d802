"""`tf_equiv check`: the steps of the guide, without a test class."""

import contextlib
import dataclasses
import io
import json
import os
import sys
import time
from typing import Any

from tf_equiv import reporting, testcase
from tf_equiv.cli import guide, infer, probe, quiet
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import errors
from tf_equiv.core import text as text_lib
from tf_equiv.report import causes, files
from tf_equiv.tf1 import environment, source_lines

FORMAT = 'tf_equiv check 1'
PASS, FAIL, ERROR = 'pass', 'fail', 'error'
EQUIVALENT, DIFFERENT, TROUBLE = 'equivalent', 'different', 'trouble'
_STATUS = {EQUIVALENT: 0, DIFFERENT: 1, TROUBLE: 2}
_TITLES = {
  'test_step1_no_new_variables': 'step 1, no new variables',
  'test_step2_variables_match': 'step 2, variables',
  'test_step3_forward_with_fixed_weights': 'step 3, forward pass',
  'test_step4_forward_with_initial_weights': 'step 4, initial weights',
  'test_step4_training': 'step 4, training',
  'test_gradients': 'gradients',
  'test_training_steps': 'training steps',
  'test_checkpoint': 'checkpoint',
  'test_beyond': 'beyond: other inputs and weights',
}
_CONTENTS = 'tf_equiv_check.py'


@dataclasses.dataclass(frozen=True)
class Step:
  """What a step of the guide came to.

  Attributes:
    name: the name of its test.
    result: 'pass', 'fail' or 'error'.
    message: what is printed of it.
    headline: the first line of that.
    assertion: name of the assertion, '' if it did not get as far.
    conditions: under which it compared.
    report: path of its report, '' if there is none.
    seconds: how long it took.
    signs: by what its cause is known again.
  """

  name: str
  result: str
  message: str
  headline: str
  assertion: str = ''
  conditions: str = ''
  report: str = ''
  seconds: float = 0.0
  signs: frozenset[tuple[str, ...]] = frozenset()

  def as_json(self) -> dict[str, Any]:
    """Returns what the JSON file says of it."""
    found = dataclasses.asdict(self)
    del found['signs']
    return {**found, 'title': title(self.name)}


def request_of(arguments: Any, path: str) -> infer.Request:
  """Returns what the command line asks for.

  Args:
    arguments: the command line.
    path: the file of the test.
  """
  if arguments.steps < 0:
    raise errors.UsageError(
      f'--steps must be a number that is not negative, got {arguments.steps}.'
    )
  checkpoint = arguments.checkpoint or ''
  if checkpoint:
    checkpoint = os.path.abspath(checkpoint)
    if not os.path.isfile(checkpoint + '.index') and not os.path.isfile(
      checkpoint
    ):
      raise errors.UsageError(
        f'There is no checkpoint {arguments.checkpoint!r}: no file '
        f'{arguments.checkpoint}.index. Give its prefix, as in model.ckpt-1000.'
      )
  return infer.Request(
    arguments.tf1,
    arguments.tf2,
    path,
    tuple(arguments.inputs or ()),
    tuple(arguments.tf1_args or ()),
    tuple(arguments.tf2_args or ()),
    arguments.tf1_output or '',
    guide.Wanted(
      training=arguments.training,
      steps=arguments.steps,
      checkpoint=checkpoint,
      weights=arguments.weights or '',
      seed_mode=arguments.seed_mode,
      beyond=not arguments.quick,
    ),
  )


def run(arguments: Any) -> int:
  """Runs the steps and prints their verdicts; returns the exit status."""
  if arguments.json:
    _check_writable(arguments.json)
  with _reports(arguments.report), quiet.warnings_hidden():
    return _run(arguments)


def _run(arguments: Any) -> int:
  path = os.path.join(os.getcwd(), _CONTENTS)
  steps: list[Step] = []
  try:
    inferred = infer.infer(request_of(arguments, path))
    print(f'TF1 {arguments.tf1}: {inferred.kinds[0]}')
    print(f'TF2 {arguments.tf2}: {inferred.kinds[1]}')
    for line in inferred.assumed:
      print(f'  {line}')
    sys.stdout.flush()
    steps = run_steps(probe.test_class(inferred.draft, path))
  except errors.EquivalenceError as error:
    if arguments.json:
      _write(arguments, TROUBLE, None, steps, str(error))
    raise
  result = result_of(steps)
  if arguments.json:
    _write(arguments, result, inferred, steps, '')
  print(conclusion(result, steps))
  index = reporting.write_index(arguments.report) if arguments.report else ''
  if index:
    print(index)
  return _STATUS[result]


def run_steps(cls: type[testcase.MigrationTestCase]) -> list[Step]:
  """Runs the tests of a class in the order of the guide, and prints each."""
  steps: list[Step] = []
  cls.setUpClass()
  try:
    for name in vars(cls):
      if name.startswith('test_'):
        step = _run_step(cls, name)
        print(_shown(step, steps))
        sys.stdout.flush()
        steps.append(step)
  finally:
    cls.tearDownClass()
  return steps


def _run_step(cls: type[testcase.MigrationTestCase], name: str) -> Step:
  found: list[verdict_lib.Verdict] = []

  class Observed(cls):  # type: ignore[misc, valid-type]
    """The test class, which keeps its verdicts."""

    def _report(self, verdict):
      verdict, line = super()._report(verdict)
      found.append(verdict)
      return verdict, line

  Observed.__name__, Observed.__qualname__ = cls.__name__, cls.__qualname__
  Observed.__module__ = cls.__module__
  case, start = Observed(name), time.time()
  signs: frozenset[tuple[str, ...]] = frozenset()
  try:
    case.debug()
    result, message = PASS, str(found[-1]) if found else ''
  except AssertionError as error:
    result, message = FAIL, str(error)
    signs = frozenset().union(*(c.signs for c in causes.of_error(error)))
  except Exception as error:
    result, message = ERROR, _of_error(error)
  last = found[-1] if found else None
  return Step(
    name,
    result,
    message,
    (message.splitlines() or [''])[0],
    last.assertion if last is not None else '',
    last.conditions if last is not None else '',
    last.report if last is not None else '',
    time.time() - start,
    signs,
  )


def _of_error(error: BaseException) -> str:
  """Returns an error of the user's code in short, with the line of it."""
  if isinstance(error, errors.EquivalenceError):
    return str(error)
  line = source_lines.user_line_of_traceback(error.__traceback__)
  place = f'\n  at {line}' if line.filename else ''
  return text_lib.of_error(error) + place


def title(name: str) -> str:
  """Returns what a step is called in the output."""
  return _TITLES.get(name, name)


def _shown(step: Step, before: list[Step]) -> str:
  """Returns what is printed of a step; a cause that is known is not again."""
  head = f'{step.result.upper():5} {title(step.name)}'
  if step.result == PASS:
    return head + step.headline.removeprefix(f'pass {step.assertion}')
  known = [x for x in before if x.result != PASS]
  same = next(
    (x for x in known if (x.signs & step.signs) or x.message == step.message),
    None,
  )
  if same is not None:
    return (
      f'{head}: {step.headline}\n      the cause is that of {title(same.name)}'
    )
  lines = [f'      {line}' for line in step.message.splitlines()]
  return '\n'.join([head, *lines])


def result_of(steps: list[Step]) -> str:
  """Returns what all steps came to."""
  results = {each.result for each in steps}
  if FAIL in results:
    return DIFFERENT
  return TROUBLE if ERROR in results or not steps else EQUIVALENT


def conclusion(result: str, steps: list[Step]) -> str:
  """Returns the last line."""
  failed = [title(each.name) for each in steps if each.result == FAIL]
  stopped = [title(each.name) for each in steps if each.result == ERROR]
  if result == EQUIVALENT:
    return f'equivalent in all {len(steps)} steps'
  parts = []
  if failed:
    parts.append(f'different in {len(failed)} of {len(steps)} steps')
  if stopped:
    parts.append(f'{len(stopped)} could not run: {"; ".join(stopped)}')
  return ', '.join(parts)


@contextlib.contextmanager
def _reports(directory: str | None):
  """Has reports written to a directory."""
  if not directory:
    yield
    return
  before = os.environ.get('TF_EQUIV_REPORT_DIR')
  os.environ['TF_EQUIV_REPORT_DIR'] = os.path.abspath(directory)
  try:
    yield
  finally:
    if before is None:
      del os.environ['TF_EQUIV_REPORT_DIR']
    else:
      os.environ['TF_EQUIV_REPORT_DIR'] = before


def _check_writable(path: str) -> None:
  folder = os.path.dirname(os.path.abspath(path))
  if not os.path.isdir(folder):
    raise errors.UsageError(f'--json {path}: there is no folder {folder!r}.')
  if os.path.isdir(path):
    raise errors.UsageError(f'--json {path} is a folder; expected a file.')


def _write(
  arguments: Any,
  result: str,
  inferred: infer.Inferred | None,
  steps: list[Step],
  problem: str,
) -> None:
  """Writes the JSON file."""
  document = {
    'format': FORMAT,
    'result': result,
    'tf1': {
      'name': arguments.tf1,
      'kind': inferred.kinds[0] if inferred else '',
    },
    'tf2': {
      'name': arguments.tf2,
      'kind': inferred.kinds[1] if inferred else '',
    },
    'inputs': [
      {
        'name': each.name,
        'dtype': each.dtype,
        'shape': list(each.shape),
        'low': each.low,
        'high': each.high,
        'source': each.source or 'command line',
        'range_source': each.range_source,
      }
      for each in (inferred.draft.inputs if inferred else ())
    ],
    'assumed': list(inferred.assumed) if inferred else [],
    'steps': [each.as_json() for each in steps],
    'problem': problem,
    'versions': {k: str(v) for k, v in environment.describe().items()},
  }
  text = io.StringIO()
  json.dump(document, text, indent=1, ensure_ascii=False)
  data = text.getvalue().encode('utf-8', 'backslashreplace')
  files.replace(os.path.abspath(arguments.json), data + b'\n')
