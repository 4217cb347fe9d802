"""A perceptron: `tf.compat.v1.get_variable`, in the shim, native tf_keras."""
