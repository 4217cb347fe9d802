"""Tests of the rules about initializers."""

from absl.testing import absltest

from tests.diagnose.rules import rule_cases
from tests.diagnose.rules.rule_cases import Case, Difference, Kind
from tf_equiv.diagnose.rules import initializers


def _kinds(first, second):
  return Difference(Kind.INITIALIZER, '', first, second)


CASES = (
  Case(
    initializers.other_initializer,
    fires=(
      (
        rule_cases.diverge(_kinds('normal', 'uniform'), variables=('net/w',)),
        'The initializer of net/w draws normal in TF1 and uniform in TF2',
      ),
      (
        rule_cases.diverge(
          Difference(Kind.INITIALIZER_NUMBER, 'stddev', 0.1, 0.05),
          Difference(Kind.INITIAL_VALUES, 'w', (0.0, 0.1), (0.0, 0.05)),
          variables=('w',),
        ),
        'takes other numbers (stddev: TF1 0.1, TF2 0.05): defaults differ',
      ),
    ),
    misses=(
      rule_cases.diverge(
        Difference(Kind.INITIAL_VALUES, 'w', (0.0, 0.1), (0.0, 0.05)),
        variables=('w',),
      ),
    ),
  ),
)


class InitializersTest(rule_cases.RuleTestCase):
  cases = CASES


if __name__ == '__main__':
  absltest.main()
