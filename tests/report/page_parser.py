"""Reads a page of a report, as tests need it."""

from html import parser

_VOID = ('br', 'input', 'link', 'meta')


class Page(parser.HTMLParser):
  """A parsed page.

  Attributes:
    tables: rows by id of the table, each a list of the texts of its cells.
    elements: (tag, attributes) of all elements, in order.
    texts: text of each element that was closed, by tag.
    unbalanced: tags that were closed in another order than they were opened.
  """

  def __init__(self, source: bytes):
    super().__init__()
    self.tables, self.elements = {}, []
    self.texts, self.unbalanced = {}, []
    self._open, self._table = [], None
    self.feed(source.decode('utf-8'))
    self.close()
    self.unbalanced += [tag for tag, _ in self._open]

  def handle_starttag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))
    if tag == 'table':
      self._table = self.tables.setdefault(dict(attrs).get('id', ''), [])
    if tag == 'tr':
      self._table.append([])
    if tag not in _VOID:
      self._open.append((tag, []))

  def handle_startendtag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    if not self._open or self._open[-1][0] != tag:
      self.unbalanced.append(tag)
      return
    _, parts = self._open.pop()
    text = ' '.join(''.join(parts).split())
    self.texts.setdefault(tag, []).append(text)
    if tag in ('td', 'th'):
      self._table[-1].append(text)

  def handle_data(self, data):
    for _, parts in self._open:
      parts.append(data)

  def rows(self, table: str):
    """Returns the rows of a table without its head."""
    return self.tables[table][1:]
