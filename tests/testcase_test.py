"""`MigrationTestCase` as a test author meets it: every kind of bad input."""

import collections
import sys
import unittest

import tf_equiv  # isort: skip (before tensorflow)
import ml_dtypes
import numpy as np
import tensorflow as tf
from absl.testing import absltest, parameterized

v1 = tf.compat.v1


class Model(tf.Module):
  """What `Case.build_tf1` computes, behind the shim."""

  @tf_equiv.track_tf1_style_variables
  def __call__(self, x, training=False):
    return legacy(x)


def legacy(x):
  w = v1.get_variable('net/w', (3, 2))
  return tf.matmul(x, w) + v1.get_variable(
    'net/b', (2,), initializer=v1.zeros_initializer()
  )


class Case(tf_equiv.MigrationTestCase):
  """A clean pair, to be broken by subclasses."""

  def make_inputs(self):
    return np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)

  def build_tf1(self, inputs, training):
    return legacy(inputs)

  def build_tf2(self):
    return Model()

  def runTest(self):
    """Lets the class be instantiated."""


_ASSERTIONS = (
  ('no_new_variables', 'assertNoNewVariables'),
  ('variables', 'assertVariablesMatch'),
  ('forward', 'assertForwardEquivalent'),
  ('training', 'assertTrainingEquivalent'),
  ('gradients', 'assertGradientsClose'),
)


def case_with(**members):
  return type('BrokenCase', (Case,), members)()


