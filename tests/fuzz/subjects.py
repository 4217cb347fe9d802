"""What is changed, and what is then done with it."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import zipfile

import tf_equiv  # isort: skip (before tensorflow)
import numpy as np
import tensorflow as tf

from tests.fuzz import calls, interrupts, mutations, outcomes, replies
from tests.references import exported_test_helper, golden_net
from tf_equiv.cli import main
from tf_equiv.core import plan as plan_lib
from tf_equiv.golden import plans, replaying
from tf_equiv.tf1 import checkpoint, runner
from tf_equiv.tf1 import program as program_lib

v1 = tf.compat.v1
_DATA = exported_test_helper.TESTDATA
_TIMEOUT = 20.0
# Every so often a whole assertion is made.
_ASSERTIONS = 20


class Goldens:
  """A golden of TensorFlow 1.15: bytes, index, objects, arrays, graphs."""

  def __init__(self, folder: str):
    self._path = os.path.join(folder, 'changed.golden')
    self._original = os.path.join(_DATA, 'tf115.golden')
    with zipfile.ZipFile(self._original) as members:
      self._members = {name: members.read(name) for name in members.namelist()}

  def prepare(self) -> None:
    """Needs nothing."""

  def change(self, random) -> None:
    """Writes a changed golden, most of them with right digests."""
    kind = random.randrange(6)
    if kind == 0:
      with open(self._original, 'rb') as file:
        data = mutations.change_bytes(random, file.read())
      with open(self._path, 'wb') as file:
        file.write(data)
      return
    members = dict(self._members)
    if kind == 1:
      index = mutations.change_json(random, json.loads(members['index.json']))
      members['index.json'] = json.dumps(index).encode()
    else:
      prefix = 'arrays/' if kind == 2 else 'objects/'
      name = random.choice([n for n in sorted(members) if n.startswith(prefix)])
      if kind == 2:
        data = mutations.change_bytes(random, members[name])
      elif kind == 5:
        name, data = self._changed_graph(random, members)
      else:
        value = json.loads(members[name])
        data = json.dumps(mutations.change_json(random, value)).encode()
      _replace(members, name, data)
    with zipfile.ZipFile(self._path, 'w', zipfile.ZIP_DEFLATED) as new:
      for name, data in members.items():
        new.writestr(name, data)

  def _changed_graph(self, random, members):
    objects = [n for n in sorted(members) if n.startswith('objects/')]
    graphs = [n for n in objects if b'StoredCapture' in members[n]]
    stored = json.loads(members[random.choice(graphs)])
    number = stored['value']['fields']['graph_def']['array']
    name = f'arrays/{stored["arrays"][number]}.npy'
    array = np.load(io.BytesIO(members[name]), allow_pickle=False)
    graph_def = v1.GraphDef.FromString(array.tobytes())
    for _ in range(random.choice((1, 1, 3))):
      mutations.change_message(random, graph_def)
    stream = io.BytesIO()
    np.save(stream, np.frombuffer(graph_def.SerializeToString(), np.uint8))
    return name, stream.getvalue()

  def use(self, random) -> None:
    """Shows, compares and replays it."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
      codes = [
        main.main(['show', self._path, '--check']),
        main.main(['diff', self._original, self._path]),
      ]
    if any(not (c.isprintable() or c in '\n\t') for c in quiet.getvalue()):
      raise outcomes.WrongError('control characters were printed')
    case = golden_net.NetCase()
    program = program_lib.Program(
      build=lambda *unused: None, reset_weights=case.reset_weights
    )
    plan = plan_lib.RunPlan(inputs=case.make_inputs())
    found = replaying.find(self._path, plans.RUN, program, plan)
    if random.randrange(_ASSERTIONS):
      self._run(found, plan)
    else:
      case.build_tf2 = lambda: golden_net.Net(epsilon=1e-5)
      case.tf1_reference = tf_equiv.Golden(self._path)
      with contextlib.suppress(AssertionError):
        case.assertForwardEquivalent()
    if 2 in codes:
      raise tf_equiv.UsageError(quiet.getvalue())

  def _run(self, found, plan) -> None:
    try:
      captured = found.capture(plan, found.observation.weight_of())
    except replaying.NoGraphError as error:
      raise tf_equiv.UsageError(str(error)) from error
    config = runner.session_config(captured.graph)
    config.operation_timeout_in_ms = int(1000 * _TIMEOUT)
    with v1.Session(graph=captured.graph, config=config) as session:
      # What it computes is noted by those who look for a divergence.
      with contextlib.suppress(tf.errors.OpError, ValueError, TypeError):
        session.run(list(captured.targets.values()), captured.feeds)


def _replace(members, name, data) -> None:
  """Replaces a member, and the digests of it in others."""
  old = os.path.splitext(os.path.basename(name))[0]
  new = hashlib.sha256(data).hexdigest()[:32]
  del members[name]
  members[name.replace(old, new)] = data
  for other, content in list(members.items()):
    if other.endswith('.json') and old.encode() in content:
      changed = content.replace(old.encode(), new.encode())
      if other.startswith('objects/'):
        _replace(members, other, changed)
      else:
        members[other] = changed


