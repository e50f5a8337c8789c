"""Commands about corpora: ``doctor`` and ``duet``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lacuna.cli.options import parse_options, show


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--importer", help="Read it with this importer instead of recognising it.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the importer; may be repeated.")
def doctor(path: Path, importer: str | None, options: tuple[str, ...]) -> None:
    """Say what a path is and what to do with it.

    It may be a file or a folder: who reads it, whether it can be used, what is wrong with it, and what comes next.
    The exit code is 0 if it can be used as it is, and 1 otherwise.
    """
    from lacuna.corpus.doctor import examine, render

    diagnosis = examine(path, importer=importer, **parse_options(options))
    show(render(diagnosis))
    sys.exit(0 if diagnosis.usable else 1)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--preset", default="demo", show_default=True, help="tiny, demo (300 dialogues) or bench (10,000).")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. dialogues=100000; may be repeated.")
@click.option("--overwrite", is_flag=True, help="Replace the corpus that FOLDER holds.")
def duet(folder: Path, preset: str, changes: tuple[str, ...], overwrite: bool) -> None:
    """Draw the generated corpus into FOLDER.

    It may be of any size: it is streamed to disk. With --set ood=true it is the shifted test: the same world, other
    speakers, another meeting of scene and emotion.
    """
    from lacuna.corpus.storage.format import MANIFEST
    from lacuna.errors import LacunaError
    from lacuna.synthetic.duet import preset as settings_of_preset
    from lacuna.synthetic.duet import write

    try:
        if not overwrite and (folder / MANIFEST).exists():
            raise click.ClickException(f"{folder} holds a corpus already: name another folder, or say --overwrite")
        write(settings_of_preset(preset, **parse_options(changes)), folder)
    except LacunaError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"cannot write to {folder}: {error.strerror or error}") from None
    show(f"written: {folder}\nnext: kedro run --params ingest.path={folder},ingest.name=duet")
