"""Tables of prediction sets and abstention, by available modalities."""

from __future__ import annotations

import pandas as pd

from lacuna.evaluation.sureness import ERROR
from lacuna.models.layers.added_modality import SURE
from lacuna.reporting.core.frames import Panel, panels, records, rows_where
from lacuna.reporting.core.table import Table, Value, slug
from lacuna.reporting.core.words import panel_label, percent, subset_label
from lacuna.reporting.robustness.facts import Report

ALL = "all"
_SUMS = ["n", "covered", "size", "answered", "wrong"]


def sureness_tables(report: Report) -> list[Table]:
    """Return coverage and size of prediction sets and errors of sure answers, by missing pattern, and gains of modalities."""
    if report.sureness is None:
        return gains_table(report)
    own = [_table(report, rows_where(report.sureness, pattern=p, setting=s), (p, s)) for p, s in panels(report.sureness)]
    return own + gains_table(report)


def gains_table(report: Report) -> list[Table]:
    """Return a table of how much each absent modality would lower the loss on validation; no table if that is unknown."""
    order = [report.models[m] for m in report.ranked if m in report.models and report.models[m].gains]
    modalities = list(dict.fromkeys(m for about in order for gains in about.gains.values() for m in gains))
    rows: list[tuple[str | Value, ...]] = []
    for about in order:
        for available, gains in sorted(about.gains.items(), key=lambda item: (-len(item[1]), item[0])):
            most = max(gains, key=lambda m: gains[m][0])
            cells: list[str | Value] = [about.name, available if available == "nothing" else subset_label(available)]
            for m in modalities:
                gain, error = gains.get(m, (float("nan"), float("nan")))
                low, high = gain - SURE * error, gain + SURE * error
                cells.append(Value(gain, low, high, "best" if m == most and low > 0 else "") if m in gains else "")
            rows.append(tuple(cells))
    if not rows:
        return []
    loss = "log loss (nats)" if report.facts.classes else "absolute error"
    note = (
        f"Mean fall of the {loss} on validation when the modality is added to the available ones, in every turn; mean over "
        "training seeds. In brackets: 95 % intervals over dialogues. Bold: the largest of the row, if its interval excludes 0. "
        "It is a mean over utterances, not a statement on a single one."
    )
    caption = "Fall of the validation loss when a modality is added"
    return [Table("gains", "added modalities", caption, ("Model", "Available", *modalities), tuple(rows), note, sign=True)]


def _table(report: Report, own: pd.DataFrame, panel: Panel) -> Table:
    rows: list[tuple[str | Value, ...]] = []
    classes = bool(report.facts.classes)
    for model in (m for m in report.ranked if m in set(own["model"])):
        of_model = own[own["model"] == model]
        by_set = of_model.groupby("available", sort=False).agg(dict.fromkeys(_SUMS, "sum") | {"merged": "first"}).reset_index()
        by_set = by_set.sort_values("n", ascending=False)
        by_set["merged"] = by_set["merged"].replace("", "own")
        total = by_set[_SUMS].sum().to_frame().T.assign(available=ALL, merged="")
        for r in records(pd.concat([total, by_set], ignore_index=True)):
            available = r.available if r.available in (ALL, "nothing") else subset_label(r.available)
            cells: list[str | Value] = [model, available, f"{int(r.n)}", Value(r.covered / r.n), Value(r.size / r.n)]
            if classes:
                cells += [Value(r.answered / r.n), Value(r.wrong / r.answered if r.answered else float("nan"))]
            rows.append((*cells, r.merged))
    heads = ("Model", "Available", "n", "Coverage", "Mean size" if classes else "Mean width")
    sure = ("Sure answers", "Errors among them") if classes else ()
    what = "sets" if classes else "intervals"
    note = (
        f"Prediction {what} for a coverage of {percent(1 - ERROR)}, with thresholds from validation for each set of available "
        "modalities, all rates together. The guarantee needs test dialogues and missing data like those of validation. "
    )
    if classes:
        note += f"Sure answers: those above the confidence at which {percent(ERROR)} of the validation predictions were wrong. "
    note += "n: utterances, counted once for each rate, mask and training seed."
    name, title = f"sureness-{'-'.join(slug(p) for p in panel if p)}", f"prediction {what}, {panel_label(*panel)}"
    caption = f"Prediction {what} and abstention on the test split, pattern: {panel_label(*panel)}"
    return Table(name, title, caption, (*heads, *sure, "Thresholds"), tuple(rows), note)
