"""Tests of reports as JSON."""

import dataclasses
import json
import math
import os

from absl.testing import absltest, parameterized

from tests.report import planted_verdicts as planted
from tf_equiv.report import document, json_file


def strict(text):
  """Parses JSON, without the numbers that Python alone allows in it."""

  def refuse(constant):
    raise ValueError(constant)

  return json.loads(text, parse_constant=refuse)


class JsonTest(parameterized.TestCase):
  def test_holds_the_document(self):
    report = document.build(planted.full())
    found = strict(json_file.render(report))
    self.assertEqual(found, json_file.as_json(report))
    names = [field.name for field in dataclasses.fields(report)]
    self.assertEqual(names[-2:], ['curves', 'horizon'])  # Of free training.
    self.assertEqual(list(found), names[:-2])
    self.assertEqual(found['format'], 'tf_equiv report 1')
    self.assertEqual(found['comparisons']['weights'][0]['name'], 'net/b')
    self.assertEqual(found['layers'][2]['shape'], [2, 3])
    self.assertEqual(found['earlier'][0]['assertion'], 'assertVariablesMatch')

  @parameterized.parameters('full', 'noisy')
  def test_format_is_as_it_was(self, name):
    path = os.path.join(os.path.dirname(__file__), 'testdata', f'{name}.json')
    with open(path, encoding='utf-8') as file:
      recorded = json.load(file)
    found = json_file.as_json(document.build(getattr(planted, name)()))
    self.assertEqual(list(found), list(recorded))
    for key, value in recorded.items():
      if key != 'written':
        with self.subTest(key):
          self.assertEqual(found[key], value)

  def test_numbers_that_are_not_finite(self):
    found = strict(json_file.render(document.build(planted.full())))
    rows = {row['name']: row for row in found['comparisons']['gradients']}
    self.assertEqual(rows['net/w']['tf1_value'], 'NaN')
    self.assertEqual(rows['net/b']['tf1_value'], 'Infinity')
    self.assertEqual(json_file.as_json([-math.inf]), ['-Infinity'])

  def test_strict_is_strict(self):
    with self.assertRaises(ValueError):
      strict(json.dumps(math.nan))

  def test_any_text(self):
    verdict = planted.full(notes=('ünï 模型 \ud800 \x00',))
    found = strict(json_file.render(document.build(verdict)))
    self.assertEqual(found['notes'], ['ünï 模型 \\ud800 \x00'])

  def test_a_row_is_a_line(self):
    text = json_file.render(document.build(planted.full())).decode()
    lines = [line for line in text.splitlines() if '"op_type": "Relu"' in line]
    self.assertLen(lines, 5)  # Three layers, the place, and all places.


if __name__ == '__main__':
  absltest.main()
