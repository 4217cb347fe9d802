"""Which ops a graph from a file may hold: those that stay inside of it.

A graph is a program that runs with the rights of the test. Its ops can read and
write files, open connections, call the Python functions of this process and end
it. What may run is therefore listed, and everything else is refused:

- ops without state whose tensors are numbers, and whose attributes of text are
  known to be no more than settings;
- by name, ops of text and variants, and ops with state, that stay in memory.

New versions of TensorFlow bring new ops; those with state or with text are
refused until they are listed here.
"""

import re
from typing import Any, Dict, Iterable, List, Sequence, Set

import tensorflow as tf

from tf_equiv import compat
from tf_equiv.core import errors

# How many nodes a message names.
_MAX_NODES = 10

# They call Python functions of the process that made the graph, by number.
PYTHON = ('PyFunc', 'PyFuncStateless', 'EagerPyFunc', 'NumpyFunction')

# Of other devices and hosts, for debuggers and tests, or made by the runtime.
_ELSEWHERE = re.compile(
  r'_.*|(Xla|TPU|Tpu|DTensor|Risc|Collective|Nccl|Rpc|Infeed|Outfeed|'
  r'Debug(Identity|NanCount|NumericSummary)|Copy).*'
)
# Stateless and without text, and yet not harmless: it ends the process; it
# calls a function of the library of MLIR.
_DENIED = ('Abort', 'MlirPassthroughOp', 'CustomAggregator')
# Attributes of text that are settings and no names of files or functions.
_SETTINGS = frozenset(
  """bad_indices_policy batching_queue config config_proto container
  dimension_numbers dst_format equation executor_type fill_mode frame_name
  input_order interpolation kernel_type message noise padding
  row_partition_types set_operation shared_name src_format""".split()
)

