"""The results page: one Markdown document that says what was run, what came out, and what not to conclude."""

from __future__ import annotations

from lacuna.reporting.core.table import escape_markdown, to_markdown
from lacuna.reporting.core.variants import variants_text
from lacuna.reporting.core.words import capital, metric_label, metric_note, pattern_note
from lacuna.reporting.recovery.tables import recovery_tables, unit_notes
from lacuna.reporting.robustness.facts import Report, RunFacts
from lacuna.reporting.robustness.findings import headline
from lacuna.reporting.robustness.tables import all_tables, how

MISUSE = (
    "Guessing emotions from words, voice and face is sensitive, and these guesses are often wrong, more so for people and "
    "situations unlike those of the corpus. Labels are what annotators perceived, not what a person felt. Do not use this to "
    "judge, select, monitor or manipulate people. In the European Union the AI Act (Regulation 2024/1689) prohibits systems "
    "that infer emotions from voice, face or other biometric data at work and in education, except for medical or safety reasons "
    "(Article 5), treats other emotion recognition as high-risk (Annex III) and asks to inform those exposed to it (Article 50)."
)
LIMITS = (
    "Weights were selected on the validation split; every number here was measured once on the test split.",
    "The missing data are simulated. Real loss has causes (a noisy room, a covered camera) that may go along with the emotion.",
    "Intervals cover the test dialogues and seeds that were drawn, not other corpora, languages, speakers or recordings.",
    "p-values and intervals are for single comparisons; among many, some will look certain by chance.",
)


def run_lines(report: Report) -> list[tuple[str, str]]:
    """The run's facts as (name, value), in the order in which a reader asks for them."""
    facts = report.facts
    splits = ", ".join(f"{name} {count}" for name, count in facts.splits.items())
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    lines = [
        ("Corpus", facts.corpus),
        ("Target", facts.target + (f" ({', '.join(facts.classes)})" if facts.classes else "")),
        ("Utterances", splits),
        ("Licence of the corpus", facts.licence),
        ("Command", facts.command),
        ("Made", facts.created),
        ("Machine", facts.machine),
        ("Models with settings of their own", variants_text(report.models)),
        ("Training seeds", ", ".join(map(str, facts.seeds))),
        ("Intervals", f"{facts.level:.0%}" + (f", {facts.resamples} bootstrap resamples" if facts.resamples else "")),
        ("Commit", facts.commit),
        ("Versions", versions),
        ("Settings digest", facts.config_digest),
    ]
    return [(name, value) for name, value in lines if value]


def absence_lines(facts: RunFacts) -> list[str]:
    """What the corpus itself lacks, before anything is removed."""
    lines = []
    for modality, by_split in facts.absences.items():
        parts = [
            f"{count} of {facts.splits[split]} in {split}" if split in facts.splits else f"{count} in {split}"
            for split, count in by_split.items()
            if count
        ]
        lines.append(f"{modality}: absent from {', '.join(parts)} utterances" if parts else f"{modality}: never absent")
    return lines


def results_page(report: Report) -> str:
    """A complete Markdown page, the same text for the same input.

    Args:
        report: what was measured.
    """
    facts = report.facts
    lines = [f"# Results on {escape_markdown(facts.corpus)}", ""]
    lines += [_finding(f.topic, f.text, f.caution) for f in headline(report)]
    lines += ["", "## What was run", "", "```", facts.command.replace("```", "'''"), "```", ""]
    lines += [f"- {name}: {escape_markdown(value)}" for name, value in run_lines(report) if name not in ("Corpus", "Command")]
    lines += ["- Selection: on the validation split; the test split was read after training only", ""]
    lines += ["## How to read the numbers", ""]
    lines += [f"- {metric_label(m)}: {metric_note(m)}." for m in report.metrics if metric_note(m)]
    lines += [f"- `{p}`: {escape_markdown(pattern_note(p))}" for p in dict.fromkeys(report.summary["pattern"]) if pattern_note(p)]
    lines += ["", f"## {metric_label(report.primary)}", "", how(report, report.primary), ""]
    for table in all_tables(report, metrics=[report.primary]):
        note = [] if table.note == how(report, report.primary) else [table.note, ""]
        lines += [f"**{capital(escape_markdown(table.caption))}.**", "", *note, to_markdown(table)]
    lines += ["Other metrics: the same tables lie in `tables/` beside the report, as CSV, Markdown and LaTeX.", ""]
    lines += _recovered(report)
    lines += ["## Data", ""]
    lines += [f"- {escape_markdown(line)}" for line in (*absence_lines(facts), *facts.notes)] or ["- nothing to note"]
    lines += [f"- `{name}` sha256 `{digest}`" for name, digest in sorted(facts.files.items())]
    lines += ["", "## Limits", "", *(f"- {line}" for line in LIMITS), "", MISUSE, ""]
    return "\n".join(lines)


def _recovered(report: Report) -> list[str]:
    """The tables of what was recovered; a note that holds for several stands before the first."""
    tables = recovery_tables(report)
    lines = ["## What was recovered", "", *(f"- {note}" for note in unit_notes(report)), ""] if tables else []
    said = ""
    for table in tables:
        lines += [f"**{capital(escape_markdown(table.caption))}.**", "", *([] if table.note == said else [table.note, ""])]
        lines.append(to_markdown(table))
        said = table.note
    return lines


def _finding(topic: str, text: str, caution: bool) -> str:
    return f"- {'⚠ ' if caution else ''}**{escape_markdown(topic)}.** {escape_markdown(text)}"