class TemplateMethodsTest(parameterized.TestCase):
  def assertUsage(self, pattern, case, assertion='assertForwardEquivalent'):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      getattr(case, assertion)()

  @parameterized.named_parameters(*_ASSERTIONS)
  def test_clean_pair_passes_and_returns_the_verdict(self, assertion):
    verdict = getattr(Case(), assertion)()
    self.assertIsInstance(verdict, tf_equiv.Verdict)
    self.assertTrue(verdict.passed)
    self.assertTrue(verdict)
    self.assertEqual(verdict.compared['variables'], 2)
    self.assertStartsWith(str(verdict), 'pass ' + assertion)

  @parameterized.named_parameters(*_ASSERTIONS)
  def test_missing_template_methods(self, assertion):
    class Empty(tf_equiv.MigrationTestCase):
      def runTest(self):
        pass

    class NoTf2(Empty):
      def make_inputs(self):
        return np.ones(3)

      def build_tf1(self, inputs, training):
        return inputs

    self.assertUsage(r'Empty must define make_inputs\(', Empty(), assertion)
    self.assertUsage(r'NoTf2 must define build_tf2\(', NoTf2(), assertion)

  def test_missing_build_tf1(self):
    class NoTf1(tf_equiv.MigrationTestCase):
      make_inputs = Case.make_inputs
      build_tf2 = Case.build_tf2

      def runTest(self):
        pass

    self.assertUsage(r'NoTf1 must define build_tf1\(self, inputs', NoTf1())

  @parameterized.named_parameters(
    ('list', [[1.0, 2.0]], r'make_inputs\(\)\[0\]\[0\] is a float.*np.array'),
    ('none', None, 'holds no array'),
    ('empty', {}, 'holds no array'),
    ('objects', np.array([object()]), 'dtype object'),
    ('text', {'a': 'b'}, r"make_inputs\(\)\['a'\] is a str"),
  )
  def test_inputs(self, inputs, pattern):
    self.assertUsage(pattern, case_with(make_inputs=lambda self: inputs))

  def test_eager_tensor_as_input(self):
    case = case_with(make_inputs=lambda self: tf.ones((4, 3)))
    self.assertUsage('EagerTensor; expected a NumPy array.*one side', case)

  def test_build_tf1_returns_nothing(self):
    case = case_with(build_tf1=lambda self, inputs, training: None)
    self.assertUsage('build_tf1 returned None; return the output', case)

  def test_build_tf1_returns_an_eager_tensor(self):
    eager = tf.ones((2,))
    case = case_with(build_tf1=lambda self, inputs, training: {'a': eager})
    self.assertUsage(r"an eager tensor at outputs\['a'\]", case)

  def test_build_tf1_returns_a_tensor_of_another_graph(self):
    def build_tf1(self, inputs, training):
      with tf.Graph().as_default():
        return [v1.placeholder(tf.float32, (2,), name='stray')]

    case = case_with(build_tf1=build_tf1)
    self.assertUsage(r'another graph at outputs\[0\] \(stray:0\)', case)

  def test_build_tf1_returns_something_else(self):
    case = case_with(build_tf1=lambda self, inputs, training: object())
    self.assertUsage('build_tf1 returned a object at outputs', case)

  @parameterized.named_parameters(
    ('none', None, 'build_tf2 returned None'),
    ('class', Model, r'returned the class Model; return an object.*Model\('),
    ('number', 3, 'returned a int, which is no model'),
  )
  def test_build_tf2(self, model, pattern):
    self.assertUsage(pattern, case_with(build_tf2=lambda self: model))

  def test_build_tf2_returns_a_tensor(self):
    case = case_with(build_tf2=lambda self: tf.ones(3))
    self.assertUsage('which is a tensor', case)

  def test_tf2_model_returns_nothing(self):
    case = case_with(call_tf2=lambda self, model, inputs, training: None)
    self.assertUsage(r'TF2 model \(Model\) returned None', case)

  def test_tf2_model_returns_a_symbolic_tensor(self):
    case = case_with(
      call_tf2=lambda self, model, inputs, training: tf.keras.Input((3,))
    )
    self.assertUsage('symbolic tensor|KerasTensor', case)

  def test_tf2_model_without_training(self):
    class NoFlag(tf.Module):
      @tf_equiv.track_tf1_style_variables
      def __call__(self, x):
        return legacy(x)

    def with_dropout(self, inputs, training):
      return v1.layers.dropout(legacy(inputs), 0.5, training=training)

    # Nothing depends on the flag: it may be missing.
    clean = case_with(build_tf2=lambda self: NoFlag())
    self.assertTrue(clean.assertTrainingEquivalent())
    # The TF1 side has dropout: comparing would be training with inference.
    case = case_with(build_tf2=lambda self: NoFlag(), build_tf1=with_dropout)
    self.assertTrue(case.assertForwardEquivalent())
    self.assertUsage(
      'takes no `training` argument.*call_tf2', case, 'assertTrainingEquivalent'
    )

  @parameterized.named_parameters(
    ('shape', np.ones((2,)), r'reset_weights\(.*shape \(2,\); the variable'),
    ('nan', np.full((3, 2), np.nan), '6 values that are NaN'),
    ('none', None, 'returned None'),
    ('text', np.full((3, 2), 'a'), 'dtype <U1; the variable has'),
  )
  def test_reset_weights(self, value, pattern):
    case = case_with(reset_weights=lambda self, n, s, d: value)
    self.assertUsage(pattern, case)

  def test_constant_weights_in_a_class_body(self):
    case = case_with(reset_weights=tf_equiv.constant_weights(0.5))
    self.assertTrue(case.assertForwardEquivalent())

  def test_convert_variable(self):
    case = case_with(convert_variable=lambda self, n, v, m: None)
    self.assertUsage('convert_variable.*returned None', case)

  @parameterized.named_parameters(
    ('number', lambda n: 3, 'expected a name, a tuple of names, or None'),
    ('same', lambda n: 'net/w', "gives 'net/w' and 'net/b' the TF2 name"),
  )
  def test_rename_variable(self, rename, pattern):
    case = case_with(rename_variable=lambda self, name: rename(name))
    self.assertUsage(pattern, case, 'assertVariablesMatch')

  @parameterized.named_parameters(
    ('nothing', ('net/v$',), "'net/v\\$' of ignored_variables matches no"),
    ('invalid', ('(',), 'no regular expression'),
    ('string', 'net/b', 'is the string'),
  )
  def test_ignored_variables(self, patterns, message):
    case = case_with(ignored_variables=patterns)
    self.assertUsage(message, case, 'assertVariablesMatch')

  @parameterized.named_parameters(
    ('none', None, 'compute_loss returned None'),
    ('vector', tf.square, r'compute_loss returned float32 of shape \(4, 2\)'),
  )
  def test_compute_loss(self, function, pattern):
    def compute_loss(self, outputs, inputs):
      return function(outputs) if function else None

    case = case_with(compute_loss=compute_loss)
    self.assertUsage(pattern, case, 'assertGradientsClose')

  def test_tf1_behavior(self):
    self.assertUsage('tf1_behavior is 3', case_with(tf1_behavior=3))

  def test_exceptions_of_the_model_pass_unchanged(self):
    def build_tf1(self, inputs, training):
      raise KeyError('mine')

    with self.assertRaisesRegex(KeyError, 'mine') as caught:
      case_with(build_tf1=build_tf1).assertForwardEquivalent()
    if sys.version_info >= (3, 11):
      (note,) = caught.exception.__notes__
      self.assertStartsWith(note, 'tf_equiv was running build_tf1 on the TF1')
      self.assertIn("raise KeyError('mine')", note)

  def test_float64_inputs_of_a_float32_model(self):
    case = case_with(make_inputs=lambda self: np.ones((4, 3)))
    for _, assertion in _ASSERTIONS:
      with self.assertRaisesRegex(
        tf_equiv.ModelCodeError, r'astype\(np.float32\)'
      ):
        getattr(case, assertion)()

  def test_skip_inside_a_template_method(self):
    def build_tf2(self):
      self.skipTest('not here')

    with self.assertRaises(unittest.SkipTest):
      case_with(build_tf2=build_tf2).assertForwardEquivalent()


