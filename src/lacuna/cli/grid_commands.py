"""Commands about many runs: ``bench`` and ``study``."""

from __future__ import annotations

import sys

import click

from lacuna.cli.options import show


@click.command()
@click.argument("storage")
@click.option("--name", help="Of the study; by default every study of the storage.")
def study(storage: str, name: str | None) -> None:
    """Show the state of a study.

    STORAGE is the database of `kedro run --pipelines tune` (data/06_models/<run>/studies/<name>.db) or the URL of another
    one. Shows the trials by state, the reasons of failures, and the best trial. To browse it: optuna-dashboard sqlite:///STORAGE
    """
    from lacuna.tuning import summaries

    show("\n\n".join(summaries(storage, name)))


@click.command()
@click.argument("names", nargs=-1, metavar="[EXPERIMENT | ENVIRONMENT]...")
@click.option("--models", metavar="A+B", help="These variants in every study, instead of its own.")
@click.option("--seeds", metavar="0+1", help="These training seeds in every study, instead of its own.")
@click.option("--workers", type=click.IntRange(1), help="Processes on this machine. [default: one a core; 1 with a GPU]")
@click.option("--ray", "address", metavar="ADDRESS", help="Run cells on this Ray cluster (extra `cluster`): auto, host:port.")
@click.option("--list", "listing", is_flag=True, help="Say which cells are finished. Corpora are imported; no cell is run.")
def bench(
    names: tuple[str, ...],
    *,
    models: str | None,
    seeds: str | None,
    workers: int | None,
    address: str | None,
    listing: bool,
) -> None:
    """Run experiments: corpora x models x seeds.

    \b
        lacuna bench experiments/cider           a study; its results.md is written when all of it is finished
        lacuna bench mosi mmmo                   two environments of conf/ and a leaderboard over them
        lacuna bench mosi --models mlp+knn --seeds 0+1

    A cell is a variant with a seed on a corpus: it is trained, scored under all patterns and rates, and kept in data/09_bench.
    The command may be interrupted at any time; the same command continues. A finished cell runs again only if something that
    decides its result has changed. The exit code is 0 if every cell is finished and every page is written, and 1 otherwise;
    with --list it is 0 if every cell is finished.
    """  # noqa: D301 - click looks for the character itself
    from lacuna.pipelines.bench_command import run

    complete = run(names, click.echo, models=models, seeds=seeds, workers=workers, address=address, listing=listing)
    sys.exit(0 if complete else 1)
