"""Adapt docstrings to the site: sections ``Example:`` (Griffe knows ``Examples:``) and roles of Sphinx, e.g. ``:func:`x```."""

from __future__ import annotations

import re
from typing import Any

import griffe


class DocstringSyntax(griffe.Extension):
    """Rewrite docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
            text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
            obj.docstring.value = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