_NAMED = re.compile(
  '|'.join(
    pattern
    for text in (
      # Variables. The patterns are those of whole names.
      r"""VarHandleOp VariableV2 Variable ReadVariableOp VarIsInitializedOp
      IsVariableInitialized VariableShape DestroyResourceOp DisableCopyOnRead
      Assign(Add|Sub)?(VariableOp)? (Resource)?CountUpTo
      (Resource)?(Sparse)?Apply\w+
      ResourceGather(Nd)? (Resource)?Scatter(Nd)?(Add|Sub|Mul|Div|Update)
      (Resource)?Scatter(Nd)?(Min|Max)
      (Resource)?StridedSliceAssign TemporaryVariable DestroyTemporaryVariable
      SdcaShrinkL1""",
      # Random numbers.
      r"""RandomStandardNormal RandomUniform(Int)? TruncatedNormal
      ParameterizedTruncatedNormal RandomGamma RandomPoisson(V2)? RandomShuffle
      RandomCrop Multinomial NonDeterministicInts StatelessRandomGetAlg
      StatefulRandomBinomial StatefulStandardNormal(V2)?
      StatefulTruncatedNormal StatefulUniform(FullInt|Int)? RngReadAndSkip
      RngSkip SampleDistortedBoundingBox(V2)?
      (All|LogUniform|Uniform)CandidateSampler
      (Fixed|Learned|ThreadUnsafe)UnigramCandidateSampler""",
      # Tables that are filled from tensors.
      r"""(Anonymous)?(HashTable|MutableDenseHashTable|MutableHashTable)(V2)?
      (Anonymous)?MutableHashTableOfTensors(V2)? InitializeTable(V2)?
      LookupTable(Export|Find|Import|Insert|Remove|Size)(V2)?""",
      # Control flow, with references to variables as well.
      r"""If While Case StatefulPartitionedCall
      Ref(Enter|Exit|Identity|Merge|NextIteration|Select|Switch)
      DeviceIndex""",
      # What programs remember while they run.
      r"""TensorArray\w* Stack(Pop|Push|Close)?(V2)?
      (FIFO|PaddingFIFO|Priority|RandomShuffle)Queue(V2)?
      Queue(Close|IsClosed|Size|Dequeue(Many|UpTo)?|Enqueue(Many)?)(V2)?
      (Sparse|Resource)?ConditionalAccumulator
      (Sparse|Resource)?Accumulator(Apply|Take)Gradient
      (Sparse|Resource)?Accumulator(NumAccumulated|SetGlobalStep)
      Add(Many)?SparseToTensorsMap TakeManySparseFromTensorsMap
      BoostedTrees\w+ IsBoostedTrees\w+""",
      # What computes like others, or only looks.
      r"""Assert Print PrintV2 CheckNumerics(V2)? Empty DeepCopy GuaranteeConst
      Timestamp IsTensorFloat32Enabled CudnnRNN(Backprop)?(V2|V3)?""",
      # Text, as values.
      r"""AsString Decode(AndCropJpeg|Base64|Bmp|CSV|Compressed|Gif|Image)
      Decode(JSONExample|Jpeg|Jxl|PaddedRaw|Png|ProtoV2|Raw|Wav|WebP)
      Encode(Base64|Jpeg|JpegVariableQuality|Png|Proto|Wav) ExtractJpegShape
      Fingerprint SdcaFprint (Audio|Histogram|Image|Scalar|Tensor)Summary(V2)?
      MergeSummary Parse(Single)?(Sequence)?Example(V2)? ParseTensor
      SerializeTensor DeserializeManySparse ReduceJoin (Static)?Regex\w+
      Sharded(Filename|Filespec) SparseCross(V2|Hashed)? Substr
      String(Format|Join|Length|Lower|NGrams|Split|SplitV2|Strip|Upper)
      StringTo(HashBucket|HashBucketFast|HashBucketStrong|Number)
      Unicode\w+ UnsortedSegmentJoin""",
      # Lists, sparse and ragged tensors in variants.
      r"""TensorList\w+ EmptyTensorList TensorMap\w+ EmptyTensorMap Optional\w+
      SparseMatrix\w+ CSRSparseMatrix\w+ \w+ToCSRSparseMatrix
      RaggedTensor(ToVariant|FromVariant|ToVariantGradient)
      (Unc|C)ompressElement CompositeTensorVariant\w+
      (Wrap|Unwrap)DatasetVariant""",
      # Datasets in memory.
      r"""Tensor(Slice)?Dataset SparseTensorSliceDataset RangeDataset
      RandomDataset(V2)? GeneratorDataset ConcatenateDataset ZipDataset
      (Padded|Parallel|DenseToSparse)?BatchDataset(V2)? (Map|FlatMap)Dataset
      ParallelMapDataset(V2)? MapAndBatchDataset InterleaveDataset
      (Legacy)?ParallelInterleaveDataset(V2|V3|V4)? (Parallel)?FilterDataset
      FilterByLastComponentDataset GroupBy(Window|Reducer)Dataset ScanDataset
      TakeWhileDataset (Repeat|Skip|Take|Shard|Window|Unique|Unbatch)Dataset
      Shuffle(AndRepeat)?Dataset(V2|V3)? PrefetchDataset OptionsDataset
      ParseExampleDataset(V2)? ModelDataset OptimizeDataset(V2)?
      IgnoreErrorsDataset
      SamplingDataset SlidingWindowDataset DirectedInterleaveDataset
      RebatchDataset(V2)? AssertCardinalityDataset ReduceDataset
      DatasetCardinality DatasetToSingleElement FinalizeDataset
      Iterator(V2)? OneShotIterator AnonymousIterator(V2|V3)? MakeIterator
      DeleteIterator IteratorGetNext(Sync|AsOptional)?
      IteratorToStringHandle""",
    )
    for pattern in text.split()
  )
)

# Values of an attribute with which an op that could open a file does not.
_ONLY_WITH = {
  'DecodeProtoV2': ('descriptor_source', r'(local|bytes)://.*'),
  'EncodeProto': ('descriptor_source', r'(local|bytes)://.*'),
  'FixedUnigramCandidateSampler': ('vocab_file', ''),
  'PrintV2': ('output_stream', r'stderr|stdout|log\(\w+\)'),
}


