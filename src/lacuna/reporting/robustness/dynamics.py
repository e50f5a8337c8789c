"""The section on emotion dynamics: change, state and transition scores of dialogues."""

from __future__ import annotations

from lacuna.reporting.core.frames import records, rows_where
from lacuna.reporting.core.table import Table, Value, marked
from lacuna.reporting.core.words import percent
from lacuna.reporting.robustness.facts import MIN_DIALOGUES, Report

HEADS = {
    "change_f1": "Dialogue changes, F1",
    "state_accuracy": "State of a turn, accuracy",
    "state_edit_similarity": "Sequence, edit similarity",
    "transition_macro_f1": "Transitions, macro-F1",
}
NOTE = (
    "Nothing is missing. Changes: whether the emotion of a dialogue changes at all. Sequence: 1 minus the edit distance of "
    "predicted and true emotions, divided by the length. Transitions: pairs of emotions of neighbouring turns that differ, at "
    "the right turn. The formulas reconstruct the tasks of EmoTrans; see the protocol dynamics in the documentation."
)


def dynamics_tables(report: Report) -> list[Table]:
    """Return the table of emotion dynamics; empty if it was not measured."""
    table = report.dynamics
    if table is None:
        return []
    order = {name: index for index, name in enumerate(report.ranked)}
    models = sorted(dict.fromkeys(table["model"]), key=lambda name: order.get(name, len(order)))
    metrics = [metric for metric in HEADS if (table["metric"] == metric).any()]
    values = {(r.model, r.metric): Value(r.mean, r.low, r.high) for r in records(table)}
    columns = []
    for metric in metrics:
        cells = [values[model, metric] for model in models]
        columns.append(marked(cells, higher=True, ranked=[model not in report.references for model in models]))
    first = next(iter(records(rows_where(table, metric=metrics[0]))))
    caption = f"Emotion dynamics of {first.dialogues} test dialogues with {first.turns} labelled turns"
    note = f"{percent(first.changed)} of the turns have another emotion than the turn before. {NOTE}"
    note += "" if not report.few_dialogues else f" No intervals with fewer than {MIN_DIALOGUES} dialogues."
    rows = tuple((model, *cells) for model, *cells in zip(models, *columns, strict=True))
    return [Table("dynamics", "Emotion dynamics", caption, ("Model", *(HEADS[m] for m in metrics)), rows, note)]
