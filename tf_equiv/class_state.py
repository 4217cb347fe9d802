"""What the tests of a class share: opened references, and what ran last."""

import contextlib
from collections.abc import Hashable
from typing import Any

from tf_equiv import class_digest
from tf_equiv.core import errors
from tf_equiv.references import base as references
from tf_equiv.tf2 import shared_models

# Under this name a test class keeps what its tests share.
KEPT_AS = '_tf_equiv_shared'


class Shared:
  """What the tests of a class share.

  Attributes:
    references: those that were opened.
    models: keeps TF2 models for further assertions.
    examined: code that was searched for dormant differences, in vain, with
      what its fingerprint relies on.
    names: names of the variables that the assertions have, once they were
      asked for.
    tests: what became of the tests that have run.
  """

  def __init__(self) -> None:
    """Makes it empty."""
    self.references: list[references.Reference] = []
    self.models = shared_models.SharedModels()
    self.examined: dict[Hashable, Any] = {}
    self.names: set[str] | None = None
    self.tests = class_digest.ClassRun()

  def open(self, reference: references.Reference) -> references.Reference:
    """Returns the reference that is used in place of an equal one."""
    for known in self.references:
      if known == reference:  # A property may make one at each access.
        return known
    self.references.append(reference)
    return reference

  def close(self) -> None:
    """Releases all that is kept."""
    for reference in self.references:
      reference.close()
    self.references = []
    self.models.clear()
    self.examined.clear()


def shared_of(owner: type) -> Shared:
  """Returns what the tests of a class share."""
  # Kept by the class itself, not by one that it inherits from.
  shared = vars(owner).get(KEPT_AS)
  if not isinstance(shared, Shared):
    shared = Shared()
    setattr(owner, KEPT_AS, shared)
  return shared


def begin(owner: type) -> None:
  """Starts the reference of a test class, without waiting for it."""
  # Of each test case if it is a property.
  reference = getattr(owner, 'tf1_reference', None)
  if isinstance(reference, references.Reference):
    shared_of(owner).references = [reference]
    # The first assertion that needs it will say so.
    with contextlib.suppress(errors.EquivalenceError):
      reference.start()


def end(owner: type) -> None:
  """Releases what the tests of a class share, and tells what they came to."""
  if KEPT_AS in vars(owner):
    shared = shared_of(owner)
    shared.close()
    delattr(owner, KEPT_AS)
    shared.tests.tell(owner.__qualname__)
