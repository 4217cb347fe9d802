"""`python -m tf_equiv show`: what is inside a golden."""

import os
from collections.abc import Mapping
from typing import Any

from tf_equiv.core import text
from tf_equiv.core.text import capped
from tf_equiv.golden import archive, plans
from tf_equiv.golden import index as index_lib

_MAX_INPUTS = 6
# Parts of a manifest by line.
_LINES = (
  (('TensorFlow', 'tensorflow'), ('Python', 'python'), ('NumPy', 'numpy')),
  (('', 'platform'), ('', 'machine'), ('', 'cpu')),
  (('cpu flags:', 'cpu flags'),),
  (('by tf_equiv', 'tf_equiv'), ('through', 'reference')),
)


def run(arguments) -> int:
  """Prints the summary; returns the exit code."""
  path = arguments.file
  print('\n'.join(lines_of(path)))
  if arguments.check:
    print(f'checked: {archive.check(path)} members are intact')
  return 0


def lines_of(path: str) -> list[str]:
  """Returns a readable summary of a golden.

  Raises:
    UsageError: if it is missing, damaged, or no golden.
  """
  index = index_lib.read_index(path)
  entries = index['entries']
  lines = [
    f'{path}: {len(entries)} recording(s), {text.size(os.path.getsize(path))}'
  ]
  for name, made_by in sorted(index['manifests'].items()):
    dates = {e['recorded'] for e in entries if e['manifest'] == name}
    lines.append(f'recorded on {", ".join(sorted(dates))} with')
    lines += ['  ' + line for line in manifest_lines(made_by)]
  sizes = _sizes(path, entries)
  for owner in sorted({entry['owner'] for entry in entries}):
    own = [entry for entry in entries if entry['owner'] == owner]
    lines.append(owner or 'a program without a test class')
    for entry in own:
      lines.append(f'  {plans.title(entry["plan"])}')
      lines.append(f'    {_contents(entry, sizes)}')
    lines += ['  inputs: ' + line for line in _inputs(own)]
    sources = sorted({name for entry in own for name in entry['source']})
    if sources:
      shown = capped(sources, _MAX_INPUTS)
      lines.append(f'  TF1 code: {", ".join(shown)}')
  return lines


def manifest_lines(made_by: Mapping[str, Any]) -> list[str]:
  """Returns what a manifest says about versions and machine, in a few lines."""
  lines = []
  for parts in _LINES:
    words = [
      (f'{title} {made_by[name]}').strip()
      for title, name in parts
      if made_by.get(name)
    ]
    if words:
      lines.append(', '.join(words))
  return lines


def _sizes(path: str, entries) -> list[tuple[Mapping[str, Any], int]]:
  """Returns how many bytes each entry takes, shared arrays included."""
  members = archive.sizes(path)
  return [
    (entry, sum(members.get(name, 0) for name in archive.parts_of(path, entry)))
    for entry in entries
  ]


def _contents(entry, sizes) -> str:
  parts = [f'{n} {what}' for what, n in entry['counts'].items()]
  if 'graph' not in entry['objects'] and entry['no graph']:
    parts.append('no graph: ' + entry['no graph'])
  size = next(size for each, size in sizes if each is entry)
  return f'{", ".join(parts)}; {text.size(size)}'


def _inputs(entries) -> list[str]:
  """Returns the different arrays that are fed, capped."""
  found = {}
  for entry in entries:
    batches = entry['plan'].get('batches') or [entry['plan']['inputs']]
    for inputs in batches:
      for path, array in inputs.items():
        if 'digest' in array:
          found[f'{path} {plans.show_array(array)}'] = None
  return capped([line.strip() for line in found], _MAX_INPUTS)
