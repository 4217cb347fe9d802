"""Prints how many tests to run at once: a number of processes.

That is one for every processor, but no more than fit into memory: a test class
with a large model takes up to 5 GB, most take less than 2.
"""

import os

_BYTES_PER_JOB = 4 * 2**30


def main() -> None:
  """Prints the number."""
  try:
    processors = len(os.sched_getaffinity(0))
  except AttributeError:  # Not on Linux.
    processors = os.cpu_count() or 1
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  print(max(1, min(processors, memory // _BYTES_PER_JOB)))


if __name__ == '__main__':
  main()
