"""What a certificate claims: its entries, by what they have in common."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tf_equiv.certificate import files

VARIABLES = 'assertVariablesMatch'
_CURVES = 'assertTrainingCurvesMatch'
_NOUNS = {
  'assertNoNewVariables': 'creation of variables',
  VARIABLES: 'correspondence of variables',
  'assertForwardEquivalent': 'forward pass',
  'assertGradientsClose': 'gradients',
  'assertCheckpointEquivalent': 'checkpoint',
  _CURVES: 'training curves',
  'assertNoDormantDifferences': 'search for dormant differences',
}
_TRAINING = 'assertTrainingEquivalent'
_WEIGHTS = {'fixed': 'fixed weights', 'seeded': 'initial weights'}
_EAGER = 'eager'


@dataclasses.dataclass(frozen=True, order=True)
class Key:
  """What two claims must have in common to be compared.

  Attributes:
    owner: full name of the test class.
    assertion: name of the assertion.
    training: the training flag.
    has_steps: whether training steps were taken.
    seed_mode: the seed mode.
    weights: 'fixed' or 'seeded'.
    start_step: how many steps were counted before.
    variant: how the TF2 side ran.
  """

  owner: str
  assertion: str
  training: bool = False
  has_steps: bool = False
  seed_mode: str = ''
  weights: str = ''
  start_step: int = 0
  variant: str = ''

  def describe(self, owner: str) -> str:
    """Returns what is claimed, in words.

    Args:
      owner: how the test class is called.
    """
    noun = _NOUNS.get(self.assertion, self.assertion)
    if self.assertion == _TRAINING:
      noun = 'training steps' if self.has_steps else 'forward pass in training'
    elif self.training and self.assertion != _CURVES:
      noun += ' in training'
    text = f'{noun} of {owner}'
    if not self.seed_mode:
      return text
    text += f' in {self.seed_mode}'
    details = [_WEIGHTS.get(self.weights, self.weights)]
    if self.start_step:
      details.append(f'from step {self.start_step}')
    if self.variant != _EAGER:
      details.append(self.variant)
    return f'{text} ({", ".join(details)})'


@dataclasses.dataclass(frozen=True)
class Claim:
  """What one entry claims, in one variant.

  Attributes:
    terms: its terms, {} where no plan was run.
    entry: the entry.
  """

  terms: Mapping[str, Any]
  entry: files.Entry

  @property
  def variables(self) -> frozenset[str]:
    """TF1 names of the variables that the claim is about."""
    return frozenset(self.entry['variables'])

  @property
  def compared(self) -> Mapping[str, int]:
    """Number of compared items by kind."""
    return self.entry['compared']


Claims = Mapping[Key, Sequence[Claim]]


def of_entries(entries: Iterable[files.Entry]) -> Claims:
  """Returns the claims of entries by key, in any order of the entries."""
  found: dict[Key, list[Claim]] = collections.defaultdict(list)
  for entry in entries:
    terms = entry['terms']
    owner, assertion = entry['class'], entry['assertion']
    if not terms or not _depends_on_terms(assertion):
      training = bool(terms.get('training', False))
      key = Key(owner, assertion, training and assertion == VARIABLES)
      found[key].append(Claim(terms, entry))
      continue
    for variant in terms['variants']:
      key = Key(
        owner,
        assertion,
        terms['training'],
        terms['steps'] > 0,
        terms['seed_mode'],
        terms['weights'],
        terms['start_step'],
        variant,
      )
      found[key].append(Claim(terms, entry))
  return found


def _depends_on_terms(assertion: str) -> bool:
  """Returns whether values are compared, which seeds and weights decide."""
  return assertion not in ('assertNoNewVariables', VARIABLES)


def short_names(owners: Iterable[str]) -> dict[str, str]:
  """Returns what test classes are called: without module where that is clear.

  Args:
    owners: their full names.
  """
  owners = set(owners)
  last = collections.Counter(each.rpartition('.')[2] for each in owners)
  return {
    each: short if last[short := each.rpartition('.')[2]] == 1 else each
    for each in owners
  }
