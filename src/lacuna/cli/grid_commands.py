"""Commands about many runs: ``bench`` and ``study``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lacuna.cli.options import show


@click.command()
@click.argument("storage")
@click.option("--name", help="Of the study; by default every study of the storage.")
def study(storage: str, name: str | None) -> None:
    """Say how a study stands.

    STORAGE is the journal that `kedro run --pipelines tune` keeps (data/06_models/<run>/studies/<name>.journal) or the URL of
    a database. Trials by state, why some failed, and the best one. To look around in it: optuna-dashboard STORAGE
    """
    from lacuna.errors import LacunaError
    from lacuna.tuning.summary import summaries

    try:
        show("\n\n".join(summaries(storage, name)))
    except LacunaError as error:
        raise click.ClickException(str(error)) from None


@click.command()
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
