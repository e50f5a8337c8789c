"""Write the leaderboard of the runs that experiments/measure.py has stored for the files of this folder.

    python experiments/leaderboard/board.py iemocap duet mosi mmmo meld_dev youtube

The page with its figures goes to ``data/08_reporting/leaderboard``; the tables (Markdown, CSV) and ``cost.csv`` (seconds an epoch and
parameters) to this folder. Seeds and corpora that are not measured yet are left out, and the page says so.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measure import joined

from lacuna.evaluation import CEILINGS, Sweep, bootstrap, primary
from lacuna.evaluation.ranks import standing
from lacuna.evaluation.stored_sweeps import sweeps_from_bytes
from lacuna.pipelines.environments import project_of
from lacuna.reporting.leaderboard.page import write_board
from lacuna.reporting.leaderboard.tables import Board, Leaderboard

HERE = Path(__file__).resolve().parent
PROJECT = project_of(HERE)
STORE = PROJECT / "data" / "09_bench" / HERE.name
REMARKS = (
    "Code of commit cdd0fa2; two cores shared with other work, one thread, so seconds are upper bounds.",
    "Three training seeds on IEMOCAP, duet, MOSI, MMMO and YouTube; one on each of the five folds of MELD dev. Intervals of one seed hold no "
    "variance of training. Those that lead on IEMOCAP were trained with five seeds by an earlier version (iemocap_leaders.yml).",
    "Training defaults of every model were compared in a small study on validation (three settings; IEMOCAP, MMMO, one fold of MELD dev), "
    "which changed 11 of 38 models (experiments/defaults). The validation dialogues of that fold are test dialogues of other folds, so "
    "MELD dev is not free of selection for these 11 models. Nothing was tuned for a corpus; experiments/defaults compares eleven pairs of "
    "model and corpus with 32 trials.",
    "The parts and defaults of evidence were chosen on the validation splits of duet (another world) and IEMOCAP, and it was developed for this "
    "project; the other models got no such choice.",
    "MOSI: the text and vision features were fitted on labels of the training videos, so validation cannot choose there.",
    "cider and the models beside it read single utterances; context_gru, evidence and others read whole dialogues.",
)


def stored(corpus: str) -> list[Sweep]:
    """Return the sweeps that every fold of a corpus has."""
    folds = sorted(one for one in (STORE / corpus).glob("*") if one.is_dir())
    names = set.intersection(*({file.name for file in fold.glob("*.sweeps")} for fold in folds))
    parts = [[s for name in sorted(names) for s in sweeps_from_bytes((fold / name).read_bytes(), name)] for fold in folds]
    return sorted(joined(parts), key=lambda sweep: (sweep.model, sweep.seed))


def board_of(corpus: str) -> Board:
    """Return one corpus of the page."""
    sweeps = stored(corpus)
    metric = primary(sweeps[0].target)
    drawn = bootstrap(sweeps, replicates=1000, metrics=[metric])
    seeds = {model: len({s.seed for s in sweeps if s.model == model}) for model in drawn.models}
    references = tuple(m for m in drawn.models if m == "prior" or m in CEILINGS)
    score = standing(drawn, metric, corpus)
    return Board(score, seeds, references, drawn.utterances, sweeps[0].fingerprint, trials=dict.fromkeys(seeds, 1))


def costs(corpora: list[str]) -> pd.DataFrame:
    """Return seconds an epoch and parameters by model and corpus, means over seeds and folds."""
    rows = pd.concat([pd.read_csv(STORE / corpus / "runs.csv").assign(corpus=corpus) for corpus in corpora])
    rows["seconds_an_epoch"] = rows["seconds"] / rows["epochs"].clip(lower=1)
    return rows.groupby(["model", "corpus"])[["parameters", "seconds_an_epoch", "epochs", "valid"]].mean().round(3)


def main() -> None:
    """Write the page and the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+")
    corpora = parser.parse_args().corpora
    page = Leaderboard("models", tuple(board_of(corpus) for corpus in corpora), remarks=REMARKS)
    folder = PROJECT / "data" / "08_reporting" / "leaderboard"
    target = write_board(folder, page, {"command": f"python experiments/leaderboard/board.py {' '.join(corpora)}"})
    for file in folder.glob("*.csv"):
        shutil.copy(file, HERE / file.name)
    before, _, after = (folder / "leaderboard.md").read_text("utf-8").partition("## Pairwise tests")
    limits = after[after.index("## Limits") :]
    (HERE / "results.md").write_text(
        f"{before}Tests of all pairs are in pairs.csv, seconds and parameters in cost.csv.\n\n{limits}", "utf-8"
    )
    costs(corpora).to_csv(HERE / "cost.csv")
    print(target)  # noqa: T201


if __name__ == "__main__":
    main()
