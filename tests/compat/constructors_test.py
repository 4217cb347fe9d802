from absl.testing import absltest

from tf_equiv.compat import constructors


class Base:
  def __init__(self, value):
    self.value = value


class Derived(Base):
  def __init__(self):
    super().__init__(2)


class Plain(Base):
  pass


class SeenTest(absltest.TestCase):
  def test_before_the_constructor(self):
    seen = []
    with constructors.seen([Base], lambda made: seen.append(dict(vars(made)))):
      Base(1)
    self.assertEqual(seen, [{}])

  def test_after_the_constructor(self):
    seen = []
    with constructors.seen(
      [Base], lambda made: seen.append(made.value), when_made=True
    ):
      Base(1)
      Derived()
    self.assertEqual(seen, [1, 2])

  def test_each_class_has_its_own_constructor(self):
    seen = []
    with constructors.seen([Base, Derived, Plain, Base], seen.append):
      made = [Plain(1), Derived()]
    self.assertEqual(seen, [made[0], made[1], made[1]])

  def test_all_is_restored(self):
    before = Base.__init__, Derived.__init__
    with self.assertRaises(KeyError):
      with constructors.seen([Base, Derived, Plain], lambda made: None):
        raise KeyError
    self.assertEqual((Base.__init__, Derived.__init__), before)
    self.assertNotIn('__init__', vars(Plain))


if __name__ == '__main__':
  absltest.main()
