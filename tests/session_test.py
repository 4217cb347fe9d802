"""The session runs both sides of a test case, each phase in its turn."""

import copy
import pickle

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

from tf_equiv import class_state, compat
from tf_equiv.references import base

v1 = tf.compat.v1


class Recorder(base.Reference):
  """Runs elsewhere, and notes when it is asked and waited for."""

  def __init__(self, events, error=None):
    self._inner = tf_equiv.InProcess()
    self._events, self._error = events, error

  def list_variables(self, program, plan):
    return self._inner.list_variables(program, plan)

  def submit(self, program, plan):
    self._events.append('submit')
    return RecordedRun(self, program, plan)

  def finish(self, program, plan):
    self._events.append('result')
    if self._error is not None:
      raise self._error
    return self._inner.submit(program, plan).result()


class RecordedRun(base.Run):
  def __init__(self, reference, program, plan):
    self._reference, self._arguments = reference, (program, plan)

  def result(self):
    return self._reference.finish(*self._arguments)


class Module(tf.Module):
  def __init__(self):
    super().__init__()
    self.w = tf.Variable([[1.0], [2.0]], name='w')

  def __call__(self, x):
    return tf.matmul(x, self.w)


class Case(tf_equiv.MigrationTestCase):
  """Notes which of its methods run, and whether seeds are patched then."""

  def __init__(self, *arguments):
    super().__init__(*arguments)
    self.events = []

  def runTest(self):
    """The case is used without a runner."""

  def make_inputs(self):
    return np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)

  def build_tf1(self, inputs, training):
    return tf.matmul(inputs, v1.get_variable('w', (2, 1)))

  def build_tf2(self):
    self.events.append('build_tf2')
    return Module()

  def build_tf1_optimizer(self):
    return v1.train.MomentumOptimizer(0.1, 0.9)

  def build_tf2_optimizer(self):
    return tf.keras.optimizers.SGD(0.1, momentum=0.9)

  def reset_weights(self, name, shape, dtype):
    if compat.get_seed_is_patched():
      self.events.append('reset_weights amid a run')
    return tf_equiv.named_weights(name, shape, dtype)

  def rename_variable(self, tf1_name):
    self.events.append('rename_variable')
    return tf1_name

  def convert_variable(self, tf1_name, value, tf2_name):
    if compat.get_seed_is_patched():
      self.events.append('convert_variable amid a run')
    return value


class SubmitTest(parameterized.TestCase):
  @parameterized.parameters(
    ('assertForwardEquivalent', {}),
    ('assertGradientsClose', {}),
    ('assertTrainingEquivalent', {'steps': 2, 'weights': 'fixed'}),
  )
  def test_tf2_is_built_while_tf1_runs(self, name, arguments):
    case = Case()
    case.tf1_reference = Recorder(case.events)
    getattr(case, name)(**arguments)
    first = dict.fromkeys(case.events)
    self.assertEqual(
      list(first), ['submit', 'build_tf2', 'result', 'rename_variable']
    )

  def test_tf1_runs_once_for_all_variants(self):
    case = Case()
    case.tf1_reference = Recorder(case.events)
    case.assertForwardEquivalent(variants=('eager', 'function', 'jit'))
    self.assertEqual(case.events.count('submit'), 1)

  def test_errors_of_tf1_are_raised_by_the_assertion(self):
    case = Case()
    error = tf_equiv.ModelCodeError('TF1 has failed elsewhere')
    case.tf1_reference = Recorder(case.events, error)
    with self.assertRaisesRegex(tf_equiv.ModelCodeError, 'failed elsewhere'):
      case.assertForwardEquivalent()
    self.assertEqual(case.events, ['submit', 'build_tf2', 'result'])

  def test_what_cannot_be_captured_is_noted(self):
    case = Case()
    case.tf1_reference = Recorder(case.events)
    case.build_tf2 = lambda: lambda x: 2 * tf.matmul(x, _KEPT)
    case.rename_variable = lambda name: None
    with self.assertRaisesRegex(
      AssertionError, 'cannot be looked into'
    ) as caught:
      case.assertForwardEquivalent(allow_vacuous=True)
    self.assertStartsWith(str(caught.exception), 'Outputs differ')


_KEPT = tf.constant([[1.0], [2.0]])


class PhasesTest(parameterized.TestCase):
  @parameterized.parameters('tf1', 'own')
  def test_the_code_of_the_user_does_not_run_amid_a_seeded_run(self, where):
    case = Case()
    if where == 'own':
      case.tf1_reference = Recorder(case.events)
    case.assertForwardEquivalent()
    case.assertForwardEquivalent(variants=('function', 'jit'))
    case.assertTrainingEquivalent(steps=2, weights='fixed')
    self.assertNotIn('reset_weights amid a run', case.events)
    self.assertNotIn('convert_variable amid a run', case.events)
    self.assertIn('rename_variable', case.events)

  def test_nothing_runs_if_variables_do_not_correspond(self):
    case, calls = Case(), []
    case.rename_variable = lambda name: 'other/' + name
    case.call_tf2 = lambda model, inputs, training: (
      calls.append(training) or model(inputs)
    )
    with self.assertRaisesRegex(
      AssertionError,
      '^Variables differ: 1 missing in TF2, 1 extra in TF2; outputs were not '
      'compared',
    ):
      case.assertForwardEquivalent()
    self.assertLen(calls, 1)  # The first call, which creates the variables.


class SharedTest(absltest.TestCase):
  def test_each_class_has_its_own(self):
    class Derived(Case):
      pass

    first, second = class_state.shared_of(Case), class_state.shared_of(Derived)
    self.assertIsNot(first, second)
    self.assertIs(class_state.shared_of(Case), first)

  def test_references_are_closed_with_the_class(self):
    closed = []

    class Closing(tf_equiv.InProcess):
      def close(self):
        closed.append(self)

    class Closed(Case):
      tf1_reference = property(lambda self: Closing())

    Closed.setUpClass()
    Closed().assertForwardEquivalent()
    self.assertLen(class_state.shared_of(Closed).references, 1)
    Closed.tearDownClass()
    self.assertLen(closed, 1)
    self.assertEmpty(class_state.shared_of(Closed).references)
    Closed.tearDownClass()
    self.assertLen(closed, 1)

  def test_a_reference_that_cannot_start_is_named_by_the_assertion(self):
    class Unusable(Case):
      tf1_reference = tf_equiv.Tf1Interpreter('legacy', python='/no/python')

    Unusable.setUpClass()
    with self.assertRaisesRegex(tf_equiv.EnvironmentSetupError, '/no/python'):
      Unusable().assertForwardEquivalent()
    Unusable.tearDownClass()


class CopyTest(absltest.TestCase):
  """Test runners copy test cases, and send them to other processes."""

  def test_copied(self):
    case = Case()
    case.assertForwardEquivalent()
    for other in (copy.deepcopy(case), copy.copy(case)):
      self.assertTrue(other.assertForwardEquivalent().passed)

  def test_pickled(self):
    other = pickle.loads(pickle.dumps(Case()))
    self.assertTrue(other.assertForwardEquivalent().passed)

  def test_a_copy_uses_its_own_methods(self):
    case = Case()
    other = copy.deepcopy(case)
    other.assertForwardEquivalent()
    self.assertIn('build_tf2', other.events)
    self.assertNotIn('build_tf2', case.events)


if __name__ == '__main__':
  absltest.main()
