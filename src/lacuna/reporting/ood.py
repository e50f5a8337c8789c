"""What a report on shifted tests is made of: its tables and findings. :mod:`lacuna.reporting.ood_page` puts them on pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from lacuna.corpus.shift import Repartition
from lacuna.reporting.facts import ModelFacts, Panel, RunFacts, panels, records, rows_where
from lacuna.reporting.finding import Finding, bracketed
from lacuna.reporting.table import Table, Value, marked, slug
from lacuna.reporting.words import CONSTANT, capital, higher_is_better, listing, metric_label, panel_label, percent

IID, OOD = "iid", "ood"
CALIBRATION = ("ece", "brier", "log_loss")
GAP_NOTE = "Gap: IID test less this test, positive = worse here. Bold: its interval excludes 0. p is not corrected for many comparisons."


@dataclass(frozen=True, eq=False)
class OodReport:
    """Everything a report on shifted tests shows.

    Attributes:
        facts: about the run and the repartitioned corpus.
        primary: the metric that headlines.
        parts: the repartition.
        divergences: a row a repartition: sizes, divergences, label shifts.
        tests: a row a test: its name, a note, and how many utterances are scored.
        summary: see :class:`lacuna.evaluation.ood.ShiftTables`, as the other tables.
        areas: areas under the curves.
        gaps: what is lost against the IID test.
        groups: worst groups.
        detection: AUROC by test and score.
        models: facts by label.
        causal: by label, what causal inference chose on validation.
    """

    facts: RunFacts
    primary: str
    parts: Repartition
    divergences: pd.DataFrame
    tests: pd.DataFrame
    summary: pd.DataFrame
    areas: pd.DataFrame
    gaps: pd.DataFrame
    groups: pd.DataFrame
    detection: pd.DataFrame
    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    causal: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Tests in their order, the IID test first."""
        return list(self.tests["test"])

    @property
    def ranked(self) -> list[str]:
        """Models, best on the IID test first; ``prior`` last."""
        own = rows_where(self.summary, test=IID, metric=self.primary).groupby("model")["mean"].mean()
        sign = -1 if higher_is_better(self.primary) else 1
        flat = {name for name, about in self.models.items() if about.model == "prior"}
        return sorted(own.index, key=lambda name: (name in flat, sign * own[name], name))

    @property
    def panels(self) -> list[Panel]:
        """(pattern, setting) pairs with several rates."""
        counts = self.summary.groupby(["pattern", "setting"])["rate"].nunique()
        return [panel for panel in panels(self.summary) if counts[panel] > 1]


def divergence_table(report: OodReport) -> Table:
    """How far each repartition is from training in which words go with which labels."""
    heads = ("Pool", "Unit", "Train", "IID", "OOD", "Words", "D(train, OOD)", "D(train, IID)", "Random", "Times", "Times, root")
    heads = (*heads, "Agreement OOD", "Agreement IID", "Labels train/OOD", "Labels train/IID", "Labels IID/OOD", "Budget")
    rows = []
    for r in records(report.divergences):
        words = [Value(v) for v in (r.ood, r.iid)]
        near = Value(r.random_mean, r.random_mean - r.random_sd, r.random_mean + r.random_sd)
        times = [Value(r.times_random), Value(float(r.times_random) ** 0.5)]
        more = [Value(v) for v in (r.agreement_ood, r.agreement_iid, r.labels_ood, r.labels_iid, r.labels_tests, r.budget)]
        sizes = (str(r.train_size), str(r.iid_size), str(r.ood_size), str(r.words))
        rows.append((r.pool + (" (used)" if r.used else ""), r.unit, *sizes, *words, near, *times, *more))
    note = (
        "D: mean squared difference of log-odds, in squared nats. Random: mean over random splits of the same sizes in the same units; in "
        "brackets a standard deviation either way. Times: D(train, OOD) over that mean; its root compares distances. Agreement: "
        "correlation of the associations with those of training. Labels: total variation."
    )
    return Table("divergences", "repartitions", "Divergence of the word-label association", heads, tuple(rows), note)


def moved_table(report: OodReport) -> Table:
    """The words that add most to the divergence."""
    first = report.facts.classes[0] if report.facts.classes else "low"
    rows = tuple((m.word, Value(m.train), Value(m.ood)) for m in report.parts.measured.moved)
    note = f"Log-odds of the word in class '{first}' against the others; positive = it goes with that class."
    return Table("moved-words", "words", "Words that moved most", ("Word", "Training", "OOD test"), rows, note, digits=2, sign=True)


