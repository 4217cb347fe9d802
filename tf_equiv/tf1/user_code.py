"""Runs the user's code and explains the errors that migrations often meet."""

import contextlib
import re
import unittest

from tf_equiv import compat
from tf_equiv.core import errors
from tf_equiv.core.source_line import SourceLine
from tf_equiv.tf1 import scopes, source_lines

_EAGER_ADVICE = (
  'This code uses a graph-only property of a tensor or a graph collection, '
  'which eager execution does not have. Where only names of end points are '
  'built, use Python strings or a dict instead; otherwise wrap the call in a '
  'tf.function in call_tf2.'
)

_COLLECTION_ADVICE = (
  'tf_slim collects these in a graph collection, which does not work in '
  'eager execution. On the TF2 side, leave out outputs_collections and '
  'variables_collections (of the arg_scope as well) and return end points in '
  'a dict.'
)

_SINGLETONS = (
  'A tf.function creates a variable in each call: create it once (`if self.v '
  'is None: self.v = tf.Variable(...)`) and reuse the attribute.'
)

# (side or None for both, pattern of "Type: message", error, advice); the
# names of the functions in the traceback follow, each as "in function()".
_KNOWN = (
  (
    None,
    r"not available with Keras 3|module 'keras[.\w]*' has no attribute",
    errors.EnvironmentSetupError,
    compat.LEGACY_KERAS_ADVICE,
  ),
  (
    None,
    r"No module named 'tensorflow\.contrib|has no attribute 'contrib'",
    errors.ModelCodeError,
    'tf.contrib is gone since TensorFlow 2.0: tf_slim replaces contrib.slim '
    'and contrib.layers, the TensorFlow Addons or Keras the rest; or keep the '
    'TF1 code in a TF 1.15 interpreter.',
  ),
  (
    None,
    r"has no attribute 'estimator'|No module named 'tensorflow_estimator"
    r'|cannot import name .estimator',
    errors.ModelCodeError,
    'tf.estimator is gone since TensorFlow 2.16. tf_equiv.from_model_fn calls '
    'a model_fn without it and gives it EstimatorSpec and ModeKeys, but only '
    'while it runs: name them inside the function, or run the TF1 side in a TF '
    '1.15 interpreter.',
  ),
  (
    'TF1',
    r'reset_default_graph\(\) to clear nested graphs',
    errors.ModelCodeError,
    'build_tf1 is called in a fresh graph, with fresh names: leave out '
    'tf.reset_default_graph and clear_session.',
  ),
  (
    'TF2',
    r'only supports singleton tf\.Variables|create variables on non-first call',
    errors.ModelCodeError,
    _SINGLETONS,
  ),
  (
    None,
    r'float(32|64).* (does not match|expected) .*float(32|64)'
    r'|to be a (double|float) tensor but is a (double|float) tensor',
    errors.ModelCodeError,
    'Inputs and weights have different precisions. NumPy makes float64 unless '
    'told otherwise: use .astype(np.float32) in make_inputs.',
  ),
  (
    'TF1',
    r"AttributeError: '(int|NoneType)' object has no attribute 'value'",
    errors.ModelCodeError,
    'In TF1 a dimension was an object with a value. Run the TF1 side with '
    'such shapes: set `tf1_behavior = tf_equiv.TF1Behavior('
    'v2_tensorshape=False)` in the test class.',
  ),
  (
    'TF2',
    r"AttributeError: '(int|NoneType)' object has no attribute 'value'",
    errors.ModelCodeError,
    'In TF2 a dimension is an int, or None, and no object with a value: leave '
    'out `.value` (`x.shape[1]`), or write `tf.compat.dimension_value('
    'x.shape[1])`, which works on both sides.',
  ),
  (
    'TF2',
    r'track_tf1_layers_and_variables.*must be applied to a method',
    errors.EnvironmentSetupError,
    'The shim works on layers and models of tf_keras and on tf.Module, not on '
    'those of Keras 3: derive the class from tf_keras.layers.Layer, or remove '
    'the decorator from a native Keras 3 layer.',
  ),
  (
    'TF2',
    r'`partitioner` arg for `get_variable` is unsupported',
    errors.ModelCodeError,
    'The shim does not support partitioned variables: drop the partitioner on '
    'the TF2 side.',
  ),
  (
    'TF2',
    r'in (append_tensor_alias|_add_variable_to_collections)\(\)',
    errors.ModelCodeError,
    _COLLECTION_ADVICE,
  ),
  (
    'TF2',
    r'when eager execution is enabled|not compatible with eager execution'
    r'|not supported (when|in) eager|collections? (is|are) not supported'
    r"|EagerTensor' object has no attribute '(op|graph|name|consumers)'",
    errors.ModelCodeError,
    _EAGER_ADVICE,
  ),
)


