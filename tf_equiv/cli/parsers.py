"""What the commands are called with; knows no TensorFlow, so that help is fast.

Each command is a module of this package with a function `run(arguments)`, which
is imported when the command runs.
"""

import argparse
import functools
import importlib
import os


def run(command: str, arguments: argparse.Namespace) -> int:
  """Runs a command; returns the exit status."""
  # What TensorFlow says of the processor when it is imported helps nobody.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  module = importlib.import_module(f'tf_equiv.cli.{command}')
  return int(module.run(arguments))


def command(commands, name: str, **texts: str) -> argparse.ArgumentParser:
  """Adds a command, whose module has its name.

  Args:
    commands: where to add it.
    name: the name.
    **texts: `help`, `description` and `epilog`.
  """
  parser = commands.add_parser(
    name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
  )
  parser.set_defaults(run=functools.partial(run, name))
  return parser


def add_record(commands) -> None:
  """Adds `record`."""
  parser = command(
    commands,
    'record',
    help='record the TF1 side of test classes',
    description='Runs all tests of a class, with its TF1 side, and records\n'
    'what that computes. What the class had recorded before is replaced, what\n'
    'other classes have in the file stays.',
  )
  parser.add_argument(
    'target',
    nargs='+',
    help='test class, as module:Class or path/to/test.py:Class; without class, '
    'all of the module',
  )
  parser.add_argument(
    '-o',
    '--output',
    metavar='FILE',
    help='the golden; by default that of the class',
  )
  parser.add_argument(
    '--keep',
    metavar='PARTS',
    help='what to store besides results: some of graph,weights, separated by '
    'commas',
  )
  parser.add_argument(
    '--anew',
    action='store_true',
    help='first drop all that the file holds, of other classes too',
  )
  parser.add_argument(
    '--tf1_python',
    metavar='PYTHON',
    help='interpreter with TensorFlow 1.x, for classes that have a '
    'Tf1Interpreter, or with --model',
  )
  parser.add_argument(
    '--model',
    metavar='MODULE:CLASS',
    help='run the TF1 side in the interpreter --tf1_python: the class or '
    'module that defines it there, see tf_equiv.Tf1Interpreter',
  )
  parser.add_argument(
    '--sys_path',
    action='append',
    default=[],
    metavar='FOLDER',
    help='folder to import --model from',
  )


def add_show(commands) -> None:
  """Adds `show`."""
  parser = command(
    commands,
    'show',
    help='print what a golden holds',
    description='Prints what a golden holds: where it was recorded, which\n'
    'plans of which test classes, and how much room they take.',
  )
  parser.add_argument('file', help='the golden')
  parser.add_argument(
    '--check',
    action='store_true',
    help='read everything in it, and compare the digests',
  )


def add_diff(commands) -> None:
  """Adds `diff`."""
  parser = command(
    commands,
    'diff',
    help='compare two goldens',
    description='Compares two goldens, plan by plan, as an assertion compares\n'
    'its two sides: of TensorFlow 1.15 and of 2.21, say. The exit code is 0\n'
    'if they are equal within the tolerance, 1 if not, 2 if they cannot be\n'
    'read.',
  )
  parser.add_argument('a', help='a golden')
  parser.add_argument('b', help='another one')
  for name in ('rtol', 'atol'):
    parser.add_argument(
      f'--{name}',
      type=float,
      help='tolerance, as that of the assertions',
    )
  parser.add_argument(
    '--trust_ops',
    metavar='TYPES',
    default='',
    help='types of ops that the graphs in the goldens may run although they '
    'reach files, a network, Python or other processes, separated by commas',
  )


_RATCHET = """
examples:
  TF_EQUIV_CERTIFICATE=new.json python -m pytest migration_tests
  tf_equiv ratchet equivalence.json new.json
  tf_equiv ratchet equivalence.json shard_1.json shard_2.json

exit status: 0 if nothing is lost, 1 if something is, 2 if a file is missing, of
another format, or was changed after the tests wrote it
"""


def add_ratchet(commands) -> None:
  """Adds `ratchet`."""
  parser = command(
    commands,
    'ratchet',
    help='compare what two certificates prove',
    description='Compares what the tests had proven with what they prove now,\n'
    'and prints what was lost and gained.',
    epilog=_RATCHET,
  )
  parser.add_argument('old', help='the certificate that must still hold')
  parser.add_argument(
    'new', nargs='+', help='the new one, or those of several processes'
  )


