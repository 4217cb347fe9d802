"""The TF1 side in a `tf.Graph` of this process."""

from tf_equiv.references import base
from tf_equiv.tf1 import capture, graph, runner, training


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

  def __repr__(self) -> str:
    return 'InProcess()'

  def list_variables(self, program, plan):
    """Describes the variables; see `Reference`."""
    return runner.list_variables(program, plan)

  def run(self, program, plan):
    """Runs a plan; see `Reference`."""
    if plan.batches:
      observed, built = training.run(program, plan), None
    else:
      built = graph.build(program, plan)
      observed = runner.run(program, plan, built)
      observed.seconds['TF1 build'] = built.seconds

    def captured(wanted, weights):
      same = not plan.batches and wanted.gradients == plan.gradients
      return capture.capture(program, wanted, weights, built if same else None)

    return base.Run(observed, captured)
