"""Exports that are damaged, fail while they run, or never end."""

import os

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tests.references.exported_test_helper import temporary_folder
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib

v1 = tf.compat.v1
_V1_FLOW = program_lib.TF1Behavior(control_flow_v2=False)
_INPUTS = np.array([1.0, 2.0], np.float32)


class FaultsTestCase(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = temporary_folder(self)
    self.path = os.path.join(self.folder, 'model.meta')

  def export(self, build, behavior=_V1_FLOW):
    """Saves a graph with an input x and an output y."""
    with behavior.active(), tf.Graph().as_default():
      x = v1.placeholder(tf.float32, [None], name='x')
      tf.identity(build(x), name='y')
      v1.train.export_meta_graph(self.path)

  def change(self, function):
    with open(self.path, 'rb') as file:
      meta = v1.MetaGraphDef.FromString(file.read())
    function(meta)
    with open(self.path, 'wb') as file:
      file.write(meta.SerializeToString())

  def run_it(self, **options):
    reference = tf_equiv.MetaGraph(
      self.path, inputs='x', outputs='y', **options
    )
    plan = plan_lib.RunPlan(inputs=_INPUTS)
    run = reference.submit(program_lib.Program(build=None), plan)
    return run.result().outputs[0][1]

  def fails(self, error, **options):
    with self.assertRaises(error) as caught:
      self.run_it(**options)
    text = str(caught.exception)
    self.assertStartsWith(text, f'MetaGraph {self.path!r} ')
    self.assertLess(len(text), 1500)
    return text


def node_of(meta, name):
  return next(n for n in meta.graph_def.node if n.name == name)


def simple(x):
  w = v1.get_variable('w', initializer=np.ones(2, np.float32))
  return x * w + tf.constant([1.0, 2.0], name='c')


class ConstantsTest(FaultsTestCase):
  def setUp(self):
    super().setUp()
    self.export(simple)

  def test_clean(self):
    self.assertEqual(self.run_it().shape, (2,))

  def test_shape_that_takes_all_memory(self):
    def change(meta):
      tensor = node_of(meta, 'c').attr['value'].tensor
      tensor.tensor_shape.dim[0].size = 1 << 40
      tensor.tensor_content = b''
      tensor.float_val.append(1.0)

    self.change(change)
    self.assertIn(
      'is damaged, or too large: its constants take more than 4294967296 '
      "bytes, the last of which is 'c'",
      self.fails(tf_equiv.UsageError),
    )

  @parameterized.parameters('shape', 'dtype', 'unknown', 'other')
  def test_no_tensor(self, how):
    def change(meta):
      tensor = node_of(meta, 'c').attr['value'].tensor
      if how == 'shape':
        tensor.tensor_shape.dim[0].size = -7
      elif how == 'dtype':
        tensor.dtype = 999
      elif how == 'unknown':
        tensor.tensor_shape.unknown_rank = True
      else:
        tensor.dtype = tf.int32.as_datatype_enum

    self.change(change)
    self.assertIn(
      "is damaged: its constant 'c' has no dtype or no shape of a tensor",
      self.fails(tf_equiv.UsageError),
    )

  def test_values_that_are_missing(self):
    def change(meta):
      tensor = node_of(meta, 'c').attr['value'].tensor
      tensor.tensor_content = b'123'

    self.change(change)
    self.assertIn(
      "fails in its op 'c' (Const) when it is run: InvalidArgumentError: "
      'Cannot parse tensor from proto',
      self.fails(tf_equiv.ModelCodeError),
    )

  def test_frozen_weights_that_are_damaged(self):
    path = os.path.join(self.folder, 'frozen.pb')
    with tf.Graph().as_default() as graph:
      x = v1.placeholder(tf.float32, [None, 2], name='x')
      w = tf.constant(np.ones((2, 3), np.float32), name='w')
      tf.matmul(x, tf.identity(w, name='w/read'), name='y')
    graph_def = graph.as_graph_def()
    tensor = next(n for n in graph_def.node if n.name == 'w').attr['value']
    for content, size in ((b'123', 2), (b'', 1 << 30)):
      tensor.tensor.tensor_content = content
      tensor.tensor.tensor_shape.dim[0].size = size
      with open(path, 'wb') as file:
        file.write(graph_def.SerializeToString())
      with self.assertRaisesRegex(
        tf_equiv.UsageError,
        'frozen graph .* is damaged, or holds what this version of tf_equiv '
        'does not know',
      ):
        tf_equiv.FrozenGraph(path, inputs='x', outputs='y').submit(
          program_lib.Program(build=None), plan_lib.RunPlan(_INPUTS[None])
        )


class VariablesTest(FaultsTestCase):
  def setUp(self):
    super().setUp()
    self.export(simple)

  def definition(self, meta):
    return meta.collection_def[v1.GraphKeys.GLOBAL_VARIABLES].bytes_list.value

  def test_no_definition(self):
    def change(meta):
      self.definition(meta)[0] = b'\xff\xff\xff'

    self.change(change)
    self.assertIn(
      'is damaged, or holds what this version of tf_equiv does not know '
      '(DecodeError: ',
      self.fails(tf_equiv.UsageError),
    )

  @parameterized.parameters(
    'initializer_name', 'initial_value_name', 'snapshot_name', 'variable_name'
  )
  def test_name_of_another_op(self, field):
    def change(meta):
      value = tf_equiv.compat.export_messages().VariableDef.FromString(
        self.definition(meta)[0]
      )
      setattr(value, field, 'c:7')
      self.definition(meta)[0] = value.SerializeToString()

    self.change(change)
    try:
      self.run_it()
    except tf_equiv.EquivalenceError as error:
      self.assertIn('MetaGraph', str(error))

  def test_variable_without_a_dtype(self):
    self.change(lambda meta: node_of(meta, 'w').attr.clear())
    self.assertIn('is damaged, or holds', self.fails(tf_equiv.UsageError))


class RunningTest(FaultsTestCase):
  def test_op_that_fails(self):
    def build(x):
      with tf.control_dependencies([v1.assert_greater(x, 5.0, name='check')]):
        return x * 2.0

    self.export(build)
    text = self.fails(tf_equiv.ModelCodeError)
    self.assertIn("fails in its op 'check/", text)
    self.assertIn('InvalidArgumentError: ', text)
    self.assertIn('Give it inputs and feeds of the values that', text)

  def test_end_of_data(self):
    def build(x):
      data = tf.data.Dataset.from_tensors(np.float32(2)).take(0)
      return x * v1.data.make_one_shot_iterator(data).get_next()

    self.export(build)
    text = self.fails(tf_equiv.ModelCodeError)
    self.assertIn("in its op 'IteratorGetNext' (IteratorGetNext)", text)
    self.assertIn('OutOfRangeError: End of sequence', text)

  @parameterized.parameters(False, True)
  def test_loop_that_never_ends(self, v2):
    def build(x):
      return tf.while_loop(lambda n: n[0] > -1.0, lambda n: [n * 1.0], [x])

    self.export(build, program_lib.TF1Behavior(control_flow_v2=v2))
    self.assertIn(
      'did not end within 1 s: it was ended, and nothing was compared. If it '
      'needs longer, give timeout=',
      self.fails(tf_equiv.UsageError, timeout=1),
    )

  def test_queue_that_nobody_fills(self):
    def build(x):
      queue = v1.FIFOQueue(3, tf.float32, [[]])
      return x * queue.dequeue()

    self.export(build)
    self.assertIn(
      'a graph that waits for its input pipeline never ends',
      self.fails(tf_equiv.UsageError, timeout=0.5),
    )

  @parameterized.parameters(0, -1, 'x', None, True, float('nan'))
  def test_wrong_timeout(self, timeout):
    self.export(lambda x: x)
    with self.assertRaisesRegex(
      tf_equiv.UsageError, 'timeout must be a positive number of seconds'
    ):
      self.run_it(timeout=timeout)


class FilesTest(FaultsTestCase):
  @parameterized.parameters('pipe', 'device', 'loop', 'folder')
  def test_no_regular_file(self, kind):
    for name, cls in (
      ('model.meta', tf_equiv.MetaGraph),
      ('frozen.pb', tf_equiv.FrozenGraph),
      ('saved_model.pb', tf_equiv.SavedModel),
    ):
      path = os.path.join(self.folder, name)
      if kind == 'pipe':
        os.mkfifo(path)
      elif kind == 'device':
        os.symlink('/dev/zero', path)
      elif kind == 'loop':
        os.symlink(name, path)
      else:
        os.mkdir(path)
      with self.assertRaises(tf_equiv.UsageError) as caught:
        cls(
          self.folder if cls is tf_equiv.SavedModel else path,
          inputs='x',
          outputs='y',
        ).submit(program_lib.Program(build=None), plan_lib.RunPlan(_INPUTS))
      self.assertIn(self.folder, str(caught.exception))
      if kind in ('pipe', 'device'):
        self.assertIn(
          f'{path!r} is a pipe or a device, where the file of an',
          str(caught.exception),
        )

  def test_file_that_is_too_large(self):
    with open(self.path, 'wb') as file:
      file.truncate(3 << 30)
    with self.assertRaisesRegex(tf_equiv.UsageError, 'has 2 GB at most'):
      self.run_it()


if __name__ == '__main__':
  absltest.main()
