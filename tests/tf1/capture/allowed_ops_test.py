"""Which ops may run, and what is said of the others."""

import re

import tf_equiv  # isort: skip (before tensorflow)
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.tf1.capture import allowed_ops, refused_nodes

v1 = tf.compat.v1

# All of these read or write files, open connections, call Python or functions
# by name, end the process, or let others do so.
_DANGEROUS = """
Abort AutoShardDataset CSVDataset CSVDatasetV2 CacheDataset CacheDatasetV2
Copy CopyHost CreateSummaryDbWriter CreateSummaryFileWriter DataServiceDataset
DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 DatasetFromGraph
DatasetToTFRecord DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount
DebugNumericSummary DeserializeIterator DistributedSave EagerPyFunc
ExperimentalCSVDataset ExperimentalDatasetToTFRecord ExperimentalLMDBDataset
ExperimentalMatchingFilesDataset ExperimentalSqlDataset
FileSystemSetConfiguration FixedLengthRecordDataset FixedLengthRecordDatasetV2
FixedLengthRecordReader FixedLengthRecordReaderV2 GenerateVocabRemapping
ImmutableConst ImportEvent InitializeTableFromDataset
InitializeTableFromTextFile InitializeTableFromTextFileV2
IteratorFromStringHandle IteratorFromStringHandleV2 LMDBDataset LMDBReader
ListSnapshotChunksDataset LoadAndRemapMatrix LoadDataset MatchingFiles
MatchingFilesDataset MergeV2Checkpoints PyFunc PyFuncStateless ReadFile
ReaderRead ReaderReadV2 ReaderReadUpTo ReaderReadUpToV2 RecordInput Recv
RegisterDataset RegisterDatasetV2 RemoteCall Restore RestoreSlice RestoreV2
Save SaveDataset SaveDatasetV2 SaveSlices SaveV2 Send SnapshotChunkDataset
SnapshotDataset SnapshotDatasetReader SnapshotDatasetV2
SnapshotNestedDatasetReader SqlDataset SummaryWriter TFRecordDataset
TFRecordDatasetV2 TFRecordReader TFRecordReaderV2 TPUPartitionedCall
TextLineDataset TextLineReader TextLineReaderV2 WholeFileReader
WholeFileReaderV2 WorkerHeartbeat WriteAudioSummary WriteFile WriteGraphSummary
WriteHistogramSummary WriteImageSummary WriteRawProtoSummary WriteScalarSummary
WriteSummary
""".split()
# They are no part of tf.raw_ops, and importable all the same.
_HIDDEN = """
CalibrationStatisticsSaver DTensorRestoreV2 DumpTensor MlirPassthroughOp
RpcCall RpcClient RpcServer RpcServerStart Skipgram XlaCallModule XlaCustomCall
XlaCustomCallV2 XlaHostCompute XlaRecvFromHost XlaSendToHost _Recv _Send
_HostRecv _HostSend
""".split()
# What names of ops say that reach out of their graph, in any version.
_SUSPICIOUS = re.compile(
  r'File|Save|Restore|Reader|Record|Sql|LMDB|CSVDataset|Snapshot|CacheDataset|'
  r'PyFunc|Rpc|Send|Recv|Collective|Nccl|TPU|SummaryWriter|Write\w+Summary|'
  r'DataService|Host|Remote|Vocab|Debug(Ident|Num|Nan)|Checkpoint|Heartbeat'
)
_NEEDED = """
Add AddV2 Assert Assign AssignAddVariableOp AssignVariableOp ApplyAdam AvgPool
BatchMatMulV2 BiasAdd BoostedTreesPredict CheckNumerics Const Conv2D Cumsum
DecodeJpeg DecodePng Einsum Enter Exit FIFOQueueV2 FusedBatchNormV3 GatherV2
HashTableV2 If InitializeTableV2 IteratorGetNext LookupTableFindV2 LoopCond
MapDataset MatMul Merge NextIteration OneShotIterator ParseExampleV2
PartitionedCall Placeholder PlaceholderWithDefault Print QueueDequeueManyV2
RandomStandardNormal RandomUniform ReadVariableOp Relu ResourceApplyAdam
ResourceGather ResourceScatterAdd ScalarSummary ScatterUpdate Softmax
SparseTensorDenseMatMul StackPushV2 StatefulPartitionedCall
StatelessRandomNormalV2 StatelessWhile StringJoin StringToHashBucketFast
Switch TensorArrayReadV3 TensorArrayV3 TensorArrayWriteV3 TensorListReserve
TensorSliceDataset TruncatedNormal Unique VarHandleOp VarIsInitializedOp
VariableV2 While
""".split()


