"""The tables of a report on shifted tests."""

from __future__ import annotations

from collections.abc import Sequence

from lacuna.reporting.core.frames import Panel, panels, records, rows_where
from lacuna.reporting.core.table import Table, Value, marked, slug
from lacuna.reporting.core.words import baseline_label, higher_is_better, metric_label, panel_label, percent
from lacuna.reporting.shift.facts import IID, OOD, Cut, OodReport, baseline_values, gap_column, level, scores
from lacuna.reporting.shift.sets import sets_table

CALIBRATION = ("ece", "brier", "log_loss")
Row = tuple[str | Value, ...]


def divergence_table(report: OodReport) -> Table:
    """Return the divergence of the word-label association of each repartition."""
    sizes = ("Pool", "Unit", "Train", "IID", "OOD", "Words")
    measures = ("D(train, OOD)", "D(train, IID)", "Random", "Times", "Times, root", "Agreement OOD", "Agreement IID")
    labels = ("Labels train/OOD", "Labels train/IID", "Labels IID/OOD", "Budget", "Steps")
    rows: list[Row] = []
    for r in records(report.divergences):
        near = Value(r.random_mean, r.random_mean - r.random_sd, r.random_mean + r.random_sd)
        times = float(r.times_random)
        numbers = [r.ood, r.iid, near, times, times**0.5, r.agreement_ood, r.agreement_iid]
        numbers += [r.labels_ood, r.labels_iid, r.labels_tests, r.budget]
        pool = f"{r.pool} (used)" if r.used else r.pool
        first = (pool, r.unit, str(r.train_size), str(r.iid_size), str(r.ood_size), str(r.words))
        rows.append((*first, *(v if isinstance(v, Value) else Value(v) for v in numbers), str(r.steps)))
    note = (
        "D: mean squared difference of log-odds, in squared nats. Random: mean over random splits of equal sizes and "
        "units; in brackets plus and minus one standard deviation. Times: D(train, OOD) over that mean; root: of that ratio. "
        "Agreement: correlation of the associations with those of training. Labels: total variation. Steps: swaps "
        "proposed by the search. Compare only rows with equal steps and budget: more of either gives a larger divergence."
    )
    caption = "Divergence of the word-label association"
    return Table("divergences", "repartitions", caption, (*sizes, *measures, *labels), tuple(rows), note)


def moved_table(report: OodReport) -> Table:
    """Return the words that contribute most to the divergence."""
    first = report.facts.classes[0] if report.facts.classes else "low"
    rows = tuple((m.word, Value(m.train), Value(m.ood)) for m in report.parts.measured.moved)
    note = f"Log-odds of the word in class '{first}' against the others; positive = the word is more frequent in that class."
    heads = ("Word", "Training", "OOD test")
    return Table("moved-words", "words", "Words with the largest change of association", heads, rows, note, digits=2, sign=True)


def main_table(report: OodReport, panel: Panel) -> Table:
    """Return scores on IID and OOD tests and their gap: on complete data and as mean over missing rates."""
    columns: list[list[Value]] = []
    last: list[str | Value] = [baseline_label(report.primary)]
    for complete in (True, False):
        cut = Cut(report.primary, panel, complete)
        columns += [scores(report, IID, cut), scores(report, OOD, cut), gap_column(report, OOD, cut)]
        last += [baseline_values(report, IID, cut)[0], *baseline_values(report, OOD, cut)]
    heads = [f"{what}, {when}" for when in ("complete", "mean over rates") for what in ("IID", "OOD", "Gap")]
    marks = "Bold: best of the column, or a gap whose interval excludes 0. Italics: the interval contains the best."
    caption = f"{metric_label(report.primary)} on the IID and the OOD test, pattern: {panel_label(*panel)}"
    rows = _rows(report, columns, last)
    return Table(_name("main", *panel), panel_label(*panel), caption, ("Model", *heads), rows, f"{level(report)} {marks}")


def gaps_table(report: OodReport, panel: Panel) -> Table:
    """Return the gap of every model on every test, as mean over missing rates."""
    tests, cut = [name for name in report.names if name != IID], Cut(report.primary, panel)
    rows = _rows(
        report,
        [gap_column(report, test, cut) for test in tests],
        [baseline_label(report.primary), *(baseline_values(report, test, cut)[1] for test in tests)],
    )
    what = f"Gap in {metric_label(report.primary)} to the IID test, mean over rates"
    note = f"{level(report)} Gap: IID test minus this test; positive = worse on this test. Bold: its interval excludes 0."
    caption = f"{what}, pattern: {panel_label(*panel)}"
    title = f"gaps, {panel_label(*panel)}"
    return Table(_name("gaps", *panel), title, caption, ("Model", *tests), rows, note, sign=True)


def rates_table(report: OodReport, test: str, panel: Panel) -> Table:
    """Return scores by missing rate on one test."""
    own = rows_where(report.summary, test=test, pattern=panel[0], setting=panel[1], metric=report.primary)
    rates = sorted(own["rate"].unique())
    columns = []
    for rate in rates:
        at_rate = own[own["rate"] == rate].set_index("model").loc[report.ranked]
        values = [Value(r.mean, r.low, r.high) for r in at_rate[["mean", "low", "high"]].itertuples()]
        columns.append(marked(values, higher=higher_is_better(report.primary), ranked=[True] * len(values)))
    rows = _rows(report, columns, [baseline_label(report.primary), *(Value(float(own["constant"].iloc[0])) for _ in rates)])
    caption = f"{metric_label(report.primary)} on the test '{test}' by missing rate, pattern: {panel_label(*panel)}"
    title = f"{test}, {panel_label(*panel)}"
    return Table(_name("rates", test, *panel), title, caption, ("Model", *map(percent, rates)), rows, level(report))


