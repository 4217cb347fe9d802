"""Whether a certificate proves all that an older one does."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from tf_equiv.certificate import claims as claims_lib
from tf_equiv.certificate import entries as entries_lib
from tf_equiv.certificate import files


@dataclasses.dataclass(frozen=True)
class Change:
  """How two certificates differ.

  Attributes:
    lost: what is no longer proven, in sentences without an end.
    gained: claims that only the new one has.
    kept: number of claims that both have, and the new one in full.
  """

  lost: tuple[str, ...]
  gained: tuple[str, ...]
  kept: int


def compare(old: Sequence[files.Entry], new: Sequence[files.Entry]) -> Change:
  """Compares what two certificates prove.

  Which test of a class proves it, and in which order, does not matter.

  Args:
    old: entries of the older one.
    new: entries of the newer one.
  """
  before, after = claims_lib.of_entries(old), claims_lib.of_entries(new)
  called = claims_lib.short_names(
    key.owner for found in (before, after) for key in found
  )
  gone = {key.owner for key in before} - {key.owner for key in after}
  lost = [
    f'all of {called[owner]} '
    f'({sum(key.owner == owner for key in before)} claims)'
    for owner in sorted(gone)
  ]
  kept, fading = 0, []
  for key in sorted(key for key in before if key.owner not in gone):
    text = key.describe(called[key.owner])
    if key not in after:
      lost.append(text)
      continue
    missing = _missing(before[key], after[key])
    if missing:
      fading.append((key, text, missing))
    found = _weaker(before[key], after[key])
    lost += [f'{what} of the {text}' for what in found]
    kept += not (found or missing)
  gained = [
    key.describe(called[key.owner]) for key in sorted(set(after) - set(before))
  ]
  lost += _uncovered(before, after, called, fading)
  return Change(tuple(lost), tuple(gained), kept)


def _missing(
  old: Iterable[claims_lib.Claim], new: Iterable[claims_lib.Claim]
) -> frozenset[str]:
  """Returns the variables that claims of one kind are no longer about."""
  found = frozenset[str]().union(*(each.variables for each in old))
  return found.difference(*(each.variables for each in new))


def _uncovered(
  before: claims_lib.Claims,
  after: claims_lib.Claims,
  called: Mapping[str, str],
  fading: Iterable[tuple[claims_lib.Key, str, frozenset[str]]],
) -> list[str]:
  """Tells of variables that are no longer covered, by layer.

  Args:
    before: the claims of the older certificate.
    after: those of the newer one.
    called: what test classes are called.
    fading: (key, what is claimed, variables that it is no longer about).
  """
  lost, fading = [], list(fading)
  for owner in sorted({key.owner for key, *_ in fading}):
    own = [(text, names) for key, text, names in fading if key.owner == owner]
    every = frozenset[str]().union(*(names for _, names in own))
    nowhere = every - _covered(after, owner)
    known = _covered(before, owner, by_name=True)
    lost += [
      f'{what} is no longer covered in {called[owner]}'
      for what in _by_layer(nowhere, known)
    ]
    for text, names in own:
      lost += [
        f'{what} is no longer covered by the {text}'
        for what in _by_layer(names - nowhere, known)
      ]
  return lost


def _covered(
  claims: claims_lib.Claims, owner: str, by_name: bool = False
) -> frozenset[str]:
  """Returns the variables whose values a class has anything about.

  Args:
    claims: the claims.
    owner: full name of the class.
    by_name: whether those count that are matched by name alone.
  """
  return frozenset[str]().union(
    *(
      claim.variables
      for key, several in claims.items()
      if key.owner == owner
      and (by_name or key.assertion != claims_lib.VARIABLES)
      for claim in several
    )
  )


def _by_layer(names: Iterable[str], known: Iterable[str]) -> list[str]:
  """Names layers of which nothing is left, and else single variables."""
  names = set(names)
  rest = set(map(entries_lib.layer_of, set(known) - names))
  layers = set(map(entries_lib.layer_of, names)) - rest
  single = [n for n in names if entries_lib.layer_of(n) not in layers]
  return [
    *(f'layer {each}' for each in sorted(layers)),
    *(f'variable {each}' for each in sorted(single)),
  ]


def _weaker(
  old: Sequence[claims_lib.Claim], new: Sequence[claims_lib.Claim]
) -> list[str]:
  """Returns in what no new claim is as strong as one of the old, each once."""
  lost: dict[str, None] = {}
  for claim in old:
    found = min((_losses(claim, other) for other in new), key=len)
    lost.update(dict.fromkeys(found))
  return list(lost)


def _losses(old: claims_lib.Claim, new: claims_lib.Claim) -> list[str]:
  """Returns in what a claim is weaker than an older one of its kind."""
  return [text for loss in _LOSSES for text in loss(old, new)]


def _meaning(old: claims_lib.Claim, new: claims_lib.Claim) -> list[str]:
  if new.entry['vacuous'] and not old.entry['vacuous']:
    return ['the meaning (the agreement now proves nothing)']
  return []


def _counts(old: claims_lib.Claim, new: claims_lib.Claim) -> list[str]:
  found = []
  for name, what in (('steps', 'steps'), ('seeds', 'seeds')):
    first, second = old.terms.get(name, 0), new.terms.get(name, 0)
    if second < first:
      found.append(f'{first - second} of {first} {what}')
  if found:  # There is less of all else with them.
    return found
  for name, count in sorted(old.compared.items()):
    left = new.compared.get(name, 0)
    if name not in ('variables', 'steps') and left < count:
      found.append(f'{count - left} of {count} {name}')
  return found


def _search(old: claims_lib.Claim, new: claims_lib.Claim) -> list[str]:
  if old.terms.get('searched') and not new.terms.get('searched'):
    return ['the search for inputs that tell the sides apart']
  return []


def _tolerances(old: claims_lib.Claim, new: claims_lib.Claim) -> list[str]:
  found = []
  if new.terms.get('equal_nan') and not old.terms.get('equal_nan'):
    found.append('equal_nan=False')
  for i, name in enumerate(('rtol', 'atol')):
    first, second = old.terms.get(name), new.terms.get(name)
    if second == first or not _is_looser(old, new, name, i):
      continue
    before = f'the default {name}' if first is None else f'{name}={first:g}'
    now = 'the default' if second is None else f'{second:g}'
    found.append(f'{before} (now {now})')
  return found


def _is_looser(
  old: claims_lib.Claim, new: claims_lib.Claim, name: str, position: int
) -> bool:
  """Returns whether more may differ, by what was asked for, else by dtype."""
  first, second = old.terms.get(name), new.terms.get(name)
  if first is not None and second is not None:
    return bool(second > first)
  given, allowed = old.entry['tolerance'], new.entry['tolerance']
  both = set(given) & set(allowed)
  if not both:  # Nothing says how large the default was.
    return True
  return any(allowed[d][position] > given[d][position] for d in both)


def _reference(old: claims_lib.Claim, new: claims_lib.Claim) -> list[str]:
  """Tells of TensorFlow 1 that is no longer the real one."""
  first, second = (
    str(each.entry['versions'].get('TF1', {}).get('tensorflow', ''))
    for each in (old, new)
  )
  if first.startswith('1.') and not second.startswith('1.'):
    return [f'TensorFlow {first} as TF1 (now {second or "none"})']
  return []


_LOSSES: tuple[
  Callable[[claims_lib.Claim, claims_lib.Claim], list[str]], ...
] = (_meaning, _counts, _search, _tolerances, _reference)
