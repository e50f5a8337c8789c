"""The ``lacuna`` command; what is heavy is imported inside the commands, so that ``--help`` is immediate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

_COLOURS = {"error": "red", "warning": "yellow", "verdict": "bold"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lacuna")
def main() -> None:
    """Multimodal emotion recognition with missing data."""


@main.command()
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
    _show(render(diagnosis))
    sys.exit(0 if diagnosis.usable else 1)


@main.command()
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
    _show(f"written: {folder}\nnext: kedro run --params ingest.path={folder},ingest.name=duet")


@main.command()
@click.argument("storage")
@click.option("--name", help="Of the study; by default every study of the storage.")
def study(storage: str, name: str | None) -> None:
    """Show the state of a study.

    STORAGE is the database of `kedro run --pipelines tune` (data/06_models/<run>/studies/<name>.db) or the URL of another
    one. Shows the trials by state, the reasons of failures, and the best trial. To browse it: optuna-dashboard sqlite:///STORAGE
    """
    from lacuna.errors import LacunaError
    from lacuna.tuning import summaries

    try:
        _show("\n\n".join(summaries(storage, name)))
    except LacunaError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("names", nargs=-1, metavar="[ENVIRONMENT]...")
@click.option("--config", type=click.Path(path_type=Path), help="A grid, e.g. conf/bench/quick.yml, instead of names.")
@click.option("--models", metavar="A+B", help="These labels in every environment, instead of its own.")
@click.option("--seeds", metavar="0+1", help="These training seeds in every environment, instead of its own.")
@click.option("--workers", type=click.IntRange(1), help="Processes on this machine. [default: one a core; 1 with a GPU]")
@click.option("--ray", "address", metavar="ADDRESS", help="Run cells on this Ray cluster (extra `cluster`): auto, host:port.")
@click.option("--list", "listing", is_flag=True, help="Say what is done and what is not. Corpora are made; no cell is run.")
def bench(
    names: tuple[str, ...],
    *,
    config: Path | None,
    models: str | None,
    seeds: str | None,
    workers: int | None,
    address: str | None,
    listing: bool,
) -> None:
    """Run corpora x models x seeds, with one leaderboard.

    \b
        lacuna bench mosi mmmo                   two environments of conf/, as each one says
        lacuna bench --config conf/bench/results.yml
        lacuna bench mosi --models mlp+knn --seeds 0+1

    A cell is a model with a seed on a corpus: it is trained, scored under all patterns and rates, and kept in data/09_bench.
    Interrupt whenever you like: the same command goes on where it was. Finished cells never run again unless something changed
    that decides their result. The exit code is 0 if every cell is finished and every page is there, and 1
    otherwise; --list: 0 if every cell is finished.
    """  # noqa: D301 - click looks for the character itself
    from lacuna.errors import LacunaError
    from lacuna.pipelines.grid_command import Asked, run

    try:
        complete = run(Asked(names, config, models, seeds), click.echo, workers=workers, address=address, listing=listing)
    except LacunaError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("\ninterrupted; the same command goes on from here", err=True)
        sys.exit(130)
    sys.exit(0 if complete else 1)


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


def _show(text: str) -> None:
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


if __name__ == "__main__":
    main()
