"""What a report on shifted tests found, in sentences made from its numbers."""

from __future__ import annotations

from lacuna.reporting.core.finding import Finding
from lacuna.reporting.core.frames import Panel, records, rows_where
from lacuna.reporting.core.words import interval, listing, metric_label, number, panel_label, percent
from lacuna.reporting.shift.facts import AREA, IID, OOD, Cut, OodReport

MOST = 12  # models that a sentence names


def findings(report: OodReport) -> list[Finding]:
    """The shift, what it costs, what causal inference does to that, and whether it is noticed."""
    found = [_shift(report)]
    for panel in report.panels:
        found.append(_losses(report, panel))
        found += [_pair(report, panel, one, two) for one, two in pairs(report.ranked)]
    found += [Finding(f"Causal inference of {label}", f"Chosen on validation: {text}.") for label, text in report.causal.items()]
    return found + ([_noticed(report)] if len(report.detection) else [])


def pairs(labels: list[str]) -> list[tuple[str, str]]:
    """Models with and without causal inference, as their labels tell: ``x_maci`` and ``x``, ``x`` and ``x_no_maci``."""
    without = [(one.removesuffix("_no_maci"), one) for one in labels if one.endswith("_no_maci")]
    within = [(one, one.removesuffix("_maci")) for one in labels if one.endswith("_maci") and not one.endswith("_no_maci")]
    return [(a, b) for a, b in within + without if a in labels and b in labels]


def _shift(report: OodReport) -> Finding:
    m, config = report.parts.measured, report.parts.config
    text = f"Kind {config.kind}, unit {config.unit}, pool {config.pool}. "
    if m.ood is not None and m.iid is not None and m.times_random is not None and m.random_mean is not None:
        text += (
            f"The word-label association of the OOD test is {m.ood:.2f} from training (squared nats), {m.times_random:.1f} times "
            f"the mean of {m.random_splits} random splits ({m.random_mean:.2f}); that of the IID test is {m.iid:.2f} from it. "
        )
    text += (
        f"Label shift (total variation): training to OOD {m.labels_ood:.3f}, training to IID {m.labels_iid:.3f}, "
        f"IID to OOD {m.labels_tests:.3f}."
    )
    return Finding("The shifted test", text)


def _losses(report: OodReport, panel: Panel) -> Finding:
    own = Cut(report.primary, panel).rows(report.gaps, OOD)

    def told(rows: list[tuple[str, float, float, float]]) -> str:
        return listing([f"{name} {number(gap, sign=True)}{_signed(low, high)}" for name, gap, low, high in rows], MOST)

    every = [(str(r.model), float(r.gap), float(r.low), float(r.high)) for r in records(own.reset_index())]
    worse, better = [r for r in every if r[2] > 0], [r for r in every if r[3] < 0]
    text = f"{metric_label(report.primary)}, mean over rates ({panel_label(*panel)}). "
    text += f"Worse on the OOD test, beyond the interval of the gap: {told(worse)}. " if worse else (
        "No model is worse on the OOD test beyond the interval of its gap. "
    )  # fmt: skip
    text += f"Better beyond it: {told(better)}. " if better else ""
    flat = own.iloc[0]
    text += f"The constant answer's gap is {number(float(flat['constant_gap']), sign=True)}: so much the labels alone explain."
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
    return Finding(f"{one} less {two}", text)


def _noticed(report: OodReport) -> Finding:
    """Judged at the lowest rate alone: with every rate and pattern, some interval would leave chance out by chance."""
    own = rows_where(report.detection, test=OOD)
    rate = float(own["rate"].min())
    own = rows_where(own, rate=rate).drop_duplicates(["model", "score"])  # a rate of 0 is the same under every pattern
    looks = int((own["low"] < own["high"]).sum())  # a score that is the same of everything can tell nothing apart
    who = sorted(set(own[own["low"] > 0.5]["model"]))
    text = f"With {percent(rate)} missing, no model's energy or confidence tells OOD from IID utterances better than chance"
    if who:
        text = f"With {percent(rate)} missing, energy or confidence tell OOD from IID utterances better than chance for "
        text += listing(who, MOST)
    text += f", each interval by itself: of {looks} about {looks * (1 - report.facts.level) / 2:.1f} would lie above by chance."
    return Finding("Is it noticed", text, caution=not who)


def _signed(low: float, high: float) -> str:
    text = interval(low, high, sign=True)
    return f" ({text})" if text else ""
