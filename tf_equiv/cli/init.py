"""`tf_equiv init`: writes the test class that `check` would run."""

import os
from typing import Any

from tf_equiv.cli import check, infer, quiet
from tf_equiv.core import errors


def run(arguments: Any) -> int:
  """Writes the test and says what it takes for granted; returns 0."""
  path = os.path.abspath(arguments.output)
  if not path.endswith('.py'):
    raise errors.UsageError(
      f'-o {arguments.output}: expected a file that ends with .py.'
    )
  if not os.path.isdir(os.path.dirname(path)):
    raise errors.UsageError(
      f'-o {arguments.output}: there is no folder {os.path.dirname(path)!r}.'
    )
  if os.path.exists(path) and not arguments.force:
    raise errors.UsageError(
      f'{arguments.output} exists, and was left as it is; --force replaces it.'
    )
  with quiet.warnings_hidden():
    inferred = infer.infer(check.request_of(arguments, path))
  with open(path, 'w', encoding='utf-8') as file:
    file.write(inferred.draft.source(os.path.dirname(path)))
  count = len(inferred.draft.tests)
  print(f'{arguments.output}: {inferred.draft.name} with {count} tests')
  print(f'  TF1 {arguments.tf1}: {inferred.kinds[0]}')
  print(f'  TF2 {arguments.tf2}: {inferred.kinds[1]}')
  for line in inferred.assumed:
    print(f'  {line}')
  print(f'Run it: python {arguments.output}')
  return 0
