"""What MkDocs does besides: pages outside of docs/, and a check of the API.

Links are written for readers of the repository, relative to the file that has
them. On the site they lead to the page of that file, or to the file in the
repository that setup.cfg names. These are warnings, which `--strict` makes
errors: a link to a file that does not exist, a path in backticks that does not,
and a public name without documentation.
"""

import configparser
import logging
import os
import re
from collections.abc import Iterator
from typing import Any

import griffe
from mkdocs.config import defaults
from mkdocs.structure import files as files_lib
from mkdocs.structure import pages

_log = logging.getLogger('mkdocs.hooks.tf_equiv')

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_DOCS = 'docs/'
# Page of the site by document outside of docs/.
_PAGES = {
  'README.md': 'index.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security.md',
  'benchmarks/README.md': 'benchmarks.md',
}
_LINK = re.compile(r'\[([^\]]*)\]\(([^)\s]+)\)')
# Paths in backticks, from the top of the repository.
_PATH = re.compile(
  r'`((?:benchmarks|docs|examples|tests|tf_equiv|third_party|tools)/[\w./]*)`'
)
_FENCE = re.compile(r'^( *)```.*?^\1```$', re.M | re.S)
_ENTRY = re.compile(r'^::: tf_equiv\.(\w+)$', re.M)
_DOCUMENTED_FIELD = r'^\s+%s:'


def on_files(
  files: files_lib.Files, config: defaults.MkDocsConfig
) -> files_lib.Files:
  """Adds the documents that are not in docs/."""
  for document, page in _PAGES.items():
    path = os.path.join(_ROOT, document)
    files.append(files_lib.File.generated(config, page, abs_src_path=path))
  return files


def on_page_markdown(markdown: str, *, page: pages.Page, **kwargs: Any) -> str:
  """Makes the links of a page lead somewhere on the site."""
  del kwargs
  documents = {name: document for document, name in _PAGES.items()}
  source = page.file.src_uri
  document = documents.get(source, _DOCS + source)
  url = _repository()

  def replaced(match: re.Match) -> str:
    text, link = match.groups()
    return _link(text, link, document, url)

  for path in _PATH.findall(_FENCE.sub('', markdown)):
    if not os.path.exists(os.path.join(_ROOT, path)):
      _log.warning('%s names %s, which does not exist.', document, path)
  start, found = 0, []
  for fence in _FENCE.finditer(markdown):
    found.append(_LINK.sub(replaced, markdown[start : fence.start()]))
    found.append(fence.group())
    start = fence.end()
  return ''.join([*found, _LINK.sub(replaced, markdown[start:])])


def _link(text: str, link: str, document: str, url: str) -> str:
  """Returns a link of a document as the site needs it."""
  target, hash_, anchor = link.partition('#')
  if not target or '://' in target:
    return f'[{text}]({link})'
  path = os.path.normpath(os.path.join(os.path.dirname(document), target))
  path = path.replace(os.sep, '/')
  if not os.path.exists(os.path.join(_ROOT, path)):
    _log.warning('%s links to %s, which does not exist.', document, link)
  if path in _PAGES:
    return f'[{text}]({_PAGES[path]}{hash_}{anchor})'
  if path.startswith(_DOCS):
    return f'[{text}]({path.removeprefix(_DOCS)}{hash_}{anchor})'
  if not url:
    return text
  kind = 'tree' if os.path.isdir(os.path.join(_ROOT, path)) else 'blob'
  return f'[{text}]({url}/{kind}/main/{path}{hash_}{anchor})'


def _repository() -> str:
  """Returns the address of the repository, '' if setup.cfg names none."""
  config = configparser.ConfigParser()
  config.read(os.path.join(_ROOT, 'setup.cfg'), encoding='utf-8')
  return config.get('metadata', 'url', fallback='').rstrip('/')


def on_pre_build(config: defaults.MkDocsConfig) -> None:
  """Warns of public names that the API reference does not document."""
  with open(os.path.join(config.docs_dir, 'api.md'), encoding='utf-8') as file:
    entries = _ENTRY.findall(file.read())
  package = griffe.load('tf_equiv', search_paths=[_ROOT])
  public = [str(name) for name in package.exports or ()]
  for name in sorted(set(public) - set(entries)):
    _log.warning('docs/api.md has no entry for tf_equiv.%s.', name)
  for name in sorted(set(entries) - set(public)):
    _log.warning('docs/api.md has tf_equiv.%s, which is not public.', name)
  for name in public:
    for path in _undocumented(package[name], 'tf_equiv.' + name):
      _log.warning('%s is public and has no documentation.', path)


def _undocumented(found: Any, path: str) -> Iterator[str]:
  """Yields the paths of what has no documentation, members included."""
  found = found.final_target if found.is_alias else found
  if found.docstring is None:
    yield path
  elif found.is_module:
    for name in found.exports or ():
      yield from _undocumented(found[str(name)], f'{path}.{name}')
  elif found.is_class:
    for name, member in found.all_members.items():
      if name.startswith('_') or member.docstring is not None:
        continue
      field = re.compile(_DOCUMENTED_FIELD % re.escape(name), re.M)
      if not any(
        cls.docstring and field.search(cls.docstring.value)
        for cls in (found, *found.mro())
      ):
        yield f'{path}.{name}'
