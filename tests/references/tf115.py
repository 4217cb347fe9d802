"""Whether the tests that need TensorFlow 1.15 can run, and where it is."""

import unittest

from tf_equiv.references.interpreter import reference

PYTHON = reference.python_of()

needed = unittest.skipUnless(
  PYTHON,
  'needs an interpreter with TensorFlow 1.15: `make tf115` makes one, and the '
  'environment variable TF_EQUIV_TF1_PYTHON names it',
)
