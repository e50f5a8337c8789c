"""Pages and tables that mkdocs generates.

- ``<!-- models -->`` becomes the table of registered models.
- ``<!-- protocols -->`` becomes the table of evaluation protocols.
- ``<!-- adapters -->`` becomes a table and sections about public corpora.
- ``<!-- experiments -->`` becomes a table of ``experiments/``.
- ``experiments/<study>/results.md`` becomes the page ``results/<study>.md``, and ``notes.md`` the page
  ``results/<study>_notes.md``. Links to these files are rewritten, so that they work on the site and in a checkout alike.
"""

from __future__ import annotations

import logging
import re
from html import unescape
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks")
EXPERIMENTS = Path(__file__).parents[1] / "experiments"
_STUDY_LINK = re.compile(r"\]\((?:\.\./)+experiments/(\w+)/(results|notes)\.md(#[\w-]+)?\)")
_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
_DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.S)


def page_name(study: str, document: str) -> str:
    """Return the name of the generated page of ``experiments/<study>/<document>.md``."""
    return f"{study}.md" if document == "results" else f"{study}_{document}.md"


def study_text(path: Path) -> str:
    """Return a document of ``experiments/<study>/`` with links that work from the folder ``results/`` of the site."""
    study = path.parent.name
    text = path.read_text("utf-8")
    for document in ("results", "notes"):
        text = text.replace(f"]({document}.md)", f"]({page_name(study, document)})")
    text = text.replace("[config.yml](config.yml)", f"`experiments/{study}/config.yml`")
    return text.replace("](../../docs/", "](../")


def experiments_table() -> str:
    """Return a Markdown table of the studies: name, corpus, purpose (the first comment of ``config.yml``), and links."""
    lines = ["| study | corpus | what it compares | results |", "|---|---|---|---|"]
    for config in sorted(EXPERIMENTS.glob("*/config.yml")):
        text, study = config.read_text("utf-8"), config.parent.name
        comment = " ".join(line.lstrip("# ") for line in re.match(r"(?:#.*\n)*", text)[0].splitlines())  # type: ignore[index]
        corpus = re.search(r"^corpus: *\[?([^\]#\n]+)", text, re.M)[1].strip()  # type: ignore[index]
        pages = [f"[{d}]({page_name(study, d)})" for d in ("results", "notes") if (config.parent / f"{d}.md").exists()]
        lines.append(f"| `{study}` | {corpus} | {comment} | {', '.join(pages) or 'compared on validation only'} |")
    return "\n".join(lines)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents of ``experiments/`` as pages."""
    for path in sorted(EXPERIMENTS.glob("*/*.md")):
        files.append(File.generated(config, f"results/{page_name(path.parent.name, path.stem)}", content=study_text(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Return the text of a page with the generated tables and the links to studies in place."""
    from lacuna.corpus.adapters.summary import adapters_markdown
    from lacuna.metrics.protocols import protocols_markdown
    from lacuna.models import models_markdown

    markdown = markdown.replace("<!-- protocols -->", protocols_markdown()).replace("<!-- adapters -->", adapters_markdown())
    up = "../" * page.file.src_uri.count("/")
    markdown = _STUDY_LINK.sub(lambda link: f"]({up}results/{page_name(link[1], link[2])}{link[3] or ''})", markdown)
    return markdown.replace("<!-- models -->", models_markdown()).replace("<!-- experiments -->", experiments_table())


def on_page_content(html: str, **_: Any) -> str:
    """Return the HTML of a page with equations as MathML, which browsers show without a script."""
    if 'class="arithmatex"' not in html:
        return html
    try:
        from latex2mathml.converter import convert
    except ImportError:  # of the extra `docs`
        log.info("equations are shown as TeX: install latex2mathml, or the extra `docs`")
        return html
    html = _INLINE.sub(lambda tex: convert(unescape(tex[1])), html)
    return _DISPLAY.sub(lambda tex: convert(unescape(tex[1]), display="block"), html)
