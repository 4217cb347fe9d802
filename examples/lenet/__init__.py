"""LeNet: `tf.compat.v1.layers`, the same in the shim, and native tf_keras."""
