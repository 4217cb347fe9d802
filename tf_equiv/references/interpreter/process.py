"""Another interpreter as a process: started, asked, watched, and ended.

Commands and replies are lines of JSON on two pipes of their own, because the
user's code may write to stdout and read from stdin. Arrays are in files of a
private folder, which goes with the process. What the process prints is read by
a thread, of which the last part is kept for messages.
"""

import contextlib
import logging
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tf_equiv.core import errors, interrupts, own_json
from tf_equiv.references.interpreter import endings, pipes
from tf_equiv.references.interpreter import replies as replies_lib
from tf_equiv.tf1.worker import descendants, shared_file

_log = logging.getLogger('tf_equiv')

# Started by path. Its module is not imported for the path: what it imports
# must also suit other Pythons than this one.
_PACKAGE = os.path.dirname(os.path.dirname(shared_file.__file__))
_WORKER = os.path.join(_PACKAGE, 'worker', 'main.py')
# What would lead another Python to the modules of this one.
_NOT_INHERITED = (
  'PYTHONPATH',
  'PYTHONHOME',
  'PYTHONSAFEPATH',
  'PYTHONSTARTUP',
  'PYTHONEXECUTABLE',
  '__PYVENV_LAUNCHER__',
)
_QUOTED = 200  # bytes of what is no reply
# Exit status of a worker whose pipes are gone; see `worker/main`.
_CONNECTION_LOST = 113
# How often to see whether the process has ended, in seconds: its pipe stays
# open where the user's code forked.
_WATCH = 0.5
_SECONDS_FOR_STACKS = 2.0
_CRASHED = 'Fatal Python error: '  # begins the dump of stacks after a crash
START = 0  # the number of the reply to no command: that it has started


class WorkerError(errors.EnvironmentSetupError):
  """The process ended, hangs, or cannot be started; the text says all."""


class RemoteError(Exception):
  """A command failed in the process.

  Attributes:
    kind: see `tf1.service.describe`.
    message: the message, with the type where the error is not one of ours.
    frames: the user's frames, as (file, line number, function, text).
  """

  def __init__(self, kind: str, message: str, frames: Sequence[Any] = ()):
    message = errors.cut(message)
    super().__init__(message)
    self.kind, self.message, self.frames = kind, message, frames