def is_harmless(op_type: str) -> bool:
  """Tells whether ops of a type stay inside of their graph.

  Args:
    op_type: the type.

  Returns:
    False for those that may reach files, a network, Python or other processes,
    and for those that this TensorFlow does not have. Of some, an attribute
    decides as well; see `is_allowed`.
  """
  op_def = compat.op_definition(op_type)
  if op_def is None or op_type in PYTHON or op_type in _DENIED:
    return False
  if _NAMED.fullmatch(op_type):
    return True
  return not _ELSEWHERE.fullmatch(op_type) and _computes_only(op_def)


def _computes_only(op_def) -> bool:
  """Tells whether an op has neither state nor text nor handles."""
  handles = [
    dtype.as_datatype_enum for dtype in (tf.string, tf.resource, tf.variant)
  ]
  arguments = [*op_def.input_arg, *op_def.output_arg]
  if op_def.is_stateful or any(
    argument.is_ref or argument.type in handles for argument in arguments
  ):
    return False
  return all(
    attr.name in _SETTINGS or attr.HasField('allowed_values')
    for attr in op_def.attr
    if attr.type in ('string', 'list(string)')
  )


def is_allowed(node: Any) -> bool:
  """Tells whether a `NodeDef` stays inside of its graph.

  A function that it calls may not hide behind the name of an op, nor an op
  behind that of a function: what both may be is judged as an op, too.
  """
  if not _is_allowed_op(node):
    return False
  return all(
    compat.op_definition(name) is None
    or (is_harmless(name) and name not in _ONLY_WITH)
    for name in functions_of(node)
  )


def _is_allowed_op(node) -> bool:
  if compat.op_definition(node.op) is None:
    return True  # A function, or else the import refuses it.
  if not is_harmless(node.op):
    return False
  if node.op not in _ONLY_WITH:
    return True
  name, pattern = _ONLY_WITH[node.op]
  if name in node.attr:
    # In the body of a function the caller may give the value.
    value = node.attr[name].s
    if node.attr[name].WhichOneof('value') != 's':
      return False
  else:
    attrs = compat.op_definition(node.op).attr
    value = next((a.default_value.s for a in attrs if a.name == name), b'')
  text = value.decode('utf-8', 'replace')
  return re.fullmatch(pattern, text, re.DOTALL) is not None


def functions_of(node: Any) -> Set[str]:
  """Returns the names of the functions that the attributes of a node name."""
  found = set()  # type: Set[str]
  pending = list(node.attr.values())
  while pending:
    attr = pending.pop()
    functions = list(attr.list.func)
    if attr.WhichOneof('value') == 'func':
      functions.append(attr.func)
    for function in functions:
      found.add(function.name)
      pending.extend(function.attr.values())
  return found


def refused(nodes: Iterable[Any], trust_ops: Sequence[str] = ()) -> List[Any]:
  """Returns those of some nodes that must not run.

  Args:
    nodes: `NodeDef`s, without those of the functions that they call.
    trust_ops: types of ops that are trusted.

  Returns:
    The nodes. Those that this TensorFlow does not have are none of them, since
    it does not import them.
  """
  return [
    node for node in nodes if node.op not in trust_ops and not is_allowed(node)
  ]


def check(
  graph_def: Any, trust_ops: Sequence[str] = (), origin: str = 'The graph'
) -> None:
  """Checks all of a graph, with the bodies of its functions.

  Args:
    graph_def: the `GraphDef`.
    trust_ops: types of ops that are trusted.
    origin: what the graph is, for the message.

  Raises:
    UsageError: if a node must not run.
  """
  bad = {node.name: node.op for node in refused(graph_def.node, trust_ops)}
  for function, nodes in _refused_in_functions(graph_def, trust_ops).items():
    bad.update((f'{function}/{node.name}', node.op) for node in nodes)
  if bad:
    raise refusal(origin, bad)


