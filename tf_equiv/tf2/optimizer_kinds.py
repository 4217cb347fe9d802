"""What Keras calls its optimizers, hyperparameters and slots, in words of TF1.

The names are those of the attributes in tf_keras/src/optimizers/*.py and
keras/src/optimizers/*.py.
"""

from tf_equiv.tf1 import optimizers as tf1_optimizers

# Keras' own classes; those of users are what they derive from. AdamW is no
# Adam, though its class derives from it.
KINDS = {
  'SGD': tf1_optimizers.MOMENTUM,
  'Adam': tf1_optimizers.ADAM,
  'NonFusedAdam': tf1_optimizers.ADAM,
  'RMSprop': tf1_optimizers.RMSPROP,
  'Adagrad': tf1_optimizers.ADAGRAD,
  'Adadelta': tf1_optimizers.ADADELTA,
  'Ftrl': tf1_optimizers.FTRL,
  'AdamW': 'adamw',
  'Nadam': 'nadam',
  'Adamax': 'adamax',
  'Lion': 'lion',
  'Lamb': 'lamb',
  'Adafactor': 'adafactor',
  'Muon': 'muon',
  'ScheduleFreeAdamW': 'schedule-free adamw',
}
# attribute -> hyperparameter
HYPERPARAMETERS = {
  'momentum': 'momentum',
  'nesterov': 'nesterov',
  'beta_1': 'beta_1',
  'beta_2': 'beta_2',
  'epsilon': 'epsilon',
  'adaptive_epsilon': 'adaptive_epsilon',
  'rho': 'rho',
  'centered': 'centered',
  'amsgrad': 'amsgrad',
  'initial_accumulator_value': 'initial_accumulator_value',
  'learning_rate_power': 'learning_rate_power',
  'l1_regularization_strength': 'l1',
  'l2_regularization_strength': 'l2',
  'l2_shrinkage_regularization_strength': 'l2_shrinkage',
  'beta': 'beta',
  'weight_decay': 'weight_decay',
  'clipnorm': 'clipnorm',
  'clipvalue': 'clipvalue',
  'global_clipnorm': 'global_clipnorm',
  'ema_momentum': 'ema_momentum',
  'ema_overwrite_frequency': 'ema_overwrite_frequency',
  'gradient_accumulation_steps': 'gradient_accumulation_steps',
}
OF_AVERAGES = ('ema_momentum', 'ema_overwrite_frequency')

# kind of optimizer -> slot (attribute, or name in legacy optimizers) -> meaning
_OF_ADAM = {
  'momentums': 'first moment',
  'velocities': 'second moment',
  'velocity_hats': 'largest second moment',
  'm': 'first moment',
  'v': 'second moment',
  'vhat': 'largest second moment',
}
SLOTS = {
  tf1_optimizers.MOMENTUM: {'momentums': 'momentum', 'momentum': 'momentum'},
  tf1_optimizers.ADAM: _OF_ADAM,
  'adamw': _OF_ADAM,
  'nadam': _OF_ADAM,
  'lamb': _OF_ADAM,
  'lion': {'momentums': 'first moment'},
  'adamax': {
    'm': 'first moment',
    'u': 'infinity norm',
    'v': 'infinity norm',
  },
  tf1_optimizers.RMSPROP: {
    'velocities': 'mean square',
    'average_gradients': 'mean gradient',
    'momentums': 'momentum',
    'rms': 'mean square',
    'mg': 'mean gradient',
    'momentum': 'momentum',
  },
  tf1_optimizers.ADAGRAD: {
    'accumulators': 'accumulator',
    'accumulator': 'accumulator',
  },
  tf1_optimizers.ADADELTA: {
    'accumulated_grads': 'accumulated gradient',
    'accumulated_delta_vars': 'accumulated update',
    'accum_grad': 'accumulated gradient',
    'accum_var': 'accumulated update',
  },
  tf1_optimizers.FTRL: {
    'accumulators': 'accumulator',
    'accumulator': 'accumulator',
    'linears': 'linear',
    'linear': 'linear',
  },
}
AVERAGES = 'model_variables_moving_average'
