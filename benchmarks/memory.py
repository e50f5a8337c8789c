"""Memory while training, against the size of the corpus: it should not grow with the frames, and hardly with the index.

Each size gets two processes of its own: one streams a made-up corpus to disk, the other opens it, takes statistics and trains
one epoch, while a thread reads ``/proc/self/status``. Anonymous memory is what a machine must really have; file-backed memory
is pages of the corpus that the system can drop at any time.

    python benchmarks/memory.py --sizes 10000 1000000 --model mlp
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

DIMS = {"text": 32, "audio": 16, "vision": 16}
TURNS, CLASSES, PIECE = 20, 4, 1000  # turns of a dialogue, emotions, dialogues written at a time


def make(folder: Path, utterances: int) -> None:
    """Stream a corpus to disk in which the emotion shifts the mean of every modality."""
    import numpy as np
    import pyarrow as pa

    from lacuna.corpus import Corpus, CorpusWriter, Frames, Modality, Target, Utterances

    rng = np.random.default_rng(0)
    centres = {m: rng.normal(size=(CLASSES, dim)).astype(np.float32) for m, dim in DIMS.items()}
    dialogues = utterances // TURNS
    with CorpusWriter(folder) as writer:
        for low in range(0, dialogues, PIECE):
            names = range(low, min(low + PIECE, dialogues))
            n = len(names) * TURNS
            code, turn = np.repeat(np.arange(len(names)), TURNS), np.tile(np.arange(TURNS), len(names))
            emotion = rng.integers(0, CLASSES, n)
            every, one = np.arange(n), np.ones(n, np.int64)
            frames = {
                m: Frames((centres[m][emotion] + 2 * rng.standard_normal((n, dim))).astype(np.float32), every, one)
                for m, dim in DIMS.items()
            }
            table = Utterances(
                id=pa.array([f"d{d}_{t}" for d in names for t in range(TURNS)], pa.large_string()),
                dialogue=code,
                turn=turn,
                speaker=turn % 2,
                split=np.array([0 if d % 10 < 8 else d % 10 - 7 for d in names])[code],
                labels={"emotion": emotion},
                dialogue_names=pa.array([f"d{d}" for d in names], pa.large_string()),
                speaker_names=pa.array(["a", "b"], pa.large_string()),
            )
            modalities = tuple(Modality(m, dim) for m, dim in DIMS.items())
            target = Target("emotion", "classification", tuple("abcd"))
            writer.append(Corpus("made-up", modalities, (target,), table, frames))


class Watch(threading.Thread):
    """The largest anonymous and file-backed resident memory of this process, in MiB, sampled every 10 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = {"RssAnon": 0.0, "RssFile": 0.0}
        self.over = threading.Event()

    def look(self) -> dict[str, float]:
        """What it is now."""
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return {name: int(fields[name].split()[0]) / 1024 for name in self.peak}

    def run(self) -> None:
        """Sample until told to stop."""
        while not self.over.wait(0.01):
            for name, value in self.look().items():
                self.peak[name] = max(self.peak[name], value)


def train(folder: Path, model: str, batch_size: int) -> dict[str, Any]:
    """Train one epoch and tell what it took."""
    import torch

    from lacuna.corpus import open_corpus
    from lacuna.corpus.statistics import fit_statistics
    from lacuna.training import Recipe, TrainingConfig, fit

    watch = Watch()
    before = watch.look()
    watch.start()
    started = time.perf_counter()
    corpus = open_corpus(folder)
    opened = time.perf_counter()
    statistics = fit_statistics(corpus)
    fitted = time.perf_counter()
    splits = corpus.only("train"), corpus.only("valid")
    schema = corpus.schema()
    config = TrainingConfig(epochs=1, batch_size=batch_size, pattern="rmm", rates=(0.0, 0.3, 0.6), threads=1)
    history = fit(Recipe(model, schema, *splits, statistics, config)).history
    ended = time.perf_counter()
    watch.over.set()
    watch.join()
    return {
        "utterances": len(corpus),
        "model": model,
        "batch_size": batch_size,
        "anonymous_mib": round(watch.peak["RssAnon"], 1),
        "file_backed_mib": round(watch.peak["RssFile"], 1),
        "anonymous_before_mib": round(before["RssAnon"], 1),
        "file_backed_before_mib": round(before["RssFile"], 1),
        "features_mib": round(sum(4 * f.values.size for f in corpus.frames.values()) / 2**20, 1),
        "seconds": {
            "open": round(opened - started, 2),
            "statistics": round(fitted - opened, 2),
            "train": round(ended - fitted, 2),
            "epoch": round(history[0]["seconds"], 2),
        },
        "utterances_per_second": round(len(splits[0]) / history[0]["seconds"]),
        "valid_weighted_f1": round(history[0]["weighted_f1"], 4),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def main() -> None:
    """Run every size in processes of its own and print one JSON object a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(given.make, given.sizes[0])
    elif given.train:
        print(json.dumps(train(given.train, given.model, given.batch_size)))
    else:
        for size in given.sizes:
            with tempfile.TemporaryDirectory() as folder:
                common = ["--sizes", str(size), "--model", given.model, "--batch-size", str(given.batch_size)]
                for part in ("--make", "--train"):
                    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                    subprocess.run([sys.executable, __file__, part, folder, *common], check=True, env=environment)


if __name__ == "__main__":
    main()
