"""Describes what a result may depend on: versions, processor, switches."""

import os
import platform
import sys
from typing import Dict

import numpy as np
import tensorflow as tf

# Modules whose versions matter where they are loaded.
_MODULES = ('tf_equiv', 'tf_keras', 'keras', 'tf_slim')
# Switches that change what TensorFlow computes, or how.
_SWITCHES = (
  'CUDA_VISIBLE_DEVICES',
  'OMP_NUM_THREADS',
  'TF_DETERMINISTIC_OPS',
  'TF_ENABLE_ONEDNN_OPTS',
  'TF_USE_LEGACY_KERAS',
  'TF_XLA_FLAGS',
  'XLA_FLAGS',
)
# Kernels of other instruction sets sum in other orders.
_CPU_FLAGS = ('avx', 'avx2', 'avx512', 'fma', 'amx', 'sve', 'asimd')
_CPU_FILE = '/proc/cpuinfo'


def describe() -> Dict[str, str]:
  """Returns versions, platform, processor and switches, all as text."""
  found = {
    'python': '%d.%d.%d' % sys.version_info[:3],
    'tensorflow': tf.__version__,
    'numpy': np.__version__,
  }
  for name in _MODULES:
    version = getattr(sys.modules.get(name), '__version__', None)
    if version:
      found[name] = str(version)
  found['platform'] = platform.platform()
  found['processors'] = str(os.cpu_count())
  found.update(_processor())
  for name in _SWITCHES:
    if name in os.environ:
      found[name] = os.environ[name]
  return found


def _processor() -> Dict[str, str]:
  """Returns model and vector instructions of the processor, where known."""
  try:
    with open(_CPU_FILE, encoding='utf-8', errors='replace') as file:
      first = file.read(1 << 14).split('\n\n')[0]
  except OSError:
    return {'processor': platform.machine()}
  fields = {}
  for line in first.splitlines():
    name, _, value = line.partition(':')
    fields[name.strip()] = value.strip()
  found = {'processor': fields.get('model name') or platform.machine()}
  flags = fields.get('flags', fields.get('Features', '')).split()
  vector = [flag for flag in flags if flag.startswith(_CPU_FLAGS)]
  if vector:
    found['processor flags'] = ' '.join(sorted(vector))
  return found
