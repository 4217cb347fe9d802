"""How many dormant faults are found and named, and how many rewrites alarm.

`python -m tests.planted.dormant_score` examines all pairs, or those whose names
hold one of the given words, and prints the score.
"""

import sys
import time

from tests.planted import dormant_pair  # isort: skip (before tensorflow)
from tests.planted import (
  dormant_faults,
  dormant_rewrites,
  dormant_training,
)

FAULTS = (*dormant_faults.FAULTS, *dormant_training.FAULTS)
CLEAN = (*dormant_rewrites.CLEAN, *dormant_training.CLEAN)


def chosen(
  words: list[str],
) -> list[dormant_pair.Dormant]:
  """Returns the pairs whose names hold one of some words; all without any."""
  pairs = [*FAULTS, *CLEAN]
  return [
    p for p in pairs if not words or any(word in p.name for word in words)
  ]


def line(problems: dict[str, str]) -> str:
  """Returns the score.

  Args:
    problems: what is wrong with each pair, '' if nothing, by its name.
  """
  faults = [p.name for p in FAULTS if p.name in problems]
  clean = [p.name for p in CLEAN if p.name in problems]
  found = [
    n for n in faults if not problems[n] or problems[n].startswith('does not')
  ]
  named = [n for n in faults if not problems[n]]
  return (
    f'dormant faults: {len(found)} of {len(faults)} found, {len(named)} named; '
    f'{sum(bool(problems[n]) for n in clean)} of {len(clean)} clean rewrites '
    'alarm'
  )


def main(words: list[str]) -> int:
  """Examines pairs; returns the number of problems."""
  start, problems = time.time(), {}
  for each in chosen(words):
    problem, text = dormant_pair.examine(each)
    problems[each.name] = problem
    print(f'{each.name}: {problem or "right"}', flush=True)
    if problem:
      print(f'{text}\n', flush=True)
  print(line(problems))
  print(f'{time.time() - start:.0f} s')
  return sum(map(bool, problems.values()))


if __name__ == '__main__':
  sys.exit(bool(main(sys.argv[1:])))
