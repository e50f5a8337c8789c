"""Commands about predictions of any origin: ``score``, ``prompts`` and ``answers``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacuna.cli.options import Items, parse_options

if TYPE_CHECKING:
    import pandas as pd

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("predictions", type=_PATH, required=False)
@click.argument("truth", type=_PATH, required=False)
@click.option("--protocol", "name", help="How to score; see --list.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the protocol; may be repeated.")
@click.option("--out", type=_PATH, help="CSV file to write the scores to.")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@click.option(
    "--replicates", type=click.IntRange(0), default=0, show_default=True, help="Bootstrap replicates; 0 = no intervals."
)
@click.option("--list", "listing", is_flag=True, help="List the protocols, their columns and options.")
def score(
    predictions: Path | None,
    truth: Path | None,
    *,
    name: str | None,
    options: tuple[str, ...],
    out: Path | None,
    overwrite: bool,
    replicates: int,
    listing: bool,
) -> None:
    """Score a file of predictions by a protocol of the field.

    PREDICTIONS and TRUTH are tables (CSV, JSON, JSONL or parquet) with the columns that --list names. Models, seeds and sets of
    modalities in PREDICTIONS are scored separately.

    \b
        lacuna score --protocol classes predictions.csv truth.csv --replicates 1000

    Intervals (95%) resample dialogues, videos, clips or ids, the first of these columns that is there; fewer than 10 give none.
    """  # noqa: D301 - click looks for the character itself
    from lacuna.metrics.protocols import read_table, score_tables, score_with_intervals

    if listing:
        click.echo(_overview())
        return
    if name is None or predictions is None:
        raise click.UsageError("name a protocol and a file of predictions; lacuna score --list shows the protocols")
    _refuse(out, overwrite)
    tables = read_table(predictions), read_table(truth) if truth else None
    if replicates:
        table = score_with_intervals(name, *tables, replicates=replicates, **parse_options(options))
    else:
        table = score_tables(name, *tables, **parse_options(options))
    click.echo(table.to_string(index=False, na_rep="not defined", float_format=lambda value: f"{value:.4f}"))
    if out is not None:
        _write(table, out)


def _overview() -> str:
    from lacuna.metrics.protocols import get_protocol, list_protocols

    blocks = []
    for name in list_protocols():
        p = get_protocol(name)
        lines = [f"{name}: {p.title} ({p.status})", f"  {p.formula}", f"  source: {p.source}"]
        lines.append(f"  predictions: {', '.join(p.predictions)}; truth: {', '.join(p.truth) or 'none'}")
        lines += [f"  optional columns: {', '.join(p.optional)}"] if p.optional else []
        lines += [f"  options: {', '.join(f'{key}={value}' for key, value in p.options.items())}"] if p.options else []
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


@click.command()
@click.argument("source", metavar="CORPUS")
@click.option("--out", type=_PATH, default=Path("prompts"), show_default=True, help="Folder to write to.")
@click.option("--subsets", metavar="A+B,C", help="Sets of modalities to show, e.g. text,audio,text+audio. [default: all]")
@click.option("--split", default="test", show_default=True, help="Which utterances: train, valid, test or all.")
@click.option("--target", help="Whose classes are allowed. [default: the first]")
@click.option("--media", default="{id}", show_default=True, help="Path of a recording, e.g. clips/{id}.mp4; also {dialogue}.")
@click.option("--instruction", help="What to ask; {classes} stands for the classes.")
@click.option("--importer", help="Read CORPUS with this importer instead of recognising it.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the importer; may be repeated.")
def prompts(source: str, *, out: Path, subsets: str | None, split: str, **settings: Any) -> None:
    """Write what to ask a large language model about a corpus.

    One JSONL file for each set of modalities, and map.toml for `lacuna answers`. Run the model elsewhere, and put its answer to
    each line into a column answer, beside id and modalities. CORPUS is a path that `lacuna doctor` recognises.

    \b
        lacuna prompts my_corpus --out prompts --media clips/{id}.mp4
        lacuna answers answers.jsonl --map prompts/map.toml --out predictions.csv
        lacuna evaluate runs/my_corpus-1 --answers predictions.csv
    """  # noqa: D301 - click looks for the character itself
    from lacuna.loading import load_corpus
    from lacuna.metrics.protocols.prompts import INSTRUCTION, prompts_of, write_prompts

    if list(out.glob("*.jsonl")):
        raise click.ClickException(f"{out} has prompt files already: name another folder with --out")
    corpus = load_corpus(source, importer=settings["importer"], options=parse_options(settings["options"]))
    view = corpus if split == "all" else corpus.only(split)
    chosen = [tuple(name.strip() for name in subset.split("+")) for subset in subsets.split(",")] if subsets else None
    instruction = settings["instruction"] or INSTRUCTION
    asked = prompts_of(view, chosen, target=settings["target"], media=settings["media"], instruction=instruction)
    if not asked:
        raise click.ClickException(f"nothing is labelled in split {split!r} of {source}: there is nothing to ask about")
    for path, rows in zip(write_prompts(out, asked), asked.values(), strict=True):
        click.echo(f"{path}: {len(rows)} prompts")


@click.command()
@click.argument("files", type=_PATH, nargs=-1, required=True)
@click.option("--map", "map_file", type=_PATH, help="TOML file: classes, their words, negations, refusals.")
@click.option("--classes", type=Items(), metavar="A+B", help="Classes, with common words for them, instead of a map.")
@click.option("--text", help="Column of the answers. [default: answer, response, text, output, generation or prediction]")
@click.option("--id", "ids", help="Column of the utterance ids. [default: id]")
@click.option("--out", type=_PATH, default=Path("predictions.csv"), show_default=True, help="CSV file to write.")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
def answers(
    files: tuple[Path, ...],
    *,
    map_file: Path | None,
    classes: list[str] | None,
    text: str | None,
    ids: str | None,
    out: Path,
    overwrite: bool,
) -> None:
    """Turn free-text answers of any model into predictions.

    FILES hold an id and a text a row (CSV, JSON, JSONL or parquet), and optionally model, seed and modalities. What cannot be
    mapped to a class is shown and counts as an error in every score. No model is run; `lacuna prompts` writes what to ask one.

    \b
        lacuna answers answers.jsonl --classes happy+sad+anger+neutral --out predictions.csv
        lacuna score --protocol classes predictions.csv truth.csv
    """  # noqa: D301 - click looks for the character itself
    import pandas as pd

    from lacuna.metrics.protocols import answer_map, answers_report, map_answers, read_answer_map, read_answers

    if (map_file is None) == (not classes):
        raise click.UsageError("say either --map FILE or --classes A+B")
    _refuse(out, overwrite)
    meaning = read_answer_map(map_file) if map_file else answer_map(classes or [])
    tables = [read_answers(file, text=text, ids=ids) for file in files]
    mapped = pd.concat([map_answers(table, meaning, column) for table, column in tables], ignore_index=True)
    _write(mapped, out)
    click.echo(answers_report(mapped, [str(cell) for table, column in tables for cell in table[column]]))
    click.echo(f"predictions: {out}\nnext: lacuna evaluate RUN --answers {out}, beside the models of a run")


def _refuse(out: Path | None, overwrite: bool) -> None:
    if out is not None and out.exists() and not overwrite:
        raise click.ClickException(f"{out} exists already: name another file with --out, or say --overwrite")


def _write(table: pd.DataFrame, out: Path) -> None:
    from lacuna.atomic import atomic_path
    from lacuna.text import write_csv

    with atomic_path(out) as path:
        write_csv(table, path)
