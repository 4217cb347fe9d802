"""Writes down the versions of all packages that the tests under Bazel need.

    .venv/bin/python tools/lock_requirements.py     # or `make lock`

It starts from the packages that WORKSPACE lists, adds what these need in turn,
and writes the versions that are installed to third_party/py, where MODULE.bazel
reads them. So Bazel 7 and later get what the tests have passed with.
"""

import pathlib
import re
from importlib import metadata

from packaging import requirements, utils

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_LOCK = _ROOT / 'third_party' / 'py' / 'requirements_lock.txt'
_HEADER = """\
# The packages of MODULE.bazel with all that they need, on Linux.
# Made by `make lock`.
"""


def listed_packages(workspace: str) -> list[str]:
  """Returns the packages that the text of a WORKSPACE lists."""
  block = re.search(r'packages = \[(.*?)\]', workspace, re.S)
  if not block:
    raise ValueError('WORKSPACE lists no packages.')
  return re.findall(r'"([\w.-]+)"', block.group(1))


def installed_versions(names: list[str]) -> dict[str, str]:
  """Returns the versions of these packages and of all that they need."""
  versions: dict[str, str] = {}
  # With the extras that are asked for.
  pending = [requirements.Requirement(name) for name in names]
  seen = set()
  while pending:
    wanted = pending.pop()
    key = (utils.canonicalize_name(wanted.name), frozenset(wanted.extras))
    if key in seen:
      continue
    seen.add(key)
    versions[key[0]] = metadata.version(wanted.name)
    for line in metadata.requires(wanted.name) or ():
      needed = requirements.Requirement(line)
      if needed.marker is None or any(
        needed.marker.evaluate({'extra': extra})
        for extra in ('', *wanted.extras)
      ):
        pending.append(needed)
  return versions


def main() -> None:
  """Writes the file."""
  names = listed_packages((_ROOT / 'WORKSPACE').read_text('utf-8'))
  lines = [
    f'{name}=={version}\n'
    for name, version in sorted(installed_versions(names).items())
  ]
  _LOCK.write_text(_HEADER + ''.join(lines), 'utf-8')
  print(f'{_LOCK.relative_to(_ROOT)}: {len(lines)} packages')


if __name__ == '__main__':
  main()