class Checkpoints:
  """Checkpoints of both formats, their files and the file that names them."""

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, 'changed')
    self._sources = os.path.join(folder, 'sources')
    self._values: dict = {}

  def prepare(self) -> None:
    """Writes a checkpoint of each format."""
    os.makedirs(self._sources)
    for name, version in (
      ('v1', v1.train.SaverDef.V1),
      ('v2', v1.train.SaverDef.V2),
    ):
      with tf.Graph().as_default(), v1.Session() as session:
        for i, shape in enumerate([(3, 4), (100,), ()]):
          values = np.random.RandomState(i).normal(size=shape)
          v1.get_variable(f'net/w{i}', initializer=values.astype(np.float32))
        v1.get_variable('text', initializer=tf.constant([b'a\0', b'bc']))
        session.run(v1.global_variables_initializer())
        os.mkdir(os.path.join(self._sources, name))
        v1.train.Saver(write_version=version).save(
          session,
          os.path.join(self._sources, name, 'model.ckpt'),
          write_meta_graph=False,
        )

  def _read(self, path):
    opened = checkpoint.open_checkpoint(path)
    return {name: opened.value(name) for name in opened.entries}

  def change(self, random) -> None:
    """Changes one file of a copy."""
    shutil.rmtree(self._folder, ignore_errors=True)
    version = random.choice(('v1', 'v2'))
    source = os.path.join(self._sources, version)
    if version not in self._values:
      self._values[version] = self._read(source)
    self._expected = self._values[version]
    shutil.copytree(source, self._folder)
    name = random.choice(sorted(os.listdir(self._folder)))
    path = os.path.join(self._folder, name)
    kind = random.randrange(20)
    if kind > 14:
      path = os.path.join(self._folder, 'model.ckpt')
      path += '.index' * (version == 'v2')
      with open(path, 'rb') as file:
        data = mutations.change_block(random, file.read())
      with open(path, 'wb') as file:
        file.write(data)
      self._expected = None  # Right checksums make it another checkpoint.
    elif kind == 0:
      os.unlink(path)
      os.mkdir(path)
    elif kind == 1:
      os.unlink(path)
      os.mkfifo(path)
    elif kind == 2:
      os.unlink(path)
      os.symlink(random.choice((name, '/dev/zero', '/dev/null')), path)
    else:
      with open(path, 'rb') as file:
        data = mutations.change_bytes(random, file.read())
      with open(path, 'wb') as file:
        file.write(data)

  def use(self, random) -> None:
    """Reads all values; none may differ where a checksum is wrong."""
    by_name = random.random() < 0.5
    path = os.path.join(self._folder, 'model.ckpt') if by_name else self._folder
    found = self._read(path)
    for name, value in found.items() if self._expected else ():
      if name not in self._expected or not np.array_equal(
        value, self._expected[name]
      ):
        raise outcomes.WrongError(f'{name} has another value')


class Exports:
  """Exported graphs of all kinds: bytes, and fields of their messages."""

  def __init__(self, folder: str):
    self._folder = os.path.join(folder, 'changed')
    shutil.copytree(_DATA, self._folder)
    checkpoint_path = os.path.join(self._folder, 'classifier.ckpt')
    common = {'timeout': _TIMEOUT, 'inputs': 'images'}
    self._kinds = (
      (
        'frozen.pb',
        v1.GraphDef,
        tf_equiv.FrozenGraph,
        {'outputs': 'probabilities', **common},
      ),
      (
        'frozen_resource.pb',
        v1.GraphDef,
        tf_equiv.FrozenGraph,
        {'outputs': 'probabilities', **common},
      ),
      (
        'classifier.ckpt.meta',
        v1.MetaGraphDef,
        tf_equiv.MetaGraph,
        {'outputs': 'logits', 'checkpoint': checkpoint_path, **common},
      ),
      (
        'serving/saved_model.pb',
        tf_equiv.compat.export_messages().SavedModel,
        tf_equiv.SavedModel,
        {'outputs': 'logits', **common},
      ),
    )

  def prepare(self) -> None:
    """Needs nothing."""

  def change(self, random) -> None:
    """Writes one of the exports, changed."""
    name, message, cls, arguments = random.choice(self._kinds)
    with open(os.path.join(_DATA, name), 'rb') as file:
      data = file.read()
    if random.random() < 0.25:
      data = mutations.change_bytes(random, data)
    else:
      parsed = message.FromString(data)
      for _ in range(random.choice((1, 1, 2, 5))):
        mutations.change_message(random, parsed)
      data = parsed.SerializeToString()
    path = os.path.join(self._folder, name)
    with open(path, 'wb') as file:
      file.write(data)
    if cls is tf_equiv.SavedModel:
      path = os.path.dirname(path)
    self._reference = cls(path, **arguments)

  def use(self, random) -> None:
    """Runs the forward pass."""
    kinds = ('fixed', 'fixed', 'seeded', 'training', 'gradients')
    kind = random.choice(kinds)
    plan = plan_lib.RunPlan(
      inputs=exported_test_helper.images(),
      weights='seeded' if kind == 'seeded' else 'fixed',
      training=kind == 'training',
      gradients=kind == 'gradients',
    )
    self._reference.submit(program_lib.Program(build=None), plan).result()


SUBJECTS = {
  'goldens': Goldens,
  'checkpoints': Checkpoints,
  'exports': Exports,
  'replies': replies.Replies,
  'calls': calls.Calls,
  'interrupts': interrupts.Interrupts,
}
