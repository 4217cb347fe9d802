"""Free training finds late faults, names them, and leaves clean pairs alone."""

from absl.testing import absltest, parameterized

from tests.planted import late_pairs


def message_of(pair):
  """Returns the message of a pair, '' if it passes."""
  case = late_pairs.LateCase(pair)
  try:
    case.assertTrainingCurvesMatch(
      steps=late_pairs.STEPS, start_step=pair.start_step
    )
  except AssertionError as error:
    return str(error)
  return ''


class LateTest(parameterized.TestCase):
  @parameterized.named_parameters((p.name, p) for p in late_pairs.FAULTS)
  def test_fault(self, pair):
    message = message_of(pair)
    self.assertRegex(
      message,
      r'^Training curves part at step \d+ (of 30|\(\d+ to \d+\)) in the',
    )
    self.assertIn(pair.culprit, message)
    self.assertNotIn('could not be compared', message)
    step = int(message.split('at step ')[1].split()[0]) - pair.start_step
    self.assertGreaterEqual(step, pair.least)
    self.assertIn('times what is allowed', message)
    self.assertRegex(message, r'located(, steps counted from start_step)?: \w')
    self.assertNotIn('NaN', message)
    self.assertNotIn('does not repeat itself', message)

  @parameterized.named_parameters((p.name, p) for p in late_pairs.CLEAN)
  def test_clean(self, pair):
    self.assertEqual(message_of(pair), '')

  def test_enough_pairs(self):
    self.assertGreaterEqual(len(late_pairs.FAULTS), 15)
    self.assertGreaterEqual(len(late_pairs.CLEAN), 15)


if __name__ == '__main__':
  absltest.main()
