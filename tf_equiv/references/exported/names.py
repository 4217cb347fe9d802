"""Finds what the names given for an exported graph stand for, and checks them.

Inputs, outputs and feeds are named by keys of the signature or by tensors;
'images' is short for 'images:0'.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_equiv.core import errors, nest
from tf_equiv.references.exported import files
from tf_equiv.references.exported import nodes as nodes_lib

PLACEHOLDERS = ('Placeholder', 'PlaceholderV2', 'PlaceholderWithDefault')
# Before this version of GraphDef, a placeholder without a shape had [].
_FIRST_WITH_SCALARS = 24


@dataclasses.dataclass
class Finder:
  """Finds tensors of one graph by name.

  Attributes:
    export: the export.
    nodes: its nodes.
  """

  export: files.Export
  nodes: nodes_lib.Nodes

  def nest_of(self, what: str, names: Any) -> Any:
    """Returns a nest of names as a nest of tensors 'name:0'.

    Args:
      what: 'inputs' or 'outputs'.
      names: the nest as it was given; None for all of the signature.

    Raises:
      UsageError: for a name that there is not.
    """
    signature = self.export.signature.get(what, {})
    if names is None:
      if not signature:
        raise errors.UsageError(
          f'{self.export.title} has no signature, so {what} must be given: a '
          f"dict of names of tensors, as in {what}={{'x': 'x:0'}}, or one "
          f'such name.{self._candidates(what)}'
        )
      names = {key: key for key in sorted(signature)}
    if not nest.flatten(names):
      raise errors.UsageError(
        f'{what} is {names!r}; expected names of tensors of '
        f'{self.export.title}.'
      )
    return nest.map_leaves(
      lambda path, name: self._found(what + path, name, signature), names
    )

  def tensor(self, where: str, name: Any) -> str:
    """Returns the tensor 'name:0' of a name; see `nest_of`."""
    return self._found(where, name, {})

  def _found(self, where, name, signature):
    if not isinstance(name, str) or not name:
      raise errors.UsageError(
        f'{where} is {name!r}; expected the name of a tensor of '
        f'{self.export.title}.'
      )
    if name in signature:
      return self._of_signature(where, name, signature[name])
    ref = nodes_lib.full(name.strip())
    node, _, index = ref.partition(':')
    if node in self.nodes and index.isdigit():
      return ref
    known = [
      *signature,
      *(n.name for n in self.nodes if nodes_lib.ADDED not in n.name),
    ]
    close = files.similar(node, known)
    text = f'{where} names {name!r}, and {self.export.title} has no such tensor'
    if signature:
      text += (
        ' and no such key in its signature, which has '
        f'{files.listed(signature)}'
      )
    raise errors.UsageError(
      '%s.%s'
      % (
        text,
        f' Similar: {", ".join(repr(n) for n in close)}.'
        if close
        else self._candidates(where),
      )
    )

  def _of_signature(self, where, key, info):
    kind = info.WhichOneof('encoding')
    if kind == 'name':
      return self._found(where, info.name, {})
    if kind == 'coo_sparse':
      return {
        'indices': self._found(where, info.coo_sparse.indices_tensor_name, {}),
        'values': self._found(where, info.coo_sparse.values_tensor_name, {}),
        'dense_shape': self._found(
          where, info.coo_sparse.dense_shape_tensor_name, {}
        ),
      }
    raise errors.UsageError(
      f'{where}: the signature holds {key!r} as a {kind}; give the names of '
      'its tensors.'
    )

  def _candidates(self, where: str) -> str:
    if where.startswith('outputs'):
      read = {
        nodes_lib.node_of(ref) for node in self.nodes for ref in node.input
      }
      # What nothing reads is what a graph is made for.
      names = [
        node.name
        for node in self.nodes
        if node.name not in read
        and node.op not in ('NoOp', 'Const', 'Assign', 'AssignVariableOp')
        and not node.name.startswith('save/')
        and nodes_lib.ADDED not in node.name
      ]
      return ' Tensors that nothing else reads: %s.' % (
        files.listed(names) or 'none'
      )
    names = [
      n.name
      for n in self.nodes
      if n.op in PLACEHOLDERS and nodes_lib.ADDED not in n.name
    ]
    return f' Its placeholders are {files.listed(names) or "none"}.'

  def bind(self, tensors: Any, inputs: Any) -> dict[str, str]:
    """Returns which tensor each input is fed to.

    Args:
      tensors: what `nest_of` returned for the inputs.
      inputs: nest of arrays, what `make_inputs` returned.

    Returns:
      {tensor 'name:0': path of the input}.

    Raises:
      UsageError: if the nests are not the same, or a dtype or shape does not
        fit.
    """
    wanted, given = dict(nest.flatten(tensors)), dict(nest.flatten(inputs))
    if len(wanted) == len(given) == 1 and '' in (*wanted, *given):
      pairs = {next(iter(wanted.values())): next(iter(given))}
    else:
      missing = sorted(set(wanted) - set(given))
      extra = sorted(set(given) - set(wanted))
      if missing or extra:
        raise errors.UsageError(self._misfit(missing, extra, wanted))
      pairs = {ref: path for path, ref in wanted.items()}
    for ref, path in pairs.items():
      self._check(path, ref, given[path])
    return pairs

  def _misfit(self, missing, extra, wanted) -> str:
    parts = []
    if missing:
      parts.append('lacks %s' % ', '.join('inputs' + path for path in missing))
    if extra:
      parts.append(f'has {", ".join("inputs" + path for path in extra)}')
    return (
      'make_inputs() does not fit the inputs of %s: it %s. Expected is %s.'
      % (
        self.export.title,
        ' and '.join(parts),
        ', '.join(
          f'inputs{path} ({ref})' for path, ref in sorted(wanted.items())
        ),
      )
    )

  def _check(self, path: str, ref: str, array: np.ndarray) -> None:
    dtype, shape = self.type_of(ref)
    where = f'make_inputs(){path} is {array.dtype}{list(array.shape)}, but'
    text = array.dtype.kind in 'OSU'
    given = tf.string if text else tf.as_dtype(array.dtype)
    if dtype is not None and dtype != given:
      raise errors.UsageError(
        f'{where} {ref} of {self.export.title} takes {dtype.name}. Use '
        f'.astype({dtype.name!r}) in make_inputs.'
      )
    if shape is not None and not shape.is_compatible_with(array.shape):
      raise errors.UsageError(
        f'{where} {ref} of {self.export.title} takes the shape '
        f'{shape.as_list()} (None: any size).'
      )

  def type_of(self, ref: str):
    """Returns (dtype, shape) of a placeholder, None for what is not known."""
    node = self.nodes[nodes_lib.node_of(ref)]
    if node.op not in PLACEHOLDERS:
      return None, None
    dtype = tf.as_dtype(node.attr['dtype'].type)
    shape = tf.TensorShape(node.attr['shape'].shape)
    versions = self.export.meta.graph_def.versions
    old = versions.producer < _FIRST_WITH_SCALARS
    if 'shape' not in node.attr or (old and shape.rank == 0):
      shape = None
    return dtype, shape

  def feeds(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns the values of `feeds` by tensor.

    Raises:
      UsageError: for a name that there is not, or a value that does not fit.
    """
    found = {}
    for name, value in given.items():
      ref = self.tensor(where, name)
      dtype, shape = self.type_of(ref)
      try:
        array = np.asarray(
          value, None if dtype is None else dtype.as_numpy_dtype
        )
        fits = shape is None or shape.is_compatible_with(array.shape)
      except (TypeError, ValueError):
        fits = False
      if not fits:
        raise errors.UsageError(
          f'{where} gives {name!r} the value {value!r}; it takes '
          f'{dtype.name}{"" if shape is None else shape}.'
        )
      found[ref] = array
    return found
