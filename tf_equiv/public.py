"""The public names, of which `tf_equiv` takes all when it is asked for one.

To import them is to import TensorFlow.
"""

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