class ArgumentsTest(parameterized.TestCase):
  @parameterized.parameters(
    ({'rtol': -1e-6}, 'rtol must be a number that is not negative'),
    ({'atol': -1}, 'atol must be a number that is not negative'),
    ({'atol': float('nan')}, 'atol must be'),
    ({'rtol': float('inf')}, 'everything would pass'),
    ({'atol': '1e-5'}, 'atol must be'),
    ({'seed_mode': 'random'}, "Unknown seed_mode 'random'; expected one of"),
    ({'training': 1}, 'training must be True or False'),
  )
  def test_forward(self, arguments, pattern):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      Case().assertForwardEquivalent(**arguments)

  @parameterized.parameters(
    ({'steps': -1}, 'steps must be an int that is not negative'),
    ({'steps': 1.0}, 'steps must be an int'),
    ({'steps': 3}, r'must define build_tf1_optimizer\(self\)'),
    ({'weights': 'random'}, "weights must be 'fixed'.*or 'seeded'"),
  )
  def test_training(self, arguments, pattern):
    with self.assertRaisesRegex(tf_equiv.UsageError, pattern):
      Case().assertTrainingEquivalent(**arguments)

  def test_msg_is_added(self):
    case = case_with(rename_variable=lambda self, name: name + 'x')
    with self.assertRaises(AssertionError) as caught:
      case.assertVariablesMatch(msg='while moving the encoder')
    text = str(caught.exception)
    self.assertStartsWith(text, 'Variables differ')
    self.assertIn('while moving the encoder', text)

  def test_failure_exception_of_the_class(self):
    class Mine(AssertionError):
      pass

    case = case_with(
      rename_variable=lambda self, name: name + 'x', failureException=Mine
    )
    with self.assertRaises(Mine):
      case.assertForwardEquivalent()

  def test_wide_tolerance_passes_and_the_default_does_not(self):
    def build_tf1(self, inputs, training):
      return legacy(inputs) + 1e-3

    case = case_with(build_tf1=build_tf1)
    with self.assertRaisesRegex(AssertionError, 'would pass with atol=0.001'):
      case.assertForwardEquivalent()
    self.assertTrue(case.assertForwardEquivalent(atol=2e-3))


def stateless(function):
  """A case without variables that computes `function` on both sides."""

  class Stateless(Case):
    def build_tf1(self, inputs, training):
      return function(inputs)

    def build_tf2(self):
      return function

  return Stateless()