def main_table(report: OodReport, panel: Panel, metric: str | None = None) -> Table:
    """Models by IID, OOD and their gap: on complete data and as mean over missing rates."""
    metric = metric or report.primary
    higher, models = higher_is_better(metric), report.ranked
    columns: list[list[Value]] = []
    for measure in ("at_rate", "auilc"):
        for test in (IID, OOD):
            columns.append(_column(report, test, metric, panel, measure, models, higher=higher))
        columns.append(_gap_column(report, OOD, metric, panel, measure, models))
    rows: list[tuple[str | Value, ...]] = [(name, *(c[i] for c in columns)) for i, name in enumerate(models)]
    rows.append((CONSTANT, *_constant(report, OOD, metric, panel)))
    heads = ("Model", "IID, complete", "OOD, complete", "Gap, complete", "IID, mean over rates", "OOD, mean over rates", "Gap, mean over rates")
    name = "-".join(slug(part) for part in ("main", *panel, metric) if part)
    note = f"{_level(report)} Bold: best of the column, or a gap whose interval excludes 0. Italics: the interval contains the best."
    caption = f"{metric_label(metric)} on the IID and the OOD test, pattern: {panel_label(*panel)}"
    return Table(name, panel_label(*panel), caption, heads, tuple(rows), note)


def gaps_table(report: OodReport, panel: Panel) -> Table:
    """What every model loses on every test, as mean over missing rates."""
    tests = [name for name in report.names if name != IID]
    columns = [_gap_column(report, test, report.primary, panel, "auilc", report.ranked) for test in tests]
    rows: list[tuple[str | Value, ...]] = [(name, *(c[i] for c in columns)) for i, name in enumerate(report.ranked)]
    rows.append((CONSTANT, *(_constant(report, test, report.primary, panel)[-1] for test in tests)))
    caption = f"What is lost in {metric_label(report.primary)} against the IID test, mean over rates, pattern: {panel_label(*panel)}"
    name = "-".join(slug(part) for part in ("gaps", *panel) if part)
    return Table(name, f"gaps, {panel_label(*panel)}", caption, ("Model", *tests), tuple(rows), f"{_level(report)} {GAP_NOTE}", sign=True)


def rates_table(report: OodReport, test: str, panel: Panel) -> Table:
    """Models by missing rate on one test."""
    own = rows_where(report.summary, test=test, pattern=panel[0], setting=panel[1], metric=report.primary)
    rates, models = sorted(own["rate"].unique()), report.ranked
    columns = []
    for rate in rates:
        here = own[own["rate"] == rate].set_index("model").loc[models]
        values = [Value(r.mean, r.low, r.high) for r in here[["mean", "low", "high"]].itertuples()]
        columns.append(marked(values, higher=higher_is_better(report.primary), ranked=[True] * len(values)))
    rows: list[tuple[str | Value, ...]] = [(name, *(c[i] for c in columns)) for i, name in enumerate(models)]
    rows.append((CONSTANT, *(Value(float(own["constant"].iloc[0])) for _ in rates)))
    caption = f"{metric_label(report.primary)} on the test '{test}' by missing rate, pattern: {panel_label(*panel)}"
    name = "-".join(slug(part) for part in ("rates", test, *panel) if part)
    return Table(name, f"{test}, {panel_label(*panel)}", caption, ("Model", *map(percent, rates)), tuple(rows), _level(report))


def calibration_table(report: OodReport, panel: Panel) -> Table:
    """Calibration on the IID and the OOD test, as mean over missing rates."""
    kinds = [m for m in CALIBRATION if (report.areas["metric"] == m).any()]
    columns, heads = [], []
    for metric in kinds:
        for test in (IID, OOD):
            columns.append(_column(report, test, metric, panel, "auilc", report.ranked, higher=False))
            heads.append(f"{metric_label(metric)}, {test.upper()}")
    rows: list[tuple[str | Value, ...]] = [(name, *(c[i] for c in columns)) for i, name in enumerate(report.ranked)]
    flat = [
        Value(float(rows_where(report.areas, test=test, metric=m, measure="auilc", pattern=panel[0], setting=panel[1])["constant"].iloc[0]))
        for m in kinds
        for test in (IID, OOD)
    ]
    rows.append((CONSTANT, *flat))
    name = "-".join(slug(part) for part in ("calibration", *panel) if part)
    caption = f"Calibration under shift, mean over rates, pattern: {panel_label(*panel)}"
    return Table(name, f"calibration, {panel_label(*panel)}", caption, ("Model", *heads), tuple(rows), f"{_level(report)} Lower is better.")