@contextlib.contextmanager
def running(side: str, what: str):
  """Explains known errors of the user's code that runs in this context.

  Errors that are not known pass unchanged, so that their traceback leads to
  the user's line. Test runners cut the traceback of an `AssertionError` at this
  package, so the line is added to its message.

  Args:
    side: 'TF1' or 'TF2'.
    what: name of the method that runs, e.g. 'build_tf1'.

  Raises:
    EnvironmentSetupError: for a process that was not set up as needed.
    ModelCodeError: for code that cannot run on this side.
  """
  try:
    yield
  except (errors.EquivalenceError, unittest.SkipTest):
    raise
  except Exception as error:
    text = f'{type(error).__name__}: {error}'
    full = text + _functions(error.__traceback__)
    line = source_lines.user_line_of_traceback(error.__traceback__)
    for known_side, pattern, cls, advice in _known_of(error):
      if known_side in (None, side) and re.search(pattern, full, re.DOTALL):
        if advice is _SINGLETONS:
          advice = scopes.advice(error.__traceback__) or advice
        raise cls(
          f'{what} could not run on the {side} side; nothing was compared.\n'
          f'{_place(line)}  {_first_lines(text)}\n'
          f'{advice}'
        ) from error
    if isinstance(error, AssertionError):
      said = str(error) or type(error).__name__
      error.args = (
        f'{said}\n'
        f'An assertion failed in {what}, on the {side} side; nothing was '
        'compared.\n'
        f'{_place(line).rstrip()}',
      )
    elif hasattr(error, 'add_note'):  # Python 3.11
      error.add_note(
        f'tf_equiv was running {what} on the {side} side.\n'
        f'{_place(line).rstrip()}'
      )
    raise


def _known_of(error):
  """The known errors, none for a failed assertion of the user's own."""
  traceback = error.__traceback__
  while traceback.tb_next is not None:
    traceback = traceback.tb_next
  filename = traceback.tb_frame.f_code.co_filename
  if isinstance(error, AssertionError) and not source_lines.is_library_file(
    filename
  ):
    return ()
  return _KNOWN


def _functions(traceback) -> str:
  names = []
  while traceback is not None:
    names.append(f' in {traceback.tb_frame.f_code.co_name}()')
    traceback = traceback.tb_next
  return ''.join(names)


_ERROR_LINE = r'\s*[\w.]*(Error|Exception)\b[\w ]*:'


def _place(line: SourceLine) -> str:
  # Keras 3 removes the user's frames from the traceback where it can.
  return f'  at {line}\n' if line.filename else ''


def _first_lines(text: str, limit: int = 3) -> str:
  """Keeps the message of an error, without the frame that Keras puts round."""
  text = re.sub(r'\x1b\[[0-9;]*m', '', text)  # colours
  text = re.sub(r'Exception encountered when calling [^\n]*\n', '', text)
  text = re.split(r'(Call a|A)rguments received by', text)[0]
  lines = [line for line in text.splitlines() if line.strip()]
  if 'in user code:' in text:  # AutoGraph's: a traceback, then the error.
    last = [i for i, line in enumerate(lines) if re.match(_ERROR_LINE, line)]
    lines = [line.strip() for line in lines[last[-1] if last else -1 :]]
  return '\n  '.join(lines[:limit])
