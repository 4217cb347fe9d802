"""Repairs of tf_slim 1.1.0, which only fill in what is missing."""

import importlib
import importlib.util
import os

# Fix B. (module that tf_slim reads, attribute, module that has it now, name
# there); all below `tensorflow.python`. IndexedSlices, stack and unstack
# moved in TF 2.13; Assert, case, cond, while_loop and variable in 2.14;
# Tensor in 2.15.
_MOVED = (
  ('framework.ops', 'Tensor', 'framework.tensor', 'Tensor'),
  (
    'framework.ops',
    'IndexedSlices',
    'framework.indexed_slices',
    'IndexedSlices',
  ),
  ('ops.array_ops', 'stack', 'ops.array_ops_stack', 'stack'),
  ('ops.array_ops', 'unstack', 'ops.array_ops_stack', 'unstack'),
  ('ops.control_flow_ops', 'Assert', 'ops.control_flow_assert', 'Assert'),
  ('ops.control_flow_ops', 'case', 'ops.control_flow_case', 'case'),
  ('ops.control_flow_ops', 'cond', 'ops.cond', 'cond'),
  ('ops.control_flow_ops', 'while_loop', 'ops.while_loop', 'while_loop'),
  ('ops.variable_scope', 'variable', 'ops.variable_v1', 'VariableV1'),
)


def repair_tf_slim() -> None:
  """Restores what tf_slim 1.1.0 needs of TensorFlow (fixes A and B)."""
  _repoint_normalization()
  _restore_moved_attributes()


def _repoint_normalization() -> None:
  """Fix A: points `layers.normalization` to where Keras keeps it now.

  `tensorflow.python.layers.normalization` loads `<keras>.legacy_tf_layers` on
  first use, but since Keras 2.13 that package is `<keras>.src.
  legacy_tf_layers`, so tf_slim's batch_norm fails with "No module named
  'tf_keras.legacy_tf_layers'". Nothing is imported here: tf_keras takes more
  than a second, and a user may never need it.
  """
  try:
    module = importlib.import_module('tensorflow.python.layers.normalization')
  except ImportError:  # TF 1.15 has it elsewhere, and intact.
    return
  loader = module.__dict__.get('normalization')
  target = getattr(loader, '__name__', '')
  if not target.endswith('.legacy_tf_layers.normalization'):
    return
  root = target.split('.')[0]
  for package in (root, root + '.src', 'tf_keras.src', 'keras.src'):
    name = package + '.legacy_tf_layers.normalization'
    if _module_file_exists(name):
      if name != target:
        repaired = type(loader)('normalization', module.__dict__, name)
        module.__dict__['normalization'] = repaired
      return


def _module_file_exists(name: str) -> bool:
  """Returns whether a module is installed without importing its parents."""
  root, *parts = name.split('.')
  try:
    spec = importlib.util.find_spec(root)
  except (ImportError, ValueError):
    return False
  folders = spec.submodule_search_locations if spec else None
  return any(
    os.path.isfile(os.path.join(folder, *parts) + '.py')
    for folder in folders or ()
  )


def _restore_moved_attributes() -> None:
  """Fix B: gives TensorFlow's modules back what moved out of them."""
  for old_module, attribute, new_module, name in _MOVED:
    old = importlib.import_module('tensorflow.python.' + old_module)
    if not hasattr(old, attribute):
      new = importlib.import_module('tensorflow.python.' + new_module)
      setattr(old, attribute, getattr(new, name))
