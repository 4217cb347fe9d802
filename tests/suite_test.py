"""The benchmark with many cases: it has all networks, and counts what ran."""

import inspect
import json
import os
import subprocess
import sys

from absl.testing import absltest
from tf_slim import nets

from benchmarks import processes, suite, suite_nets

_PYTEST = """<testsuites><testsuite errors="0" failures="1" skipped="1">
<testcase classname="a.ATest" name="test_net_lenet" time="1.5" />
<testcase classname="b.PairsTest" name="test_pair_loop" time="0.2">
  <failure message="Outputs differ">trace</failure></testcase>
<testcase classname="b.PairsTest" name="test_pair_other" time="0.0">
  <skipped type="pytest.skip" message="no" /></testcase>
</testsuite></testsuites>"""

_ABSLTEST = """<testsuites><testsuite name="ATest">
<testcase name="test_net_lenet" status="run" result="completed" time="1.500"
  classname="__main__.ATest"></testcase>
<testcase name="test_net_other" status="notrun" result="suppressed" time="0.0"
  classname="__main__.ATest"></testcase>
</testsuite></testsuites>"""


_PACKAGE = 'tf_slim.nets.'


def _functions():
  """Returns {name: function} of those in tf_slim.nets that build layers."""
  found = {}
  for module in filter(inspect.ismodule, vars(nets).values()):
    for name, value in vars(module).items():
      place = getattr(value, '__module__', None) or ''
      if not inspect.isfunction(value) or not place.startswith(_PACKAGE):
        continue
      if next(iter(inspect.signature(value).parameters)) in ('inputs', 'net'):
        found['%s.%s' % (place.removeprefix(_PACKAGE), name)] = value
  return found


class NetsTest(absltest.TestCase):
  def test_no_network_is_left_out(self):
    known = {net.function for net in suite_nets.NETS.values()}
    found = _functions()
    others = {name for name, value in found.items() if value not in known}
    self.assertEqual(others, suite_nets.PARTS)
    self.assertLessEqual(known, set(found.values()))

  def test_each_has_a_test(self):
    tests = [
      name
      for cls in suite_nets.tests().values()
      for name in vars(cls)
      if name.startswith('test_')
    ]
    self.assertEqual(tests, ['test_net_' + name for name in suite_nets.NETS])
    self.assertLen(tests, 16)


class SuiteTest(absltest.TestCase):
  def test_counts_what_pytest_ran(self):
    self.assertEqual(
      suite.read_xml(_PYTEST),
      [suite.Case('lenet', 1.5), suite.Case('loop', 0.2, 'Outputs differ')],
    )

  def test_counts_what_a_shard_ran(self):
    self.assertEqual(suite.read_xml(_ABSLTEST), [suite.Case('lenet', 1.5)])

  def test_reads_the_events_of_bazel(self):
    lines = [
      json.dumps(event)
      for event in (
        {'id': {'started': {}}, 'started': {}},
        {
          'id': {'testResult': {'label': '//a:b', 'shard': 1}},
          'testResult': {
            'status': 'PASSED',
            'testActionOutput': [
              {'name': 'test.log', 'uri': 'file:///x/test.log'},
              {'name': 'test.xml', 'uri': 'file:///x/a%20b/test.xml'},
            ],
          },
        },
        {
          'id': {'testResult': {'label': '//a:b', 'shard': 2}},
          'testResult': {'status': 'TIMEOUT'},
        },
      )
    ]
    files, failed = suite.read_events(lines)
    self.assertEqual(files, ['/x/a b/test.xml'])
    self.assertEqual(failed, ['//a:b, shard 2: TIMEOUT'])

  def test_summary(self):
    cases = tuple(suite.Case('case_%d' % i, i) for i in range(6))
    self.assertEqual(
      suite.summary('pytest', suite.Outcome(cases, 12.0, 2048.0)),
      'pytest: 6 cases in 12 s, 30.0 cases per minute, peak memory 2.00 GB\n'
      '  slowest: case_5 5.0 s, case_4 4.0 s, case_3 3.0 s, case_2 2.0 s, '
      'case_1 1.0 s',
    )

  def test_failures_are_no_success(self):
    good, bad = suite.Case('good', 1.0), suite.Case('bad', 1.0, 'It differs')
    for cases, problem, message in (
      ((good, bad), '', '1 of 2 cases failed\nbad: It differs'),
      ((), '', 'no case ran'),
      ((), 'status 5', 'no case ran\nstatus 5'),
      ((good,), 'shard 2: TIMEOUT', 'shard 2: TIMEOUT'),
    ):
      with self.assertRaises(SystemExit) as caught:
        suite.summary('bazel', suite.Outcome(cases, 1.0, 1.0, problem))
      self.assertEqual(str(caught.exception), 'bazel: ' + message)

  def test_runners_must_run_the_same(self):
    one = suite.Outcome((suite.Case('a', 1.0),), 1.0, 1.0)
    two = suite.Outcome((suite.Case('b', 1.0),), 1.0, 1.0)
    suite.check_same({'pytest': one})
    suite.check_same({'pytest': one, 'bazel': one})
    with self.assertRaisesRegex(SystemExit, 'pytest and bazel ran different'):
      suite.check_same({'pytest': one, 'bazel': two})

  def test_bazel_has_these_shards(self):
    path = os.path.join(processes.ROOT, 'benchmarks', 'suite.bzl')
    with open(path) as file:
      line = 'SHARD_COUNTS = [%s]\n' % str(suite.SHARD_COUNTS)[1:-1]
      self.assertIn(line, file.read())


class ProcessesTest(absltest.TestCase):
  def test_measures_descendants(self):
    code = (
      'import subprocess, sys\n'
      'subprocess.run([sys.executable, "-c", "x = b\'1\' * 2**26; input()"])'
    )
    process = subprocess.Popen(
      [sys.executable, '-c', code], stdin=subprocess.PIPE
    )
    peak = processes.Peak(
      lambda: processes.family(process.pid), processes.proportional
    )
    while peak.largest <= 64:
      self.assertIsNone(process.poll())
    self.assertLen(processes.family(process.pid), 2)
    process.communicate(b'\n')
    self.assertGreater(peak.stop(), 64)
    self.assertEqual(processes.proportional(process.pid), 0)


if __name__ == '__main__':
  absltest.main()
