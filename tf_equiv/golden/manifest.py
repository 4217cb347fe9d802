"""What a recording came from: machine, versions, and the legacy source."""

import dataclasses
import datetime
import hashlib
import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tf_equiv.core.source_line import SourceLine
from tf_equiv.golden import recorders

# Template methods that make the TF1 side what it is.
_METHODS = (
  'build_tf1',
  'compute_loss',
  'compute_loss_tf1',
  'build_tf1_optimizer',
  'clip_gradients',
  'clip_gradients_tf1',
  'train_tf1',
)
# Instruction sets that decide which kernels run, and so how results round.
_CPU_FLAGS = re.compile(
  r'^(sse4_[12]|avx|avx2|fma|f16c|avx512\w*|avx_vnni|amx_\w+|neon|asimd|sve2?)$'
)


def machine() -> dict[str, str]:
  """Returns what of this machine a result may depend on."""
  model, flags = _cpu()
  return {
    'platform': ' '.join([platform.system(), *platform.libc_ver()]).strip(),
    'machine': platform.machine(),
    'cpu': model,
    'cpu flags': ' '.join(flags),
  }


def _cpu() -> tuple[str, list[str]]:
  """Returns the model of the processor and those flags that matter."""
  try:
    with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as file:
      text = file.read()
  except OSError:  # Not Linux.
    return platform.processor(), []
  model = re.search(r'^model name\s*:\s*(.*)$', text, re.M)
  flags = re.search(r'^(?:flags|Features)\s*:\s*(.*)$', text, re.M)
  return (
    model.group(1).strip() if model else platform.processor(),
    sorted(f for f in (flags.group(1).split() if flags else ()) if _matters(f)),
  )


def _matters(flag: str) -> bool:
  return _CPU_FLAGS.match(flag) is not None


def today() -> str:
  """Returns the date, in UTC."""
  return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d')


def legacy_source(
  owner: recorders.Owner, filenames: Iterable[str], folder: str
) -> dict[str, str]:
  """Returns digests of the code that made the TF1 side.

  Args:
    owner: the test class.
    filenames: files in which ops of the graph were made.
    folder: folder of the golden; files are named from there.

  Returns:
    SHA-256 by name: of the template methods of the class, and of each file but
    that of the class, which changes with the TF2 side too.
  """
  found = {
    f'{name}()': _digest(text.encode('utf-8'))
    for name, text in recorders.sources(owner, _METHODS).items()
  }
  own = owner.target.rpartition(':')[0]
  for filename in sorted(set(filenames)):
    if not own or os.path.abspath(filename) != os.path.abspath(own):
      data = _read(filename)
      if data is not None:
        found[relative(filename, folder)] = _digest(data)
  return found


def changed_source(
  recorded: Mapping[str, str], owner: recorders.Owner, folder: str
) -> list[str]:
  """Returns which parts of the legacy source have changed, where at hand.

  Args:
    recorded: what `legacy_source` returned when it was recorded.
    owner: the test class.
    folder: folder of the golden.

  Returns:
    Names of methods and files. What is not here, as at a replay without the
    TF1 code, does not count.
  """
  methods = recorders.sources(owner, _METHODS)
  changed = []
  for name, digest in sorted(recorded.items()):
    if name.endswith('()'):
      text = methods.get(name[:-2])
      data = None if text is None else text.encode('utf-8')
    else:
      data = _read(absolute(name, folder))
    if data is not None and _digest(data) != digest:
      changed.append(name)
  return changed


def relative(filename: str, folder: str) -> str:
  """Names a file so that it is found on other machines, too."""
  for part in ('site-packages', 'dist-packages'):
    head, marker, rest = filename.partition(part + os.sep)
    if marker and head:
      return part + '/' + rest.replace(os.sep, '/')
  try:
    return os.path.relpath(filename, folder).replace(os.sep, '/')
  except ValueError:  # On another drive.
    return filename


def absolute(name: str, folder: str) -> str:
  """Returns the file that `relative` named, or the name where it is not."""
  filename = os.path.normpath(os.path.join(folder, name))
  if os.path.isfile(filename):
    return filename
  while name.startswith('../'):
    name = name[3:]
  return name


def with_lines(value: Any, change: Callable[[Any], Any]) -> Any:
  """Returns plain data with `change(line)` for each `SourceLine` in it."""

  def visit(item):
    if isinstance(item, SourceLine):
      return change(item)
    if isinstance(item, (list, tuple)) and not hasattr(item, '_fields'):
      return type(item)(visit(each) for each in item)
    if isinstance(item, dict):
      return type(item)((key, visit(each)) for key, each in item.items())
    if dataclasses.is_dataclass(item):
      return dataclasses.replace(
        item,
        **{
          field.name: visit(getattr(item, field.name))
          for field in dataclasses.fields(item)
          if field.init
        },
      )
    return item

  return visit(value)


def _digest(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()


def _read(filename: str) -> bytes | None:
  try:
    with open(filename, 'rb') as file:
      return file.read()
  except OSError:
    return None
