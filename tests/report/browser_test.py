"""Pages of reports in a real browser: Chromium without a window."""

import html as html_lib
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from absl.testing import absltest, parameterized

from tests.report import planted_verdicts as planted
from tf_equiv.compare import divergence
from tf_equiv.report import document, html

_NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
_CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)

# Works on the page as a user would, and writes what it finds into the page.
_PROBE = """
<script>
const type = (id, text) => {
  const box = document.getElementById(id + '-filter');
  box.value = text;
  const start = performance.now();
  box.dispatchEvent(new Event('input'));
  document.body.offsetHeight;
  return {
    milliseconds: performance.now() - start,
    shown: Array.from(document.querySelectorAll('#' + id + ' > tbody > tr'))
      .filter((row) => row.getClientRects().length).length,
    says: document.getElementById(id + '-count').textContent,
  };
};
document.querySelectorAll('details').forEach((each) => { each.open = true; });
const style = (element) => getComputedStyle(element);
const root = document.documentElement;
const found = {
  width: innerWidth,
  scrollWidth: root.scrollWidth,
  tooWide: Array.from(document.querySelectorAll('body *')).filter((element) =>
    !element.closest('.scroll > *') && style(element).display !== 'none'
    && element.getBoundingClientRect().right > root.clientWidth + 1
    && !element.closest('svg')).map((each) => each.outerHTML.slice(0, 90)),
  background: style(document.body).backgroundColor,
  color: style(document.body).color,
  plotText: style(document.querySelector('svg text')).fill,
  plots: Array.from(document.querySelectorAll('figure svg'))
    .map((svg) => svg.getBoundingClientRect().width).filter(Boolean),
  nothing: type('variable-table', 'no such variable'),
  one: type('variable-table', '  BRANCH_1   conv_77/ '),
  all: type('variable-table', ''),
  head: Math.round(document.querySelector('#variable-table thead th')
    .getBoundingClientRect().top - document.querySelector('#variable-table')
    .closest('.scroll').getBoundingClientRect().top),
};
const result = document.createElement('pre');
result.id = 'found';
result.textContent = JSON.stringify(found);
parent.document.body.append(result);
</script>
"""


def large():
  """A report as large as that of Inception-ResNet-v2."""
  verdict = planted.full(
    ['net/w']
    + [
      'InceptionResnetV2/Repeat_1/block17_%d/Branch_%d/conv_%d/weights'
      % (i % 20, i % 3, i)
      for i in range(1113)
    ]
  )
  verdict.divergence.layers = [
    planted.layer(i, 10.0 ** -(i % 7 + 5), 1e-6) for i in range(2800)
  ]
  assert isinstance(verdict.divergence, divergence.Divergence)
  return html.render(document.build(verdict)).decode('utf-8')


class BrowserTest(parameterized.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    if _CHROMIUM is None:
      raise unittest.SkipTest('none of %s is installed' % ', '.join(_NAMES))
    cls.source = large()

  def browse(self, source, dark=False):
    """Opens a page; returns (its elements as text, log of the browser)."""
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, 'report.html')
      with open(path, 'w', encoding='utf-8') as file:
        file.write(source)
      done = subprocess.run(
        [
          _CHROMIUM,
          '--headless',
          '--no-sandbox',  # It opens nothing but our own page.
          '--disable-gpu',
          '--disable-dev-shm-usage',
          '--disable-quic',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
          '--no-first-run',
          '--enable-logging=stderr',
          '--user-data-dir=' + os.path.join(folder, 'profile'),
          '--blink-settings=preferredColorScheme=%d' % (0 if dark else 1),
          '--dump-dom',
          'file://' + path,
        ],
        env={**os.environ, 'HOME': folder},
        capture_output=True,
        text=True,
        timeout=240,
      )
    self.assertIn('</html>', done.stdout, done.stderr)
    return done.stdout, done.stderr

  def probe(self, width=1280, dark=False, script=_PROBE):
    """Uses the page in a window of some width; returns what it finds."""
    # The policy of the page allows no other script than its own.
    source, count = re.subn(
      '<meta http-equiv="Content-Security-Policy"[^>]*>', '', self.source
    )
    self.assertEqual(count, 1)
    source = source.replace('</body>', script + '</body>')
    # Windows have a least width, frames have not.
    frame = '<iframe srcdoc="%s" style="border: 0" width="%d" height="844">' % (
      html_lib.escape(source),
      width,
    )
    elements, log = self.browse(
      '<!DOCTYPE html><html><body>%s</iframe></body></html>' % frame, dark=dark
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', elements, re.S)
    self.assertIsNotNone(found, log)
    return json.loads(html_lib.unescape(found.group(1)))

  @parameterized.named_parameters(
    ('phone', 390, False),
    ('phone_dark', 390, True),
    ('desktop', 1280, False),
    ('desktop_dark', 1280, True),
  )
  def test_page(self, width, dark):
    found = self.probe(width, dark)
    with self.subTest('nothing sticks out'):
      self.assertEqual(found['width'], width)
      self.assertLessEqual(found['scrollWidth'], found['width'])
      self.assertEmpty(found['tooWide'])
    with self.subTest('light and dark'):
      ground, ink = (
        sum(map(int, re.findall(r'\d+', found[name])[:3])) / 765
        for name in ('background', 'color')
      )
      self.assertLess(*((ground, 0.2) if dark else (ink, 0.2)))
      self.assertGreater(*((ink, 0.8) if dark else (ground, 0.8)))
      self.assertEqual(found['plotText'], found['color'])
    with self.subTest('each plot shows once'):
      self.assertLen(found['plots'], 2)
      for width in found['plots']:
        self.assertBetween(width, 300, found['width'])
    with self.subTest('filter'):
      self.assertEqual(found['nothing']['shown'], 0)
      self.assertEqual(found['nothing']['says'], '0 of 1114 rows')
      self.assertEqual(found['one']['shown'], 0)  # It is in branch 2.
      self.assertEqual(found['all']['shown'], 1114)
      self.assertEqual(found['all']['says'], '1114 rows')
    with self.subTest('heads of tables stay in view'):
      self.assertLessEqual(abs(found['head']), 2)

  def test_filter_finds(self):
    script = _PROBE.replace('BRANCH_1', 'BRANCH_2')
    self.assertNotEqual(script, _PROBE)
    one = self.probe(script=script)['one']
    self.assertEqual(one['shown'], 1)
    self.assertEqual(one['says'], '1 of 1114 rows')

  def test_no_errors_in_the_console(self):
    elements, log = self.browse(self.source)
    self.assertNotIn('CONSOLE', log)
    # The script of the page ran: it shows the boxes that need it.
    self.assertNotRegex(elements, r'class="filter" hidden')
    self.assertIn('class="filter"', elements)

  def test_errors_would_be_noticed(self):
    for planted_error in (
      '<img src="http://localhost:9/x.png">',
      '<script>nothing.there</script>',
    ):
      source = self.source.replace('</body>', planted_error + '</body>')
      self.assertIn('CONSOLE', self.browse(source)[1])

  def test_names_do_not_run(self):
    elements, _ = self.browse(self.source)
    self.assertIn('&lt;script&gt;alert', elements)
    self.assertNotIn('<script>alert', elements)


if __name__ == '__main__':
  absltest.main()
