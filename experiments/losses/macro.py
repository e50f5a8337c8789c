"""Run a study of this folder as experiments/evidence/measure.py does, with macro-F1 as the first metric.

python experiments/losses/macro.py experiments/losses/meld_dev_gru.yml
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evidence"))

import measure

from lacuna.corpus import Corpus
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.pipelines.parameters import Features, Ingest


def read(ingest: Ingest, *_: object) -> Corpus:
    """Return the corpus of an environment without recordings."""
    return read_source(ingest, Features(), [])


measure.METRICS = ("macro_f1", "weighted_f1", "accuracy", "log_loss", "ece")
measure.read_source = read
measure.main()
