"""What mkdocs replaces in pages before it renders them: ``<!-- models -->`` and ``<!-- protocols -->`` become tables."""

from __future__ import annotations

from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the text of a page with the generated tables in place."""
    from lacuna.metrics.protocols import protocols_markdown
    from lacuna.models import models_markdown

    markdown = markdown.replace("<!-- protocols -->", protocols_markdown())
    return markdown.replace("<!-- models -->", models_markdown())
