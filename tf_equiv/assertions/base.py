"""What all assertions share: the session, and how a verdict is raised."""

import unittest
from typing import Any

from tf_equiv import reporting, session, template
from tf_equiv.compare import criteria as criteria_lib
from tf_equiv.compare import verdict as verdict_lib
from tf_equiv.core import arguments
from tf_equiv.core import plan as plan_lib
from tf_equiv.report import text

# Keeps the frames of this module out of the tracebacks of user tests.
__unittest = True


class AssertionBase(template.TemplateMethods, unittest.TestCase):
  """Base of the mixins, which translate arguments for the session."""

  def __init__(self, *args: Any, **kwargs: Any):
    super().__init__(*args, **kwargs)
    self._session = session.Session(self)

  def _compare(
    self,
    assertion: str,
    plan: plan_lib.RunPlan,
    criteria: criteria_lib.Criteria,
    msg: str | None,
  ) -> verdict_lib.Verdict:
    """Runs a plan on both sides, judges, and raises or returns the verdict."""
    verdict = self._session.compare(assertion, plan, criteria)
    return self._conclude(verdict, msg)

  def _allows_dormant(self, given: bool | None) -> bool:
    """Returns whether dormant differences pass, by argument or by class."""
    allowed = self.allow_dormant if given is None else given
    return arguments.check_bool(allowed, 'allow_dormant')

  def _conclude(
    self, verdict: verdict_lib.Verdict, msg: str | None
  ) -> verdict_lib.Verdict:
    verdict, report = self._report(verdict)
    if verdict.passed:
      self._session.shared.tests.add_pass(self, verdict)
      return verdict
    message = self._formatMessage(msg, text.failure(verdict))
    error: Any = self.failureException(
      '\n'.join([message, report]) if report else message
    )
    error.verdict = verdict
    raise error

  def _report(
    self, verdict: verdict_lib.Verdict
  ) -> tuple[verdict_lib.Verdict, str]:
    """Writes a report if one is wanted.

    Args:
      verdict: what to report.

    Returns:
      (the verdict, which then knows its test; a line that says where the report
      is, '' if there is none).
    """
    ran = self._session.ran
    if not ran:
      # An instance can be run again.
      self.addCleanup(ran.clear)
    return self._session.tell(verdict, reporting.Test.of(self))