def without_refused(
  graph_def: Any,
  needed: Iterable[str],
  trust_ops: Sequence[str] = (),
  origin: str = 'The graph',
) -> Any:
  """Returns the part of a graph that may run.

  Args:
    graph_def: the `GraphDef`.
    needed: names of the nodes that are wanted.
    trust_ops: see `check`.
    origin: see `check`.

  Returns:
    The graph without the nodes that must not run, those that read what these
    compute, and the functions that hold such nodes; the same one where there
    are none.

  Raises:
    UsageError: if something that is wanted depends on them.
  """
  bad = {
    node.name: {node.name: node.op}
    for node in refused(graph_def.node, trust_ops)
  }  # type: Dict[str, Dict[str, str]]
  inside = _refused_in_functions(graph_def, trust_ops)
  callers = _callers(graph_def, inside)
  for node in graph_def.node:
    for function in functions_of(node) | {node.op}:
      for name in callers.get(function, ()):
        bad.setdefault(node.name, {}).update(
          (f'{name}/{each.name}', each.op) for each in inside[name]
        )
  if not bad and not inside:
    return graph_def
  # For each node that depends on them, those that it depends on first.
  readers = {}  # type: Dict[str, List[str]]
  for node in graph_def.node:
    for ref in node.input:
      name = ref.lstrip('^').split(':')[0]
      readers.setdefault(name, []).append(node.name)
  reached = dict(bad)
  pending = list(bad)
  while pending:
    name = pending.pop()
    for reader in readers.get(name, ()):
      if reader not in reached:
        reached[reader] = reached[name]
        pending.append(reader)
  wanted = {}  # type: Dict[str, str]
  for name in needed:
    wanted.update(reached.get(name, {}))
  if wanted:
    raise refusal(origin, wanted)
  result = type(graph_def)()
  result.CopyFrom(graph_def)
  del result.node[:]
  result.node.extend(n for n in graph_def.node if n.name not in reached)
  del result.library.function[:]
  result.library.function.extend(
    function
    for function in graph_def.library.function
    if function.signature.name not in callers
  )
  del result.library.gradient[:]
  result.library.gradient.extend(
    gradient
    for gradient in graph_def.library.gradient
    if gradient.function_name not in callers
    and gradient.gradient_func not in callers
  )
  return result


def _refused_in_functions(graph_def, trust_ops) -> Dict[str, List[Any]]:
  """Returns the nodes that must not run, by the function they are in."""
  found = {}
  for function in graph_def.library.function:
    nodes = refused(function.node_def, trust_ops)
    if nodes:
      found[function.signature.name] = nodes
  return found


def _callers(graph_def, inside) -> Dict[str, Set[str]]:
  """Returns which functions of `inside` a function leads to, by its name."""
  calls = {
    function.signature.name: {
      name
      for node in function.node_def
      for name in functions_of(node) | {node.op}
    }
    for function in graph_def.library.function
  }
  gradients = {
    g.function_name: g.gradient_func for g in graph_def.library.gradient
  }
  for name, gradient in gradients.items():
    calls.setdefault(name, set()).add(gradient)
  found = {name: {name} for name in inside}
  changed = bool(found)
  while changed:
    changed = False
    for name, called in calls.items():
      reached = set()  # type: Set[str]
      for other in called & set(found):
        reached |= found[other]
      if not reached <= found.get(name, set()):
        found[name] = found.get(name, set()) | reached
        changed = True
  return found


def refusal(origin: str, types: Dict[str, str]) -> errors.UsageError:
  """Returns the error about nodes that must not run.

  Args:
    origin: what the graph is.
    types: type of the op by name of the node.
  """
  names = sorted(types)
  shown = ', '.join(f'{name!r} ({types[name]})' for name in names[:_MAX_NODES])
  if len(names) > _MAX_NODES:
    shown += f', and {len(names) - _MAX_NODES} more'
  return errors.UsageError(
    f'{origin} has ops that may read or write files, or reach a network, '
    f'Python or other processes, and was not run: {shown}. If you trust it, '
    f'give trust_ops={tuple(sorted(set(types.values())))}.'
  )


def as_trusted(trust_ops: Any, where: str) -> Sequence[str]:
  """Returns a `trust_ops` that a user gave as a tuple.

  Args:
    trust_ops: what was given.
    where: to what, for the message.

  Raises:
    UsageError: if it is something else than several strings.
  """
  is_several = isinstance(trust_ops, (tuple, list, set, frozenset))
  if not is_several or not all(
    isinstance(each, str) and each for each in trust_ops
  ):
    raise errors.UsageError(
      f'trust_ops of {where} is {trust_ops!r}; expected a tuple of types of '
      "ops, as in trust_ops=('CSVDataset',)."
    )
  return tuple(trust_ops)