def calibration_table(report: OodReport, panel: Panel) -> Table:
    """Return calibration on the IID and the OOD test, as mean over missing rates."""
    cells = [(m, test) for m in CALIBRATION if (report.areas["metric"] == m).any() for test in (IID, OOD)]
    rows = _rows(
        report,
        [scores(report, test, Cut(m, panel)) for m, test in cells],
        [baseline_label(report.primary), *(baseline_values(report, test, Cut(m, panel))[0] for m, test in cells)],
    )
    heads = [f"{metric_label(m)}, {test.upper()}" for m, test in cells]
    caption = f"Calibration under shift, mean over rates, pattern: {panel_label(*panel)}"
    title, note = f"calibration, {panel_label(*panel)}", f"{level(report)} Lower is better."
    return Table(_name("calibration", *panel), title, caption, ("Model", *heads), rows, note)


def detection_table(report: OodReport, panel: Panel) -> Table:
    """Return the AUROC of separating each test from the IID test, at the lowest and the highest rate."""
    own = rows_where(report.detection, pattern=panel[0], setting=panel[1])
    rates, kinds = sorted({own["rate"].min(), own["rate"].max()}), list(dict.fromkeys(own["score"]))
    rows: list[Row] = []
    for test in dict.fromkeys(own["test"]):
        for name in report.ranked:
            cells: list[str | Value] = [test, name]
            for rate in rates:
                for score in kinds:
                    r = records(rows_where(own, test=test, model=name, rate=rate, score=score))[0]
                    cells.append(Value(r.auroc, r.low, r.high, "best" if r.low > 0.5 or r.high < 0.5 else ""))
            rows.append(tuple(cells))
    heads = [f"{score.replace('_', ' ')}, {percent(rate)} missing" for rate in rates for score in kinds]
    note = (
        f"AUROC of separating the test from the IID test. {level(report)} Bold: the interval excludes 0.5 (chance). An energy "
        "AUROC of exactly 0.5 means that the logits are log-probabilities, whose energy is 0. Single utterances of an OOD test "
        "need not look different, because the shift is in their labels."
    )
    title, caption = f"detection, {panel_label(*panel)}", "Out-of-distribution detection"
    return Table(_name("detection", *panel), title, caption, ("Test", "Model", *heads), tuple(rows), note)


def groups_table(report: OodReport, panel: Panel) -> Table:
    """Return the group with the lowest accuracy, at the lowest rate."""
    own = rows_where(report.groups, pattern=panel[0], setting=panel[1])
    rate = own["rate"].min()
    rows: list[Row] = []
    for by in dict.fromkeys(own["by"]):
        for name in report.ranked:
            cells: list[str | Value] = [by, name]
            for test in (IID, OOD):
                group_rows = records(rows_where(own, test=test, model=name, by=by, rate=rate))
                cells += [f"{r.group} (n {r.n})" for r in group_rows] or [""]
                cells += [Value(v) for r in group_rows for v in (r.accuracy, r.overall)] or ["", ""]
            rows.append(tuple(cells))
    heads = [f"{what}, {test.upper()}" for test in (IID, OOD) for what in ("worst group", "its accuracy", "overall accuracy")]
    note = "The minimum of several noisy values is biased downwards, more so for small groups."
    title, caption = f"worst groups, {panel_label(*panel)}", f"Worst groups with {percent(rate)} missing"
    return Table(_name("groups", *panel), title, caption, ("By", "Model", *heads), tuple(rows), note)


def tables_of(report: OodReport) -> dict[str, list[Table]]:
    """Return every table by section."""
    shown = report.panels
    shift = [*([divergence_table(report)] if report.parts.measured.ood is not None else [])]
    shift += [moved_table(report)] if report.parts.measured.moved else []
    return {
        "shift": shift,
        "main": [main_table(report, p) for p in shown],
        "gaps": [gaps_table(report, p) for p in shown] if len(report.names) > 2 else [],
        "rates": [rates_table(report, test, p) for p in shown for test in report.names],
        "calibration": [calibration_table(report, p) for p in shown] if set(CALIBRATION) & set(report.areas["metric"]) else [],
        "sets": [sets_table(report, p) for p in panels(report.sets)] if len(report.sets) else [],
        "detection": [detection_table(report, p) for p in shown] if len(report.detection) else [],
        "groups": [groups_table(report, p) for p in shown] if len(report.groups) else [],
    }


def _rows(report: OodReport, columns: Sequence[Sequence[Value]], last: Sequence[str | Value]) -> tuple[Row, ...]:
    """Return one row per model and the row of the baseline."""
    rows: list[Row] = [(name, *(column[i] for column in columns)) for i, name in enumerate(report.ranked)]
    return (*rows, tuple(last))


def _name(*parts: str) -> str:
    return "-".join(slug(part) for part in parts if part)
