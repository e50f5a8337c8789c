"""How settings are chosen: a table of the validation metric of every variant. The test split is not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from lacuna.reporting.core.settings import changed, settings_text
from lacuna.training import TrainedRecognizer


def choices_page(name: str, recognizers: Sequence[TrainedRecognizer], command: str) -> str:
    """Return a Markdown page that ranks variants by their validation metric.

    Args:
        name: of the study.
        recognizers: of every variant and seed.
        command: that trains them.
    """
    first = recognizers[0].selection
    about = f"`{command}`; training pattern {first.pattern}, epochs counted from 1. Larger is better; the test split is not read."
    return "\n".join([f"# Choices: {name}", "", about, "", *choice_table(recognizers), ""])


def choice_table(recognizers: Sequence[TrainedRecognizer]) -> list[str]:
    """Return a Markdown table with one row a variant, the best on validation first."""
    runs: dict[str, list[TrainedRecognizer]] = {}
    for trained in recognizers:
        runs.setdefault(trained.variant, []).append(trained)
    training, metric = _varied(runs), recognizers[0].selection.metric
    heads = ["variant", "settings that differ", "trials", "seeds", f"{metric} on validation, mean (sd)"]
    heads += ["best epoch", "parameters", "seconds"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for variant, own in sorted(runs.items(), key=lambda item: -mean(t.selection.value for t in item[1])):
        first, chosen = own[0], [t.selection for t in own]
        title = variant if variant == first.name else f"{variant} ({first.name})"
        settings = settings_text(changed(first.model.config) | training[variant]) or "none"
        values = [s.value for s in chosen]
        sd = f" ({stdev(values):.4f})" if len(values) > 1 else ""
        epochs = ", ".join(str(s.epoch + 1) for s in chosen)
        numbers = [str(chosen[0].trials), str(len(own)), f"{mean(values):.4f}{sd}"]
        cells = [title, settings, *numbers, epochs, f"{chosen[0].parameters:,}"]
        lines.append(f"| {' | '.join(cells)} | {mean(s.seconds for s in chosen):.0f} |")
    return lines


def _varied(runs: Mapping[str, Sequence[TrainedRecognizer]]) -> dict[str, dict[str, Any]]:
    """Return by variant the training settings that are not the same for all variants."""
    all_settings = {variant: own[0].selection.training for variant, own in runs.items()}
    names = dict.fromkeys(name for training in all_settings.values() for name in training)
    varied = [name for name in names if len(Counter(repr(t.get(name)) for t in all_settings.values())) > 1]
    return {variant: {name: training.get(name) for name in varied} for variant, training in all_settings.items()}
