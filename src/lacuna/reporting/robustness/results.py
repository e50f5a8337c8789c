"""The results page: findings, tables, run facts and limits as one Markdown document."""

from __future__ import annotations

from lacuna.reporting.core.settings import trials_text, variants_text
from lacuna.reporting.core.table import escape_markdown, to_markdown
from lacuna.reporting.core.words import capital, metric_label, metric_note, pattern_note
from lacuna.reporting.recovery.tables import recovery_tables, unit_notes
from lacuna.reporting.robustness.dynamics import dynamics_tables
from lacuna.reporting.robustness.facts import Report, RunFacts
from lacuna.reporting.robustness.findings import headline
from lacuna.reporting.robustness.tables import all_tables, table_note

MISUSE = (
    "Emotion recognition from text, voice and face is sensitive, and its errors are frequent, more so for people and situations "
    "unlike those of the corpus. Labels are what annotators perceived, not what a person felt. Do not use this software to "
    "judge, select, monitor or manipulate people. In the European Union the AI Act (Regulation 2024/1689) prohibits systems "
    "that infer emotions from voice, face or other biometric data at work and in education, except for medical or safety reasons "
    "(Article 5), treats other emotion recognition as high-risk (Annex III) and requires informing exposed persons (Article 50)."
)
LIMITS = (
    "Weights were selected on the validation split; every number was measured once on the test split.",
    "The missing data are simulated. Real causes of missing data (noise, a covered camera) may correlate with the emotion.",
    "Intervals cover the variation over test dialogues and seeds, not over other corpora, languages, speakers or recordings.",
    "Intervals and p-values are for single comparisons; of many comparisons, some are significant by chance.",
)


def run_lines(report: Report) -> list[tuple[str, str]]:
    """Return the facts of the run as (name, value)."""
    facts = report.facts
    splits = ", ".join(f"{name} {count}" for name, count in facts.splits.items())
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    lines = [
        ("Corpus", facts.corpus),
        ("Target", facts.target + (f" ({', '.join(facts.classes)})" if facts.classes else "")),
        ("Utterances", splits),
        ("Licence of the corpus", facts.licence),
        ("Command", facts.command),
        ("Created", facts.created),
        ("Machine", facts.machine),
        ("Variants", variants_text(report.models)),
        ("Trials on validation", trials_text(report.models)),
        ("Training seeds", ", ".join(map(str, facts.seeds))),
        ("Intervals", "" if report.few_dialogues else f"{facts.level:.0%}, {facts.resamples or 'unknown'} bootstrap resamples"),
        ("Commit", facts.commit),
        ("Versions", versions),
        ("Settings digest", facts.config_digest),
    ]
    return [(name, value) for name, value in lines if value]


def absence_lines(facts: RunFacts) -> list[str]:
    """Return the modalities that the corpus itself lacks, before any simulated removal."""
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
    """Return the results page in Markdown, the same text for the same input.

    Args:
        report: measured results.
    """
    facts = report.facts
    lines = [f"# Results on {escape_markdown(facts.corpus)}", ""]
    lines += [_finding(f.topic, f.text, f.caution) for f in headline(report)]
    lines += ["", "## Run", "", "```", facts.command.replace("```", "'''"), "```", ""]
    lines += [f"- {name}: {escape_markdown(value)}" for name, value in run_lines(report) if name not in ("Corpus", "Command")]
    lines += ["- Selection: on the validation split; the test split was read after training only", ""]
    lines += ["## Metrics and patterns", ""]
    lines += [f"- {metric_label(m)}: {metric_note(m)}." for m in report.metrics if metric_note(m)]
    lines += [f"- `{p}`: {escape_markdown(pattern_note(p))}" for p in dict.fromkeys(report.summary["pattern"]) if pattern_note(p)]
    lines += ["", f"## {metric_label(report.primary)}", "", table_note(report, report.primary), ""]
    for table in all_tables(report, metrics=[report.primary]):
        note = [] if table.note == table_note(report, report.primary) else [table.note, ""]
        lines += [f"**{capital(escape_markdown(table.caption))}.**", "", *note, to_markdown(table)]
    lines += ["Other metrics: the same tables lie in `tables/` beside the report, as CSV, Markdown and LaTeX.", ""]
    lines += _recovery_lines(report)
    for table in dynamics_tables(report):
        lines += [f"## {table.title}", "", f"**{table.caption}.**", "", table.note, "", to_markdown(table)]
    lines += ["## Data", ""]
    lines += [f"- {escape_markdown(line)}" for line in (*absence_lines(facts), *facts.notes)] or ["- no notes"]
    lines += [f"- `{name}` sha256 `{digest}`" for name, digest in sorted(facts.files.items())]
    lines += ["", "## Limits", "", *(f"- {line}" for line in LIMITS), "", MISUSE, ""]
    return "\n".join(lines)


def _recovery_lines(report: Report) -> list[str]:
    """Return the tables of recovery quality; a repeated note is printed once."""
    tables = recovery_tables(report)
    lines = ["## Recovery quality", "", *(f"- {note}" for note in unit_notes(report)), ""] if tables else []
    last_note = ""
    for table in tables:
        lines += [f"**{capital(escape_markdown(table.caption))}.**", "", *([] if table.note == last_note else [table.note, ""])]
        lines.append(to_markdown(table))
        last_note = table.note
    return lines


def _finding(topic: str, text: str, caution: bool) -> str:
    return f"- {'⚠ ' if caution else ''}**{escape_markdown(topic)}.** {escape_markdown(text)}"