def public_ops():
  return [name for name in dir(tf.raw_ops) if name[0].isupper()]


class ListTest(parameterized.TestCase):
  def test_dangerous(self):
    for name in _DANGEROUS + _HIDDEN:
      self.assertFalse(allowed_ops.is_harmless(name), name)
    # So that a name that was misspelt is noticed.
    missing = set(_DANGEROUS) - set(public_ops())
    self.assertLess(len(missing), 5, missing)

  def test_needed(self):
    for name in _NEEDED:
      self.assertTrue(allowed_ops.is_harmless(name), name)

  def test_all_of_the_registry(self):
    """None of those that are allowed is called like one that is not."""
    allowed = [name for name in public_ops() if allowed_ops.is_harmless(name)]
    self.assertGreater(len(allowed), 1000)
    self.assertGreater(len(public_ops()) - len(allowed), 300)
    self.assertEqual(
      [name for name in allowed if _SUSPICIOUS.search(name)],
      # They write names of files as text, and copy a tensor.
      ['ShardedFilename', 'ShardedFilespec', 'Snapshot'],
    )

  def test_text_and_state_must_be_listed(self):
    """What the rule lets through has neither."""
    for name in public_ops():
      op_def = tf_equiv.compat.op_definition(name)
      if allowed_ops.is_harmless(name) and not allowed_ops._NAMED.fullmatch(
        name
      ):
        types = {a.type for a in [*op_def.input_arg, *op_def.output_arg]}
        self.assertFalse(op_def.is_stateful, name)
        self.assertNoCommonElements(
          types,
          [t.as_datatype_enum for t in (tf.string, tf.resource, tf.variant)],
          name,
        )

  def test_unknown_op(self):
    self.assertFalse(allowed_ops.is_harmless('OpOfAnotherWorld'))

  @parameterized.parameters(
    ('PrintV2', 'output_stream', 'stderr', 'file:///tmp/x'),
    ('PrintV2', 'output_stream', 'log(info)', 'stderr\nfile:///tmp/x'),
    ('DecodeProtoV2', 'descriptor_source', 'local://', '/etc/passwd'),
    ('EncodeProto', 'descriptor_source', 'bytes://abc', 'descriptor.pb'),
    ('FixedUnigramCandidateSampler', 'vocab_file', '', '/etc/passwd'),
  )
  def test_attributes_decide(self, op, attr, good, bad):
    for value, allowed in ((good, True), (bad, False)):
      node = v1.NodeDef(name='it', op=op)
      node.attr[attr].s = value.encode()
      self.assertEqual(allowed_ops.is_allowed(node), allowed, value)
    # Its default, and a value that the caller of a function gives.
    self.assertTrue(allowed_ops.is_allowed(v1.NodeDef(name='it', op=op)))
    node = v1.NodeDef(name='it', op=op)
    node.attr[attr].placeholder = attr
    self.assertFalse(allowed_ops.is_allowed(node))

  def test_op_behind_the_name_of_a_function(self):
    node = v1.NodeDef(name='it', op='PartitionedCall')
    node.attr['f'].func.name = 'ReadFile'
    self.assertFalse(allowed_ops.is_allowed(node))
    node.attr['f'].func.name = 'of_the_graph'
    self.assertTrue(allowed_ops.is_allowed(node))
    node.attr['f'].func.attr['g'].func.name = 'ReadFile'
    self.assertEqual(
      allowed_ops.functions_of(node), {'of_the_graph', 'ReadFile'}
    )
    self.assertFalse(allowed_ops.is_allowed(node))


def graph_of(build):
  """Returns the `GraphDef` of what a function builds."""
  with tf.Graph().as_default() as graph:
    build()
  return graph.as_graph_def()