class WorkerProcess:
  """A process that carries out the commands of `tf1/service.py`.

  Attributes:
    python: path of the interpreter.
    environment: versions of what is there, once it has started.
    ended_idle: whether it ended while it had nothing to do.
  """

  def __init__(self, python: str, env: Mapping[str, str], timeout: float):
    """Starts the process, without waiting for it.

    Args:
      python: path of the interpreter.
      env: environment variables to set.
      timeout: how long to wait for a reply, in seconds.

    Raises:
      EnvironmentSetupError: on Windows.
      WorkerError: if it cannot be started.
    """
    if not hasattr(signal, 'SIGUSR1'):
      raise errors.EnvironmentSetupError(
        'Tf1Interpreter runs on Linux and macOS only: it needs signals and '
        'inherited pipes, which Windows does not have. Record goldens where it '
        'runs, and replay them here with tf_equiv.Golden.'
      )
    self.environment: dict[str, Any] = {}
    self.ended_idle = False
    self.python, self._timeout = python, timeout
    self._busy = True
    self._stage = 'starting Python and importing TensorFlow'
    self._sent, self._files = START, 0
    self._replies: dict[int, dict] = {}
    self._abandoned: set[int] = set()
    # What each command that is not answered has told to do.
    self._waiting: dict[int, str | None] = {START: None}
    self._received: list[bytes] = []  # of a line that has not ended
    self._length = 0  # of it
    self._owner = os.getpid()
    self._status: int | None = None
    with contextlib.ExitStack() as stack:
      try:
        self._folder = tempfile.mkdtemp(prefix='tf_equiv_')
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        commands, self._commands = pipes.open_pipe(stack)
        self._answers, answers = pipes.open_pipe(stack)
        output, printed = pipes.open_pipe(stack)
        self._process = subprocess.Popen(
          [python, _WORKER, str(commands), str(answers), self._folder]
          + [str(os.getpid())],
          stdin=subprocess.DEVNULL,
          stdout=printed,
          stderr=printed,
          pass_fds=(commands, answers),
          env={**_environment(env), descendants.MARK: self._folder},
          start_new_session=True,
        )
      except OSError as error:
        raise WorkerError(
          f'The interpreter of the TF1 side, {python}, cannot be started: '
          f'{error}.'
        ) from error
      stack.pop_all()
    for descriptor in (commands, answers):
      os.close(descriptor)
    self._output = pipes.Output(output, printed)
    os.set_blocking(self._answers, False)

  @property
  def alive(self) -> bool:
    """Whether it can be sent commands."""
    return self._status is None and self._process.poll() is None

  def send(self, do: str, **arguments) -> int:
    """Sends a command; returns its number, for `wait`.

    Args:
      do: name of the command.
      **arguments: plain values. What is in a `File` is written to a file.

    Raises:
      WorkerError: if the process has ended, or there is no room for a file.
    """
    plain = {
      name: self._write(value.value) if isinstance(value, File) else value
      for name, value in arguments.items()
    }
    self._sent += 1
    command = {'id': self._sent, 'do': do, 'arguments': plain}
    self._waiting[self._sent] = do
    try:
      text = own_json.dumps(command).encode()
      pipes.write_all(self._commands, text + b'\n')
    except OSError:
      # The pipe is broken. Whoever waits for the start learns why.
      if self.environment or self._status is not None:
        raise self._ended() from None
    return self._sent

  def wait(self, number: int) -> Any:
    """Returns the result of a command.

    Raises:
      RemoteError: if the command failed.
      WorkerError: if the process ended or did not answer in time; it is then
        no more.
    """
    deadline = time.monotonic() + self._timeout
    try:
      while number not in self._replies:
        self._receive(deadline)
    except BaseException:
      # Nothing is known of what comes next, also where the user interrupts.
      self.close()
      raise
    reply = self._replies.pop(number)
    if 'error' in reply:
      error = reply['error']
      raise RemoteError(
        error['kind'], error['message'], error.get('frames', ())
      )
    return reply['result']

  def wait_for_start(self) -> None:
    """Waits until TensorFlow is imported.

    Raises:
      RemoteError, WorkerError: see `wait`.
    """
    if not self.environment:
      self.environment = self.wait(START)

  def abandon(self, number: int) -> None:
    """Drops the reply to a command, which nobody will wait for."""
    if number not in self._replies:
      self._abandoned.add(number)
    else:
      self._discard(self._replies.pop(number))

  def read(self, name: str) -> Any:
    """Returns what is in a file that a result names, and removes it."""
    return shared_file.read(os.path.join(self._folder, name))

  def close(self) -> None:
    """Ends the process with all that it started, and removes its files."""
    with interrupts.deferred():
      self._close()

  def _close(self) -> None:
    if self._status is not None or os.getpid() != self._owner:
      return
    self._kill()
    self._status = self._process.wait()
    for descriptor in (self._commands, self._answers):
      os.close(descriptor)
    self._output.close()
    shutil.rmtree(self._folder, ignore_errors=True)

  def _kill(self) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
      # It leads a session, and the number is free only after `wait`.
      os.killpg(self._process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
      self._process.kill()
    descendants.end_all(self._folder, self._process.pid, os.getpid())

  def _write(self, value: Any) -> str:
    self._files += 1
    name = f'command{self._files}'
    try:
      shared_file.write(os.path.join(self._folder, name), value)
    except OSError as error:
      raise WorkerError(
        'The inputs and weights for the TF1 side cannot be written to '
        f'{self._folder}: {error.strerror or error}. {ROOM_ADVICE}'
      ) from error
    return name

  def _receive(self, deadline: float) -> None:
    """Waits for something to come, and takes it."""
    with selectors.DefaultSelector() as selector:
      selector.register(self._answers, selectors.EVENT_READ)
      left = deadline - time.monotonic()
      ready = selector.select(max(0.0, min(_WATCH, left)))
    data = b''
    if ready:
      data = os.read(self._answers, 1 << 20)
      if not data:
        raise self._ended()
    elif self._process.poll() is not None:
      raise self._ended()
    elif left <= 0:
      raise self._hangs()
    first, *others = data.split(b'\n')
    self._received.append(first)
    self._length += len(first)
    for part in others:
      line, self._received = b''.join(self._received), [part]
      self._length = len(part)
      self._take(line)
    if self._length > replies_lib.MAX_BYTES:
      raise self._speaks_otherwise(b''.join(self._received))

  def _take(self, line: bytes) -> None:
    try:
      reply = replies_lib.parse(line)
      if 'stage' in reply:
        _log.info('%s', reply['stage'])
        self._stage = reply['stage'].replace('TF1: ', '', 1)
        return
      number = reply.get('begin', reply.get('id'))
      if number not in self._waiting:
        raise replies_lib.NotAReplyError
      if 'begin' in reply:
        self._busy = True
        return
      if 'result' in reply:
        replies_lib.check_result(self._waiting[number], reply['result'])
    except replies_lib.NotAReplyError:
      raise self._speaks_otherwise(line) from None
    del self._waiting[number]
    self._busy, self._stage = False, 'waiting for a command'
    if number in self._abandoned:
      self._abandoned.discard(number)
      self._discard(reply)
    else:
      self._replies[number] = reply

  def _discard(self, reply) -> None:
    if isinstance(reply.get('result'), str):
      with contextlib.suppress(OSError):
        os.unlink(os.path.join(self._folder, reply['result']))

  def _ended(self) -> WorkerError:
    """Ends what is left, and describes how it came to its end."""
    with contextlib.suppress(subprocess.TimeoutExpired):
      # A pipe that was closed does not mean that the process has ended.
      self._process.wait(_SECONDS_FOR_STACKS)
    status = self._process.poll()
    closed = status in (None, _CONNECTION_LOST)
    self.ended_idle = not self._busy
    self.close()
    if closed:
      what = 'closed its connection to the test'
    elif self._status < 0:
      what = f'was killed by {endings.signal_name(-self._status)}'
    else:
      what = f'ended with exit status {self._status}'
    printed, _, stacks = self._output.text().partition(_CRASHED)
    return WorkerError(
      'The interpreter of the TF1 side %s; nothing was compared.\n'
      '  stage: %s\n  interpreter: %s\n%s%s%s'
      % (
        what,
        self._stage,
        self.python,
        endings.place(stacks),
        endings.tail(printed),
        endings.advice_for(-self._status if not closed else 0),
      )
    )

  def _speaks_otherwise(self, line: bytes) -> WorkerError:
    """Ends it, for what came is not of this package."""
    self.close()
    shown = repr(line[:_QUOTED])[1:] + ' ...' * (len(line) > _QUOTED)
    return WorkerError(
      'The interpreter of the TF1 side sent what is no reply of tf_equiv; it '
      'was ended, and nothing was compared.\n'
      f'  it sent: {shown}\n'
      f'  stage: {self._stage}\n'
      f'  interpreter: {self.python}\n'
      'Code that writes to a file descriptor which it has not opened, or which '
      'was closed, may do so.'
    )

  def _hangs(self) -> WorkerError:
    """Asks where it hangs, and ends it."""
    before = self._output.text()
    with contextlib.suppress(ProcessLookupError):
      self._process.send_signal(signal.SIGUSR1)  # as in service.py
    until = time.monotonic() + _SECONDS_FOR_STACKS
    while time.monotonic() < until and self._process.poll() is None:
      time.sleep(0.05)
      if 'most recent call first' in self._output.text()[len(before) :]:
        time.sleep(0.2)
        break
    place = endings.place(self._output.text()[len(before) :])
    where = place or endings.tail(before)
    self.close()
    return WorkerError(
      'The interpreter of the TF1 side did not answer within '
      f'{self._timeout:g} s; it was ended, and nothing was compared.\n'
      f'  stage: {self._stage}\n'
      f'  interpreter: {self.python}\n'
      f'{where}If the code needs longer than that, pass '
      'timeout= to Tf1Interpreter.'
    )


ROOM_ADVICE = (
  'Make room there, or name another folder by the environment variable TMPDIR.'
)


class File:
  """A value that travels in a file."""

  def __init__(self, value: Any):
    self.value = value


def _environment(env: Mapping[str, str]) -> dict[str, str]:
  found = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}
  return {**found, 'PYTHONUNBUFFERED': '1', **env}
