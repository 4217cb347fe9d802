"""What other hyperparameters of an optimizer lead to, in a few words."""

from tf_equiv.compare import optimizers

_CONSEQUENCES = {
  'epsilon': 'it limits the update where gradients are small',
  'momentum': 'earlier gradients count more or less',
  'nesterov': 'the update looks one step of momentum ahead, or does not',
  'beta_1': 'the mean gradient forgets faster or slower',
  'beta_2': 'the mean square gradient forgets faster or slower',
  'rho': 'the mean square gradient forgets faster or slower',
  'centered': 'the gradient is scaled by its variance, or by its square',
  'initial_accumulator_value': 'the first updates are larger or smaller',
  'weight_decay': 'TF2 shrinks the weights in each step, TF1 does not',
  'amsgrad': 'TF2 divides by the largest mean square so far',
  'adaptive_epsilon': 'TF2 starts with a smaller epsilon',
  'ema_momentum': 'TF2 averages the weights, the optimizer of TF1 does not',
  'ema_overwrite_frequency': (
    'TF2 replaces the weights by their averages every so many steps'
  ),
  'gradient_accumulation_steps': (
    'TF2 updates once in so many steps, by the mean of their gradients'
  ),
  'learning_rate_power': 'the learning rate decays faster or slower',
  'l1': 'more or fewer weights become zero',
  'l2': 'the weights are held closer to zero, or less so',
  'l2_shrinkage': 'the weights shrink more or less in each step',
  'beta': 'it is one more L2 strength, beta / (2 * learning rate)',
  'kind': 'they are different algorithms',
}


# Where a hyperparameter means something else for one kind of optimizer.
_CONSEQUENCES_BY_ALGORITHM = {
  ('adadelta', 'epsilon'): 'the first updates grow with its root',
}


def consequence(difference: optimizers.HyperparameterDifference) -> str:
  """Returns what a difference leads to, '' if that is not known."""
  key = difference.algorithm, difference.name
  return _CONSEQUENCES_BY_ALGORITHM.get(
    key, _CONSEQUENCES.get(difference.name, '')
  )
