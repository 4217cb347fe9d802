"""Calls of all public callables with odd arguments."""

import contextlib
import os
import shutil

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

from tests import argument_tables as tables
from tests.fuzz import outcomes
from tf_equiv import converters

v1 = tf.compat.v1


class _Nothing:
  """Has no length, no truth, no equality and no name."""

  def __bool__(self):
    raise ValueError('no truth')

  def __eq__(self, other):
    raise ValueError('no equality')

  __hash__ = None

  def __len__(self):
    raise ValueError('no length')


def _endless():
  found = []
  found.append(found)
  return found


def _odd_values():
  """Returns values of all kinds, good ones of other arguments among them."""
  values = [value for each in tables.NOT.values() for value in each]
  values += list(tables.GOOD.values())
  values += [
    _Nothing(),
    _endless(),
    _Nothing,
    int,
    object(),
    'x' * 100000,
    '\x1b[2J\u202e',
    '/dev/null',
    '/proc/self/mem',
    'a/b',
    '%s%n{0}',
    b'\xff',
    range(10**9),
    {'a': {'b': [None, {1: 2}]}},
    {None: None},
    np.zeros((0, 3)),
    np.array(['a', None], dtype=object),
    np.float32('nan'),
    np.datetime64('2020-01-01'),
    tf.zeros([2]),
    tf.int32,
    ValueError('x'),
    lambda: None,
    lambda *args, **kwargs: args[len(args) + 1],
    iter([1, 2]),
    frozenset(['a']),
    True,
    False,
    0.5,
    3,
  ]
  return values


class Calls:
  """One call, of which one to three arguments are odd."""

  def __init__(self, folder: str):
    self._folder = folder
    self._checkpoint = os.path.join(folder, 'tf1')
    self._values: list = []
    self._callables: list = []

  def prepare(self) -> None:
    """Writes a checkpoint."""
    with tf.Graph().as_default(), v1.Session() as session:
      v1.get_variable('w', [2])
      session.run(v1.global_variables_initializer())
      v1.train.Saver().save(session, self._checkpoint)

  def _prepare_calls(self):
    self._values = _odd_values()
    self._verdict = tables.Case().assertForwardEquivalent()
    for table, owner in (
      (tables.ASSERTIONS, None),
      (tables.FUNCTIONS, tf_equiv),
      (tables.CONVERTERS, converters),
    ):
      self._callables += [(owner, name, table[name]) for name in sorted(table)]

  def _good(self, owner, name):
    if name == 'assertCheckpointEquivalent':
      return {'path': self._checkpoint}
    if name == 'convert_checkpoint':
      return {
        'tf1_path': self._checkpoint,
        'model': tables.Module(),
        'output': 'tf2',
      }
    if name == 'write_report':
      return {'verdict': self._verdict, 'directory': '.'}
    if owner is None:
      return {}
    good = tables.required(getattr(owner, name))
    return {**good, 'tf2': {'b': (2,)}} if name == 'suggest_renames' else good

  def change(self, random) -> None:
    """Chooses what is called with what."""
    if not self._callables:
      self._prepare_calls()
    owner, name, kinds = random.choice(self._callables)
    self._owner, self._name = owner, name
    self._given = self._good(owner, name)
    count = min(len(kinds), random.choice((1, 1, 2, 3)))
    self._odd = random.sample(sorted(kinds), count)
    for argument in self._odd:
      self._given[argument] = random.choice(self._values)

  def use(self, random) -> None:
    """Calls it; only what is right writes files, and only where it should."""
    work = os.getcwd()
    os.mkdir('written')
    os.chdir('written')
    failed = False
    try:
      self._call()
    except AssertionError as error:
      failed = True
      if not str(error).strip():
        raise outcomes.WrongError('a failure without a message') from error
      if isinstance(error, tf_equiv.EquivalenceError):
        raise
    except BaseException:
      failed = True
      raise
    finally:
      os.chdir(work)
      left = os.listdir('written') if failed else []
      shutil.rmtree('written', ignore_errors=True)
      if left:
        raise outcomes.WrongError(f'{self._name} failed, and left {left}')

  def _call(self):
    given, positional = dict(self._given), ()
    if self._name == 'Mapping' and 'converters' in given:
      positional = given.pop('names', {}), given.pop('converters')
    owner = tables.Case() if self._owner is None else self._owner
    result = getattr(owner, self._name)(*positional, **given)
    if self._name in (
      'assert_no_variable_creations',
      'catch_created_variables',
      'deterministic_seeds',
    ):
      with result:
        pass
    elif self._name != 'track_tf1_style_variables':
      with contextlib.suppress(NotImplementedError):
        str(result)

  def __str__(self):
    given = ', '.join(
      f'{name}={_shown(self._given.get(name))}' for name in self._odd
    )
    return f'{self._name}({given})'


def _shown(value) -> str:
  try:
    return repr(value)[:80]
  except Exception:
    return type(value).__name__
