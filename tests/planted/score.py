"""How many planted faults are found, and how many clean pairs alarm.

`python -m tests.planted.score` examines all pairs and prints the score: which
faults are found, what the first lines of the messages name, and whether clean
pairs part anywhere.
"""

import sys
import time

from tests.planted import catalogue, localization, pair, tally


def lines(problems: dict[str, str]) -> list[str]:
  """Returns the score, line by line.

  Args:
    problems: what is wrong with the outcome of each pair that was examined, ''
      if nothing, by the names of `catalogue.by_test_name`.

  Returns:
    A line for each family of which pairs were examined, and the total.
  """
  pairs = catalogue.by_test_name()
  families = list(catalogue.FAMILIES)
  examined = [
    tally.Examined(pairs[name][0], pairs[name][1].is_faulty, problem)
    for name, problem in problems.items()
  ]
  examined.sort(key=lambda each: families.index(each.family))
  return tally.lines(examined, len(pairs))


def localization_lines(
  outcomes: dict[str, localization.Outcome], frontiers: dict[str, list[str]]
) -> list[str]:
  """Returns the score of what messages name, line by line.

  Args:
    outcomes: of the faulty pairs, by name.
    frontiers: where the clean pairs part, by name.
  """
  found = list(outcomes.values())
  on_lines = [x for x in found if x.shows_line is not None]
  return [
    'localization: %d of %d culprits named in the first %d lines'
    % (
      sum(x.names_culprit for x in found),
      len(found),
      localization.FIRST_LINES,
    ),
    'lines: %d of %d faults on a line of user code show it, or that of the '
    'layer' % (sum(bool(x.shows_line) for x in on_lines), len(on_lines)),
    'longest message: %d lines' % max((x.lines for x in found), default=0),
    'clean pairs that part somewhere: %d of %d'
    % (sum(map(bool, frontiers.values())), len(frontiers)),
  ]


def main() -> int:
  """Examines all pairs; returns the number of problems."""
  start, problems, outcomes, frontiers = time.time(), {}, {}, {}
  for name, (_, found) in catalogue.by_test_name().items():
    problems[name] = pair.examine(found)
    if found.is_faulty:
      outcomes[name] = localization.examine(found)
      wrong = outcomes[name].problem
    else:
      frontiers[name] = localization.frontiers(found)
      wrong = '\n'.join(frontiers[name])
    for problem in filter(None, (problems[name], wrong)):
      print('%s: %s\n' % (name, problem))
  print('\n'.join(lines(problems) + localization_lines(outcomes, frontiers)))
  print('%.0f s' % (time.time() - start))
  return (
    sum(map(bool, problems.values()))
    + sum(bool(x.problem) for x in outcomes.values())
    + sum(map(bool, frontiers.values()))
  )


if __name__ == '__main__':
  sys.exit(bool(main()))
