"""A fingerprint changes with the code, and not with what this package keeps."""

import tf_equiv  # isort: skip (before tensorflow)
from absl.testing import absltest

from tf_equiv import fingerprint


class FingerprintTest(absltest.TestCase):
  def setUp(self):
    super().setUp()

    class Case(tf_equiv.MigrationTestCase):
      width = 1

      def build(self):
        return self.width

    self.cls = Case

  def _fingerprint(self):
    digest, _ = fingerprint.of({'build': self.cls().build})
    return digest

  def test_an_attribute_of_the_user_counts(self):
    before = self._fingerprint()
    self.assertEqual(self._fingerprint(), before)
    self.cls.width = 2
    self.assertNotEqual(self._fingerprint(), before)

  def test_what_the_package_keeps_does_not(self):
    before = self._fingerprint()
    self.cls._tf_equiv_something = 2
    self.assertEqual(self._fingerprint(), before)


if __name__ == '__main__':
  absltest.main()
