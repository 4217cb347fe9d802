"""The TF1 side in a `tf.Graph` of this process."""

from tf_equiv import fingerprint
from tf_equiv.references import base
from tf_equiv.tf1 import graph, runner, shared_graphs, training
from tf_equiv.tf1.capture import capture, initializers, step_capture


class InProcess(base.Reference):
  """Runs `build_tf1` in a graph of this process: the default.

  Example:
    >>> class HalfTest(MigrationTestCase):
    ...   tf1_reference = InProcess()
    ...   def make_inputs(self):
    ...     return np.array([1.0, 2.0])
    ...   def build_tf1(self, inputs, training):
    ...     return inputs / 2
    ...   def build_tf2(self):
    ...     return lambda x: 0.5 * x
    >>> HalfTest().assertForwardEquivalent().passed
    True
  """

  def __init__(self, share_graphs: bool = True):
    """Makes a reference.

    Args:
      share_graphs: whether assertions use the graph of an earlier one again
        where `build_tf1` would build the same: it, what it calls, and the
        attributes, flags and module constants that they read are what they
        were. Without it, each assertion calls `build_tf1`.
    """
    self._shares = share_graphs
    self._graphs = shared_graphs.SharedGraphs()
    self._alive = {}

  def __repr__(self) -> str:
    return f'InProcess({"" if self._shares else "share_graphs=False"})'

  def list_variables(self, program, plan):
    """Describes the variables; see `Reference`."""
    return runner.list_variables(program, plan, self._built(program, plan))

  def run(self, program, plan):
    """Runs a plan; see `Reference`."""
    if plan.batches:
      observed, built = training.run(program, plan), None
    else:
      built = self._built(program, plan)
      observed = runner.run(program, plan, built)
      observed.seconds['TF1 build'] = built.seconds

    def captured(wanted, weights):
      same = not plan.batches and wanted.gradients == plan.gradients
      return capture.capture(program, wanted, weights, built if same else None)

    return base.Run(
      observed,
      captured,
      lambda *arguments: step_capture.capture(program, *arguments),
      lambda wanted: initializers.capture(
        program, wanted, None if plan.batches else built
      ),
    )

  def close(self) -> None:
    """Releases the graphs."""
    self._graphs.clear()
    self._alive.clear()

  def _built(self, program, plan) -> graph.Built:
    """Returns the graph of a plan, from an earlier run where that is safe."""
    code = _code_of(program) if self._shares else None
    if code is None:
      return graph.build(program, plan)
    key = (code[0], shared_graphs.key_of(plan))
    known = key in self._graphs
    built = self._graphs.get(program, plan, key)
    if known:
      return built
    after = _code_of(program)
    if after is None or after[0] != code[0]:
      # The code changes what it depends on: it may build something else now.
      self._graphs.forget(key)
    else:
      self._alive = {k: v for k, v in self._alive.items() if k in self._graphs}
      self._alive[key] = code[1]
    return built


def _code_of(program):
  return fingerprint.of(
    {
      'build': program.build,
      'compute_loss': program.compute_loss,
      'behavior': program.behavior,
    }
  )
