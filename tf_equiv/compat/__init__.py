"""The only package that touches private or version-dependent TensorFlow.

It is not meant to be used outside of tf_equiv.

It must import and run on Python 3.7 with TensorFlow 1.15 as well as on
TensorFlow 2.16 to 2.21, because the TF1 side may run in either. It imports
nothing else of tf_equiv. Everything that changes global state is a context
manager that restores it, except the choice of Keras and the repairs of tf_slim,
which happen when it is imported; the repairs only fill in what is missing.
"""

from tf_equiv.core.legacy_keras import (
  LEGACY_KERAS_ADVICE,
  LEGACY_KERAS_VARIABLE,
  choose_legacy_keras,
)

# `tf_equiv` has done so with a warning; the worker has another `tf_equiv`.
choose_legacy_keras(warn=False)

# Each of these imports tensorflow, which must follow the choice above.
# ruff: noqa: E402
from tf_equiv.compat.behavior import (
  behaviors,
  grappler,
  stand_in,
  v2_behavior,
  variable_creators_kept,
)
from tf_equiv.compat.custom_gradients import custom_gradients_forgotten
from tf_equiv.compat.decorators import decorators_restored
from tf_equiv.compat.execution import (
  converted_by_autograph,
  execution_context,
  is_autograph_file,
  mapped_stack,
  name_scope,
  traced_call,
)
from tf_equiv.compat.graphs import (
  captured_tensors,
  cpu_kernels,
  export_messages,
  function_traceback,
  gradients_replaced,
  is_in_control_flow,
  op_callback,
  op_definition,
  op_position,
  op_stack,
  ops_replaced,
  set_seed_of_op,
  traced_graph,
)
from tf_equiv.compat.keras import (
  fresh_keras_names,
  in_keras_scratch_graph,
  is_keras_3_object,
  is_keras_object,
  is_legacy_layer,
  keras_classes_shielded,
  keras_layers_inside,
  keras_layers_seen,
  keras_of,
  legacy_shim,
  shim_regularizers,
)
from tf_equiv.compat.seeds import (
  get_seed_is_patched,
  get_seed_patched,
  global_seed_restored,
  legacy_stateful_keras_generators,
  set_global_seed,
)
from tf_equiv.compat.slim import repair_tf_slim
from tf_equiv.compat.tensors import (
  get_static_value,
  is_tensor,
  static_shape_of,
  static_shape_value,
  tensor_id,
)
from tf_equiv.compat.tf1_imports import tf1_imports

repair_tf_slim()

__all__ = [
  'LEGACY_KERAS_ADVICE',
  'LEGACY_KERAS_VARIABLE',
  'behaviors',
  'captured_tensors',
  'choose_legacy_keras',
  'converted_by_autograph',
  'cpu_kernels',
  'custom_gradients_forgotten',
  'decorators_restored',
  'execution_context',
  'export_messages',
  'fresh_keras_names',
  'function_traceback',
  'get_seed_is_patched',
  'get_seed_patched',
  'get_static_value',
  'global_seed_restored',
  'gradients_replaced',
  'grappler',
  'in_keras_scratch_graph',
  'is_autograph_file',
  'is_in_control_flow',
  'is_keras_3_object',
  'is_keras_object',
  'is_legacy_layer',
  'is_tensor',
  'keras_classes_shielded',
  'keras_layers_inside',
  'keras_layers_seen',
  'keras_of',
  'legacy_shim',
  'legacy_stateful_keras_generators',
  'mapped_stack',
  'name_scope',
  'op_callback',
  'op_definition',
  'op_position',
  'op_stack',
  'ops_replaced',
  'repair_tf_slim',
  'set_global_seed',
  'set_seed_of_op',
  'shim_regularizers',
  'stand_in',
  'static_shape_of',
  'static_shape_value',
  'tensor_id',
  'tf1_imports',
  'traced_call',
  'traced_graph',
  'v2_behavior',
  'variable_creators_kept',
]
