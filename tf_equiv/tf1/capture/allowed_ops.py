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
from typing import Any, Set

import tensorflow as tf

from tf_equiv import compat

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
