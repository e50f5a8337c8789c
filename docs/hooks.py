"""What mkdocs replaces in pages before it renders them: ``<!-- models -->`` and ``<!-- patterns -->`` become tables."""

from __future__ import annotations

from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the text of a page with the generated tables in place."""
    from lacuna.models import models_markdown

    return markdown.replace("<!-- models -->", models_markdown())
