"""Collects what tests have proven, where a certificate is wanted.

The flag `--certificate` of absl says so, or the environment variable
TF_EQUIV_CERTIFICATE.
"""

import os
from typing import Any

from absl import flags

from tf_equiv.certificate import entries, files
from tf_equiv.compare import verdict as verdict_lib

FLAG, VARIABLE = 'certificate', 'TF_EQUIV_CERTIFICATE'
_BAZEL_DIRECTORY = 'TEST_UNDECLARED_OUTPUTS_DIR'

# A program may have a flag of that name, which is another one then.
_OWN: flags.Flag[Any] = flags.Flag(
  flags.ArgumentParser(),
  flags.ArgumentSerializer(),
  FLAG,
  None,
  'File to collect in what the tests of tf_equiv have proven. The environment '
  f'variable {VARIABLE} does the same where flags are not parsed.',
  allow_override=True,
)
if FLAG not in flags.FLAGS:
  flags.DEFINE_flag(_OWN)


def path() -> str:
  """Returns the path of the certificate, '' if none is wanted.

  Under Bazel, a relative path is one below the outputs of the test.
  """
  given = ''
  if FLAG in flags.FLAGS and flags.FLAGS[FLAG] is _OWN:
    given = _OWN.value or ''
  given = given or os.environ.get(VARIABLE, '')
  return os.path.join(os.environ.get(_BAZEL_DIRECTORY, ''), given) * bool(given)


class Test:
  """What a test proves, which counts once it has passed."""

  def __init__(self, owner: type, name: str, filename: str):
    """Takes the class of the test, its name, and the file that defines it."""
    self._owner, self._name = owner, name
    self._class = entries.class_name(owner, filename)
    self._entries: list[files.Entry] = []

  def add(self, verdict: verdict_lib.Verdict) -> None:
    """Notes a verdict that passed."""
    if path():
      self._entries.append(entries.of_verdict(verdict, self._class, self._name))

  def certify(self) -> None:
    """Writes what the test has proven.

    Raises:
      CertificateError: if that is not possible.
    """
    self._write(self._entries)

  def withdraw(self) -> None:
    """Removes what an earlier run has written of the test.

    Raises:
      CertificateError: if that is not possible.
    """
    self._write([])

  def _write(self, found: list[files.Entry]) -> None:
    target = path()
    if target:
      files.replace_test(
        target,
        self._class,
        self._name,
        found,
        lambda name: hasattr(self._owner, name),
      )
