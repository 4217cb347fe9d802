"""What to do next, by what differs: the last lines of a failure."""

import re

from tf_equiv.core import observation

NOTHING_COMPARED = (
  'Nothing was compared, so nothing is proven. If that is expected, say so '
  'with allow_empty=True.'
)

VARIANT = (
  'The model agrees with TF1 eagerly, but not in the variant %r: look for what '
  'Python does only while the function is traced (side effects, branches on '
  'Python values, NumPy and its random numbers, variables or state kept in '
  'plain attributes).'
)

MIRRORED = (
  'The model agrees on the whole batch, but not on two halves: each loss must '
  'be a mean over the batch (it is divided by the number of replicas, which is '
  'wrong for a sum), and nothing may mix the examples of a batch.'
)

GRAPPLER = (
  "TensorFlow's graph optimizer makes the difference, by its pass %r: without "
  'it the sides agree. That is rounding, or a bug of the optimizer; the model '
  'is not at fault. tf.config.optimizer.set_experimental_options switches it '
  'off.'
)

LOOK_INSIDE = (
  'Return intermediate tensors (end points) from both sides: the first one '
  'that differs in forward order holds the fault. Typical causes: epsilon, '
  'padding, activation, axis, scale, a missing bias, dropout rate against '
  'keep_prob.'
)

_NO_DRAWS = (
  'The TF2 model makes no draw with stateful random ops: Keras 3, '
  'tf.random.Generator and stateless ops have random numbers of their own. '
  "With weights='fixed' they are replaced by those of TF1 where both sides "
  'make the same draws in the same order.'
)

_LOOP = (
  'TF2 repeats a draw that TF1 makes once. If that is a loop (dynamic_rnn with '
  'dropout, tf.while_loop): TF1 has one op that runs in each turn, eager '
  'execution makes a new one. Wrap the call in a tf.function in call_tf2 and '
  'pass parallel_iterations=1 to the loop on both sides; otherwise drop the '
  'surplus draw.'
)

OLD_VARIABLES = (
  '%d variable(s), first %s, existed before build_tf2 was called, so that '
  'their initializers did not run under the seeds of this test: build the '
  'model in build_tf2, anew in each call, or compare with fixed weights.'
)

HYPERPARAMETERS = (
  'Give the TF2 optimizer the hyperparameters of TF1 (defaults differ between '
  'tf.compat.v1.train and Keras; docs/optimizers.md lists them), or, if the '
  'change is intended, pass compare_hyperparameters=False.'
)

NOTHING_CHANGED = (
  'Nothing was trained, so nothing is proven: check the learning rate and the '
  'loss. If that is expected, say so with allow_empty=True.'
)

VACUOUS_STEPS = (
  'Train on batches that mean something: random ones (make_batch) instead of '
  'constant ones, more than one example, other weights (reset_weights), a loss '
  'that is not saturated. If it is meant to be so, pass allow_vacuous=True.'
)

_STEP_ADVICE = {
  'loss': (
    'Outputs agree, so the loss itself differs: its reduction (mean, sum, '
    'SUM_BY_NONZERO_WEIGHTS), weights, label smoothing, logits against '
    'probabilities, or a regularization loss.'
  ),
  'gradients': (
    'The loss agrees, so its gradients are treated differently: clipping (by '
    'value, norm or global norm), tf.stop_gradient, aggregation of sparse '
    'gradients, or which variables an optimizer trains.'
  ),
  'learning rate': (
    'Compare what the constructors get (the defaults differ), and the '
    'schedules: staircase, decay_steps, boundaries, and the step '
    'that they count (TF1 the global step before the update, Keras the '
    "optimizer's iterations)."
  ),
  'slots': (
    'Gradients agree, so the optimizer accumulates them differently: its '
    'decay rates, momentum, or initial values (v1 RMSProp starts its mean '
    'square at one, Keras at zero). docs/optimizers.md has the formulas.'
  ),
  'variables': (
    'Gradients and learning rate agree, so the update rule differs: epsilon, '
    'momentum (and, under a schedule, whether the learning rate is inside of '
    'it), Nesterov, weight decay. docs/optimizers.md has the formulas.'
  ),
  'variables that are not trained': (
    'Moving statistics are updated differently: TF1 updates them by UPDATE_OPS '
    '(tf1_update_ops = False if your loop does not run them), TF2 in the call '
    'with training=True. Compare the momentum (decay) of batch normalization. '
    'Unfused and Keras 3 batch normalization keep the biased variance, the '
    'fused op of TF1 that times n/(n-1): then pass compare_updates=False.'
  ),
  'step counter': (
    'Count each update once: in TF1 by global_step=... of apply_gradients or '
    'minimize, in TF2 by the iterations of the optimizer.'
  ),
}


