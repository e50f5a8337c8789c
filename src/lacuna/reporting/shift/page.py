"""The report on shifted tests: a self-contained HTML page, a results page in Markdown, and tables in three formats."""

from __future__ import annotations

from pathlib import Path

from lacuna.atomic import write_text
from lacuna.reporting.core.html import Plot, environment, page_parts
from lacuna.reporting.core.settings import trials_text, variants_text
from lacuna.reporting.core.style import GREY
from lacuna.reporting.core.table import Table, escape_markdown, to_csv, to_latex, to_markdown
from lacuna.reporting.core.words import baseline_label, capital, metric_label, metric_note, panel_label
from lacuna.reporting.robustness.results import LIMITS, MISUSE
from lacuna.reporting.shift.facts import IID, OOD, OodReport, about_tests
from lacuna.reporting.shift.figures import curves, detection, gaps, looks_of
from lacuna.reporting.shift.findings import findings
from lacuna.reporting.shift.tables import tables_of
from lacuna.text import csv_text

PAGE = "ood.html"
SECTIONS = {
    "shift": "Size of the shift",
    "main": "IID and OOD scores",
    "gaps": "Gaps to the IID test",
    "calibration": "Calibration under shift",
    "sets": "Prediction sets under shift",
    "detection": "Detection of the shift",
    "groups": "Worst groups",
    "rates": "Scores by missing rate",
}
ANY_LIMITS = (
    "The OOD test is the result of a search over one property of one corpus. It differs in that property only and does not "
    "represent shifts in real use.",
    "The divergence counts changes of a word in either direction. A test with a large divergence need not be harder: models may "
    "not rely on the changed words, or they may change towards what models expect.",
)
TEST_LIMIT = "IID and OOD tests are small parts of one test split, so intervals are wide; read the intervals before the means."
LONG = ("divergences", "tests", "summary", "areas", "gaps", "groups", "detection", "comparisons", "sets")


def write_ood_report(folder: Path, report: OodReport) -> Path:
    """Write ``results.md``, ``tables/`` and the page, which is written last; tables of earlier runs are deleted.

    Args:
        folder: created if needed.
        report: content.

    Returns:
        Path of the page.
    """
    written: set[Path] = set()

    def write(path: Path, text: str) -> None:
        write_text(path, text)
        written.add(path)

    for table in [table for tables in tables_of(report).values() for table in tables]:
        stem = folder / "tables" / table.name
        write(stem.with_name(f"{table.name}.csv"), to_csv(table))
        write(stem.with_name(f"{table.name}.md"), f"{table.caption}. {table.note}\n\n{to_markdown(table)}")
        write(stem.with_name(f"{table.name}.tex"), to_latex(table))
    for name in LONG:
        write(folder / "tables" / f"long-{name}.csv", csv_text(getattr(report, name)))
    for path in (folder / "tables").glob("*.*"):
        if path not in written:
            path.unlink(missing_ok=True)
    write_text(folder / "results.md", ood_results(report))
    write_text(folder / PAGE, ood_html(report))
    return folder / PAGE


def ood_results(report: OodReport) -> str:
    """Return the results page in Markdown."""
    facts, tables = report.facts, tables_of(report)
    lines = [f"# Out of distribution: {escape_markdown(facts.corpus)}", ""]
    lines += [f"- {'⚠ ' if f.caution else ''}**{escape_markdown(f.topic)}.** {escape_markdown(f.text)}" for f in findings(report)]
    lines += ["", "## Run", "", "```", facts.command.replace("```", "'''"), "```", ""]
    lines += [f"- {name}: {escape_markdown(value)}" for name, value in run_lines(report) if name != "Command"]
    lines += ["- Selection: on the validation split; both tests were read after training only", ""]
    lines += ["## Tests", "", *(f"- {escape_markdown(line)}" for line in about_tests(report)), ""]
    lines += ["## Metrics", "", *(f"- {line}" for line in reading(report)), ""]
    for section, title in SECTIONS.items():
        if tables[section]:
            lines += [f"## {title}", ""]
            for table in tables[section]:
                lines += [
                    f"**{capital(escape_markdown(table.caption))}.**",
                    "",
                    escape_markdown(table.note),
                    "",
                    to_markdown(table),
                ]
    lines += ["Other metrics and all rates: `tables/` beside the report.", "", "## Data", ""]
    lines += [f"- {escape_markdown(note)}" for note in facts.notes]
    lines += [f"- `{name}` sha256 `{digest}`" for name, digest in sorted(facts.files.items())]
    lines += ["", "## Limits", "", *(f"- {line}" for line in limits_of(report)), "", MISUSE, ""]
    return "\n".join(lines)


