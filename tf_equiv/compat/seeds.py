"""Where random ops of TensorFlow and Keras get their seeds."""

import importlib

from tf_equiv.core import interrupts

# Every stateful random op asks `get_seed` of this private module, by attribute,
# for its seed.
_random_seed = importlib.import_module(
  'tensorflow.python.framework.random_seed'
)
_context = importlib.import_module('tensorflow.python.eager.context')
_PATCH_MARK = '_tf_equiv_get_seed'


def get_seed_is_patched() -> bool:
  """Returns whether `get_seed_patched` is active."""
  return hasattr(_random_seed.get_seed, _PATCH_MARK)


@interrupts.restoring
def get_seed_patched(get_seed):
  """Replaces TensorFlow's `get_seed` while the context is active.

  The op's function is the first caller outside of this package.
  """

  def replacement(op_seed=None):
    return get_seed(op_seed)

  original = _random_seed.get_seed
  setattr(replacement, _PATCH_MARK, True)
  _random_seed.get_seed = replacement
  try:
    yield
  finally:
    _random_seed.get_seed = original


def set_global_seed(seed: int) -> None:
  """Sets the eager global seed, which also clears the cached kernels.

  The public `tf.random.set_seed` would set that of the default graph, where
  there is one.
  """
  _context.context()._set_global_seed(seed)


@interrupts.restoring
def global_seed_restored():
  """Restores the eager global seed and the generator derived from it.

  `tf.random.set_seed` alone could not: it starts the generator anew, and it
  cannot tell which seed, if any, was set before.
  """
  context = _context.context()
  seed, generator = context._seed, getattr(context, '_rng', None)
  state = generator.getstate() if generator is not None else None
  try:
    yield
  finally:
    context._set_global_seed(seed)
    if generator is None:
      if hasattr(context, '_rng'):
        del context._rng
    else:
      generator.setstate(state)
      context._rng = generator


def _keras_random_generator_class():
  """The class behind default initializers and dropout of Keras 2, or None."""
  for name in ('tf_keras.src.backend', 'keras.src.backend', 'keras.backend'):
    try:
      module = importlib.import_module(name)
    except ImportError:
      continue
    cls = getattr(module, 'RandomGenerator', None)
    if cls is not None and hasattr(cls, 'RNG_LEGACY_STATEFUL'):
      return cls
  return None


@interrupts.restoring
def legacy_stateful_keras_generators():
  """Fix C: lets Keras 2's generators draw with stateful ops, as TF1 did.

  Since Keras 2.11 (about), default initializers draw with stateless ops whose
  seed is Python's `random`, so `get_seed` never hears of them. Inside this
  context every generator, older ones included, counts as legacy-stateful.
  A property shadows the instances' attribute, so that leaving the context
  gives each generator its own type back; no generator is built or advanced
  meanwhile.
  """
  cls = _keras_random_generator_class()
  if cls is None:
    yield
    return

  def set_type(self, value):
    self.__dict__['_rng_type'] = value

  replaced = {
    name: cls.__dict__[name] for name in ('_maybe_init', 'make_legacy_seed')
  }
  cls._rng_type = property(lambda self: cls.RNG_LEGACY_STATEFUL, set_type)
  cls._maybe_init = lambda self: None
  cls.make_legacy_seed = lambda self: None
  try:
    yield
  finally:
    del cls._rng_type
    for name, value in replaced.items():
      setattr(cls, name, value)
