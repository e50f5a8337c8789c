"""Commands about public corpora: ``table`` and ``corpora``."""

from __future__ import annotations

from pathlib import Path

import click

from lacuna.cli.options import show

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("folder", type=_PATH)
@click.argument("out", type=_PATH)
@click.option("--adapter", help="Read it as this corpus instead of recognising it.")
@click.option("--overwrite", is_flag=True, help="Replace OUT.")
def table(folder: Path, out: Path, *, adapter: str | None, overwrite: bool) -> None:
    """Write the utterances of a public corpus into OUT.

    FOLDER is the corpus as downloaded. `lacuna features` reads FOLDER itself, too: write the table to look at it or to change
    it, and name it recordings.csv.
    """
    from lacuna.atomic import write_text
    from lacuna.corpus.adapters import read_folder

    if out.exists() and not overwrite:
        raise click.ClickException(f"{out} exists already: name another file, or say --overwrite")
    annotations = read_folder(folder, adapter)
    write_text(out, annotations.table(out.absolute().parent).to_csv(index=False))
    show("\n".join([f"{annotations.adapter.title}: {len(annotations.rows)} utterances -> {out}", *annotations.notes]))


@click.command()
@click.argument("names", nargs=-1)
def corpora(names: tuple[str, ...]) -> None:
    """List public corpora, and where to get them.

    With NAMES, say all about these: licence, paper, files, labels, splits. Each can be read as downloaded.
    """
    from lacuna.corpus.adapters import adapter_class, list_adapters

    for name in () if names else list_adapters():
        adapter = adapter_class(name)
        show(f"{name:<14} {adapter.title:<24} {adapter.licence}")
    for name in names:
        adapter = adapter_class(name)
        facts = {key: getattr(adapter, key) for key in ("where", "licence", "paper", "language", "layout", "splits", "published")}
        facts["targets"] = ", ".join(f"{target.name} ({target.task})" for target in adapter.targets)
        facts["compared with"] = adapter.verified or "nothing"
        facts["not compared"] = adapter.unverified
        show("\n".join([f"{name}: {adapter.title}", *(f"  {key}: {value}" for key, value in facts.items() if value)]))
