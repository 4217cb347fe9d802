import collections
import os
import tempfile
import types

from tf_equiv.core.seed_mode import SeedMode

import tf_equiv  # isort: skip (before tensorflow)
import ml_dtypes
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv.compare import judge, tolerances, variables
from tf_equiv.core import plan as plan_lib
from tf_equiv.tf1 import program as program_lib
from tf_equiv.tf1 import runner, serialization

v1 = tf.compat.v1


def build(inputs, training):
  with v1.variable_scope('net'):
    net = v1.layers.dense(
      inputs['x'], 3, kernel_regularizer=tf.nn.l2_loss, name='d'
    )
    net = v1.layers.dropout(net, 0.5, training=training)
  return collections.OrderedDict(
    [
      ('net', net),
      ('half', tf.cast(net, tf.bfloat16)),
      ('none', None),
      ('text', inputs['text']),
    ]
  )


def a_plan():
  return plan_lib.RunPlan(
    inputs={
      'x': np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32),
      'text': np.array([b'a\0', 'ü'.encode(), b''], dtype=object),
    },
    training=True,
    weights='seeded',
    seed_mode=SeedMode.NUM_RANDOM_OPS,
    gradients=True,
  )


class StorageTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.path = os.path.join(folder.name, 'it.npz')

  def _round_trip(self, value):
    serialization.save(self.path, value)
    return serialization.load(self.path)

  def test_a_loaded_plan_gives_the_same_observation(self):
    plan = a_plan()
    loaded = self._round_trip(plan)
    self.assertEqual(loaded.seed_mode, plan.seed_mode)
    program = program_lib.Program(build)
    first, second = runner.run(program, plan), runner.run(program, loaded)
    for (_, a), (_, b) in zip(first.outputs, second.outputs, strict=True):
      np.testing.assert_array_equal(a, b)

  def test_a_loaded_observation_compares_as_the_original(self):
    plan = a_plan()
    original = runner.run(program_lib.Program(build), plan)
    loaded = self._round_trip(original)
    self.assertEqual(loaded.variables, original.variables)
    self.assertEqual(loaded.draws, original.draws)
    self.assertEqual(loaded.structure, original.structure)
    self.assertEqual(loaded.environment, original.environment)
    self.assertEqual(dict(loaded.outputs)["['half']"].dtype, ml_dtypes.bfloat16)
    table = variables.match_variables(original.variables, loaded.variables)
    exact = tolerances.Tolerance(rtol=0, atol=0)
    verdict = judge.judge_run(
      'a', plan, original, loaded, table, lambda n, v, m: v, exact
    )
    self.assertTrue(verdict.passed, verdict.headline)
    self.assertEqual(verdict.compared['outputs'], 3)
    self.assertEqual(verdict.compared['gradients'], 2)

  @parameterized.parameters(
    'float16', 'float32', 'float64', 'int8', 'uint64', 'bool', 'complex64'
  )
  def test_dtypes(self, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    loaded = self._round_trip({'a': array, 'b': array[:0], 'c': array[0, 0]})
    self.assertEqual(loaded['a'].dtype, array.dtype)
    np.testing.assert_array_equal(loaded['a'], array)
    self.assertEqual(loaded['b'].shape, (0, 3))
    self.assertEqual(loaded['c'].shape, ())

  def test_containers_and_numbers(self):
    value = {
      'tuple': (1, [2.5, None], 'text'),
      3: float('inf'),
      'ordered': collections.OrderedDict([('b', 1), ('a', True)]),
    }
    loaded = self._round_trip(value)
    self.assertEqual(loaded, value)
    self.assertIsInstance(loaded['ordered'], collections.OrderedDict)
    self.assertTrue(np.isnan(self._round_trip([float('nan')])[0]))

  def test_named_tuples_keep_their_fields(self):
    pair = collections.namedtuple('Pair', ['image', 'label'])
    loaded = self._round_trip({'in': pair(np.ones(2), [pair(1, 2)])})['in']
    self.assertEqual(type(loaded).__name__, 'Pair')
    np.testing.assert_array_equal(loaded.image, np.ones(2))
    self.assertEqual(loaded.label[0].label, 2)

  def test_any_mapping_becomes_a_dict(self):
    value = types.MappingProxyType({'a': 1})
    self.assertEqual(self._round_trip([value]), [{'a': 1}])

  def test_without_compression(self):
    value = {'a': np.zeros(10000)}
    serialization.save(self.path, value)
    small = os.path.getsize(self.path)
    serialization.save(self.path, value, compress=False)
    self.assertGreater(os.path.getsize(self.path), 10 * small)
    np.testing.assert_array_equal(
      serialization.load(self.path)['a'], value['a']
    )

  def test_what_cannot_be_saved_leaves_nothing_behind(self):
    serialization.save(self.path, [1])
    with self.assertRaisesRegex(tf_equiv.UsageError, 'A object cannot be'):
      serialization.save(self.path, [object()])
    self.assertEqual(serialization.load(self.path), [1])
    self.assertEqual(os.listdir(os.path.dirname(self.path)), ['it.npz'])

  def test_missing_damaged_and_foreign_files(self):
    with self.assertRaisesRegex(tf_equiv.UsageError, 'There is no file'):
      serialization.load(self.path)
    serialization.save(self.path, a_plan())
    with open(self.path, 'rb') as stream:
      data = stream.read()
    for damaged in (data[: len(data) // 2], b'', b'text', data[:-30]):
      with open(self.path, 'wb') as stream:
        stream.write(damaged)
      with self.assertRaisesRegex(tf_equiv.UsageError, 'cannot be read'):
        serialization.load(self.path)
    np.savez(self.path, a=np.ones(3))
    with self.assertRaisesRegex(tf_equiv.UsageError, 'not written by tf_equiv'):
      serialization.load(self.path)
    index = np.frombuffer(b'{"format": "tf_equiv 9"}', np.uint8)
    np.savez(self.path, index=index)
    with self.assertRaisesRegex(tf_equiv.UsageError, "reads 'tf_equiv 1'"):
      serialization.load(self.path)

  def test_pickles_are_refused(self):
    np.savez(self.path, index=np.array([{}], dtype=object))
    with self.assertRaisesRegex(tf_equiv.UsageError, 'cannot be read'):
      serialization.load(self.path)


if __name__ == '__main__':
  absltest.main()
