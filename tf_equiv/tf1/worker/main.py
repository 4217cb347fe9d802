"""The program that runs the TF1 side in another interpreter.

It is started by path, `python main.py COMMANDS REPLIES FOLDER PARENT`: two
inherited file descriptors, the folder for arrays, and the process that started
it. Nothing of this package needs to be installed there: a stub stands in for
`tf_equiv`, so that its `__init__`, which needs more than TF1 has, is not run.

This file must be understood by any Python, 2 as well, so that an unsuitable one
can say what it is: no f-strings and no annotations here. It imports only the
standard library until that is settled.
"""

import json
import os
import select
import shutil
import signal
import sys
import threading
import types
import zlib

try:
  import queue
except ImportError:  # Python 2, which is refused in `main`.
  queue = None

OLDEST_PYTHON = (3, 7)
OLDEST_TENSORFLOW = (1, 13)

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(os.path.dirname(_HERE))
# How often to see whether the parent is still there, in seconds.
_WATCH = 2.0
# Exit status where the connection to the parent is lost. `interpreter/process`
# knows it.
CONNECTION_LOST = 113


class Replies(object):
  """Writes replies as JSON, one a line, behind its checksum.

  Attributes:
    dumps: makes text of a reply.
    lose: called when nothing can be written any more.
  """

  def __init__(self, descriptor):
    self._descriptor = descriptor
    self._lock = threading.Lock()
    self._process = os.getpid()
    self.dumps = json.dumps
    self.lose = lambda: os._exit(CONNECTION_LOST)

  def write(self, **reply):
    """Writes one, from any thread; copies of this process say nothing."""
    if os.getpid() != self._process:
      return
    data = self.dumps(reply).encode('utf-8')
    # What user code writes to this descriptor is told from a reply.
    checksum = '%08x ' % (zlib.crc32(data) & 0xFFFFFFFF)
    data = checksum.encode('utf-8') + data + b'\n'
    try:
      with self._lock:
        while data:
          data = data[os.write(self._descriptor, data) :]
    except OSError:
      self.lose()


class UnsuitableError(Exception):
  """The interpreter cannot run the TF1 side."""


def read_commands(descriptor, parent, loads, commands, lose):
  """Puts commands into a queue; ends the process when the parent has ended.

  It runs in a thread of its own, so that it also ends code that hangs.
  """
  received = b''
  try:
    while os.getppid() == parent:
      if not select.select([descriptor], [], [], _WATCH)[0]:
        continue
      data = os.read(descriptor, 65536)
      if not data:
        break
      lines = (received + data).split(b'\n')
      received = lines.pop()
      for line in lines:
        commands.put(loads(line.decode('utf-8')))
  finally:
    lose()


def lose_connection(folder, end_all):
  """Ends this process, with all that the user's code has started."""
  shutil.rmtree(folder, ignore_errors=True)
  if end_all(folder, os.getpid(), os.getpid()):
    os._exit(CONNECTION_LOST)
  os.killpg(os.getpgid(0), signal.SIGKILL)


def check_python():
  """Refuses a Python in which this package cannot run."""
  if sys.version_info[:2] < OLDEST_PYTHON:
    raise UnsuitableError(
      'it is Python %d.%d; needed is %d.%d or later'
      % (tuple(sys.version_info[:2]) + OLDEST_PYTHON)
    )


def import_tensorflow():
  """Imports NumPy and TensorFlow; returns their versions."""
  found = {'python': '%d.%d.%d' % sys.version_info[:3], 'pid': os.getpid()}
  for name in ('numpy', 'tensorflow'):
    module, problem = None, ''
    try:
      module = __import__(name)
    except Exception as error:
      problem = '%s: %s' % (type(error).__name__, _first_line(error))
    if module is None:
      raise UnsuitableError(
        'Python %s there cannot import %s (%s)'
        % (found['python'], name, problem)
      )
    found[name] = getattr(module, '__version__', '')
    if not found[name]:
      raise UnsuitableError(
        'what it imports as %s is something else (%s)'
        % (name, getattr(module, '__file__', None) or 'a folder of that name')
      )
  if version_of(found['tensorflow']) < OLDEST_TENSORFLOW:
    raise UnsuitableError(
      'it has TensorFlow %s; needed is %d.%d or later'
      % ((found['tensorflow'],) + OLDEST_TENSORFLOW)
    )
  return found


def version_of(text):
  """Returns (major, minor) of a version."""
  return tuple(int(part) for part in text.split('.')[:2])


def _first_line(error):
  lines = [line for line in str(error).splitlines() if line.strip()]
  return lines[0].strip() if lines else ''


def stub_package():
  """Makes the modules of `tf_equiv.tf1` importable without `tf_equiv`."""

  def missing(name):
    if name == 'bound_placeholders':
      from tf_equiv.tf1 import placeholders

      return placeholders.bound_placeholders
    raise AttributeError(
      'tf_equiv has no %s here: where the TF1 code runs, only tf_equiv.tf1 is '
      'there. Keep TF1 code in modules of its own, apart from the test case'
      % name
    )

  package = types.ModuleType('tf_equiv', 'Stands in for tf_equiv.')
  package.__path__ = [_PACKAGE]
  package.__getattr__ = missing
  sys.modules['tf_equiv'] = package


def main(arguments):
  """Serves until told to stop."""
  incoming, outgoing = int(arguments[0]), int(arguments[1])
  folder, parent = arguments[2], int(arguments[3])
  replies = Replies(outgoing)
  # Modules beside this file must not be found in place of the user's.
  sys.path[:] = [p for p in sys.path if os.path.abspath(p or '.') != _HERE]
  try:
    check_python()
    commands = queue.Queue()
    for descriptor in (incoming, outgoing):
      os.set_inheritable(descriptor, False)
    stub_package()
    # Before any code of the user, which may replace parts of `json`.
    from tf_equiv.core import own_json
    from tf_equiv.tf1.worker import descendants

    def lose():
      lose_connection(folder, descendants.end_all)

    replies.dumps, replies.lose = own_json.dumps, lose
    watching = threading.Thread(
      target=read_commands,
      args=(incoming, parent, own_json.loads, commands, lose),
    )
    watching.daemon = True
    watching.start()
    # Before tensorflow: this chooses which Keras `tf.keras` is.
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
    found = import_tensorflow()
    from tf_equiv.tf1.worker import service
  except UnsuitableError as error:
    replies.write(id=0, error={'kind': 'unsuitable', 'message': str(error)})
    return
  replies.write(id=0, result=found)
  service.serve(commands.get, replies.write, folder)


if __name__ == '__main__':
  main(sys.argv[1:])
