"""What validation said of every label of a training run, as a Markdown table: how settings are chosen. Test is never read.

Usage: ``kedro run --env ENV --pipelines train && python benchmarks/choices.py ENV [--labels a b ...]``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from lacuna.reporting.core.settings import changed, settings_text
from lacuna.training import TrainedRecognizer, load_recognizers


def unusual(runs: Mapping[str, Sequence[TrainedRecognizer]]) -> dict[str, dict[str, Any]]:
    """By label, the training settings that not all labels share."""
    all_settings = {label: own[0].selection.training for label, own in runs.items()}
    names = dict.fromkeys(name for training in all_settings.values() for name in training)
    varied = [name for name in names if len(Counter(repr(t.get(name)) for t in all_settings.values())) > 1]
    return {label: {name: training.get(name) for name in varied} for label, training in all_settings.items()}


def choice_table(recognizers: Sequence[TrainedRecognizer]) -> list[str]:
    """One row a label, the best on validation first."""
    runs: dict[str, list[TrainedRecognizer]] = {}
    for trained in recognizers:
        runs.setdefault(trained.variant, []).append(trained)
    training, metric = unusual(runs), recognizers[0].selection.metric
    lines = [
        f"| label | settings that differ | seeds | {metric} on validation, mean (sd) | best epoch | parameters | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for label, own in sorted(runs.items(), key=lambda item: -mean(t.selection.value for t in item[1])):
        first, chosen = own[0], [t.selection for t in own]
        name = label if label == first.name else f"{label} ({first.name})"
        settings = settings_text(changed(first.model.config) | training[label]) or "none"
        values = [s.value for s in chosen]
        sd = f" ({stdev(values):.4f})" if len(values) > 1 else ""
        epochs = ", ".join(str(s.epoch + 1) for s in chosen)
        cells = [name, settings, str(len(own)), f"{mean(values):.4f}{sd}", epochs, f"{chosen[0].parameters:,}"]
        lines.append(f"| {' | '.join(cells)} | {mean(s.seconds for s in chosen):.0f} |")
    return lines


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", help="environment whose recognisers are read")
    parser.add_argument("--labels", nargs="+", help="only these")
    parser.add_argument("--recognizers", type=Path, help="default: data/06_models/ENV/recognizers")
    given = parser.parse_args()
    known = load_recognizers(given.recognizers or Path(f"data/06_models/{given.env}/recognizers"))
    own = [t for t in known if given.labels is None or t.variant in given.labels]
    if not own:
        parser.error(f"--labels: none was trained; there are: {', '.join(sorted({t.variant for t in known}))}")
    first = own[0].selection
    print(f"`python benchmarks/choices.py {given.env}`; training pattern {first.pattern}, epochs counted from 1.")
    print("Larger is better; selection is by validation alone.\n")
    print("\n".join(choice_table(own)))


if __name__ == "__main__":
    main()
