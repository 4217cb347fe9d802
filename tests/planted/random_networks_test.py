"""A few random networks: all faults are named in one run, none too many.

`python -m tests.planted.random_networks` examines more of them.
"""

import dataclasses

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest, parameterized

from tests.planted import random_networks

# Seeds of networks with four faults.
_SEEDS = {random_networks.SHIM: 2, random_networks.NATIVE: 3}


class NetworksTest(parameterized.TestCase):
  @parameterized.named_parameters(*_SEEDS.items())
  def test_all_faults_in_one_run(self, seed):
    network = random_networks.generate(seed)
    self.assertLen(network.faults, 4)
    outcome = random_networks.examine(network)
    self.assertEqual(outcome.missed, [], outcome.text)
    self.assertEqual(outcome.wrong, [], outcome.text)
    self.assertGreaterEqual(outcome.repaired, 0.8 * outcome.repairable)
    self.assertIn('first divergence: 1 of ', outcome.text)
    self.assertIn(' results agree, largest difference ', outcome.text)
    self.assertNotIn('not explained', outcome.text)

  def test_clean_network_is_silent(self):
    self.assertEqual(random_networks.alarms(random_networks.generate(0)), '')


class GeneratorTest(absltest.TestCase):
  def test_same_seed_same_network(self):
    self.assertEqual(random_networks.generate(7), random_networks.generate(7))

  def test_kinds(self):
    networks = [random_networks.generate(seed) for seed in range(200)]
    blocks = {kind for n in networks for _, kind, _ in n.blocks}
    self.assertGreaterEqual(len(blocks), 8)
    kinds = {(f.kind, f.parameter) for n in networks for f in n.faults}
    self.assertGreaterEqual(len(kinds), 20)
    for network in networks:
      self.assertBetween(len(network.faults), 2, 6)
      self.assertLen({f.block for f in network.faults}, len(network.faults))
    self.assertEqual(
      {n.style for n in networks},
      {random_networks.SHIM, random_networks.NATIVE},
    )

  def test_faults_change_the_code_of_tf2_only(self):
    network = random_networks.generate(3)
    clean = dataclasses.replace(network, faults=())
    self.assertEqual(clean.of_tf2(), network.blocks)
    self.assertNotEqual(network.of_tf2(), network.blocks)


class ScoreTest(absltest.TestCase):
  def test_score(self):
    fault = random_networks.Fault('b0_conv', 'conv', 'l2', 1e-2, 2e-2)
    found = random_networks.Outcome([fault], [fault], ['a'], 1, 2, '')
    self.assertEqual(
      random_networks.score([found], 1, 3),
      [
        'faults named in one run: 1 of 2',
        'repairs proven: 1 of 2 attributes and constants',
        'places without a fault: 1',
        'clean networks that alarm: 1 of 3',
      ],
    )


del tf_equiv

if __name__ == '__main__':
  absltest.main()
