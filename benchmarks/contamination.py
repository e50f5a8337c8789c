"""The contamination check on generated corpora, clean and fitted on labels, and on real corpora; prints Markdown.

    python benchmarks/contamination.py
    LACUNA_SHARED_DATA=<folder> python benchmarks/contamination.py --real     # needs the weights of MiniLM

Generated: 200 clean corpora, duet with other seeds, sizes, separations and strengths of the signal, and 200 corpora in which the
features of the same corpora were fitted on the training labels: kernel ridge regression from the clean features to the classes,
weakly or strongly regularised; its outputs, projected to 16 columns with noise, replace the features.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lacuna import load_corpus
from lacuna.corpus import Corpus
from lacuna.corpus.contamination import ProbeCheck, check_contamination, frame_means, probe
from lacuna.synthetic.duet import generate, preset
from machine import machine

N_CORPORA = 200
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # of the kernel ridge regression; smaller: more is memorised


@dataclass(frozen=True)
class Part:
    """Features of one modality of a corpus, with what the check needs: see :func:`lacuna.corpus.contamination.probe`."""

    train: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    test: NDArray[np.float64]
    test_groups: NDArray[np.int64]

    def check(self, name: str) -> ProbeCheck | None:
        """Return the check."""
        return probe(name, self.train, self.labels, self.groups, test=self.test, test_groups=self.test_groups)


def settings_of(number: int) -> dict[str, object]:
    """Return settings of duet: every fifth corpus is tiny."""
    rng = np.random.default_rng([7, number])
    channels = {m: {"separation": float(rng.uniform(0.5, 3.0))} for m in ("audio", "vision")}
    dialogues = int(rng.integers(8, 20) if number % 5 == 0 else rng.integers(20, 200))
    return {"dialogues": dialogues, "seed": number, "turns": [2, int(rng.integers(4, 20))], **channels}


def part_of(corpus: Corpus, modality: str) -> Part:
    """Return the features of one modality."""
    u = corpus.utterances
    rows, test_rows = np.flatnonzero(u.split == 0), np.flatnonzero(u.split == 2)
    train, kept = frame_means(corpus, modality, rows)
    test, kept_test = frame_means(corpus, modality, test_rows)
    labels = u.labels[corpus.target().name][rows[kept]].astype(np.int64)
    return Part(train, labels, u.dialogue[rows[kept]], test, u.dialogue[test_rows[kept_test]])


def fitted(part: Part, penalty: float, seed: int) -> Part:
    """Return the part with features of a kernel ridge regression that was fitted on its training labels."""
    rng = np.random.default_rng(seed)
    scale = part.train.std(axis=0) + 1e-9
    train, test = part.train / scale, part.test / scale
    one_hot = np.eye(part.labels.max() + 1)[part.labels]
    weights = np.linalg.solve(_kernel(train, train) + penalty * np.eye(len(train)), one_hot - one_hot.mean(axis=0))
    directions = rng.normal(size=(one_hot.shape[1], 16))
    columns = [_kernel(x, train) @ weights @ directions for x in (train, test)]
    noise = 0.1 * np.std(columns[0])
    noisy = [x + rng.normal(scale=noise, size=x.shape) for x in columns]
    return Part(noisy[0], part.labels, part.groups, noisy[1], part.test_groups)


def _kernel(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian kernel with the width of the number of columns."""
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    return np.asarray(np.exp(-squares / (2 * left.shape[1])))


def generated() -> None:
    """Print false alarms on clean corpora and how many of the fitted ones are found."""
    n_alarms, n_checked, worst = 0, 0, (0.0, 0.0)
    found: dict[float, list[bool]] = {penalty: [] for penalty in PENALTIES}
    gains: dict[float, list[float]] = {penalty: [] for penalty in PENALTIES}
    for number in range(N_CORPORA):
        corpus = generate(preset("demo", **settings_of(number)))
        checks = check_contamination(corpus)
        n_checked += bool(checks)
        n_alarms += any(check.fitted for check in checks)
        worst = max([worst, *((check.drop / check.error, check.drop) for check in checks if check.drop >= 0.02)])
        penalty = PENALTIES[number % len(PENALTIES)]
        part = part_of(corpus, ("audio", "vision")[number % 2])
        clean, check = part.check("clean"), fitted(part, penalty, number).check("fitted")
        if check is not None and clean is not None:
            found[penalty].append(check.fitted)
            gains[penalty].append(check.accuracy - clean.accuracy)
    print(f"clean: {n_alarms} of {N_CORPORA} corpora with a false alarm in any modality ({n_checked} large enough to be checked)")
    print(f"largest drop of at least .02 in standard errors: {worst[0]:.2f} (drop {worst[1]:.3f})\n")
    print("| fitted on labels, penalty | corpora | accuracy of the probe in training minus that of clean features | found |")
    print("|---|---|---|---|")
    for penalty in PENALTIES:
        share = f"{sum(found[penalty])} of {len(found[penalty])}"
        print(f"| {penalty} | {len(found[penalty])} | {np.mean(gains[penalty]):+.2f} | {share} |")


def real(root: Path) -> Iterator[tuple[str, Corpus]]:
    """Yield real corpora, and duet, with a name."""
    minilm = {"name": "minilm", "pool": "mean"}
    meld = {
        "splits": ["dev"],
        "features": {
            "text": "text_base_val.pkl",
            "audio": "audio_wav2vec2_val.pkl",
            "vision": "dev_vis_3_35_intervals_aus.pickle",
        },
        "skip": ["110_7"],
    }
    yield "duet", load_corpus("duet")
    yield "CMU-MOSI, distributed", load_corpus(root / "cmu_mosi", importer="mosi-csv")
    yield "CMU-MOSI, MiniLM", load_corpus(root / "cmu_mosi", importer="mosi-csv", encode={"text": minilm, "vision": None})
    for number in range(5):
        corpus = load_corpus(root / "meld", importer="meld-csv", options=meld, split="fold", test_fold=number)
        yield f"MELD dev, fold {number}", corpus
    iemocap = {"targets": ["emotion"]}
    yield "IEMOCAP", load_corpus(root / "iemocap", importer="table", options=iemocap)
    yield "IEMOCAP, MiniLM", load_corpus(root / "iemocap", importer="table", options=iemocap, encode={"text": minilm})


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true", help="real corpora instead of generated ones")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.process_time()
    if arguments.real:
        print("| corpus | modality | accuracy in training | margin in training | on test | drop / standard error | fitted | s |")
        print("|---|---|---|---|---|---|---|---|")
        for name, corpus in real(Path(os.environ["LACUNA_SHARED_DATA"])):
            started = time.process_time()
            checks = check_contamination(corpus)
            seconds = (time.process_time() - started) / len(checks)
            for c in checks:
                values = f"{c.accuracy:.3f} | {c.train_margin:.3f} | {c.test_margin:.3f} | {c.drop / c.error:.1f}"
                print(f"| {name} | {c.modality} | {values} | {'yes' if c.fitted else 'no'} | {seconds:.1f} |", flush=True)
    else:
        generated()
    print(f"\n{time.process_time() - begun:.0f} s of processor time; {machine()}")


if __name__ == "__main__":
    main()