class OutputsTest(parameterized.TestCase):
  @parameterized.parameters(
    'float16', 'bfloat16', 'float32', 'float64', 'int8', 'int32', 'int64',
    'uint8', 'bool', 'complex64', 'complex128',
  )  # fmt: skip
  def test_dtypes(self, dtype):
    def function(x):
      return tf.cast(tf.abs(x) * 3, dtype)

    verdict = stateless(function).assertForwardEquivalent()
    self.assertEqual(verdict.compared['outputs'], 1)

    class Different(type(stateless(function))):
      def build_tf2(self):
        return lambda x: tf.cast(tf.abs(x) * 9, dtype)

    if dtype == 'bool':
      return
    with self.assertRaisesRegex(AssertionError, 'Outputs differ: 1 of 1'):
      Different().assertForwardEquivalent()

  @parameterized.parameters(
    np.float16, ml_dtypes.bfloat16, np.float64, np.int32, np.bool_,
    np.complex64,
  )  # fmt: skip
  def test_input_and_weight_dtypes(self, dtype):
    class Typed(tf.Module):
      @tf_equiv.track_tf1_style_variables
      def __call__(self, x):
        return typed(x)

    def typed(x):
      w = v1.get_variable(
        'w', (2,), x.dtype, initializer=v1.zeros_initializer()
      )
      return tf.where(tf.cast(tf.ones((3, 2)), tf.bool), x, x), w

    class TypedCase(Case):
      def make_inputs(self):
        return np.arange(6).reshape(3, 2).astype(dtype)

      def build_tf1(self, inputs, training):
        return typed(inputs)

      def build_tf2(self):
        return Typed()

    self.assertTrue(TypedCase().assertVariablesMatch())
    self.assertTrue(TypedCase().assertForwardEquivalent())
    self.assertTrue(TypedCase().assertForwardEquivalent(seed_mode='constant'))

  def test_strings(self):
    class Strings(Case):
      def make_inputs(self):
        return {'text': np.array([b'a', b'bc\0d']), 'more': np.array(['ü', ''])}

      def build_tf1(self, inputs, training):
        return tf.strings.join([inputs['text'], inputs['more']])

      def build_tf2(self):
        return lambda x: tf.strings.join([x['text'], x['more']])

    self.assertTrue(Strings().assertForwardEquivalent())

    class Other(Strings):
      def build_tf2(self):
        return lambda x: tf.strings.join([x['more'], x['text']])

    with self.assertRaisesRegex(AssertionError, r'1 of 2 elements differ'):
      Other().assertForwardEquivalent()

  def test_nests_sparse_and_ragged(self):
    Pair = collections.namedtuple('Pair', 'first second')

    def function(x):
      return {
        'pair': Pair(x, (x, None)),
        'sparse': tf.sparse.from_dense(x),
        'ragged': tf.RaggedTensor.from_row_lengths(x[:, 0], [1, 3]),
        'number': 3.0,
      }

    verdict = stateless(function).assertForwardEquivalent()
    self.assertEqual(verdict.compared['outputs'], 8)

  def test_nan_needs_permission(self):
    case = stateless(lambda x: x * float('nan'))
    with self.assertRaisesRegex(AssertionError, 'equal_nan=True'):
      case.assertForwardEquivalent()
    self.assertTrue(case.assertForwardEquivalent(equal_nan=True))

  @parameterized.parameters(1e-3, 1.0, 1e3)
  def test_tiny_and_large_outputs_are_judged_by_their_scale(self, size):
    # Freshly initialized networks give logits of 1e-11: the guide's
    # atol=1e-5 would pass anything.
    scale = 1e-11 * size

    class Factor(Case):
      def build_tf1(self, inputs, training):
        return inputs * scale

      def build_tf2(self):
        return lambda x: x * (scale * 1.001)

    with self.assertRaisesRegex(AssertionError, 'Outputs differ'):
      Factor().assertForwardEquivalent()
    self.assertTrue(Factor().assertForwardEquivalent(atol=1e-5))

  def test_ordered_dicts_in_another_order(self):
    class Order(Case):
      def build_tf1(self, inputs, training):
        return collections.OrderedDict([('a', inputs), ('b', inputs)])

      def build_tf2(self):
        return lambda x: collections.OrderedDict([('b', x), ('a', x)])

    with self.assertRaisesRegex(AssertionError, 'another order: TF1'):
      Order().assertForwardEquivalent()


