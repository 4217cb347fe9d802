"""Explains what differs beside the numbers that graphs compute.

That is the shape or dtype of an output, a loss that one side alone has, an
initializer, or the shape of a variable. Each function adds to a verdict, and
takes the `locating.Locator` that captures both sides.
"""

import dataclasses
import re
from typing import Any

from tf_equiv.compare import divergence, initializers
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import places, search, shapes
from tf_equiv.tf1.capture import capture as tf1_capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import initializers as tf2_initializers

WEIGHTS = 'weights'
# A difference of an output's shape or dtype.
_OUTPUT = re.compile(r'^(outputs\S*): TF1 \w+\[')


def explain_structure(locator: Any, verdict: verdict_lib.Verdict) -> None:
  """Says which ops make an output that has another shape or dtype."""
  for line in verdict.evidence:
    known = _OUTPUT.match(line)
    if known:
      label = (tf1_capture.OUTPUT, known.group(1))
      captures = locator.captured([label])[:2]
      verdict.divergence = search.results(captures, label)
      return


def explain_loss(locator: Any, verdict: verdict_lib.Verdict, name: str) -> None:
  """Says which op makes a regularization loss that one side alone has.

  Args:
    locator: captures both sides.
    verdict: gets the place.
    name: names of the TF1 variables behind the loss.
  """
  label = (tf1_capture.LOSS, name)
  first, second, table = locator.captured([label])
  names = table.tf1_names_of()
  found = []
  for captured in (first, second):
    targets = {
      ', '.join(sorted(names.get(n, (n,))[0] for n in behind.split(', '))): t
      for (group, behind), t in captured.targets.items()
      if group == tf1_capture.LOSS
    }
    op = targets[name].op if name in targets else None
    found.append(op and places.place_of(captured, op.name, op.type))
  if any(found):
    there = 'TF1' if found[0] else 'TF2'
    verdict.kind = divergence.REAL
    verdict.divergence = divergence.Divergence(
      *found,
      differences=[f'only {there} regularizes {name}'],
      variables=tuple(name.split(', ')),
    )


def explain_weights(locator: Any, verdict: verdict_lib.Verdict) -> None:
  """Says which initializer of TF2 differs from that of TF1."""
  case = locator.case
  plan = dataclasses.replace(locator.plan, gradients=False, batches=())
  first = locator.run.capture_initializers(plan)
  second, tf2 = tf2_initializers.capture(case._tf2_program(), plan)
  sources = case._match(locator.tf1, tf2).tf1_names_of()
  values = locator.tf1.weight_of(), tf2.weight_of()
  for failed in verdict.failed(WEIGHTS):
    names = sources.get(failed.name, ())
    if len(names) != 1 or names[0] not in first or failed.name not in second:
      continue
    place = initializers.compare(
      names[0],
      first[names[0]],
      second[failed.name],
      (values[0][names[0]], values[1][failed.name]),
    )
    if place is not None:
      verdict.kind = divergence.REAL
      verdict.divergence = place
      if place.mistake:
        verdict.advice.insert(0, place.mistake)
      return


def explain_shapes(locator: Any, verdict: verdict_lib.Verdict) -> None:
  """Says which op before a variable of another shape is the first of one."""
  plan = dataclasses.replace(locator.plan, weights=plan_lib.FIXED)
  first = locator.run.capture(plan, {})
  second = tf2_capture.capture(
    locator.case._tf2_program(),
    plan,
    lambda tf2: [None] * len(tf2.variables),
    locator.tf1,
  )
  for mine, _, theirs in verdict.table.shapes:
    verdict.divergence = shapes.locate(
      (first, second), (mine.name, theirs.name)
    )
    if verdict.divergence is not None:
      return
