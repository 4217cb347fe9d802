"""What a verdict was found under: settings, versions, draws, the test."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tf_equiv.compare import draws as ledgers
from tf_equiv.compare import repairs, tolerances, values, variables
from tf_equiv.core import nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.draw import Draw
from tf_equiv.core.seed_mode import SeedMode

_MAX_INPUTS = 20


@dataclasses.dataclass(frozen=True)
class Step:
  """An assertion that has run.

  Attributes:
    assertion: its name.
    conditions: what it ran.
    passed: whether the sides agreed.
    headline: the verdict of a failure in one line, '' if it passed.
    seconds: wall time.
  """

  assertion: str
  conditions: str
  passed: bool
  headline: str
  seconds: float


@dataclasses.dataclass(frozen=True)
class Terms:
  """Under what an assertion holds, for programs.

  Attributes:
    training: the training flag.
    weights: 'fixed' or 'seeded'.
    seed_mode: the seed mode, as users write it.
    seed: the graph-level seed.
    steps: number of training steps.
    start_step: how many steps were counted before.
    seeds: number of seeds that were trained with.
    rtol: the relative tolerance that was asked for; None for the defaults.
    atol: the absolute tolerance that was asked for; None for the defaults.
    equal_nan: whether NaN equals NaN.
    variants: in which ways the TF2 side ran.
    searched: whether other inputs that tell the sides apart are searched for.
  """

  training: bool
  weights: str
  seed_mode: str
  seed: int
  steps: int = 0
  start_step: int = 0
  seeds: int = 1
  rtol: float | None = None
  atol: float | None = None
  equal_nan: bool = False
  variants: tuple[str, ...] = ('eager',)
  searched: bool = False


@dataclasses.dataclass
class RunInfo:
  """What was run, and where.

  Attributes:
    settings: what was asked for, by name: inputs, seeds, tolerances.
    terms: the same for programs, where a plan was run.
    environments: versions and switches by name, of 'TF1' and 'TF2'.
    draws: the random draws that matter, of TF1 and TF2, with the names of TF1;
      None where no draws are known.
    seconds: wall time.
    test: full name of the test; outside of one, that of its class.
    earlier: assertions of the same test that ran before.
    rerun: command lines that run the test again, by runner.
    report: path of the report, '' until one is written.
    reproductions: programs that show the differences alone, or why there are
      none; empty where no report is written.
  """

  settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
  environments: Mapping[str, Mapping[str, str]] = dataclasses.field(
    default_factory=dict
  )
  draws: tuple[list[Draw], list[Draw]] | None = None
  seconds: float = 0.0
  test: str = ''
  earlier: Sequence[Step] = ()
  rerun: Mapping[str, str] = dataclasses.field(default_factory=dict)
  report: str = ''
  reproductions: Sequence[repairs.Reproduction] = ()
  terms: Terms | None = None


def describe_run(
  plan: plan_lib.RunPlan,
  *sides: observation.Observation,
  table: variables.VariableTable | None = None,
  tolerance: tolerances.Tolerance | None = None,
) -> RunInfo:
  """Describes under what plan and in which environments the sides ran.

  Args:
    plan: what was run.
    *sides: what was observed of TF1, TF2, or both.
    table: how the variables correspond, where the draws of both sides are to
      be kept.
    tolerance: what was allowed to differ, where values were compared.
  """
  settings = _settings(plan)
  draws = None
  if len(sides) == 2 and table is not None:
    draws = ledgers.relevant_draws(
      sides[0].draws,
      sides[1].draws,
      table.tf1_names_of(),
      initial=plan.weights == plan_lib.SEEDED,
    )
    note = _note_on_draws(plan, sides[1])
    if note:
      settings['draws'] = note
  if tolerance is not None:
    settings.update(_tolerance_settings(tolerance))
  return RunInfo(
    settings=settings,
    environments={
      side.side: {name: str(x) for name, x in side.environment.items()}
      for side in sides
    },
    draws=draws,
    terms=_terms(plan, tolerance or tolerances.Tolerance()),
  )


def _terms(plan: plan_lib.RunPlan, tolerance: tolerances.Tolerance) -> Terms:
  return Terms(
    training=plan.training,
    weights=plan.weights,
    seed_mode=plan.seed_mode.value,
    seed=plan.seed,
    steps=len(plan.batches),
    start_step=plan.start_step,
    rtol=tolerance.rtol,
    atol=tolerance.atol,
    equal_nan=tolerance.equal_nan,
  )


def _tolerance_settings(tolerance: tolerances.Tolerance) -> dict[str, str]:
  found = {}
  for name in ('rtol', 'atol'):
    value = getattr(tolerance, name)
    found[name] = 'by dtype and scale' if value is None else f'{value:g}'
  if tolerance.slack != 1.0:
    found['default tolerances times'] = f'{tolerance.slack:g}'
  if tolerance.equal_nan:
    found['equal_nan'] = 'True'
  return found


def _settings(plan: plan_lib.RunPlan) -> dict[str, str]:
  found = {
    'training': str(plan.training),
    'weights': 'fixed by reset_weights'
    if plan.weights == plan_lib.FIXED
    else 'drawn by the initializers',
    'seed_mode': plan.seed_mode.value,
    'seed': str(plan.seed),
  }
  if plan.batches:
    found['training steps'] = str(len(plan.batches))
  leaves = nest.flatten(plan.inputs)
  for path, array in leaves[:_MAX_INPUTS]:
    found['inputs' + path] = _describe(np.asarray(array))
  if len(leaves) > _MAX_INPUTS:
    found['further inputs'] = str(len(leaves) - _MAX_INPUTS)
  return found


def _describe(array: np.ndarray) -> str:
  text = f'{values.dtype_name(array)}{list(array.shape)}'
  if array.size and array.dtype.kind in 'biuf':
    text += f', {np.min(array):.6g} to {np.max(array):.6g}'
  return text


def _note_on_draws(plan: plan_lib.RunPlan, tf2: observation.Observation) -> str:
  if tf2.injected:
    return 'TF2 computed with the random numbers of TF1'
  if plan.weights == plan_lib.FIXED:
    return 'those of initializers are not used'
  if plan.seed_mode is SeedMode.CONSTANT:
    return 'their order does not matter in this seed mode'
  return ''
