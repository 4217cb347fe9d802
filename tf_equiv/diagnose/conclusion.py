"""What follows from a search: real, rounding noise, or random order."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tf_equiv.compare import divergence
from tf_equiv.core import observation
from tf_equiv.core.text import rounded_up
from tf_equiv.diagnose import advice_texts
from tf_equiv.diagnose import draft as draft_lib
from tf_equiv.diagnose import labels as labels_lib
from tf_equiv.diagnose.repairs import updates
from tf_equiv.diagnose.result import Result
from tf_equiv.tf1.capture import capture as tf1_capture

# The share of a result that may be rounding error for it to mean something.
_VACUOUS = 0.01
# How much smaller the error of a side is that computes with certainty.
_ACCURATE = 0.01
# So many mistakes of one kind are told.
_MAX_ADVICE = 3
# What the tolerance that is named allows, over the difference that was seen.
_MARGIN = 1.1

_MORE = 'there may be further places'
_VACUOUS_ADVICE = (
  'Choose inputs and weights that mean something: random inputs instead of '
  'constant ones, a batch larger than one, another reset_weights.'
)


def conclude(
  draft: draft_lib.Draft,
  found: Result,
  step: int | None,
  tf1: observation.Observation,
) -> None:
  """Adds to a draft what follows from a search.

  Args:
    draft: gets kind, divergence, evidence, notes and advice.
    found: what was found.
    step: number of the training step, None for a forward pass.
    tf1: the observation of the TF1 side.
  """
  if found.problem:
    draft.notes.append(f'{_MORE}: {found.problem}')
  if found.recorded and found.divergence is not None:
    draft.notes.append(
      f'{_MORE}: the TF2 side cannot be traced, so that what lies behind the '
      'first cannot be computed again'
    )
  draft.draws_matter = found.draws_matter
  if found.divergence is not None:
    _drop_draws(draft, found)
    draft.kind = divergence.REAL if found.is_real else draft.kind
    known = draft.divergence
    if known is not None and known.group in updates.OF_OPTIMIZERS:
      if known.group != found.divergence.group:
        draft.others.insert(0, known)  # It comes after what it works on.
        draft.divergence = known = None
    if known is not None and found.divergence.note:
      add_places(draft, found)
      return  # A constant, of which the data say more.
    draft.divergence = found.divergence
    if known is not None:  # Library code makes ops without a line.
      _fill_in(found.divergence, known)
      if known.repair is not None and found.divergence.repair is None:
        found.divergence.repair, found.divergence.tried = known.repair, True
    draft.advice = _advice(found.divergence, draft.advice)
    add_places(draft, found)
    return
  if found.places:
    add_places(draft, found)
    return
  if found.assigned is not None:
    draft.divergence = found.assigned
    return
  if found.recorded:
    draft.notes.append(
      'the TF2 side cannot be traced; recorded op by op as it ran, it agrees '
      'with TF1 up to the rounding of float32'
    )
    return
  if step is not None:
    draft.notes.append(
      'what computes the results agrees in float64; the difference is made '
      'after them (clipping, aggregation) or by rounding'
    )
    return
  if draft.outcome.ledger is not None:
    draft.kind = divergence.ORDER
    draft.evidence.insert(
      0,
      'random order: with the same random numbers the sides agree in '
      'float64; they only draw others',
    )
    return
  if all(np.isfinite(x).all() for x in found.results[0].values()):
    _conclude_noise(draft, found, tf1)


def add_places(draft: draft_lib.Draft, found: Result) -> None:
  """Adds all places but the first to a draft, and the proof.

  Args:
    draft: its first place is known, or becomes that of the search.
    found: what was found.
  """
  places = [place for place in found.places if place is not found.divergence]
  if found.divergence is not None and draft.divergence is None:
    draft.divergence = found.divergence
  if places:
    draft.kind = divergence.REAL
    if draft.divergence is None:
      draft.divergence = places.pop(0)
      draft.advice = _advice(draft.divergence, draft.advice)
  draft.others = [*places, *draft.others]
  draft.proof = found.proof


def put_first(
  draft: draft_lib.Draft, places: Sequence[divergence.Divergence]
) -> None:
  """Adds places that come before what is known, and their mistakes.

  Args:
    draft: gets them.
    places: the places.
  """
  if not places:
    return
  known = [] if draft.divergence is None else [draft.divergence]
  draft.divergence, *others = places
  draft.others = [*others, *known, *draft.others]
  draft.kind = divergence.REAL
  draft.advice = [
    *(place.mistake for place in places[:_MAX_ADVICE]),
    *(line for line in draft.advice if line not in advice_texts.GENERAL),
  ]


def _drop_draws(draft: draft_lib.Draft, found: Result) -> None:
  """Takes back what was said of draws where they are not what differs.

  Where draws correspond, both sides were given the same numbers, and they
  differ all the same.
  """
  ledger = draft.outcome.ledger
  if found.draws_matter and ledger is not None and ledger.moved:
    return
  draft.advice = [
    line for line in draft.advice if line not in advice_texts.OF_DRAWS
  ]


def _conclude_noise(
  draft: draft_lib.Draft, found: Result, tf1: observation.Observation
) -> None:
  """Tells rounding noise from a difference that is not in the graphs."""
  outcome = draft.outcome
  gap = max(c.difference for c in outcome.failed(outcome.failing()[0]))
  noise = found.noise
  draft.noise = noise
  alone = _uncertain_alone(found)
  if alone is not None:
    draft.kind = divergence.REAL
    draft.evidence[:0] = [
      f'real in float32: in float64 the sides agree, but {alone.side} alone is '
      f'{alone.error:.3g} away from that in {alone.result} ({alone.other}: '
      f'{alone.other_error:.3g})'
    ]
    draft.advice = [
      f'{alone.side} computes with numbers of which float32 keeps too few '
      'digits, the other side does not: compare the constants (of a mask, for '
      'example) that lead to the op at which rounding grows.'
    ]
    return
  if noise is not None and noise.error > _VACUOUS * (noise.scale or 1e-300):
    draft.kind = divergence.VACUOUS
    draft.evidence[:0] = [
      f'vacuous: in float64 the sides agree, and {noise.share} of '
      f'{noise.result} is rounding noise'
    ]
    draft.advice = [_VACUOUS_ADVICE]
    return
  if not _reproduced(found, tf1, gap):
    draft.noise = None
    draft.evidence.insert(
      0,
      'traced as a graph, the TF2 side agrees with TF1: the difference is '
      'made by what is not in the graph',
    )
    draft.advice.append(
      'Look for Python state, for branches on Python values, and for what '
      'eager execution does otherwise.'
    )
    return
  draft.kind = divergence.NOISE
  draft.evidence.insert(
    0,
    f'noise: the difference vanishes in float64 ({found.distance:.1g} of '
    'the values)',
  )
  advice = 'Both sides compute the same but for rounding: '
  if noise is not None:
    noise.tolerance = max(noise.tolerance, _MARGIN * gap)
    advice += f'pass atol={rounded_up(noise.tolerance)}, or order'
  else:
    advice += 'order'
  draft.advice = [advice + ' the operations as TF1 does.']


@dataclasses.dataclass(frozen=True)
class _Uncertain:
  """A result that one side alone computes without certainty."""

  side: str
  other: str
  result: str
  error: float
  other_error: float


def _uncertain_alone(found: Result) -> _Uncertain | None:
  """Returns which side alone is far from float64, None if both or neither."""
  for label, value in found.results[0].items():
    if any(label not in single for single in found.single):
      continue
    scale = float(np.max(np.abs(value), initial=0.0))
    errors = [
      float(
        np.max(
          np.abs(np.asarray(single[label], np.float64) - double[label]),
          initial=0.0,
        )
      )
      for single, double in zip(found.single, found.results, strict=True)
    ]
    if not scale or not np.isfinite(errors).all():
      continue
    worse = int(errors[1] > errors[0])
    if errors[worse] > _VACUOUS * scale and (
      errors[1 - worse] < _ACCURATE * errors[worse]
    ):
      sides = ('TF1', 'TF2')
      return _Uncertain(
        sides[worse],
        sides[1 - worse],
        label[1],
        errors[worse],
        errors[1 - worse],
      )
  return None


def _fill_in(
  place: divergence.Divergence, known: divergence.Divergence
) -> None:
  """Fills in lines that are known from elsewhere."""
  for side in ('tf1', 'tf2'):
    mine, other = getattr(place, side), getattr(known, side)
    if mine is not None and other is not None and not mine.line:
      setattr(place, side, dataclasses.replace(mine, line=other.line))


def _reproduced(
  found: Result, tf1: observation.Observation, gap: float
) -> bool:
  """Returns whether TF2's graph is as far from TF1 in float32 as observed."""
  observed = dict(tf1.outputs)
  for (group, name), value in found.single[1].items():
    path = name[len(tf1_capture.OUTPUT) :]
    if group != tf1_capture.OUTPUT or path not in observed:
      return True  # Only outputs are kept in a form that can be compared.
    apart = np.abs(np.asarray(value, np.float64) - observed[path])
    if np.max(apart, initial=0.0) > 0.1 * gap:
      return True
  return False


def _advice(place: divergence.Divergence, advice: list[str]) -> list[str]:
  """Puts what is known of the place before, or instead of, general advice."""
  rest = [
    line
    for line in advice
    if line not in (advice_texts.LOOK_INSIDE, advice_texts.UNAWARE)
  ]
  first = [place.mistake] if place.mistake else []
  if first and place.group in labels_lib.ASSIGNED:
    return first  # The general advice only guesses.
  return first + rest or [advice_texts.COMPARE_LINES]