def detection_table(report: OodReport, panel: Panel) -> Table:
    """Can the model tell the tests apart: AUROC at the lowest and the highest rate."""
    own = rows_where(report.detection, pattern=panel[0], setting=panel[1])
    rates = sorted({own["rate"].min(), own["rate"].max()})
    rows = []
    for test in dict.fromkeys(own["test"]):
        for name in report.ranked:
            cells: list[str | Value] = [test, name]
            for rate in rates:
                for score in dict.fromkeys(own["score"]):
                    r = records(rows_where(own, test=test, model=name, rate=rate, score=score))[0]
                    mark = "best" if r.low > 0.5 or r.high < 0.5 else ""
                    cells.append(Value(r.auroc, r.low, r.high, mark))
            rows.append(tuple(cells))
    scores = [s.replace("_", " ") for s in dict.fromkeys(own["score"])]
    heads = ("Test", "Model", *(f"{score}, {percent(rate)} missing" for rate in rates for score in scores))
    note = (
        f"AUROC of telling the test from the IID test. {_level(report)} Bold: the interval excludes 0.5, which is chance. Exactly 0.5 for "
        "the energy means that the logits are log-probabilities, whose energy is always 0. The OOD test is drawn from the same "
        "recordings as the IID test, so single utterances may look no different at all."
    )
    name = "-".join(slug(part) for part in ("detection", *panel) if part)
    return Table(name, f"detection, {panel_label(*panel)}", "Detection of what is out of distribution", heads, tuple(rows), note)


def groups_table(report: OodReport, panel: Panel) -> Table:
    """The worst group on complete data."""
    own = rows_where(report.groups, pattern=panel[0], setting=panel[1])
    rate = own["rate"].min()
    rows = []
    for by in dict.fromkeys(own["by"]):
        for name in report.ranked:
            cells: list[str | Value] = [by, name]
            for test in (IID, OOD):
                found = records(rows_where(own, test=test, model=name, by=by, rate=rate))
                cells += [f"{found[0].group} (n {found[0].n})", Value(found[0].accuracy), Value(found[0].overall)] if found else ["", "", ""]
            rows.append(tuple(cells))
    heads = ("By", "Model", *(f"{what}, {test.upper()}" for test in (IID, OOD) for what in ("worst", "its accuracy", "overall")))
    note = "The least of several noisy numbers is too low on average, the more so the smaller the groups."
    name = "-".join(slug(part) for part in ("groups", *panel) if part)
    return Table(name, f"worst groups, {panel_label(*panel)}", f"Worst groups with {percent(rate)} missing", heads, tuple(rows), note)


def tables_of(report: OodReport) -> dict[str, list[Table]]:
    """Every table, by the section that it stands in."""
    shown = report.panels
    shift = [*([divergence_table(report)] if report.parts.measured.ood is not None else [])]
    shift += [moved_table(report)] if report.parts.measured.moved else []
    return {
        "shift": shift,
        "main": [main_table(report, p) for p in shown],
        "gaps": [gaps_table(report, p) for p in shown] if len(report.names) > 2 else [],
        "rates": [rates_table(report, test, p) for p in shown for test in report.names],
        "calibration": [calibration_table(report, p) for p in shown] if set(CALIBRATION) & set(report.areas["metric"]) else [],
        "detection": [detection_table(report, p) for p in shown] if len(report.detection) else [],
        "groups": [groups_table(report, p) for p in shown] if len(report.groups) else [],
    }


def findings(report: OodReport) -> list[Finding]:
    """What came out, in sentences made from the numbers."""
    found = [_shift_finding(report)]
    for panel in report.panels:
        own = rows_where(report.gaps, test=OOD, pattern=panel[0], setting=panel[1], metric=report.primary, measure="auilc")
        flat = own.iloc[0]
        loses = [f"{r.model} {r.gap:+.3f}{bracketed(r.low, r.high)}" for r in records(own) if r.low > 0]
        gains = [f"{r.model} {r.gap:+.3f}{bracketed(r.low, r.high)}" for r in records(own) if r.high < 0]
        text = f"{metric_label(report.primary)}, mean over rates ({panel_label(*panel)}): "
        text += f"worse on the OOD test beyond the interval: {listing(loses, 12)}. " if loses else "no model is worse on the OOD test beyond its interval. "
        text += f"Better beyond the interval: {listing(gains, 12)}. " if gains else ""
        text += f"The constant answer's own gap is {flat.constant_gap:+.3f}: so much the labels alone explain."
        found.append(Finding("IID to OOD", text))
    for one, two in _pairs(report):
        found.append(_pair_finding(report, one, two))
    for label, text in report.causal.items():
        found.append(Finding(f"Causal inference of {label}", f"Chosen on validation: {text}."))
    detected = report.detection[(report.detection["test"] == OOD) & (report.detection["low"] > 0.5)]
    if len(report.detection):
        who = sorted(set(detected["model"]))
        text = f"Energy or confidence tell OOD from IID utterances better than chance, at some missing rate, for {listing(who, 12)}" if who else (
            "No model's energy or confidence tells OOD from IID utterances better than chance, at any missing rate"
        )
        found.append(Finding("Detection", f"{text}.", caution=not who))
    return found


