"""Tables and cards of all registered models, from which README and documentation are generated."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from lacuna.models.base import list_models, model_class
from lacuna.models.info import ModelInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ModelCard:
    """Everything that a user should know of a model before choosing it; prints as text and shows as a table in a notebook.

    Attributes:
        info: title, paper, kind of method.
        description: first paragraph of the docstring of its class.
        needs_dialogue: it reads neighbouring turns, so batches hold whole dialogues.
        recovers: it returns estimates of missing frames.
        samples: it also draws several estimates.
        learns: it is trained by gradient descent; otherwise it is fitted in closed form.
        settings: default value of each setting of its ``Config``.
    """

    info: ModelInfo
    description: str
    needs_dialogue: bool
    recovers: bool
    samples: bool
    learns: bool
    settings: dict[str, object]

    def rows(self) -> list[tuple[str, str]]:
        """Return the card as pairs of a heading and a text."""
        info = self.info
        published = " ".join(filter(None, [info.venue, str(info.year or ""), info.paper])) or "no paper of its own"
        rows = [
            ("model", info.name),
            ("title", info.title),
            ("task", info.task),
            ("published", published),
            ("published for", info.made_for if info.paper else ""),
            ("reference", info.reference),
            ("description", self.description),
            ("input", "whole dialogues" if self.needs_dialogue else "single utterances"),
            ("recovers missing frames", _words(self.recovers)),
            ("draws several recoveries", _words(self.samples)),
            ("fitting", "gradient descent" if self.learns else "closed form"),
            ("settings", ", ".join(f"{name}={value!r}" for name, value in self.settings.items())),
        ]
        if info.reconstruction:
            rows.append(("note", "no public code or equations: parts of this model are decisions of Lacuna"))
        return [(heading, text) for heading, text in rows if text]

    def __str__(self) -> str:
        """Return one line for each heading."""
        rows = self.rows()
        width = max(len(heading) for heading, _ in rows)
        return "\n".join(f"{heading:<{width}}  {text}" for heading, text in rows)

    def _repr_html_(self) -> str:
        """Return an HTML table for notebooks."""
        link = f'<a href="{html.escape(self.info.paper)}">{html.escape(self.info.paper)}</a>'
        lines = []
        for heading, text in self.rows():
            cell = html.escape(text)
            if heading == "published" and self.info.paper:
                cell = cell.replace(html.escape(self.info.paper), link)
            lines.append(f'<tr><th style="text-align:left">{heading}</th><td style="text-align:left">{cell}</td></tr>')
        return "<table>" + "".join(lines) + "</table>"


def model_card(name: str) -> ModelCard:
    """Return what is known of a registered model.

    Args:
        name: name in the registry.

    Raises:
        ConfigError: unknown model.

    Example:
        >>> print(model_card("prior").info.task)
        baseline
    """
    cls = model_class(name)
    paragraph = (cls.__doc__ or "").strip().split("\n\n")[0]
    plain = re.sub(r":\w+:`~?([^`]+)`", r"\1", paragraph).replace("``", "")
    config = cls.Config()
    return ModelCard(
        info=cls.info,
        description=" ".join(plain.split()),
        needs_dialogue=cls.needs_dialogue,
        recovers=cls.recovers,
        samples=cls.samples,
        learns=cls.learns,
        settings={field.name: getattr(config, field.name) for field in fields(config)},
    )


def model_table() -> pd.DataFrame:
    """Return one row for each registered model, sorted by name.

    Returns:
        Columns ``name``, ``title``, ``paper`` (a link), ``year`` (Int64, missing for baselines), ``venue``, ``modalities``
        (what the system of the paper reads), ``task``, ``reconstruction``, ``needs dialogue`` and ``recovers`` (bool).
    """
    import pandas as pd

    rows = []
    for name in list_models():
        cls, info = model_class(name), model_class(name).info
        facts = {key: getattr(info, key) for key in ("name", "title", "paper", "year", "venue")}
        facts |= {"modalities": info.made_for, "task": info.task, "reconstruction": info.reconstruction}
        rows.append({**facts, "needs dialogue": cls.needs_dialogue, "recovers": cls.recovers})
    return pd.DataFrame(rows).astype({"year": "Int64"})


def models_markdown() -> str:
    """Return the table of all models as Markdown, with links to the papers."""
    lines = [
        "| model | paper | venue | published for | task | reconstruction | needs dialogue | recovers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in list_models():
        cls, info = model_class(name), model_class(name).info
        title = f"[{info.title}]({info.paper})" if info.paper else info.title
        venue = " ".join(filter(None, [info.venue, str(info.year or "")]))
        flags = " | ".join(_words(value) for value in (info.reconstruction, cls.needs_dialogue, cls.recovers))
        lines.append(f"| `{name}` | {title} | {venue} | {info.made_for} | {info.task} | {flags} |")
    return "\n".join(lines) + "\n"


def _words(value: bool) -> str:
    return "yes" if value else "no"