_SIDES = """
TF1 side:  a function, class or model_fn (legacy.py:net, package.legacy:Net,
           legacy.py:Net.forward), or the folder of a SavedModel
TF2 side:  a function, Keras layer or model (tf_keras or Keras 3), tf.Module, or
           a function or class that returns one
"""

_CHECK = """
examples:
  tf_equiv check legacy.py:net migrated.py:Net --inputs 'float32[4,224,224,3]'
  tf_equiv check legacy.py:net migrated.py:Net --tf1_args num_classes=10
  tf_equiv check legacy.py:TextCNN migrated.py:TextCNN \\
      --inputs 'ids=int32[4,20]:0..999' --tf1_output scores
  tf_equiv check legacy.py:net migrated.py:Net --steps 3 --report reports \\
      --checkpoint model.ckpt-1000 --json result.json

exit status: 0 if all steps pass, 1 if one differs, 2 if it cannot be run
"""

_INIT = """
example:
  tf_equiv init legacy.py:net migrated.py:Net -o net_migration_test.py
  python net_migration_test.py
"""


def add_check(commands) -> None:
  """Adds `check`."""
  parser = command(
    commands,
    'check',
    help='run the steps of the guide on two symbols, without a test class',
    description="Runs the steps of TensorFlow's migration guide on a TF1 and "
    'a TF2 model\nand prints a verdict for each. What can be inferred is: '
    'inputs, names of\nvariables, training flags.\n' + _SIDES,
    epilog=_CHECK,
  )
  _add_sides(parser)
  parser.add_argument(
    '--json', metavar='FILE', help='write the verdicts for programs, as JSON'
  )
  parser.add_argument(
    '--report', metavar='DIR', help='write a report of each failure'
  )


def add_init(commands) -> None:
  """Adds `init`."""
  parser = command(
    commands,
    'init',
    help='write a test class for two symbols, which runs unedited',
    description='Writes the test class that `tf_equiv check` would run.\n'
    + _SIDES,
    epilog=_INIT,
  )
  _add_sides(parser)
  parser.add_argument(
    '-o', '--output', metavar='FILE', required=True, help='the test, a .py file'
  )
  parser.add_argument(
    '--force', action='store_true', help='replace FILE if it exists'
  )


def _add_sides(parser: argparse.ArgumentParser) -> None:
  parser.add_argument('tf1', help='the TF1 side')
  parser.add_argument('tf2', help='the TF2 side')
  parser.add_argument(
    '--inputs',
    nargs='+',
    metavar='SPEC',
    help="the inputs: 'float32[4,224,224,3]', or with names and a range: "
    "'ids=int32[4,20]:0..999' 'mask=float32[4,20]'",
  )
  for side in ('tf1', 'tf2'):
    parser.add_argument(
      f'--{side}_args',
      f'--{side}-args',
      nargs='+',
      metavar='NAME=VALUE',
      help=f'arguments of the {side.upper()} side; a value is a literal, code '
      'that begins with a name of its module, or text',
    )
  parser.add_argument(
    '--tf1_output',
    '--tf1-output',
    metavar='NAME',
    help='the attribute that holds the outputs of the TF1 side; or an index '
    "into what it returns: '[0]'",
  )
  parser.add_argument(
    '--training',
    action=argparse.BooleanOptionalAction,
    help='whether to compare in training as well; by default where one side '
    'takes a flag for it',
  )
  parser.add_argument(
    '--steps',
    type=int,
    default=0,
    metavar='N',
    help='also take N training steps, with gradient descent on both sides',
  )
  parser.add_argument(
    '--checkpoint', metavar='PREFIX', help='also load a TF1 checkpoint'
  )
  parser.add_argument(
    '--weights',
    choices=('seeded', 'fixed'),
    help='weights in training: those of the initializers, or fixed ones; by '
    'default seeded where the variables have the same names',
  )
  parser.add_argument(
    '--seed_mode',
    '--seed-mode',
    choices=('constant', 'num_random_ops'),
    default='num_random_ops',
    help='how random ops are seeded',
  )
  parser.add_argument(
    '--quick',
    action='store_true',
    help='leave out the search for other inputs that tell the sides apart',
  )
