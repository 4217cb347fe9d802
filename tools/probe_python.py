"""Prints whether the Python that runs this can be used for .venv.

    PYTHON probe_python.py [MODULE ...]

The line is `ok Python <version>`, or says what is unsuitable. The arguments are
modules that must exist. Any Python can run this, however old.
"""

import sys


def main():
  """Prints the line."""
  version = 'Python %d.%d.%d' % sys.version_info[:3]
  problems = []
  if not (3, 10) <= sys.version_info[:2] < (3, 14):
    problems.append('it must be 3.10 to 3.13')
  else:
    for name in sys.argv[1:]:
      try:
        __import__(name)
      except ImportError:
        problems.append('it lacks the module ' + name)
  if problems:
    sys.stdout.write(version + ': ' + ', '.join(problems) + '\n')
  else:
    sys.stdout.write('ok ' + version + '\n')


if __name__ == '__main__':
  main()
