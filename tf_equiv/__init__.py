"""Tests that a model migrated from TensorFlow 1 to 2 computes the same.

Import it before tensorflow: it then asks for tf_keras as `tf.keras`, which
the modeling shim and `tf.compat.v1.layers` need. It also repairs tf_slim for
TensorFlow 2.16 and later.

The import itself is cheap: TensorFlow is imported with the first use of a
name, so that commands and plugins that need none of them do not wait.
"""

import importlib
import typing

from tf_equiv import import_hook
from tf_equiv.core import legacy_keras

if typing.TYPE_CHECKING:
  from tf_equiv import converters
  from tf_equiv.compare.renames import RenameSuggestion
  from tf_equiv.compare.verdict import Verdict
  from tf_equiv.compat.tf1_imports import tf1_imports
  from tf_equiv.conversion import ConvertedCheckpoint, convert_checkpoint
  from tf_equiv.core.draw import Draw
  from tf_equiv.core.errors import (
    EnvironmentSetupError,
    EquivalenceError,
    ModelCodeError,
    UsageError,
    VariableCreationError,
  )
  from tf_equiv.core.seed_mode import SeedMode
  from tf_equiv.guide_steps import SEED_MODES, GuideSteps
  from tf_equiv.references.exported.reference import (
    FrozenGraph,
    MetaGraph,
    SavedModel,
  )
  from tf_equiv.references.golden import Golden
  from tf_equiv.references.in_process import InProcess
  from tf_equiv.references.interpreter.reference import Tf1Interpreter
  from tf_equiv.references.model_fn import from_model_fn
  from tf_equiv.report.writer import write_report
  from tf_equiv.suggestions import suggest_renames
  from tf_equiv.testcase import MigrationTestCase
  from tf_equiv.tf1.placeholders import bound_placeholders
  from tf_equiv.tf1.program import TF1Behavior
  from tf_equiv.tf1.seeds import deterministic_seeds
  from tf_equiv.tf1.weights import constant_weights, named_weights
  from tf_equiv.tf2.creation import (
    assert_no_variable_creations,
    catch_created_variables,
  )
  from tf_equiv.tf2.shim import track_tf1_style_variables
  from tf_equiv.tf2.variants import VARIANTS

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
