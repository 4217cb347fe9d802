"""Rules for the names of variables, and where there is none."""

from absl.testing import absltest, parameterized

from tf_equiv.compare import rename_rules, renames

_LAYERS = ('conv/kernel', 'conv/bias', 'bn/gamma', 'out/kernel')


def _names(old, new):
  return {old + layer: new + layer for layer in _LAYERS}


class FitTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (
      'prefix',
      _names('net/', 'native/'),
      "tf1_name.replace('net/', 'native/', 1)",
    ),
    ('prefix_gone', _names('a/net/', ''), "tf1_name.removeprefix('a/net/')"),
    ('prefix_new', _names('', 'model/'), "'model/' + tf1_name"),
    ('deep', _names('net/', 'a/b/'), "tf1_name.replace('net/', 'a/b/', 1)"),
    (
      'case',
      {'Net/Conv/kernel': 'net/conv/kernel', 'Net/Out/bias': 'net/out/bias'},
      'tf1_name.lower()',
    ),
    (
      'snake',
      {'MyNet/a/kernel': 'my_net/a/kernel', 'OtherNet/b': 'other_net/b'},
      "re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', tf1_name).lower()",
    ),
    (
      'ends',
      {
        'net/a/weights': 'net/a/kernel',
        'net/b/weights': 'net/b/kernel',
        'net/a/biases': 'net/a/bias',
      },
      "tf1_name.replace('/weights', '/kernel', 1).replace('/biases', '/bias', "
      '1)',
    ),
  )
  def test_rule(self, names, code):
    rule = rename_rules.fit(names)
    self.assertEqual(rule.code, code)
    # What is printed does what it says.
    for old, new in names.items():
      import re

      self.assertEqual(eval(rule.code, {'re': re}, {'tf1_name': old}), new)

  @parameterized.named_parameters(
    ('one', {'net/a': 'native/a'}, ()),
    ('no_system', {'a/x': 'b/x', 'c/y': 'd/z', 'e/u': 'f/v', 'g': 'h'}, ()),
    # `net/` would also be replaced in what keeps its name.
    ('others', _names('net/', 'native/'), ('net/other/kernel',)),
    # Not all layers follow.
    ('swapped', {'n/a/k': 'm/a/k', 'n/b/k': 'm/c/k', 'n/c/k': 'm/b/k'}, ()),
  )
  def test_no_rule(self, names, others):
    self.assertIsNone(rename_rules.fit(names, others))

  def test_others_that_a_rule_leaves_alone(self):
    rule = rename_rules.fit(_names('net/', 'native/'), ['global_step'])
    self.assertIsNotNone(rule)

  def test_method(self):
    suggestion = renames.RenameSuggestion(
      _names('net/', 'native/'), unsure=('net/out/kernel',)
    )
    self.assertEqual(
      rename_rules.lines(suggestion),
      [
        'def rename_variable(self, tf1_name):',
        '  # By order only: 1 of 4.',
        "  return tf1_name.replace('net/', 'native/', 1)",
      ],
    )
    self.assertIsNone(rename_rules.lines(renames.RenameSuggestion({})))

  def test_long_method(self):
    names = {
      'net/a/weights': 'net/a/kernel',
      'net/b/weights': 'net/b/kernel',
      'net/a/biases': 'net/a/bias',
    }
    lines = rename_rules.lines(renames.RenameSuggestion(names))
    self.assertEqual(
      lines[1:],
      [
        '  return (',
        "    tf1_name.replace('/weights', '/kernel', 1)",
        "    .replace('/biases', '/bias', 1)",
        '  )',
      ],
    )
    scope = {}
    exec('\n'.join(lines), scope)
    for old, new in names.items():
      self.assertEqual(scope['rename_variable'](None, old), new)


if __name__ == '__main__':
  absltest.main()