OWN_LOOP = (
  'What train_tf1 and train_tf2 return differs although the step starts from '
  'the same variables: compare the losses, the order of the updates, and which '
  'variables each optimizer trains.'
)

MOMENTUM_UNDER_SCHEDULE = (
  'The learning rate changes, and momentum is another one then: TF1 adds up '
  'gradients and multiplies the sum by the rate of the step, Keras multiplies '
  'each gradient by the rate of its own step. They cannot be made equal; use '
  'tf.compat.v1.train.MomentumOptimizer in TF2 or accept the difference.'
)

# (pattern of the name of a TF1 variable that TF2 does not have, advice)
_MISSING = (
  (
    r'/part_\d+$',
    'TF1 partitions the variable. It cannot be matched with one TF2 variable: '
    'build the TF1 side without the partitioner (the values are the same).',
  ),
  (
    r'(^|/)(beta[12]_power|(Adam|Momentum|RMSProp|Adagrad|Ftrl)(_\d+)?)$',
    'Slots of an optimizer are among them: build_tf1 should build the forward '
    'pass only, without optimizer.minimize.',
  ),
)


def for_variables(table) -> list[str]:
  """Advice on a table of variables that do not correspond."""
  advice = []
  found = (*table.untracked, *table.extra, *(b for _, b in table.pairs))
  if any(spec.undecorated for spec in found):
    return [observation.UNDECORATED_ADVICE]
  if table.suggestion.names:
    advice.append(
      'If the likely renames are right, paste this rename_variable into the '
      'test class.'
    )
  if table.untracked and table.missing:
    advice.append(
      'The TF2 model created variables that it does not list: assign the '
      'variable, layer or model to an attribute of the model.'
    )
  if table.missing or table.extra:
    advice.append(
      'Names of tf.Variable and of Keras layers differ between a TF1 graph '
      'and eager execution (scopes, counters); map them with '
      'rename_variable, and leave out what is no part of the model with '
      'ignored_variables.'
    )
  for pattern, known in _MISSING:
    if any(re.search(pattern, spec.name) for spec, _ in table.missing):
      advice.insert(0, known)
  if table.shapes:
    advice.append(
      'If the layout was changed on purpose, transform the value in '
      'convert_variable(tf1_name, value, tf2_name).'
    )
  if table.dtypes:
    advice.append(
      'Give the TF2 variable the dtype of TF1 (Keras layers take dtype=...); '
      'computing in another precision gives other numbers.'
    )
  if table.trainable:
    advice.append(
      'Set `trainable` of the TF2 variable or layer as in TF1; otherwise the '
      'optimizer updates other variables than before.'
    )
  if table.duplicates:
    advice.append(
      'Give each layer of the TF2 model a name of its own, and check with '
      'assertNoNewVariables that calls do not create variables anew.'
    )
  return advice


