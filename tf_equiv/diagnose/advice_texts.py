"""Sentences that say what to do next."""

from tf_equiv.compare.metrics import CauseKind
from tf_equiv.compare.outcome import Kind
from tf_equiv.compare.quantity import Quantity

NOTHING_COMPARED = (
  'Nothing was compared, so nothing is proven. If that is expected, say so '
  'with allow_empty=True.'
)

VARIANT = (
  'The model agrees with TF1 eagerly, but not in the variant {!r}: look for '
  'what Python does only while the function is traced (side effects, branches '
  'on Python values, NumPy and its random numbers, variables or state kept in '
  'plain attributes).'
)

MIRRORED = (
  'The model agrees on the whole batch, but not on two halves: each loss must '
  'be a mean over the batch (it is divided by the number of replicas, which is '
  'wrong for a sum), and nothing may mix the examples of a batch.'
)

GRAPPLER = (
  "TensorFlow's graph optimizer makes the difference, by its pass {!r}: "
  'without it the sides agree. That is rounding, or a bug of the optimizer; '
  'the model is not at fault. '
  'tf.config.optimizer.set_experimental_options switches it off.'
)

LOOK_INSIDE = (
  'Return intermediate tensors (end points) from both sides: the first one '
  'that differs in forward order holds the fault. Typical causes: epsilon, '
  'padding, activation, axis, scale, a missing bias, dropout rate against '
  'keep_prob.'
)

COMPARE_LINES = (
  'Compare the code at the lines above: what both sides compute before them '
  'agrees.'
)

NO_DRAWS = (
  'The TF2 model makes no draw with stateful random ops: Keras 3, '
  'tf.random.Generator and stateless ops have random numbers of their own. '
  "With weights='fixed' they are replaced by those of TF1 where both sides "
  'make the same draws in the same order.'
)

LOOP = (
  'TF2 repeats a draw that TF1 makes once. If that is a loop (dynamic_rnn with '
  'dropout, tf.while_loop): TF1 has one op that runs in each turn, eager '
  'execution makes a new one. Wrap the call in a tf.function in call_tf2 and '
  'pass parallel_iterations=1 to the loop on both sides; otherwise drop the '
  'surplus draw.'
)

INITIALIZERS_FIRST = (
  'TF2 creates all variables before the forward pass draws (a Keras functional '
  'model, or a model that was built before the call), while TF1 mixes both in '
  'program order. That is no bug of the model.'
)

OTHER_ORDER = (
  'A dropout layer, an initializer or another random op was moved, added or '
  'left out at the lines above; if that is not intended, mend it there.'
)

BY_CONSTANT = (
  "seed_mode='constant' does not depend on the order of draws: use it where "
  'the order may differ, or call the decorated layer directly.'
)

# What only holds where random draws make the results differ.
OF_DRAWS = (NO_DRAWS, LOOP, INITIALIZERS_FIRST, OTHER_ORDER, BY_CONSTANT)

