"""The report on shifted tests: a self-contained HTML page, a results page in Markdown, and tables in three formats."""

from __future__ import annotations

import json
from pathlib import Path

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lacuna.atomic import write_text
from lacuna.reporting.core.html import Plot, environment, read_part, script_json
from lacuna.reporting.core.style import GREY, SCALES, template
from lacuna.reporting.core.table import Table, escape_markdown, to_csv, to_latex, to_markdown
from lacuna.reporting.core.variants import variants_text
from lacuna.reporting.core.words import CONSTANT, capital, metric_label, metric_note, panel_label
from lacuna.reporting.robustness.results import LIMITS, MISUSE
from lacuna.reporting.shift.facts import IID, OodReport, about_tests
from lacuna.reporting.shift.figures import curves, detection, gaps, looks_of
from lacuna.reporting.shift.findings import findings
from lacuna.reporting.shift.tables import tables_of

PAGE = "shift/page.html"
SECTIONS = {
    "shift": ("How far the test is shifted", ""),
    "main": ("IID and OOD", ""),
    "gaps": ("Every test against the IID test", ""),
    "calibration": ("Calibration under shift", ""),
    "detection": ("Is the shift noticed", ""),
    "groups": ("Worst groups", ""),
    "rates": ("By missing rate", ""),
}
ANY_LIMITS = (
    "The OOD test is made by a search over one property of one corpus. It is harder in that property only, and no model of how "
    "the world changes.",
    "The divergence counts a word that moves either way. A test can be far from training and yet no harder, where words move "
    "that no model relies on, or move towards what models expect.",
)
TEST_LIMIT = "IID and OOD test are small parts of one test split; intervals are wide, and are read before means."
LONG = ("divergences", "tests", "summary", "areas", "gaps", "groups", "detection", "comparisons")


def write_ood_report(folder: Path, report: OodReport) -> Path:
    """Write ``results.md``, ``tables/`` and the page, which comes last; tables of earlier runs are swept.

    Args:
        folder: made if needed.
        report: what to write.

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
        write(folder / "tables" / f"long-{name}.csv", getattr(report, name).to_csv(index=False, lineterminator="\n"))
    for path in (folder / "tables").glob("*.*"):
        if path not in written:
            path.unlink(missing_ok=True)
    write_text(folder / "results.md", ood_results(report))
    write_text(folder / PAGE, ood_html(report))
    return folder / PAGE


def ood_results(report: OodReport) -> str:
    """The results page in Markdown."""
    facts, tables = report.facts, tables_of(report)
    lines = [f"# Out of distribution: {escape_markdown(facts.corpus)}", ""]
    lines += [f"- {'⚠ ' if f.caution else ''}**{escape_markdown(f.topic)}.** {escape_markdown(f.text)}" for f in findings(report)]
    lines += ["", "## What was run", "", "```", facts.command.replace("```", "'''"), "```", ""]
    lines += [f"- {name}: {escape_markdown(value)}" for name, value in run_lines(report) if name != "Command"]
    lines += ["- Selection: on the validation split; both tests were read after training only", ""]
    lines += ["## The tests", "", *(f"- {escape_markdown(line)}" for line in about_tests(report)), ""]
    lines += ["## How to read the numbers", "", *(f"- {line}" for line in reading(report)), ""]
    for section, (title, _) in SECTIONS.items():
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
    """How to read the numbers, a line each."""
    metrics = [m for m in (report.primary, "ece", "brier", "log_loss") if (report.summary["metric"] == m).any()]
    return [
        *(f"{metric_label(m)}: {metric_note(m)}." for m in dict.fromkeys(metrics)),
        "For the interval of a gap, dialogues that two tests share are drawn together, others apart, and so are training seeds.",
        "The gap of the constant answer is what a shift of labels alone explains.",
    ]


def limits_of(report: OodReport) -> tuple[str, ...]:
    """What the numbers do not tell; of small tests only where both come from the corpus's own one."""
    return (*ANY_LIMITS, *([TEST_LIMIT] if report.parts.config.pool == "test" else []), *LIMITS)


def run_lines(report: OodReport) -> list[tuple[str, str]]:
    """The run's facts as (name, value)."""
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
        ("Made", facts.created),
        ("Machine", facts.machine),
        ("Models with settings of their own", variants_text(report.models)),
        ("Training seeds", ", ".join(map(str, facts.seeds))),
        ("Intervals", f"{facts.level:.0%}, {facts.resamples} bootstrap resamples"),
        ("Commit", facts.commit),
        ("Versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())),
        ("Settings digest", facts.config_digest),
    ]
    return [(name, value) for name, value in lines if value]


def ood_html(report: OodReport) -> str:
    """The page: figures, every table, and where the numbers come from."""
    looks = looks_of(report)
    plots = _plots(report)
    data = {
        "figures": [json.loads(p.figure.to_json()) for p in plots],
        "groups": [p.group for p in plots],
        "templates": {theme: template(theme) for theme in ("light", "dark")},
        "scales": SCALES,
        "hidden": [name for name in report.names[4:] if name != IID],
        "file": f"{report.facts.corpus}-ood",
    }
    for figure in data["figures"]:
        figure["layout"].pop("template", None)
    tables: dict[str, list[Table]] = tables_of(report)
    return environment().get_template("shift/page.html").render(
        title=f"{report.facts.corpus}: {report.facts.target} out of distribution",
        facts=report.facts,
        findings=findings(report),
        tests=about_tests(report),
        reading=reading(report),
        plots=list(enumerate(plots)),
        sections=[(key, title) for key, (title, _) in SECTIONS.items() if tables[key]],
        tables=tables,
        legend=list(looks.items()),
        constant=(CONSTANT, GREY),
        run=run_lines(report),
        limits=limits_of(report),
        misuse=MISUSE,
        css=Markup(read_part("core/page.css")),
        js=Markup(read_part("core/page.js")),
        plotly=Markup(get_plotlyjs()),
        data=Markup(script_json(data)),
    )  # fmt: skip


def _plots(report: OodReport) -> list[Plot]:
    plots, looks = [], looks_of(report)
    for panel in report.panels:
        words = capital(panel_label(*panel))
        plots.append(
            Plot(
                "main",
                words,
                curves(report, panel, looks),
                "Bands: intervals of the IID and the OOD test. Dashed grey: the constant answer on the OOD test.",
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
