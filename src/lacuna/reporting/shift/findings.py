"""Findings of a report on shifted tests, as sentences generated from its numbers."""

from __future__ import annotations

from lacuna.reporting.core.frames import Panel, records, rows_where
from lacuna.reporting.core.words import Finding, baseline_label, interval, listing, metric_label, number, panel_label, percent
from lacuna.reporting.robustness.facts import MIN_DIALOGUES
from lacuna.reporting.shift.facts import AREA, IID, OOD, Cut, OodReport
from lacuna.reporting.shift.sets import coverage_findings

MOST = 12  # models named in one sentence


def findings(report: OodReport) -> list[Finding]:
    """Return findings on the shift, the gaps, causal inference and detection."""
    lines = [*_few_dialogues(report), _shift(report)]
    for panel in report.panels:
        lines.append(_losses(report, panel))
        lines += [_pair(report, panel, one, two) for one, two in pairs(report.ranked)]
    lines += [
        Finding(f"Causal inference of {variant}", f"Selected on validation: {text}.") for variant, text in report.causal.items()
    ]
    lines += coverage_findings(report)
    judged = len(report.detection) > 0 and not {IID, OOD} & {*report.few_dialogues}
    return lines + ([_detected(report)] if judged else [])


def pairs(variants: list[str]) -> list[tuple[str, str]]:
    """Return pairs of variants with and without causal inference, by name: ``x_maci`` and ``x``, ``x`` and ``x_no_maci``."""
    without = [(one.removesuffix("_no_maci"), one) for one in variants if one.endswith("_no_maci")]
    within = [(one, one.removesuffix("_maci")) for one in variants if one.endswith("_maci") and not one.endswith("_no_maci")]
    return [(a, b) for a, b in within + without if a in variants and b in variants]


def _few_dialogues(report: OodReport) -> list[Finding]:
    """Return a caution on tests that are too small for intervals."""
    if not report.few_dialogues:
        return []
    counts = listing([f"{test} has {n}" for test, n in report.few_dialogues.items()], MOST)
    text = (
        f"A bootstrap over fewer than {MIN_DIALOGUES} dialogues gives intervals that are too narrow, so none are shown for tests "
        f"with fewer and for gaps to them: {counts}. Do not conclude that a model loses or gains on these tests."
    )
    return [Finding("No intervals", text, caution=True)]


def _shift(report: OodReport) -> Finding:
    m, config = report.parts.measured, report.parts.config
    text = f"Kind {config.kind}, unit {config.unit}, pool {config.pool}. "
    if m.ood is not None and m.iid is not None and m.times_random is not None and m.random_mean is not None:
        text += (
            f"The word-label association of the OOD test differs from training by {m.ood:.2f} squared nats, {m.times_random:.1f} "
            f"times the mean of {m.random_splits} random splits ({m.random_mean:.2f}); that of the IID test by {m.iid:.2f}. "
        )
    text += (
        f"Label shift (total variation): training to OOD {m.labels_ood:.3f}, training to IID {m.labels_iid:.3f}, "
        f"IID to OOD {m.labels_tests:.3f}."
    )
    return Finding("Shift of the OOD test", text)


def _losses(report: OodReport, panel: Panel) -> Finding:
    own = Cut(report.primary, panel).rows(report.gaps, OOD)

    def gap_list(rows: list[tuple[str, float, float, float]]) -> str:
        return listing([f"{name} {number(gap, sign=True)}{_signed(low, high)}" for name, gap, low, high in rows], MOST)

    every = [(str(r.model), float(r.gap), float(r.low), float(r.high)) for r in records(own.reset_index())]
    worse, better = [r for r in every if r[2] > 0], [r for r in every if r[3] < 0]
    text = f"{metric_label(report.primary)}, mean over rates, {panel_label(*panel)}. "
    if {IID, OOD} & {*report.few_dialogues}:
        text += f"Gaps to the OOD test, without intervals: {gap_list(every)}. "
    else:
        text += f"Significantly worse on the OOD test: {gap_list(worse)}. " if worse else (
            "No model is significantly worse on the OOD test. "
        )  # fmt: skip
    text += f"Significantly better: {gap_list(better)}. " if better else ""
    first = own.iloc[0]
    text += (
        f"The gap of the {baseline_label(report.primary)} is {number(float(first['constant_gap']), sign=True)}: the part that "
    )
    text += "label shift alone explains."
    return Finding("IID to OOD", text)


def _pair(report: OodReport, panel: Panel, one: str, two: str) -> Finding:
    parts = []
    own = rows_where(report.comparisons, pattern=panel[0], setting=panel[1], metric=report.primary, measure=AREA)
    for test in (IID, OOD):
        for r in records(rows_where(own, test=test)):
            if {r.model_a, r.model_b} == {one, two}:
                low, high = (r.low, r.high) if r.model_a == one else (-r.high, -r.low)
                value = r.difference if r.model_a == one else -r.difference
                parts.append(f"{test.upper()} {number(value, sign=True)}{_signed(low, high)}")
    text = f"Paired difference in {metric_label(report.primary)}, mean over rates: {'; '.join(parts)}."
    return Finding(f"{one} minus {two}", text)


def _detected(report: OodReport) -> Finding:
    """Return whether the shift is detected at the lowest rate; with all rates, some interval would exclude 0.5 by chance."""
    own = rows_where(report.detection, test=OOD)
    rate = float(own["rate"].min())
    own = rows_where(own, rate=rate).drop_duplicates(["model", "score"])  # complete data are the same under every pattern
    n_tests = int((own["low"] < own["high"]).sum())  # a constant score separates nothing
    detecting = sorted(set(own[own["low"] > 0.5]["model"]))
    text = f"With {percent(rate)} missing, no model's energy or confidence separates OOD from IID utterances better than chance"
    if detecting:
        text = f"With {percent(rate)} missing, energy or confidence separates OOD from IID utterances better than chance for "
        text += listing(detecting, MOST)
    expected = n_tests * (1 - report.facts.level) / 2
    text += f". Each interval is for one comparison: of {n_tests}, about {expected:.1f} are above 0.5 by chance."
    return Finding("Detection of the shift", text, caution=not detecting)


def _signed(low: float, high: float) -> str:
    text = interval(low, high, sign=True)
    return f" ({text})" if text else ""
