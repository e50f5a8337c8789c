"""Tables of recovery quality: models by modality, one table per measure, pattern, rate and unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from lacuna.evaluation.recovery.quality import MEAN_FILL
from lacuna.evaluation.tables import CEILING
from lacuna.reporting.core.frames import distinct, panels, records, rows_where
from lacuna.reporting.core.table import Table, Value, marked, slug, unique
from lacuna.reporting.core.words import capital, listing, number, panel_label, percent
from lacuna.reporting.recovery.kinds import KINDS, UNIT_NOTES, UNITS, Kind
from lacuna.reporting.robustness.facts import MIN_DIALOGUES, Report
from lacuna.reporting.robustness.tables import MARKS

Place = tuple[str, str, float, str]  # pattern, setting, rate and unit
DRAW = " (one draw)"


def places(recovery: pd.DataFrame) -> list[Place]:
    """Return the scored conditions without fixed subsets: pattern, setting, rate and unit."""
    shown = panels(recovery)
    return [p for p in distinct(recovery, "pattern", "setting", "rate", "unit") if p[:2] in shown]


def place_label(place: Place) -> str:
    """Return the readable name of a condition and unit."""
    return f"{panel_label(*place[:2])} at {percent(place[2])}, {UNITS.get(place[3], place[3])}"


def unit_notes(report: Report) -> list[str]:
    """Return explanations of the units that occur, and of undefined shares."""
    if report.recovery is None:
        return []
    units = set(report.recovery["unit"])
    shares = report.recovery[report.recovery["measure"] == "share_of_oracle"]
    undefined = [str(name) for name, rows in shares.groupby("modality", sort=False) if rows["mean"].isna().all()]
    notes = [note for unit, note in UNIT_NOTES.items() if unit in units]
    if undefined:
        notes.append(
            f"no share of the oracle's recovery for {listing(undefined)}: the oracle gains too little over the mean fill"
        )
    return [f"{capital(note)}." for note in notes]


def recovery_order(report: Report, models: Sequence[str]) -> list[str]:
    """Return models as ranked, a draw after its model, then references, the mean fill last."""
    ranked = {name: i for i, name in enumerate(report.ranked)}
    order = {**dict.fromkeys(report.references, 1), CEILING: 1, MEAN_FILL: 2}

    def key(name: str) -> tuple[int, int, str]:
        model = name.removesuffix(DRAW)
        return order.get(model, 0), ranked.get(model, len(ranked)), name

    return sorted(set(models), key=key)


def recovery_tables(report: Report) -> list[Table]:
    """Return every table of recovery quality; empty if nothing was recovered."""
    if report.recovery is None:
        return []
    every = _with_draws(report.recovery)
    measured = dict.fromkeys(every["measure"])
    known = every.loc[every["measure"] == "share_of_oracle", "mean"].notna().any()
    tables = []
    levels = {m: m.partition("@")[2] for m in measured if m.startswith("coverage@")}
    for kind in (replace(k, measures=k.measures or levels) for k in KINDS):
        if kind.name == "gain" and known:
            continue  # the share of the oracle's recovery replaces it
        for place in places(every):
            own = rows_where(every, pattern=place[0], setting=place[1], rate=place[2], unit=place[3])
            own = own[own["measure"].isin(kind.measures)]
            if own["mean"].notna().any():
                tables.append(_table(report, kind, place, own))
    return [replace(table, name=name) for table, name in zip(tables, unique(t.name for t in tables), strict=True)]


def _with_draws(recovery: pd.DataFrame) -> pd.DataFrame:
    """Return the measures of one draw as separate rows: model ``x (one draw)``."""
    drawn = recovery["measure"].str.startswith("sample_")
    names = recovery["model"].where(~drawn, recovery["model"] + DRAW)
    return recovery.assign(model=names, measure=recovery["measure"].str.removeprefix("sample_"))


def _table(report: Report, kind: Kind, place: Place, own: pd.DataFrame) -> Table:
    models = recovery_order(report, list(own["model"]))
    references = {*report.references, CEILING}
    by_cell = {(r.model, r.modality, r.measure): r for r in records(own)}
    heads: list[str] = []
    columns: list[Sequence[str | Value]] = []
    for modality in dict.fromkeys(own["modality"]):
        for measure, word in kind.measures.items():
            cell_rows = [by_cell.get((m, modality, measure)) for m in models]
            heads.append(f"{modality}: {word}" if word else modality)
            if measure == "mmd_p":
                columns.append(["n/a" if r is None else number(r.mean) for r in cell_rows])
                continue
            values = [Value(float("nan")) if r is None else Value(r.mean, r.low, r.high) for r in cell_rows]
            if kind.higher is not None and measure != "mmd_null":
                values = marked(values, higher=kind.higher, ranked=[m not in references for m in models])
            columns.append(values)
    names = [f"{m} (reference)" if m in references else m for m in models]
    rows: list[tuple[str | Value, ...]] = [(label, *(column[i] for column in columns)) for i, label in enumerate(names)]
    name = "-".join(slug(p) for p in ("recovery", kind.name, *place[:2], percent(place[2]), place[3]) if p)
    title = f"{kind.label}, {place_label(place)}"
    caption = f"{kind.label} on the test split by modality, pattern: {place_label(place)}"
    return Table(name, title, caption, ("Model", *heads), tuple(rows), _note(report, kind, own), kind.digits)


def _note(report: Report, kind: Kind, own: pd.DataFrame) -> str:
    """Return the note of a table, with the definition of its intervals."""
    direction = {None: "", True: f"Higher is better. {MARKS}", False: f"Lower is better. {MARKS}"}[kind.higher]
    return f"{kind.note} {spans(report, own)} {direction}".strip()


def spans(report: Report, own: pd.DataFrame) -> str:
    """Return the definition of the intervals of some rows."""
    if report.few_dialogues:
        return f"No intervals: fewer than {MIN_DIALOGUES} test dialogues."
    counts, level = (
        sorted(set(own.loc[~own["model"].isin([*report.references, CEILING, MEAN_FILL]), "seeds"])),
        report.facts.level,
    )
    if not counts or counts[-1] == 1:
        return f"In brackets: {level:.0%} intervals over test dialogues."
    span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    text = f"mean over {span} training seeds. In brackets: the mean {level:.0%} interval of a seed over test dialogues, widened"
    return capital(f"{text} by the spread between the seeds.")
