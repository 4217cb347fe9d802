"""An observation that is still being made."""

from collections.abc import Callable

from tf_equiv.core import observation


class AwaitedObservation(observation.Observation):
  """Stands for an observation, and waits for it when it is first looked at.

  From then on it is that observation, an ordinary one. What fails in the
  making is raised where it is looked at.
  """

  def __init__(self, wait: Callable[[], observation.Observation]):
    object.__setattr__(self, '_wait', wait)

  def __getattribute__(self, name):
    if name == '__dict__' or not name.startswith('__'):
      _arrive(self)
    return object.__getattribute__(self, name)

  def __setattr__(self, name, value):
    if name != '__class__':
      _arrive(self)
    object.__setattr__(self, name, value)


def _arrive(awaited: AwaitedObservation) -> None:
  attributes = object.__getattribute__(awaited, '__dict__')
  arrived = attributes['_wait']()
  # Both names are then of one and the same state.
  object.__setattr__(awaited, '__dict__', vars(arrived))
  object.__setattr__(awaited, '__class__', type(arrived))
