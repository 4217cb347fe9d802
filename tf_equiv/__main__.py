"""Runs `python -m tf_equiv`."""

import sys

from tf_equiv.cli import main

if __name__ == '__main__':
  sys.exit(main.main())
