"""What several commands share: types of options, and text on a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

_COLOURS = {"error": "red", "warning": "yellow", "verdict": "bold"}


class Items(click.ParamType[list[str]]):
    """A list as ``a+b``, ``a,b`` or ``[a,b]``."""

    name = "A+B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Return the parts of the text."""
        if not isinstance(value, str):
            return list(value)
        return [part.strip() for part in value.strip("[] ").replace(",", "+").split("+") if part.strip()]


def parse_options(given: tuple[str, ...]) -> dict[str, Any]:
    """``KEY=VALUE`` pairs as a dict; a value that is JSON is read as such, anything else stays text.

    Raises:
        click.BadParameter: a pair without ``=``.
    """
    options: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def show(text: str) -> None:
    """Text with coloured headings on a terminal, and plain text everywhere else."""
    if not sys.stdout.isatty():
        click.echo(text)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in text.splitlines():
        heading = line.partition(":")[0]
        console.print(Text(line, style=_COLOURS.get(heading.split(" ")[0], "")), soft_wrap=True)
