"""Notes in a verdict what it was found under: settings, versions, draws."""

import numpy as np

from tf_equiv.compare import draws, tolerances, values
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import nest, observation
from tf_equiv.core import plan as plan_lib
from tf_equiv.core.seed_mode import SeedMode

_MAX_INPUTS = 20


def note_run(
  verdict: verdict_lib.Verdict,
  plan: plan_lib.RunPlan,
  *sides: observation.Observation,
) -> None:
  """Notes under what plan and in which environments the sides ran.

  Args:
    verdict: gets `settings` and `environments`, and `draws` where its table
      says how the variables correspond.
    plan: what was run.
    *sides: what was observed of TF1, TF2, or both.
  """
  verdict.settings.update(_settings(plan))
  for side in sides:
    verdict.environments[side.side] = {
      name: str(value) for name, value in side.environment.items()
    }
  if len(sides) == 2 and verdict.table is not None:
    _note_draws(verdict, plan, *sides)


def note_tolerance(
  verdict: verdict_lib.Verdict, tolerance: tolerances.Tolerance
) -> None:
  """Notes what was allowed to differ."""
  for name in ('rtol', 'atol'):
    value = getattr(tolerance, name)
    verdict.settings[name] = (
      'by dtype and scale' if value is None else f'{value:g}'
    )
  if tolerance.slack != 1.0:
    verdict.settings['default tolerances times'] = f'{tolerance.slack:g}'
  if tolerance.equal_nan:
    verdict.settings['equal_nan'] = 'True'


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


def _note_draws(verdict, plan, tf1, tf2) -> None:
  verdict.draws = draws.relevant_draws(
    tf1.draws,
    tf2.draws,
    verdict.table.tf1_names_of(),
    initial=plan.weights == plan_lib.SEEDED,
  )
  if plan.weights == plan_lib.FIXED:
    verdict.settings['draws'] = 'those of initializers are not used'
  elif plan.seed_mode is SeedMode.CONSTANT:
    verdict.settings['draws'] = 'their order does not matter in this seed mode'
  if tf2.injected:
    verdict.settings['draws'] = 'TF2 computed with the random numbers of TF1'
