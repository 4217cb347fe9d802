"""Explains what differs beside the numbers that graphs compute.

That is the shape or dtype of an output, a loss that one side alone has, an
initializer, or the shape of a variable. Each function adds to a draft, and
takes the `Subject` that captures both sides.
"""

import dataclasses

from tf_equiv.compare import difference, divergence
from tf_equiv.compare.quantity import Key, Quantity
from tf_equiv.core import plan as plan_lib
from tf_equiv.diagnose import capturing, description, initializers, shapes
from tf_equiv.diagnose import draft as draft_lib
from tf_equiv.references import base as references
from tf_equiv.tf1.capture import capture as tf1_capture
from tf_equiv.tf2 import capture as tf2_capture
from tf_equiv.tf2 import initializers as tf2_initializers
from tf_equiv.tf2 import program as tf2_program


def explain_structure(
  subject: capturing.Subject, draft: draft_lib.Draft, label: tf1_capture.Label
) -> None:
  """Says which ops make an output, where nothing before it differs.

  Args:
    subject: both sides.
    draft: gets the place.
    label: the output.
  """
  captures = subject.capture([label])
  draft.divergence = description.of_results(captures, label)


def explain_loss(
  subject: capturing.Subject, draft: draft_lib.Draft, name: str
) -> None:
  """Says which op makes a regularization loss that one side alone has.

  Args:
    subject: both sides.
    draft: gets the place.
    name: names of the TF1 variables behind the loss.
  """
  label = (tf1_capture.LOSS, name)
  names = subject.pairing.tf1_names()
  found: list[divergence.Place | None] = []
  for captured in subject.capture([label]):
    targets = {
      ', '.join(sorted(names.get(n, (n,))[0] for n in behind.split(', '))): t
      for (group, behind), t in captured.targets.items()
      if group == tf1_capture.LOSS
    }
    op = targets[name].op if name in targets else None
    found.append(
      None if op is None else description.place_of(captured, op.name, op.type)
    )
  first, second = found
  place = first or second
  if place is not None:
    there = 0 if first is not None else 1
    draft.kind = divergence.REAL
    draft.divergence = divergence.Divergence(
      first,
      second,
      differences=[
        difference.one_sided(
          difference.Kind.REGULARIZES, there, place.name, subject=name
        )
      ],
      variables=tuple(name.split(', ')),
    )


def explain_weights(subject: capturing.Subject, draft: draft_lib.Draft) -> None:
  """Says which initializers of TF2 differ from those of TF1."""
  plan = dataclasses.replace(subject.plan, gradients=False, batches=())
  first = subject.run.capture_initializers(plan)
  second, tf2 = tf2_initializers.capture(subject.program, plan)
  sources = subject.pairing.tf1_names()
  values = subject.tf1.weight_of(), tf2.weight_of()
  for failed in draft.outcome.failed(Key(Quantity.WEIGHTS)):
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
      draft.kind = divergence.REAL
      if draft.divergence is not None:
        draft.others.append(place)
        continue
      draft.divergence = place
      if place.mistake:
        draft.advice.insert(0, place.mistake)


def explain_shapes(
  program: tf2_program.Program,
  plan: plan_lib.RunPlan,
  run: references.Run,
  draft: draft_lib.Draft,
) -> None:
  """Says which op before a variable of another shape is the first of one."""
  plan = dataclasses.replace(plan, weights=plan_lib.FIXED)
  first = run.capture(plan, {})
  forward = tf2_capture.prepare(program, plan, run.result())
  second = tf2_capture.capture(forward, plan, {})
  table = draft.outcome.table
  for mine, _, theirs in () if table is None else table.shapes:
    draft.divergence = shapes.locate((first, second), (mine.name, theirs.name))
    if draft.divergence is not None:
      return
