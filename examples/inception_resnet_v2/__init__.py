"""Inception-ResNet-v2, the network of TensorFlow's migration guide."""
