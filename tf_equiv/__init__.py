"""Tests that a model migrated from TensorFlow 1 to 2 computes the same.

Import it before tensorflow: it then asks for tf_keras as `tf.keras`, which
the modeling shim and `tf.compat.v1.layers` need. It also repairs tf_slim for
TensorFlow 2.16 and later.

The import itself is cheap: TensorFlow is imported with the first use of a
name, so that commands and plugins that need none of them do not wait.
"""

# Its test compares the names with those of `public`.
# ruff: noqa: F403, F405
import importlib
import typing

from tf_equiv import import_hook
from tf_equiv.core import legacy_keras

if typing.TYPE_CHECKING:
  from tf_equiv.public import *

legacy_keras.choose_legacy_keras()
import_hook.install()

__version__ = '0.1.0'

__all__ = (
  'ConvertedCheckpoint',
  'Draw',
  'EnvironmentSetupError',
  'EquivalenceError',
  'FrozenGraph',
  'Golden',
  'GuideSteps',
  'InProcess',
  'MetaGraph',
  'MigrationTestCase',
  'ModelCodeError',
  'RenameSuggestion',
  'SEED_MODES',
  'SavedModel',
  'SeedMode',
  'TF1Behavior',
  'Tf1Interpreter',
  'UsageError',
  'VARIANTS',
  'VariableCreationError',
  'Verdict',
  'assert_no_variable_creations',
  'bound_placeholders',
  'catch_created_variables',
  'constant_weights',
  'convert_checkpoint',
  'converters',
  'deterministic_seeds',
  'from_model_fn',
  'named_weights',
  'suggest_renames',
  'tf1_imports',
  'track_tf1_style_variables',
  'write_report',
)

_PACKAGES = ('compat', 'converters')

if not typing.TYPE_CHECKING:  # Type checkers are to know which names there are.

  def __getattr__(name: str) -> typing.Any:
    """Imports all public names when one is asked for."""
    if name in _PACKAGES:
      return importlib.import_module(f'{__name__}.{name}')
    if name not in __all__:
      raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    public = importlib.import_module(f'{__name__}.public')
    globals().update({each: getattr(public, each) for each in __all__})
    return globals()[name]


def __dir__() -> list[str]:
  """Lists the public names, whether or not they are imported."""
  return sorted({*globals(), *__all__})
