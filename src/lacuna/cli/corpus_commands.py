"""Commands about corpora: ``doctor`` and ``duet``."""

from __future__ import annotations

import shlex
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
    from lacuna.loading import RECORDINGS, reads_recordings

    if importer in (None, RECORDINGS) and path.exists() and reads_recordings(path):
        from lacuna.media.doctor import examine_recordings

        recordings = examine_recordings(path)
        show(render(recordings))
        sys.exit(0 if recordings.usable else 1)
    diagnosis = examine(path, importer=importer, **parse_options(options))
    show("\n".join([render(diagnosis), *_files(path), *(_next(path, importer, options) if diagnosis.usable else [])]))
    sys.exit(0 if diagnosis.usable else 1)


def _files(path: Path, most: int = 8) -> list[str]:
    """Return the names of the files in a folder, in one line."""
    if not path.is_dir():
        return []
    names = sorted(child.name + "/" * child.is_dir() for child in path.iterdir())
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"files: {', '.join(names[:most])}{more}"]


def _next(path: Path, importer: str | None, options: tuple[str, ...]) -> list[str]:
    """Return the command that trains on the path."""
    words = ["lacuna", "train", str(path), *(["--importer", importer] if importer else [])]
    for option in options:
        words += ["--option", option]
    return ["or without a project:", f"  {shlex.join(words)}"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--preset", default="demo", show_default=True, help="tiny, demo (300 dialogues) or bench (10,000).")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. dialogues=100000; may be repeated.")
@click.option("--overwrite", is_flag=True, help="Replace the corpus that FOLDER holds.")
def duet(folder: Path, preset: str, changes: tuple[str, ...], overwrite: bool) -> None:
    """Write the generated corpus into FOLDER.

    It may be of any size: it is streamed to disk. With --set ood=true it is the shifted test: the same settings, other
    speakers, and another association of scene and emotion.
    """
    from lacuna.corpus.storage.format import MANIFEST
    from lacuna.errors import LacunaError
    from lacuna.synthetic.duet import preset as settings_of_preset
    from lacuna.synthetic.duet import write

    try:
        if not overwrite and (folder / MANIFEST).exists():
            raise click.ClickException(f"{folder} holds a corpus already: name another folder, or add --overwrite")
        write(settings_of_preset(preset, **parse_options(changes)), folder)
    except LacunaError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"cannot write to {folder}: {error.strerror or error}") from None
    show(f"written: {folder}\nnext: kedro run --params ingest.path={folder},ingest.name=duet")