def several():
  x = v1.placeholder(tf.float32, [], name='x')
  tf.add(x, 1.0, name='clean')
  text = tf.io.read_file('/etc/passwd', name='read')
  tf.strings.length(text, name='length')
  with tf.control_dependencies([tf.io.write_file('/tmp/no', 'x', 'write')]):
    tf.multiply(x, 2.0, name='waiting')


def in_function():
  x = v1.placeholder(tf.float32, [], name='x')

  @tf.function
  def inner(x):
    return x + tf.cast(tf.strings.length(tf.io.read_file('no')), tf.float32)

  @tf.function
  def outer(x):
    return tf.cond(x > 0, lambda: inner(x), lambda: x)

  tf.identity(outer(x), name='called')
  tf.add(x, 1.0, name='clean')


class CheckTest(parameterized.TestCase):
  def refused(self, function, *args):
    with self.assertRaises(tf_equiv.UsageError) as caught:
      function(*args)
    return str(caught.exception)

  def test_message(self):
    graph_def = graph_of(several)
    self.assertEqual(
      self.refused(refused_nodes.check, graph_def, (), 'MetaGraph x'),
      'MetaGraph x has ops that may read or write files, or reach a network, '
      "Python or other processes, and was not run: 'read' (ReadFile), 'write' "
      "(WriteFile). If you trust it, give trust_ops=('ReadFile', 'WriteFile').",
    )
    self.assertIn(
      "was not run: 'read' (ReadFile). If you trust it, give "
      "trust_ops=('ReadFile',).",
      self.refused(refused_nodes.check, graph_def, ('WriteFile',)),
    )
    refused_nodes.check(graph_def, ('ReadFile', 'WriteFile'))

  def test_many_nodes_are_cut(self):
    def build():
      for _ in range(99):
        tf.io.read_file('no')

    text = self.refused(refused_nodes.check, graph_of(build))
    self.assertIn("'ReadFile_17' (ReadFile), and 89 more. If", text)
    self.assertLess(len(text), 600)

  def test_function_bodies(self):
    text = self.refused(refused_nodes.check, graph_of(in_function))
    self.assertRegex(text, r"'__inference_inner_\d+/ReadFile' \(ReadFile\)")

  def test_clean_graph(self):
    def build():
      x = v1.placeholder(tf.float32, [None, 3])
      net = v1.layers.dense(x, 2)
      net = v1.layers.dropout(net, training=True)
      tf.while_loop(lambda n: tf.reduce_sum(n) < 9, lambda n: n + 1, [net])
      loss = tf.reduce_mean(net)
      v1.train.AdamOptimizer().minimize(loss)
      v1.Print(loss, [loss])
      v1.assert_greater(loss, 0.0)

    refused_nodes.check(graph_of(build))

  def test_only_the_clean_part_is_kept(self):
    graph_def = graph_of(several)
    found = refused_nodes.without_refused(graph_def, ['clean'])
    self.assertCountEqual(
      [node.name for node in found.node if node.op not in ('Const',)],
      ['x', 'clean'],
    )
    for wanted, culprit in (('length', 'read'), ('waiting', 'write')):
      text = self.refused(refused_nodes.without_refused, graph_def, [wanted])
      self.assertIn(f"was not run: '{culprit}' (", text)
    self.assertIs(
      refused_nodes.without_refused(
        graph_def, ['length'], ['ReadFile', 'WriteFile']
      ),
      graph_def,
    )

  def test_functions_that_lead_to_one_are_removed(self):
    graph_def = graph_of(in_function)
    found = refused_nodes.without_refused(graph_def, ['clean'])
    self.assertNotIn(b'ReadFile', found.SerializeToString())
    with tf.Graph().as_default():
      tf.import_graph_def(found, name='')
    text = self.refused(refused_nodes.without_refused, graph_def, ['called'])
    self.assertRegex(text, r"'__inference_inner_\d+/ReadFile' \(ReadFile\)")

  @parameterized.parameters('CSVDataset', 3, [('A', 1)])
  def test_wrong_argument(self, given):
    with self.assertRaisesRegex(
      tf_equiv.UsageError,
      'trust_ops of Golden is .*; expected a tuple of types of ops, as in '
      r"trust_ops=\('CSVDataset',\)\.",
    ):
      tf_equiv.Golden('x', trust_ops=given)


if __name__ == '__main__':
  absltest.main()
