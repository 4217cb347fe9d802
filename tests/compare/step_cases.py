"""Observations of training steps, made by hand."""

import numpy as np

from tf_equiv.compare import pairing, variables
from tf_equiv.core import nest, observation
from tf_equiv.core.plan import RunPlan
from tf_equiv.tf1.optimizers import OptimizerSpec

SGD = OptimizerSpec('Momentum', 'momentum', {'momentum': 0.9})
SHAPES = {'w': (3,), 'v': (2,), 'bn/moving_mean': (2,)}
COUNT = 2
PLAN = RunPlan(
  np.ones((2, 2), np.float32),
  training=True,
  batches=(np.ones((2, 2), np.float32),) * COUNT,
)


def side(name: str) -> observation.Observation:
  """Returns what one side did in two steps."""
  rng = np.random.default_rng(0)

  def draw(shape):
    return rng.normal(size=shape).astype(np.float32)

  specs = [
    observation.VariableSpec(n, shape, 'float32', 'moving' not in n)
    for n, shape in SHAPES.items()
  ]
  outputs = {'logits': draw((2, 2))}
  found = observation.Observation(
    name,
    variables=specs,
    weights=[draw(shape) for shape in SHAPES.values()],
    structure=nest.describe(outputs),
    outputs=nest.flatten(outputs),
    jitter={"['logits']": 1e-9, 'loss': 1e-9},
  )
  current = found.weight_of()
  for i in range(COUNT):
    gradients = {n: draw(SHAPES[n]) for n in ('w', 'v')}
    current = {
      n: x - np.float32(0.1) * gradients.get(n, np.float32(0.3))
      for n, x in current.items()
    }
    found.steps.append(
      observation.StepObservation(
        outputs=[(path, x + i) for path, x in found.outputs],
        losses=[observation.RegularizationLoss(('w',), np.float32(0.5))],
        loss=np.float32(3 - i),
        updates=[
          observation.UpdateObservation(
            SGD, dict(gradients), learning_rate=np.float32(0.1), step=i + 1
          )
        ],
        variables=dict(current),
        slots={'momentum': dict(gradients)},
      )
    )
  return found


def sides() -> tuple[observation.Observation, observation.Observation]:
  """Returns two sides that agree."""
  return side('TF1'), side('TF2')


def pair(
  tf1: observation.Observation,
  tf2: observation.Observation,
  convert=pairing.unchanged,
) -> pairing.Pairing:
  """Pairs the variables of two sides by name."""
  table = variables.match_variables(tf1.variables, tf2.variables)
  return pairing.Pairing(table, convert)