def _shift_finding(report: OodReport) -> Finding:
    m, config = report.parts.measured, report.parts.config
    text = f"Kind {config.kind}, unit {config.unit}, pool {config.pool}. "
    if m.ood is not None and m.times_random is not None and m.random_mean is not None:
        text += (
            f"The word-label association of the OOD test is {m.ood:.2f} from training (squared nats), {m.times_random:.1f} times the mean of "
            f"{m.random_splits} random splits ({m.random_mean:.2f}); that of the IID test {m.iid:.2f}. "
        )
    text += f"Label shift (total variation): training to OOD {m.labels_ood:.3f}, training to IID {m.labels_iid:.3f}, IID to OOD {m.labels_tests:.3f}."
    return Finding("The shifted test", text)


def _pairs(report: OodReport) -> list[tuple[str, str]]:
    """Models with and without causal inference, by their labels."""
    names = report.ranked
    return [(n, n.removesuffix("_maci")) for n in names if n.endswith("_maci") and not n.endswith("_no_maci") and n.removesuffix("_maci") in names] + [
        (n.removesuffix("_no_maci"), n) for n in names if n.endswith("_no_maci") and n.removesuffix("_no_maci") in names
    ]


def _pair_finding(report: OodReport, one: str, two: str) -> Finding:
    parts = []
    for panel in report.panels:
        for test in (IID, OOD):
            own = rows_where(report.areas, test=test, pattern=panel[0], setting=panel[1], metric=report.primary, measure="auilc").set_index("model")
            a, b = own.loc[one], own.loc[two]
            parts.append(f"{test.upper()} {a['mean']:.3f}{bracketed(a['low'], a['high'])} against {b['mean']:.3f}{bracketed(b['low'], b['high'])}")
    return Finding(f"{one} and {two}", f"{metric_label(report.primary)}, mean over rates: {'; '.join(parts)}.")


def _column(
    report: OodReport, test: str, metric: str, panel: Panel, measure: str, models: Sequence[str], *, higher: bool
) -> list[Value]:
    table = report.areas if measure == "auilc" else report.summary
    own = rows_where(table, test=test, pattern=panel[0], setting=panel[1], metric=metric)
    own = rows_where(own, measure="auilc") if measure == "auilc" else own[own["rate"] == own["rate"].min()]
    here = own.set_index("model").loc[list(models)]
    values = [Value(r.mean, r.low, r.high) for r in here[["mean", "low", "high"]].itertuples()]
    return marked(values, higher=higher, ranked=[True] * len(values))


def _gap_column(report: OodReport, test: str, metric: str, panel: Panel, measure: str, models: Sequence[str]) -> list[Value]:
    own = rows_where(report.gaps, test=test, pattern=panel[0], setting=panel[1], metric=metric, measure=measure)
    own = own if measure == "auilc" else own[own["rate"] == own["rate"].min()]
    here = own.set_index("model").loc[list(models)]
    return [Value(r.gap, r.low, r.high, "best" if r.low > 0 or r.high < 0 else "") for r in here[["gap", "low", "high"]].itertuples()]


def _constant(report: OodReport, test: str, metric: str, panel: Panel) -> list[Value]:
    """The constant answer on the IID test and the other one, and its gap, twice: it does not change with the rate."""
    both = [float(rows_where(report.summary, test=t, metric=metric, pattern=panel[0])["constant"].iloc[0]) for t in (IID, test)]
    r = rows_where(report.gaps, test=test, metric=metric, pattern=panel[0]).iloc[0]
    gap = Value(r["constant_gap"], r["constant_low"], r["constant_high"], "best" if r["constant_low"] > 0 or r["constant_high"] < 0 else "")
    return [Value(both[0]), Value(both[1]), gap, Value(both[0]), Value(both[1]), gap]


def _level(report: OodReport) -> str:
    seeds = len(report.facts.seeds)
    return f"Mean over {seeds} training seed{'s' if seeds != 1 else ''}; in brackets {report.facts.level:.0%} intervals."


def about_tests(report: OodReport) -> list[str]:
    """What each test is, and how many utterances it scores."""
    return [f"{r.test}: {capital(r.note)} ({r.n} utterances)" for r in records(report.tests)]