def for_order(ledger) -> list[str]:
  """Advice on random draws in another order."""
  if not ledger.tf2_count:
    return [_NO_DRAWS]
  if ledger.repeated:
    return [_LOOP]
  if ledger.initializers_first:
    reason = (
      'TF2 creates all variables before the forward pass draws (a Keras '
      'functional model, or a model that was built before the call), while '
      'TF1 mixes both in program order. That is no bug of the model.'
    )
  else:
    reason = (
      'A dropout layer, an initializer or another random op was moved, added '
      'or left out at the lines above; if that is not intended, mend it there.'
    )
  return [
    reason,
    "seed_mode='constant' does not depend on the order of draws: use it where "
    'the order may differ, or call the decorated layer directly.',
  ]


def for_values(verdict, group, plan, tf2) -> list[str]:
  """Advice on values that differ; `group` is the first that does."""
  advice = []
  if plan.training and not tf2.takes_training:
    advice.append(
      'The TF2 model takes no `training` argument and ran as it always does; '
      'hand the flag on in call_tf2 if it has another name.'
    )
  if verdict.ledger and not verdict.ledger.tf2_count:
    advice.append(_NO_DRAWS)
  elif verdict.ledger and verdict.ledger.repeated:
    advice.append(_LOOP)
  if _both_nan(verdict.failed(group)):
    advice.append(
      'TF1 itself gives NaN there: choose inputs (make_inputs) and weights '
      '(reset_weights) for which it does not, or pass equal_nan=True.'
    )
  elif group == 'weights':
    advice.append(
      'Give both sides the same initializers (Keras defaults are '
      'glorot_uniform; a rewrite with Keras initializers draws other '
      "numbers: then compare with weights='fixed' or without seed_mode)."
    )
  elif group == 'outputs' and plan.training:
    advice.append(
      'If inference agrees (assertForwardEquivalent), look at dropout (rate '
      'against keep_prob, position) and at the training flag of batch '
      'normalization; otherwise mend inference first.'
    )
  elif group == 'outputs':
    advice.append(LOOK_INSIDE)
  elif group == 'regularization losses' and not tf2.losses:
    advice.append(
      'The TF2 model reports no regularization loss: the shim and `losses` of '
      'Keras layers and models are read. A function, or a class that is no '
      'tf.Module, needs an attribute `losses` that lists them. Losses of '
      'activations in tf.compat.v1.layers are lost behind the shim: use '
      'self.add_loss in a Keras layer.'
    )
  elif group == 'regularization losses':
    advice.append(
      'Check which variables are regularized and the factor: tf.nn.l2_loss '
      'and tf_slim.l2_regularizer take half of the sum of squares, Keras L2 '
      'takes all of it.'
    )
  elif any('trainable' in c.problem for c in verdict.failed(group)):
    advice.append(
      'Set `trainable` of the TF2 variable or layer as in TF1; '
      'assertVariablesMatch lists all that differ.'
    )
  elif group == 'updated variables':
    advice.append(
      'Outputs agree, so the update differs: momentum (decay) of batch '
      'normalization, or updates that one side leaves out. Unfused and Keras 3 '
      'batch normalization keep the biased variance, the fused op of TF1 that '
      'times n/(n-1), with n values per channel: such a moving_variance '
      'differs for good; then pass compare_updates=False.'
    )
  elif group in ('loss', 'gradients'):
    advice.append(
      'If the outputs agree, look at compute_loss, tf.stop_gradient, '
      'clipping, and the reduction of the loss.'
    )
  return advice


def for_step(group, step, verdict, plan, tf2) -> list[str]:
  """Advice on a training step; `group` is the first quantity that differs."""
  if group == 'outputs' and step:
    return [
      'All variables agreed after the step before, so something that is no '
      'variable of the model differs: make_batch(step) must give the same '
      'batch each time it is called, and random numbers or Python state must '
      'not depend on the step.'
    ]
  if group in ('outputs', 'regularization losses'):
    return for_values(verdict, group, plan, tf2)
  return [_STEP_ADVICE[group.split(' (')[0]]]


def _both_nan(failed) -> bool:
  values_there = [(c.tf1_value, c.tf2_value) for c in failed if not c.problem]
  return bool(values_there) and all(a != a and b != b for a, b in values_there)
