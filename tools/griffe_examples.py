"""Lets the site show the examples of docstrings as code.

The docstrings have a section "Example:", as the style guide wants; griffe knows
"Examples:".
"""

import re
from typing import Any

import griffe

_SECTION = re.compile(r'^Example:$', re.M)


class Examples(griffe.Extension):
  """Renames the section."""

  def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
    """Is called with each object that was loaded."""
    del kwargs
    if obj.docstring:
      obj.docstring.value = _SECTION.sub('Examples:', obj.docstring.value)