class NothingComparedTest(absltest.TestCase):
  def test_no_variables(self):
    case = stateless(lambda x: x)
    for assertion in (case.assertVariablesMatch, case.assertNoNewVariables):
      with self.assertRaisesRegex(AssertionError, '^No variable.*allow_empty'):
        try:
          assertion()
        except AssertionError as error:
          raise AssertionError(str(error).replace('\n', ' ')) from None
      self.assertTrue(assertion(allow_empty=True))

  def test_no_output_elements(self):
    for function in (lambda x: x[:0], lambda x: {'a': None}, lambda x: ()):
      case = stateless(function)
      with self.assertRaisesRegex(AssertionError, 'No output was compared'):
        case.assertForwardEquivalent()
      self.assertTrue(case.assertForwardEquivalent(allow_empty=True))

  def test_no_gradients(self):
    case = stateless(lambda x: x * 2)
    with self.assertRaisesRegex(AssertionError, 'No gradient was compared'):
      case.assertGradientsClose()
    self.assertTrue(case.assertGradientsClose(allow_empty=True))


class MappingTest(absltest.TestCase):
  def test_affine_conversion(self):
    # As for the forget bias of an LSTM, which TF1 adds at run time.
    class Shifted(tf.Module):
      def __init__(self):
        self.w = tf.Variable(tf.zeros((3, 2)), name='net/w')
        self.b = tf.Variable(tf.zeros((2,)), name='net/b')

      def __call__(self, x):
        return tf.matmul(x, self.w) + (self.b - 1.0)

    def convert_variable(self, name, value, tf2_name):
      return value + 1.0 if name == 'net/b' else value

    case = case_with(
      build_tf2=lambda self: Shifted(), convert_variable=convert_variable
    )
    self.assertTrue(case.assertForwardEquivalent())
    self.assertTrue(case.assertGradientsClose())

  def test_forgotten_decorator(self):
    class Undecorated(tf.Module):
      def __call__(self, x):
        return legacy(x)

    for build in (Undecorated, lambda: legacy):
      case = case_with(build_tf2=lambda self: build())  # noqa: B023
      for _, assertion in _ASSERTIONS:
        with self.assertRaises(AssertionError) as caught:
          getattr(case, assertion)()
        text = str(caught.exception)
        self.assertIn('decorated with @tf_equiv.track_tf1_style_var', text)
        self.assertNotIn('rename_variable', text)

  def test_variables_that_a_function_creates_anew(self):
    def build_tf2(self):
      def model(x):
        w = tf.Variable(tf.zeros((3, 2)), name='net/w')
        b = tf.Variable(tf.zeros((2,)), name='net/b')
        return tf.matmul(x, w) + b

      return model

    with self.assertRaises(AssertionError) as caught:
      case_with(build_tf2=build_tf2).assertForwardEquivalent()
    text = str(caught.exception)
    self.assertStartsWith(text, 'The TF2 model creates 2 variable(s) anew in')
    self.assertIn('testcase_test.py', text)
    self.assertIn('Next: assertNoNewVariables', text)

  def test_no_line_of_the_test_runner_is_shown(self):
    def build_tf2(self):
      layers = tf.keras.layers
      return tf.keras.Sequential([layers.Dense(2, name='other')])

    with self.assertRaises(AssertionError) as caught:
      case_with(build_tf2=build_tf2).assertVariablesMatch()
    text = str(caught.exception)
    self.assertRegex(
      text,
      r'extra in TF2:\n    other/bias  float32\[2\]  at \S*testcase_test.py:\d+'
      r'  return tf.keras.Sequential\(\[layers.Dense',
    )
    self.assertNotIn('assertVariablesMatch()', text)

  def test_ignored_variables_keep_their_initial_value(self):
    class Counting(tf.Module):
      def __init__(self):
        self.calls = tf.Variable(0, name='calls', trainable=False)

      @tf_equiv.track_tf1_style_variables
      def __call__(self, x):
        self.calls.assign_add(1)
        return legacy(x) + tf.cast(self.calls - 1, tf.float32)

    case = case_with(
      build_tf2=lambda self: Counting(), ignored_variables=('^calls$',)
    )
    self.assertTrue(case.assertVariablesMatch())
    self.assertTrue(case.assertForwardEquivalent())
    self.assertTrue(case.assertGradientsClose())
    self.assertTrue(case.assertNoNewVariables())

  def test_one_variable_becomes_two_and_is_transposed(self):
    class Split(tf.Module):
      def __init__(self):
        self.left = tf.Variable(tf.zeros((1, 3)), name='left')
        self.right = tf.Variable(tf.zeros((1, 3)), name='right')
        self.b = tf.Variable(tf.zeros((2,)), name='bias')

      def __call__(self, x):
        w = tf.concat([self.left, self.right], 0)
        return tf.matmul(x, w, transpose_b=True) + self.b

    class SplitCase(Case):
      def build_tf2(self):
        return Split()

      def rename_variable(self, name):
        return {'net/w': ('left', 'right'), 'net/b': 'bias'}[name]

      def convert_variable(self, name, value, tf2_name):
        if name == 'net/b':
          return value
        column = 0 if tf2_name == 'left' else 1
        return value[:, column : column + 1].T

    verdict = SplitCase().assertVariablesMatch()
    self.assertEqual(verdict.compared['variables'], 3)
    self.assertTrue(SplitCase().assertForwardEquivalent())
    self.assertTrue(SplitCase().assertGradientsClose())

    class Exchanged(SplitCase):
      def convert_variable(self, name, value, tf2_name):
        value = super().convert_variable(name, value, tf2_name)
        return value if name == 'net/b' else value[:, ::-1]

    # Constant weights, the guide's way, would not see this.
    with self.assertRaisesRegex(AssertionError, 'Outputs differ'):
      Exchanged().assertForwardEquivalent()

  def test_variable_that_is_no_attribute(self):
    class Hidden(tf.Module):
      @tf_equiv.track_tf1_style_variables
      def __call__(self, x):
        if not _HIDDEN:
          _HIDDEN.append(tf.Variable(tf.zeros((3, 2)), name='net/w'))
        b = v1.get_variable('net/b', (2,), initializer=v1.zeros_initializer())
        return tf.matmul(x, _HIDDEN[0]) + b

    _HIDDEN = []
    case = case_with(build_tf2=lambda self: Hidden())
    with self.assertRaises(AssertionError) as caught:
      case.assertVariablesMatch()
    text = str(caught.exception)
    self.assertIn('1 missing in TF2', text)
    self.assertIn('created by TF2, but not among the variables', text)
    self.assertIn('testcase_test.py', text)
    self.assertIn('attribute of the model', text)

  def test_plain_function_with_variables(self):
    def build_tf2(self):
      w = tf.Variable(tf.zeros((3, 2)), name='net/w')
      b = tf.Variable(tf.zeros((2,)), name='net/b')
      return lambda x: tf.matmul(x, w) + b

    case = case_with(build_tf2=build_tf2)
    self.assertTrue(case.assertVariablesMatch())
    self.assertTrue(case.assertForwardEquivalent())
    self.assertTrue(case.assertGradientsClose())

  def test_two_models_of_one_name_are_duplicates(self):
    def build_tf2(self):
      ws = [tf.Variable(tf.zeros((3, 2)), name='net/w') for _ in range(2)]
      b = tf.Variable(tf.zeros((2,)), name='net/b')
      return lambda x: tf.matmul(x, ws[0]) + b

    with self.assertRaisesRegex(AssertionError, '1 duplicate name'):
      case_with(build_tf2=build_tf2).assertVariablesMatch()


class IndependenceTest(absltest.TestCase):
  def test_assertions_in_any_order_give_the_same(self):
    names = [name for _, name in _ASSERTIONS]

    def outcome(order):
      case = Case()
      results = {}
      for name in order:
        largest = getattr(case, name)().largest()
        results[name] = largest and (largest.name, largest.difference)
      return results

    expected = outcome(names)
    self.assertEqual(outcome(names[::-1]), expected)
    for name in names:
      self.assertEqual(outcome([name])[name], expected[name])

  def test_global_state_is_as_before(self):
    import random

    tf.random.set_seed(3)
    random.seed(3)
    expected = tf.random.uniform((2,)).numpy().tolist(), random.random()
    tf.random.set_seed(3)
    random.seed(3)
    for _, name in _ASSERTIONS:
      getattr(Case(), name)()
    state = tf.random.uniform((2,)).numpy().tolist(), random.random()
    self.assertEqual(state, expected)
    self.assertTrue(tf.executing_eagerly())
    self.assertIs(tf.keras.layers.Layer, tf.keras.layers.Dense.__bases__[0])


if __name__ == '__main__':
  absltest.main()
