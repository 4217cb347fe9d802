"""The first lines of a message name the op, attribute or line at fault."""

from absl.testing import absltest, parameterized

from tests.planted import catalogue, pair

_PAIRS = catalogue.by_test_name()
_FIRST_LINES = 12

# What the first lines, or the advice, must hold.
_CULPRITS = {
  'variables_square_kernel_not_turned': 'only TF2 Tensordot/transpose',
  'variables_query_key_value_in_another_order': 'TF1 qkv/MatMul',
  'layers_relu_of_slim_forgotten': 'only TF1 conv2/Relu',
  'layers_dilation_forgotten': 'SpaceToBatchND',
  'layers_relu_before_batch_norm': 'only TF2 model/re_lu/Relu',
  'layers_same_padding_with_stride': 'padding: TF1 VALID, TF2 SAME',
  'layers_transposed_convolution_cropped': 'TF2 [3, 8, 8, 4]',
  'layers_flattened_channels_last': 'same numbers in both, but in another',
  'layers_leaky_relu_of_keras': 'alpha: TF1 0.2, TF2 0.3',
  'layers_exact_gelu': '0.044715',
  'layers_hard_sigmoid_of_keras_3': 'numbers only in TF2: 3, 6',
  'layers_combiner_mean_for_sqrtn': 'embedding_lookup_sparse',
  'layers_padding_embedded': 'dense_to_sparse/Where',
  'resizing_bilinear_with_half_pixel_centers': 'half_pixel_centers: TF1 False',
  'resizing_align_corners_lost': 'align_corners: TF1 True, TF2 False',
  'resizing_nearest_with_half_pixel_centers': 'half_pixel_centers: TF1 False',
  'resizing_bicubic_of_another_kernel': 'half_pixel_centers: TF1 False',
  'resizing_doubled_by_interpolation': 'only TF1 ResizeNearestNeighbor',
  'resizing_average_counts_padding': 'only TF2 shim/Pad',
  'resizing_maximum_of_padding': 'only TF2 shim/Pad',
  'resizing_stride_of_slim_pooling': 'strides: TF1 [1, 2, 2, 1]',
  'resizing_depth_to_space_channels_first': 'only TF1 DepthToSpace',
  'recurrent_forget_bias_forgotten': 'bias holds the same numbers in both',
  'recurrent_hard_sigmoid_became_sigmoid': 'only in TF1: 0, 0.2, 0.5, 1',
  'recurrent_backward_outputs_not_turned_back': 'only TF1 ReverseV2',
  'recurrent_residual_wrapper_lost': 'multi_rnn_cell/cell_1_1/add',
  'recurrent_keep_prob_as_rate': 'cell_0/dropout/Mul',
  'recurrent_batch_and_time_exchanged': 'axis: TF1 1, TF2 0',
  'recurrent_lengths_ignored': 'in iteration 3 of 4 of TF1 rnn/while',
  'recurrent_gru_reset_after': 'in iteration 2 of 4 of TF1 rnn/while',
  'recurrent_loop_with_wrong_factor': 'TF1 0.5, TF2 0.25',
  'recurrent_unrolled_with_wrong_factor': 'TF1 0.5, TF2 0.25',
  'recurrent_loop_ends_early': 'iterations of the loop: TF1 4, TF2 3',
  'recurrent_activation_in_cell': 'only TF1 rnn/while/gru_cell/Tanh (Tanh)',
  'recurrent_epsilon_in_map': 'TF1 0.001, TF2 0.01',
  'recurrent_limit_in_branch_of_python': 'TF1 1, TF2 0.5',
  'attention_scaled_by_width_of_all_heads': 'TF1 1.732051, TF2 2.44949',
  'attention_not_scaled': 'TF1 1.732051, TF2 1',
  'attention_mask_forgotten': '-1e+09',
  'attention_softmax_over_queries': 'shim/block/transpose_3',
  'attention_heads_merged_without_transposing': 'but in another order',
  'attention_attention_dropout_forgotten': 'block/dropout',
  'attention_padding_mask_inverted': 'block/attention/softmax/sub',
  'attention_epsilon_of_keras_layer_norm': 'only in TF1: 1e-12',
  'attention_layer_norm_of_each_pixel': 'TF1 [1, 2, 3], TF2 3',
  'attention_epsilon_of_keras_batch_norm': 'epsilon: TF1 1e-05, TF2 0.001',
  'attention_batch_norm_without_training_flag': 'is_training: TF1 True',
  'losses_label_smoothing_forgotten': '0.03333333, 0.9',
  'losses_l2_without_half': 'TF1 0.02, TF2 0.04',
  'losses_stop_gradient_lost': 'only TF1 stops the gradient',
  'losses_mean_square_for_half_of_sum': 'TF1 L2Loss',
  'losses_weights_forgotten': 'operands: TF1 has 2, TF2 has 1',
  'randomness_keep_prob_for_rate': 'TF1 1.333333, TF2 4',
  'randomness_keep_prob_for_rate_in_keras_3': 'TF1 1.333333, TF2 4',
  'randomness_dropout_moved_in_keras_3': 'stateless_dropout',
  'randomness_noise_of_generator_transposed': 'only TF2 vae/transpose',
  'randomness_dropout_not_scaled': 'numbers only in TF1: 1.333333',
  'randomness_dropout_in_inference': 'only TF2 shim/dropout/',
  'randomness_deviation_is_half_the_log_variance': 'TF1 0.5, TF2 1',
  'randomness_no_noise_in_inference': 'only TF1 reads log_variance/bias',
  'state_frozen_batch_norm_uses_moving_statistics': 'norm/moving_variance',
}


def message_of(name: str) -> str:
  """Returns the message of the step that must be the first to fail."""
  found = _PAIRS[name][1]
  try:
    pair.run_step(found, found.first_step)
  except AssertionError as error:
    return str(error)
  raise ValueError('%s passes' % name)


class CulpritsTest(parameterized.TestCase):
  @parameterized.named_parameters(*((n, n, t) for n, t in _CULPRITS.items()))
  def test_is_named(self, name, culprit):
    lines = message_of(name).splitlines()
    first = '\n'.join(lines[:_FIRST_LINES])
    self.assertIn(culprit, first)
    # The line of the user's code, or that of the layer.
    self.assertRegex(first, r'\S*tests/planted/pairs/\w+\.py:\d+')
    self.assertLess(len(lines), 41)


if __name__ == '__main__':
  absltest.main()
