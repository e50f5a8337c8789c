"""Commands that work on paths, without a Kedro project: train, evaluate, report, predict, export, runs."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import product
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import click

from lacuna.cli.options import Items, parse_options
from lacuna.errors import LacunaError

if TYPE_CHECKING:
    from lacuna.corpus import Corpus
    from lacuna.results import Evaluation
    from lacuna.training.distributed import Processes

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("source", metavar="CORPUS")
@click.option("--models", type=Items(), default="linear+context_gru", show_default=True, help="What to train.")
@click.option("--seeds", type=Items(), default="0", show_default=True, help="Training seeds; a model is trained once a seed.")
@click.option("--pattern", default="rmm", show_default=True, help="Missing pattern of training and selection.")
@click.option("--epochs", type=click.IntRange(1), help="Most passes over the training split.")
@click.option("--budget", type=click.IntRange(1), help="Settings that each model may try on validation first.")
@click.option("--target", help="What to predict. [default: the first target of the corpus]")
@click.option("--set", "training", multiple=True, metavar="KEY=VALUE", help="A training setting; may be repeated.")
@click.option(
    "--setting", "own", multiple=True, metavar="KEY=VALUE", help="A setting of every model, e.g. calibrate=true or ensemble=5."
)
@click.option("--preset", default="demo", show_default=True, help="Size of the generated corpus, if CORPUS is duet or wrist.")
@click.option("--importer", help="Read CORPUS with this importer instead of recognising it.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the importer; may be repeated.")
@click.option("--split", default="auto", show_default=True, type=click.Choice(["auto", "given", "carve", "fold", "speaker"]))
@click.option("--thin", metavar="PATTERN:RATE[:SEED]", help="Remove this share of the training and validation data for good.")
@click.option("--runs", "parent", type=_PATH, default=Path("runs"), show_default=True, help="Folder of all runs.")
@click.option("--name", help="Of the run. [default: the corpus and a number]")
def train(source: str, models: list[str], seeds: list[str], parent: Path, name: str | None, **settings: Any) -> None:
    """Train models on a corpus.

    CORPUS is a path that `lacuna doctor` recognises, or duet or wrist, the generated corpora.

    The run gets a folder of its own under runs/. An interrupted run that has a --name goes on with the same command.

    Started by torchrun, e.g. `torchrun --nproc-per-node 2 -m lacuna train CORPUS`, several processes train each model together:
    each of them computes its part of every batch.
    """
    import pandas as pd

    from lacuna.api import create_model
    from lacuna.progress import time_left
    from lacuna.runs import CHECKPOINTS, RECOGNIZERS, UNFINISHED, RunRecord, new_run_folder, now, save_run
    from lacuna.training import save_recognizers
    from lacuna.training.checkpoint import RESULT
    from lacuna.training.distributed import process_group

    numbers = [_whole(seed, "--seeds") for seed in seeds]
    created = [create_model(model, **parse_options(settings["own"])) for model in models]
    with process_group() as processes:
        if processes.size > 1 and settings["budget"]:
            raise click.ClickException("--budget needs one process: choose settings without torchrun, then train with --set")
        corpus = _load(source, settings)
        folder = processes.of_first(new_run_folder(parent, name, corpus.name) if processes.first else parent)
        corpus, place = _kept(corpus, source, folder, processes)
        if processes.first:
            _show_target(corpus, settings["target"])
        training = {name: settings[name] for name in ("pattern", "epochs", "budget")} | parse_options(settings["training"])
        trained, histories, durations = [], [], []  # durations in seconds, without trainings that had ended before
        trainings, checkpoints = list(product(created, numbers)), folder / CHECKPOINTS
        try:
            for number, (model, seed) in enumerate(trainings, 1):
                began, n_results = time.monotonic(), len(list(checkpoints.rglob(RESULT)))
                model.fit(corpus, seed=seed, target=settings["target"], folder=checkpoints, **training)
                if len(list(checkpoints.rglob(RESULT))) > n_results:
                    durations.append(time.monotonic() - began)
                trained.append(model.trained)
                histories.append(model.history)
                if processes.first:
                    click.echo(repr(model))
                    if left := time_left(len(durations), len(trainings) - number, sum(durations)):
                        click.echo(f"{number} of {len(trainings)} trainings ended{left}", err=True)
        except KeyboardInterrupt:
            own_message = f"what is finished is kept; {UNFINISHED.format(folder.name)}"
            raise KeyboardInterrupt("" if name or not processes.first else own_message) from None
        except LacunaError:
            if processes.first and not checkpoints.exists():  # a setting was refused: leave no folder without a run
                rmtree(folder / "corpus", ignore_errors=True)
                with suppress(OSError):  # not empty: something else is in it
                    folder.rmdir()
            raise
    if not processes.first:
        return
    save_recognizers(trained, folder / RECOGNIZERS)
    names = tuple(dict.fromkeys(one.variant for one in trained))
    run = RunRecord(folder.name, corpus.name, source, place, names, tuple(numbers), now(), _typed())
    save_run(folder, run, pd.concat(histories, ignore_index=True))
    click.echo(f"run: {folder}\nnext: lacuna evaluate {folder}")


@click.command()
@click.argument("run", type=_PATH)
@click.option("--patterns", type=Items(), default="rmm+outage", show_default=True, help="What goes missing.")
@click.option("--rates", type=Items(), default="0+0.1+0.2+0.3+0.4+0.5+0.6+0.7", show_default=True, help="Missing rates.")
@click.option("--mask-seeds", type=Items(), default="0+1+2", show_default=True, help="A mask each; scores are averaged.")
@click.option("--past-only", is_flag=True, help="Models that read dialogues get the turns up to t for their answer at turn t.")
@click.option("--answers", "answers_file", type=_PATH, help="Predictions of outside systems to score beside: see lacuna answers.")
def evaluate(
    run: Path, patterns: list[str], rates: list[str], mask_seeds: list[str], *, past_only: bool, answers_file: Path | None
) -> None:
    """Score the models of a run, and write its report.

    RUN is the folder of a run. Its models are scored on the test split under missing data. With --answers, the answers of large
    language models stand in the same tables and figures, with the same intervals, and in a leaderboard in RUN/leaderboard.
    """
    import pandas as pd

    from lacuna.comparison import evaluate_recognizers
    from lacuna.metrics.protocols import read_table
    from lacuna.runs import HISTORY, corpus_of, load_run, recognizers_of, save_evaluation

    facts = load_run(run)
    numbers = [_number(rate, "--rates") for rate in rates]
    masks = [_whole(seed, "--mask-seeds") for seed in mask_seeds]
    history = pd.read_parquet(run / HISTORY)
    evaluation = evaluate_recognizers(
        recognizers_of(run),
        corpus_of(run, facts),
        patterns,
        rates=numbers,
        mask_seeds=masks,
        past_only=past_only,
        answers=read_table(answers_file) if answers_file else None,
        history=[history],
    )
    save_evaluation(run, facts, evaluation)
    click.echo(repr(evaluation))
    click.echo(f"report: {evaluation.report(run / 'report')}")
    if answers_file:
        click.echo(f"leaderboard: {_leaderboard(run, evaluation)}")


def _leaderboard(run: Path, evaluation: Evaluation) -> Path:
    """Write the leaderboard of one run, outside systems included, and return its path."""
    from lacuna.bench import Protocol
    from lacuna.bench.gathered import Gathered
    from lacuna.bench.leaderboard import write_leaderboard

    contest = Gathered(
        evaluation.corpus.name,
        Protocol(evaluation.config),
        evaluation.sweeps,
        evaluation.recognizers,
        evaluation.history,
        evaluation.recovery,
        evaluation.points,
    )
    return write_leaderboard(
        run / "leaderboard", run.name, [contest], {"command": _typed()}, {contest.name: "../report/report.html"}
    )


@click.command()
@click.argument("run", type=_PATH)
@click.option("--out", type=_PATH, help="Folder, or a file that ends in .html. [default: RUN/report]")
def report(run: Path, out: Path | None) -> None:
    """Write the report of a run again.

    RUN is the folder of a run; the tables are those of `lacuna evaluate`.
    """
    from lacuna.runs import load_evaluation

    click.echo(f"report: {load_evaluation(run).report(out or run / 'report')}")


@click.command()
@click.argument("model", type=_PATH)
@click.argument("source", metavar="CORPUS")
@click.option("--variant", help="Of a run with several models. [default: the best on validation]")
@click.option("--out", type=_PATH, default=Path("predictions.csv"), show_default=True, help="CSV file to write.")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@click.option("--drop", type=Items(), default="", help="Modalities to leave out, as if they were not there.")
@click.option("--anyway", is_flag=True, help="Predict utterances of which nothing was observed, too.")
@click.option(
    "--error", type=click.FloatRange(0.01, 1, max_open=True), default=0.1, show_default=True, help="Accepted share of errors."
)
@click.option("--importer", help="Read CORPUS with this importer instead of recognising it.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the importer; may be repeated.")
@click.option("--turns", type=click.Choice(["energy", "silero"]), help="Cut recordings without a table into turns at pauses.")
def predict(model: Path, source: str, variant: str | None, out: Path, *, overwrite: bool, anyway: bool, **settings: Any) -> None:
    """Label every utterance of a corpus.

    MODEL is a saved model or the folder of a run, CORPUS a path that `lacuna doctor` recognises, a recording or a folder of
    recordings. Labels are not needed.
    """
    from lacuna.api import load_model
    from lacuna.atomic import atomic_path
    from lacuna.evaluation.prediction_table import prediction_notes
    from lacuna.text import write_csv

    if out.exists() and not overwrite:
        raise click.ClickException(f"{out} exists already: name another file with --out, or say --overwrite")
    loaded = load_model(model, variant=variant)
    options = parse_options(settings["options"]) | ({"turns": settings["turns"]} if settings["turns"] else {})
    how = {name: settings[name] for name in ("drop", "error", "importer")}
    table = loaded.predict(source, anyway=anyway, options=options, **how)
    with atomic_path(out) as path:
        write_csv(table, path)
    click.echo("\n".join([repr(loaded), f"{len(table)} utterances -> {out}", *prediction_notes(table)]))


@click.command()
@click.argument("model", type=_PATH)
@click.argument("file", type=_PATH)
@click.option("--variant", help="Of a run with several models. [default: the best on validation]")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
def export(model: Path, file: Path, variant: str | None, *, overwrite: bool) -> None:
    """Write a model as a graph that runs without Lacuna.

    MODEL is a saved model or the folder of a run, FILE ends in .onnx or .pt2. A JSON file beside it describes the inputs.
    """
    from lacuna.api import load_model

    if file.exists() and not overwrite:
        raise click.ClickException(f"{file} exists already: name another file, or say --overwrite")
    loaded = load_model(model, variant=variant)
    loaded.export(file)
    click.echo(f"{loaded!r}\n{file}, described in {file.with_suffix('.json')}")


@click.group(invoke_without_command=True)
@click.option("--runs", "parent", type=_PATH, default=Path("runs"), show_default=True, help="Folder of all runs.")
@click.pass_context
def runs(context: click.Context, parent: Path) -> None:
    """List the runs: when, what, headline.

    Inside a project, those of `kedro run` are listed too.
    """
    context.obj = parent
    if context.invoked_subcommand is None:
        from lacuna.runs import list_project_runs, list_runs, project_of

        project = project_of(Path.cwd())
        listed = list_runs(parent) + (list_project_runs(project) if project else [])
        for run in listed:
            models, state = "+".join(run.models), run.headline or ("not evaluated" if run.models else "corpus only")
            click.echo(f"{run.name:<20} {run.created[:16]:<17} {run.corpus:<12} {models:<30} {state}")
        if not listed:
            click.echo(f"no runs in {parent}; make one with: lacuna train CORPUS")


@runs.command()
@click.argument("first")
@click.argument("second")
@click.pass_obj
def compare(parent: Path, first: str, second: str) -> None:
    """Compare the scores of two runs.

    FIRST and SECOND are names that `lacuna runs` lists, or folders. If both runs scored the same utterances under the same masks,
    the differences have intervals of their own.
    """
    from lacuna.metrics.bootstrap import MIN_DIALOGUES
    from lacuna.runs import compare_runs

    table = compare_runs(_run_folder(parent, first), _run_folder(parent, second))
    click.echo(table.round(3).to_string(index=False))
    if "difference_low" in table and table["difference_low"].isna().all():
        click.echo(f"difference = second - first, without an interval: it needs at least {MIN_DIALOGUES} test dialogues")
    elif "difference_low" in table:
        click.echo(
            "difference = second - first, with its paired interval: both runs scored the same utterances under the same masks"
        )
    else:
        click.echo("difference = second - first, without an interval: the runs have no utterances and masks in common")
        click.echo("the other intervals are of each run by itself")


def _run_folder(parent: Path, name: str) -> Path:
    """Return the folder of a run that is named by its folder, or as ``lacuna runs`` names it."""
    from lacuna.runs import PROJECT_RUNS, RUN, project_of

    project = project_of(Path.cwd())
    places = [Path(name), parent / name, *([project / PROJECT_RUNS / name] if project else [])]
    found = next((place for place in places if (place / RUN).is_file()), None)
    if found is None:
        from lacuna.errors import DataError

        raise DataError("there is no finished run of this name", corpus=name, hint="lacuna runs lists all runs")
    return found


def _load(source: str, settings: dict[str, Any]) -> Corpus:
    from dataclasses import asdict

    from lacuna.loading import load_corpus
    from lacuna.missing import Thin

    options = parse_options(settings["options"])
    how = {name: settings[name] for name in ("preset", "importer", "split")}
    thin = None if settings.get("thin") is None else asdict(Thin.parse(settings["thin"]))
    return load_corpus(source, options=options, thin=thin, **how)


def _show_target(corpus: Corpus, name: str | None) -> None:
    """Say which target is trained, as classes or as a score, and how many labels each split has."""
    from lacuna.corpus.advice import summary_of

    heading = f"target {name or next((target.name for target in corpus.targets), '')}"
    if text := summary_of(corpus).get(heading):
        click.echo(f"{heading}: {text}", err=True)


def _kept(corpus: Corpus, source: str, folder: Path, processes: Processes) -> tuple[Corpus, str]:
    """The corpus on disk, and where it lies: as it was, if it was read from a corpus folder, and else inside the run."""
    from lacuna.corpus import open_corpus, save_corpus

    if corpus.digest is not None:
        return corpus, str(Path(source).resolve())
    if processes.first:
        save_corpus(corpus, folder / "corpus")
    processes.of_first(None)  # the others wait until it is written
    return open_corpus(folder / "corpus"), "corpus"


def _whole(text: str, option: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no whole number", param_hint=option) from None


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number", param_hint=option) from None


def _typed() -> str:
    import shlex
    import sys

    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
