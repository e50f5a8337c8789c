"""A study in a few lines of plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import optuna

from lacuna.errors import ConfigError
from lacuna.tuning.owners import living
from lacuna.tuning.place import Place, open_database, open_journal
from lacuna.tuning.results import best_of, states, trials_table


def summaries(storage: str, name: str | None = None) -> Iterator[str]:
    """How each study of a storage stands: trials by state, reasons of failures, the best one.

    Args:
        storage: path of a journal, or a URL.
        name: of a study; ``None`` = all.

    Raises:
        ConfigError: there is no such storage or study.
        DataError: the journal is damaged.
    """
    path, found = Path(storage), "://" in storage
    if not found and not path.is_file():
        hint = "name a journal (data/06_models/<run>/studies/<name>.journal) or a URL"
        raise ConfigError(f"there is no study at {storage}\n  do: {hint}")
    base = open_database(storage) if found else open_journal(path)
    names = optuna.get_all_study_names(base)
    if not names or (name is not None and name not in names):
        raise ConfigError(f"{storage} holds no study {name or ''}\n  there are: {', '.join(names) or 'none'}")
    for one in [name] if name else names:
        workers = [] if found else living(Place(path.with_suffix(""), one).folder)
        yield summary(optuna.load_study(study_name=one, storage=base), len(workers))


def summary(study: optuna.Study, workers: int = 0) -> str:
    """One study in words.

    Args:
        study: any.
        workers: processes that are at it now.
    """
    count, table = states(study), trials_table(study)
    lines = [f"study: {study.study_name}", "trials: " + ", ".join(f"{number} {state}" for state, number in count.items())]
    if workers:
        lines.append(f"workers: {workers}")
    if count["fail"]:
        told = table.loc[table["state"] == "fail", "reason"].str.partition("\n")[0]
        reasons = Counter(told.replace("", "no reason was recorded"))
        lines += ["failures:", *(f"  {number} x {reason}" for reason, number in reasons.most_common(8))]
    if count["complete"]:
        best = best_of(study)
        own = table[table["warm"] & (table["state"] == "complete")]["value"]
        lines.append(f"best: trial {best.number}, {best.value:.4f} on validation")
        lines += [f"own settings: {own.iloc[0]:.4f}"] if len(own) else []
        lines += [f"  {name}: {value}" for name, value in [*best.settings.items(), *best.training.items()]]
    return "\n".join(lines)
