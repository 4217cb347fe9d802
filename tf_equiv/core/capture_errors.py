"""Why a side cannot be looked into op by op.

These never leave the package: what is not found out is noted in a verdict.
"""


class CaptureError(Exception):
  """A side cannot be looked into; the message says why."""


class CannotCaptureError(CaptureError):
  """There is no graph of the TF1 side."""


class NotOneGraphError(CannotCaptureError):
  """TF1 takes several runs of a session for what is asked."""


class CannotTraceError(CaptureError):
  """The TF2 side cannot be traced as a graph."""
