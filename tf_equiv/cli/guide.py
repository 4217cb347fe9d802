"""Which tests a drafted class has: the steps of the guide that apply."""

import dataclasses

_NUM = "'num_random_ops'"


@dataclasses.dataclass(frozen=True)
class Wanted:
  """What the user asks for.

  Attributes:
    training: whether to test training; None to decide by the code.
    steps: number of training steps, 0 for none.
    checkpoint: prefix of a TF1 checkpoint, '' for none.
    weights: 'seeded' or 'fixed' in training; '' to decide by the code.
    seed_mode: how random ops are seeded.
    beyond: whether to look for dormant differences.
  """

  training: bool | None = None
  steps: int = 0
  checkpoint: str = ''
  weights: str = ''
  seed_mode: str = 'num_random_ops'
  beyond: bool = True


@dataclasses.dataclass(frozen=True)
class Facts:
  """What is known of both sides.

  Attributes:
    takes_training: whether a side takes a training flag.
    is_native: whether the TF2 side draws its initial weights in its own way.
    has_variables: whether there are any.
    has_own_optimizer: whether TF1 brings its train op along.
  """

  takes_training: bool
  is_native: bool
  has_variables: bool
  has_own_optimizer: bool = False


@dataclasses.dataclass(frozen=True)
class Chosen:
  """The tests.

  Attributes:
    tests: (name, statements) of each.
    said: what was decided.
  """

  tests: tuple[tuple[str, tuple[str, ...]], ...]
  said: tuple[str, ...]


def choose(wanted: Wanted, facts: Facts) -> Chosen:
  """Chooses the tests.

  Args:
    wanted: what the user asks for.
    facts: what is known of both sides.
  """
  said = []
  empty = '' if facts.has_variables else 'allow_empty=True'
  training = wanted.training
  if training is None:
    training = facts.takes_training
    if not training:
      said.append('no training: neither side takes a flag for it (--training)')
  weights = wanted.weights
  if not weights:
    weights = 'fixed' if facts.is_native else 'seeded'
    if facts.is_native:
      said.append(
        'initial weights are not compared: a rewrite draws them in its own '
        'order (--weights seeded)'
      )
  mode = f'seed_mode={wanted.seed_mode!r}'
  fixed = "weights='fixed'" if weights == 'fixed' else ''
  found = [
    ('test_step1_no_new_variables', _call('assertNoNewVariables', empty)),
    ('test_step2_variables_match', _call('assertVariablesMatch', empty)),
    (
      'test_step3_forward_with_fixed_weights',
      _call('assertForwardEquivalent', empty),
    ),
  ]
  if weights == 'seeded' and facts.has_variables:
    found.append(
      (
        'test_step4_forward_with_initial_weights',
        _call('assertForwardEquivalent', mode),
      )
    )
  if training:
    found.append(
      (
        'test_step4_training',
        _call('assertTrainingEquivalent', mode, fixed, empty),
      )
    )
  if facts.has_variables:
    found.append(
      (
        'test_gradients',
        _call('assertGradientsClose', '' if training else 'training=False'),
      )
    )
  if wanted.steps:
    found.append(
      (
        'test_training_steps',
        _call('assertTrainingEquivalent', f'steps={wanted.steps}', mode, fixed),
      )
    )
  if wanted.checkpoint:
    found.append(
      (
        'test_checkpoint',
        _call('assertCheckpointEquivalent', repr(wanted.checkpoint)),
      )
    )
  if wanted.beyond:
    found.append(('test_beyond', _call('assertNoDormantDifferences')))
  return Chosen(tuple(found), tuple(said))


def _call(assertion: str, *arguments: str) -> tuple[str, ...]:
  return (f'self.{assertion}({", ".join(filter(None, arguments))})',)