OLD_VARIABLES = (
  '{} variable(s), first {}, existed before build_tf2 was called, so that '
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

STEP = {
  Quantity.LOSS: (
    'Outputs agree, so the loss itself differs: its reduction (mean, sum, '
    'SUM_BY_NONZERO_WEIGHTS), weights, label smoothing, logits against '
    'probabilities, or a regularization loss.'
  ),
  Quantity.GRADIENTS: (
    'The loss agrees, so its gradients are treated differently: clipping (by '
    'value, norm or global norm), tf.stop_gradient, aggregation of sparse '
    'gradients, or which variables an optimizer trains.'
  ),
  Quantity.LEARNING_RATE: (
    'Compare what the constructors get (the defaults differ), and the '
    'schedules: staircase, decay_steps, boundaries, and the step '
    'that they count (TF1 the global step before the update, Keras the '
    "optimizer's iterations)."
  ),
  Quantity.SLOTS: (
    'Gradients agree, so the optimizer accumulates them differently: its '
    'decay rates, momentum, or initial values (v1 RMSProp starts its mean '
    'square at one, Keras at zero). docs/optimizers.md has the formulas.'
  ),
  Quantity.VARIABLES: (
    'Gradients and learning rate agree, so the update rule differs: epsilon, '
    'momentum (and, under a schedule, whether the learning rate is inside of '
    'it), Nesterov, weight decay. docs/optimizers.md has the formulas.'
  ),
  Quantity.UNTRAINED_VARIABLES: (
    'Moving statistics are updated differently: TF1 updates them by UPDATE_OPS '
    '(tf1_update_ops = False if your loop does not run them), TF2 in the call '
    'with training=True. Compare the momentum (decay) of batch normalization. '
    'Unfused and Keras 3 batch normalization keep the biased variance, the '
    'fused op of TF1 that times n/(n-1): then pass compare_updates=False.'
  ),
  Quantity.STEP_COUNTER: (
    'Count each update once: in TF1 by global_step=... of apply_gradients or '
    'minimize, in TF2 by the iterations of the optimizer.'
  ),
}

UPDATE_WITHOUT_RATE = (
  'Gradients agree; the learning rates were not compared. Compare them, and '
  'the update rule: epsilon, momentum, Nesterov, weight decay.'
)

UPDATE_WITHOUT_GRADIENTS = (
  'What is assigned to these variables differs; their gradients were not '
  'compared, because no optimizer of one side, or an unknown one, trains them. '
  'Compare what the step computes for them.'
)

UPDATE_PARTLY = (
  'The update differs. Gradients were compared for some of these variables '
  'only: compare those of the others, and the update rule.'
)

RACE = (
  'TF1 reads and assigns {} in one run with no order between them, so that no '
  'comparison can be repeated: it is read by {} and assigned by {}. Order them '
  'in TF1 by tf.control_dependencies, the read first if that is meant.'
)

GRADIENTS_OF_OWN_LOOP = (
  'The variables agree before the step, and the gradients do not: compare what '
  'train_tf1 and train_tf2 differentiate (which losses, with which weights), '
  'and what they do with the gradients before they apply them.'
)

OWN_LOOP = (
  'What train_tf1 and train_tf2 return differs although the step starts from '
  'the same variables: compare the losses, the order of the updates, and which '
  'variables each optimizer trains.'
)

OF_AVERAGE = (
  'Compare how both sides average: the decay (num_updates and zero_debias '
  'change it), whether before or after the update, and from which values the '
  'average starts.'
)
MOMENTUM_UNDER_SCHEDULE = (
  'The learning rate changes, and momentum is another one then: TF1 adds up '
  'gradients and multiplies the sum by the rate of the step, Keras multiplies '
  'each gradient by the rate of its own step. They cannot be made equal; use '
  'tf.compat.v1.train.MomentumOptimizer in TF2 or accept the difference.'
)

UNAWARE = (
  'The TF2 model takes no `training` argument and ran as it always does; '
  'hand the flag on in call_tf2 if it has another name.'
)

BOTH_NAN = (
  'TF1 itself gives NaN there: choose inputs (make_inputs) and weights '
  '(reset_weights) for which it does not, or pass equal_nan=True.'
)

OUTPUTS_IN_TRAINING = (
  'If inference agrees (assertForwardEquivalent), look at dropout (rate '
  'against keep_prob, position) and at the training flag of batch '
  'normalization; otherwise mend inference first.'
)

NO_REGULARIZATION = (
  'The TF2 model reports no regularization loss: the shim and `losses` of '
  'Keras layers and models are read. A function, or a class that is no '
  'tf.Module, needs an attribute `losses` that lists them. Losses of '
  'activations in tf.compat.v1.layers are lost behind the shim: use '
  'self.add_loss in a Keras layer.'
)

TRAINABLE = (
  'Set `trainable` of the TF2 variable or layer as in TF1; '
  'assertVariablesMatch lists all that differ.'
)

LOSS_OR_GRADIENTS = (
  'If the outputs agree, look at compute_loss, tf.stop_gradient, '
  'clipping, and the reduction of the loss.'
)

# Where what a forward pass assigns are no moving statistics.
OTHER_ASSIGNMENT = (
  'Outputs agree, so what the forward pass assigns differs: compare what both '
  'sides assign, and how often.'
)

OF_QUANTITY = {
  Quantity.WEIGHTS: (
    'Give both sides the same initializers (Keras defaults are '
    'glorot_uniform; a rewrite with Keras initializers draws other '
    "numbers: then compare with weights='fixed' or without seed_mode)."
  ),
  Quantity.REGULARIZATION_LOSSES: (
    'Check which variables are regularized and the factor: tf.nn.l2_loss '
    'and tf_slim.l2_regularizer take half of the sum of squares, Keras L2 '
    'takes all of it.'
  ),
  Quantity.UPDATED_VARIABLES: (
    'Outputs agree, so the update differs: momentum (decay) of batch '
    'normalization, or updates that one side leaves out. Unfused and Keras 3 '
    'batch normalization keep the biased variance, the fused op of TF1 that '
    'times n/(n-1), with n values per channel: such a moving_variance '
    'differs for good; then pass compare_updates=False.'
  ),
  Quantity.LOSS: LOSS_OR_GRADIENTS,
  Quantity.GRADIENTS: LOSS_OR_GRADIENTS,
}

LATER_OUTPUTS = (
  'All variables agreed after the step before, so something that is no '
  'variable of the model differs: make_batch(step) must give the same '
  'batch each time it is called, and random numbers or Python state must '
  'not depend on the step.'
)

INFERENCE_CHANGES = (
  'Inference must leave weights and moving statistics alone: check that '
  'the training flag reaches batch normalization and every assign. What is '
  'meant to remember from call to call can be named in ignored_variables.'
)

MISSING_TRAINING = (
  'The TF2 model takes no `training` argument, but the TF1 graph draws '
  'random numbers or updates moving statistics in training: comparing '
  'them would compare training with inference. Add `training=None` to '
  'the signature of the model, or hand the flag on under its own name in '
  'call_tf2(model, inputs, training).'
)

OF_CHECKPOINTS = {
  Quantity.LOADED: (
    'Two variables may share their memory, or a property of the model '
    'replaces what is assigned.'
  ),
  Quantity.RESTORED_OUTPUTS: (
    'The model keeps something that is no variable and is set when it is '
    'built (a NumPy array, a random number, a counter): make it a '
    'tf.Variable, or the same each time.'
  ),
}

OTHER_NEST = (
  'Return the same nest of tensors from build_tf1 and from the TF2 model, or '
  'adapt it in call_tf2.'
)

OTHER_DTYPE = (
  'Compute in the dtype of TF1 (the dtype of layers, a mixed precision policy, '
  'a cast); where another dtype is meant, cast the output in call_tf2.'
)

OTHER_SHAPE = (
  'Look at what makes the shape at the lines above (padding, strides, axes, '
  'a squeezed or flattened dimension); where another layout is meant, reshape '
  'the output in call_tf2.'
)

VACUOUS_METRICS = (
  'Use batches (make_batch) or weights (reset_weights) for which the metrics '
  'are not zero. If they are meant to be so, pass allow_vacuous=True.'
)
METRIC = (
  'docs/metrics.md says which metric of Keras equals which of '
  'tf.compat.v1.metrics, and by how much others are off.'
)
METRIC_OUTPUTS = (
  'The outputs come first: assertForwardEquivalent names the op in which they '
  'differ, for the inputs of make_inputs.'
)
OF_METRICS = {
  CauseKind.OUTPUTS: METRIC_OUTPUTS,
  CauseKind.ARGUMENTS: (
    '{name}: give {metric} in build_metrics_tf2 the argument(s) {changes}.'
  ),
  CauseKind.CLASS: (
    '{name}: return {other} in place of {metric} in build_metrics_tf2, or '
    'change what TF1 measures if that was not meant.'
  ),
  CauseKind.WEIGHTS: (
    '{name}: give the weights to the metrics of both sides, or of neither.'
  ),
  CauseKind.STATE: (
    '{name}: do not reset the metric between batches; each assertion starts '
    'anew by itself.'
  ),
}
OF_KIND = {
  Kind.NO_VARIABLES: NOTHING_COMPARED,
  Kind.NO_WATCHED_VARIABLES: NOTHING_COMPARED,
  Kind.NO_OUTPUTS: NOTHING_COMPARED,
  Kind.NO_GRADIENTS: NOTHING_COMPARED,
  Kind.NO_UPDATES: NOTHING_CHANGED,
  Kind.VACUOUS: (
    'Use random inputs (make_inputs) instead of constant ones, a batch larger '
    'than one, or other weights (reset_weights). If the outputs are meant to '
    'be so, pass allow_vacuous=True.'
  ),
  Kind.NOT_TRACKABLE: (
    'Derive it from tf.Module or a Keras layer, and keep its variables as '
    'attributes of it.'
  ),
  Kind.NOT_RESTORED: (
    'tf.train.Checkpoint goes by attribute names and the order of lists: '
    'build_tf2 must create layers and variables under the same attributes, '
    'in the same order, each time (no sets, no counters that go on).'
  ),
}

# What only tells where to look, and is of no use once a repair is proven.
GENERAL = frozenset(
  {
    LOOK_INSIDE,
    COMPARE_LINES,
    OUTPUTS_IN_TRAINING,
    OTHER_ASSIGNMENT,
    LOSS_OR_GRADIENTS,
    LATER_OUTPUTS,
    OF_AVERAGE,
    OWN_LOOP,
    GRADIENTS_OF_OWN_LOOP,
    UPDATE_WITHOUT_RATE,
    UPDATE_WITHOUT_GRADIENTS,
    UPDATE_PARTLY,
    *(text for key, text in OF_QUANTITY.items() if key != Quantity.WEIGHTS),
    *(text for key, text in STEP.items() if key != Quantity.STEP_COUNTER),
  }
)