def reading(report: OodReport) -> list[str]:
    """Return explanations of the numbers, one line each."""
    metrics = [m for m in (report.primary, "ece", "brier", "log_loss") if (report.summary["metric"] == m).any()]
    return [
        *(f"{metric_label(m)}: {metric_note(m)}." for m in dict.fromkeys(metrics)),
        "For the interval of a gap, dialogues that two tests share are resampled together; other dialogues and training "
        "seeds are resampled independently.",
        f"The gap of the {baseline_label(report.primary)} is the part that label shift alone explains.",
    ]


def limits_of(report: OodReport) -> tuple[str, ...]:
    """Return the limits of the numbers; the limit of small tests only if both parts come from the test split."""
    return (*ANY_LIMITS, *([TEST_LIMIT] if report.parts.config.pool == "test" else []), *LIMITS)


def run_lines(report: OodReport) -> list[tuple[str, str]]:
    """Return the facts of the run as (name, value)."""
    facts, config = report.facts, report.parts.config
    lines = [
        ("Corpus", facts.corpus),
        ("Target", facts.target + (f" ({', '.join(facts.classes)})" if facts.classes else "")),
        ("Utterances", ", ".join(f"{part} {len(ids)}" for part, ids in report.parts.parts.items())),
        (
            "Repartition",
            f"{config.kind}, unit {config.unit}, pool {config.pool}, budget {config.budget:g}, {config.steps} swaps proposed, "
            f"seed {config.seed}",
        ),
        ("Licence of the corpus", facts.licence),
        ("Command", facts.command),
        ("Created", facts.created),
        ("Machine", facts.machine),
        ("Variants", variants_text(report.models)),
        ("Trials on validation", trials_text(report.models)),
        ("Training seeds", ", ".join(map(str, facts.seeds))),
        ("Intervals", f"{facts.level:.0%}, {facts.resamples} bootstrap resamples"),
        ("Commit", facts.commit),
        ("Versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())),
        ("Settings digest", facts.config_digest),
    ]
    return [(name, value) for name, value in lines if value]


def ood_html(report: OodReport) -> str:
    """Return the HTML page with figures, all tables and provenance."""
    looks = looks_of(report)
    plots = _plots(report)
    tables: dict[str, list[Table]] = tables_of(report)
    return environment().get_template("shift/page.html").render(
        **page_parts(plots, file=f"{report.facts.corpus}-ood", shown=[IID, *(n for n in report.names[:4] if n != IID)]),
        title=f"{report.facts.corpus}: {report.facts.target} out of distribution",
        facts=report.facts,
        findings=findings(report),
        tests=about_tests(report),
        reading=reading(report),
        sections=[(key, title) for key, title in SECTIONS.items() if tables[key]],
        tables=tables,
        legend=list(looks.items()),
        baseline=(baseline_label(report.primary), GREY),
        run=run_lines(report),
        limits=limits_of(report),
        misuse=MISUSE,
    )  # fmt: skip


def _plots(report: OodReport) -> list[Plot]:
    plots, looks = [], looks_of(report)
    bands = "" if {IID, OOD} <= {*report.few_dialogues} else "Bands: intervals of the IID and the OOD test. "
    for panel in report.panels:
        words = capital(panel_label(*panel))
        plots.append(
            Plot(
                "main",
                words,
                curves(report, panel, looks),
                f"{bands}Dashed grey: the baseline on the OOD test.",
                wide=True,
            )
        )
        plots.append(
            Plot("gaps", words, gaps(report, panel, looks), "Right of the dashed line: worse than on the IID test.", wide=True)
        )
        for score in dict.fromkeys(report.detection["score"]) if len(report.detection) else ():
            plots.append(
                Plot("detection", score.replace("_", " "), detection(report, panel, score, looks), "The dashed line is chance.")
            )
    return plots
