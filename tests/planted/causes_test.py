"""Classic mistakes are named where the evidence fits, and only there.

Each is named in the message of a planted pair that has it, and not in those of
pairs with another fault at the same place.
"""

from absl.testing import absltest, parameterized

from tests.planted import catalogue, pair

_PAIRS = catalogue.by_test_name()

# mistake -> (sentence, pair that has it, pairs with another fault there)
_CAUSES = {
  'epsilon_of_batch_norm': (
    'The epsilon of the normalization is 1e-05 in TF1 and 0.001 in TF2',
    'attention_epsilon_of_keras_batch_norm',
    (
      'attention_momentum_of_keras_batch_norm',
      'attention_batch_norm_without_training_flag',
      'state_moving_statistics_not_updated',
    ),
  ),
  'momentum_of_batch_norm': (
    'The momentum (decay) of batch normalization is 0.9 in TF1 and 0.99 in TF2',
    'attention_momentum_of_keras_batch_norm',
    (
      'attention_biased_variance_of_keras_3',
      'state_moving_statistics_not_updated',
      'state_zero_debias_lost',
    ),
  ),
  'biased_variance': (
    'times n/(n-1) with n=48 values per channel, TF2 the biased one',
    'attention_biased_variance_of_keras_3',
    (
      'attention_momentum_of_keras_batch_norm',
      'state_moving_statistics_not_updated',
      'state_zero_debias_lost',
    ),
  ),
  'moving_averages_not_updated': (
    'TF1 updates the variable in training, TF2 never does',
    'state_moving_statistics_not_updated',
    (
      'attention_momentum_of_keras_batch_norm',
      'state_decay_does_not_depend_on_updates',
      'state_updates_that_tf1_never_ran',
    ),
  ),
  'update_ops_that_never_ran': (
    'the training step of TF1 never does: it does not run UPDATE_OPS',
    'state_updates_that_tf1_never_ran',
    ('state_moving_statistics_not_updated', 'state_counted_twice'),
  ),
  'frozen_batch_norm': (
    'trainable is False always takes the moving ones',
    'state_frozen_batch_norm_uses_moving_statistics',
    (
      'attention_epsilon_of_keras_batch_norm',
      'state_moments_are_constants_for_gradients',
    ),
  ),
  'frozen_variable': (
    'Set `trainable` of the TF2 variable or layer as in TF1',
    'variables_embedding_frozen',
    ('variables_embedding_untied', 'variables_bias_forgotten'),
  ),
  'half_of_l2': (
    'The factor of the regularizer is doubled',
    'losses_l2_without_half',
    ('losses_factor_of_regularizer', 'losses_regularizer_forgotten'),
  ),
  'keep_prob': (
    'keep_prob of TF1 is 1 - rate of TF2',
    'randomness_keep_prob_for_rate',
    ('randomness_another_dropout_rate', 'randomness_dropout_not_scaled'),
  ),
  'epsilon_of_adam': (
    'tf.compat.v1.train.AdamOptimizer defaults to 1e-8, Keras to 1e-7',
    'optimizers_epsilon_of_adam',
    ('optimizers_beta_of_adam', 'optimizers_decay_of_rms_prop'),
  ),
  'half_pixel_centers': (
    'tf.image.resize of TF2 always takes half-pixel centers',
    'resizing_bilinear_with_half_pixel_centers',
    ('resizing_doubled_by_interpolation', 'resizing_average_counts_padding'),
  ),
  'same_padding_with_stride': (
    'SAME with a stride pads unevenly',
    'layers_same_padding_with_stride',
    ('layers_dilation_forgotten', 'resizing_stride_of_slim_pooling'),
  ),
  'forget_bias': (
    'TF1 adds a forget bias of 1 inside the LSTM cell',
    'recurrent_forget_bias_forgotten',
    (
      'recurrent_gates_in_the_order_of_tf1',
      'recurrent_hard_sigmoid_became_sigmoid',
      'recurrent_states_exchanged',
    ),
  ),
  'order_of_gates': (
    'The gates are in another order',
    'recurrent_gates_in_the_order_of_tf1',
    ('recurrent_forget_bias_forgotten', 'recurrent_states_exchanged'),
  ),
  'reset_after': (
    'pass reset_after=False',
    'recurrent_gru_reset_after',
    ('recurrent_gru_of_another_activation', 'recurrent_lengths_ignored'),
  ),
  'lengths_in_the_loop': (
    'TF1 selects by step inside of the loop',
    'recurrent_lengths_ignored',
    (
      'recurrent_last_output_of_padded_sequence',
      'recurrent_forget_bias_forgotten',
    ),
  ),
  'lengths_of_outputs': (
    'do not reach the layer in TF2',
    'recurrent_lengths_of_outputs_ignored',
    ('recurrent_padded_steps_repeated', 'recurrent_states_exchanged'),
  ),
  'padded_steps': (
    'repeat the last output in TF2: pass zero_output_for_mask=True',
    'recurrent_padded_steps_repeated',
    ('recurrent_lengths_of_outputs_ignored', 'recurrent_lengths_ignored'),
  ),
  'scores_of_an_attention': (
    'square root of their length, sqrt(8), TF2 does not',
    'computations_scores_not_scaled',
    ('computations_statistics_over_other_axes', 'losses_softmax_twice'),
  ),
  'gelu_by_hand': (
    'TF1 approximates the GELU by tanh, TF2 does not',
    'computations_erf_for_tanh',
    (
      'computations_sigmoid_for_hard_sigmoid',
      'computations_another_epsilon_by_hand',
    ),
  ),
  'axes_of_a_normalization': (
    'The normalization takes the variance over the axes [2] in TF1',
    'computations_statistics_over_other_axes',
    (
      'computations_another_epsilon_by_hand',
      'attention_epsilon_of_keras_layer_norm',
    ),
  ),
  'epsilon_by_hand': (
    'The epsilon of the normalization is 0.001 in TF1 and 0.1 in TF2',
    'computations_another_epsilon_by_hand',
    (
      'computations_statistics_over_other_axes',
      'attention_layer_norm_of_each_pixel',
    ),
  ),
  'hard_sigmoid': (
    'a hard sigmoid is no sigmoid',
    'computations_sigmoid_for_hard_sigmoid',
    ('computations_erf_for_tanh', 'layers_leaky_relu_of_keras'),
  ),
  'reversed_gradient': (
    'A gradient is reversed (times -0.25) on its way in TF1, and passed on',
    'computations_gradient_not_reversed',
    ('losses_stop_gradient_lost', 'optimizers_clipped_one_by_one'),
  ),
  'attributes_of_a_decoder': (
    'merge_repeated is True in TF1 and False in TF2',
    'computations_repeated_labels_not_merged',
    ('computations_rows_in_blocks',),
  ),
  'rows_of_a_table_in_parts': (
    "TF1 takes the rows of the parts in turn (partition_strategy='mod'",
    'computations_rows_in_blocks',
    ('variables_embedding_untied', 'computations_repeated_labels_not_merged'),
  ),
  'stopped_gradient': (
    'A tf.stop_gradient of TF1 is missing in TF2',
    'losses_stop_gradient_lost',
    (
      'computations_gradient_not_reversed',
      'optimizers_not_clipped',
      'losses_probabilities_for_logits',
    ),
  ),
  'epsilon_of_layer_norm': (
    'The epsilon of the normalization is 1e-12 in TF1 and 0.001 in TF2',
    'attention_epsilon_of_keras_layer_norm',
    ('attention_layer_norm_of_each_pixel', 'attention_normalized_before'),
  ),
  'reduction': (
    'The loss is reduced differently (TF2 is 3/4 times TF1)',
    'losses_mean_over_batch_for_nonzero_weights',
    (
      'losses_weights_forgotten',
      'losses_cosine_similarity_for_distance',
      'losses_delta_of_huber_forgotten',
    ),
  ),
  'label_smoothing': (
    'TF1 smooths the labels (label_smoothing=0.1), TF2 does not',
    'losses_label_smoothing_forgotten',
    (
      'losses_weights_forgotten',
      'losses_mean_over_batch_for_nonzero_weights',
      'losses_probabilities_for_logits',
    ),
  ),
  'from_logits': (
    'Keras takes the logits for probabilities',
    'losses_probabilities_for_logits',
    ('losses_label_smoothing_forgotten', 'losses_softmax_twice'),
  ),
  'momentum_under_a_schedule': (
    'Keras multiplies each gradient by the rate of its own step',
    'schedules_momentum_under_a_schedule',
    (
      'optimizers_another_momentum',
      'schedules_another_momentum_under_a_schedule',
    ),
  ),
  'coupled_weight_decay': (
    'The weight_decay=0.1 of the TF2 optimizer is decoupled',
    'optimizers_coupled_decay_became_decoupled',
    (
      'optimizers_regularization_left_out_of_loop',
      'optimizers_weight_decay_twice',
      'optimizers_multipliers_of_gradients_forgotten',
    ),
  ),
  'clipping_by_global_norm': (
    'clipped by their global norm in TF1, each by its own norm in TF2',
    'optimizers_clipped_one_by_one',
    (
      'optimizers_not_clipped',
      'optimizers_multipliers_of_gradients_forgotten',
      'losses_probabilities_for_logits',
    ),
  ),
  'clipping_by_value': (
    'clipped by value in TF1, each by its own norm in TF2',
    'optimizers_clipped_by_value_of_optimizer',
    ('optimizers_clipped_one_by_one', 'losses_probabilities_for_logits'),
  ),
  'not_clipped': (
    'clipped each by its own norm in TF1, and not in TF2',
    'optimizers_not_clipped',
    (
      'optimizers_multipliers_of_gradients_forgotten',
      'optimizers_repeated_rows_overwritten',
    ),
  ),
  'staircase': (
    'decays in steps (staircase=True) in TF1, and smoothly in TF2',
    'schedules_staircase_forgotten',
    (
      'schedules_decay_steps_in_epochs',
      'schedules_alpha_of_cosine_forgotten',
      'schedules_boundary_one_step_late',
    ),
  ),
  'one_step_behind': (
    'The learning rate of TF2 is one step behind that of TF1',
    'schedules_boundary_one_step_late',
    (
      'schedules_decay_steps_in_epochs',
      'schedules_steps_counted_from_one',
      'optimizers_default_learning_rate',
    ),
  ),
  'one_step_ahead': (
    'The learning rate of TF2 is one step ahead of that of TF1',
    'schedules_steps_counted_from_one',
    ('schedules_boundary_one_step_late', 'schedules_warm_up_forgotten'),
  ),
  'initializer': (
    'draws TruncatedNormal in TF1 and RandomUniform in TF2',
    'randomness_default_initializer',
    (
      'randomness_layers_built_in_another_order',
      'randomness_deviation_of_initializer',
    ),
  ),
  'numbers_of_an_initializer': (
    'takes other numbers (stddev: TF1 0.5, TF2 1)',
    'randomness_deviation_of_initializer',
    ('randomness_layers_built_in_another_order',),
  ),
}


def _message(name):
  found = _PAIRS[name][1]
  outcome = pair.ran(found, found.first_step)
  if not outcome.failed:
    raise ValueError('%s passes' % name)
  return outcome.text


class CausesTest(parameterized.TestCase):
  @parameterized.named_parameters(
    *(
      ('%s__%s' % (name, own), sentence, own)
      for name, (sentence, own, _) in _CAUSES.items()
    )
  )
  def test_is_named(self, sentence, own):
    lines = _message(own).splitlines()
    first = next(i for i, x in enumerate(lines) if x.startswith('Next: '))
    self.assertIn(sentence, '\n'.join(lines[first:]))

  @parameterized.named_parameters(
    *(
      ('%s__%s' % (name, other), sentence, other)
      for name, (sentence, _, others) in _CAUSES.items()
      for other in others
    )
  )
  def test_is_not_named(self, sentence, other):
    self.assertNotIn(sentence, _message(other))


if __name__ == '__main__':
  absltest.main()
