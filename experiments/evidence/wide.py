"""Write a corpus of single utterances with wide vectors: python experiments/evidence/wide.py, then measure.py with wide.yml.

Six classes; text of 1,000 columns and audio of 400. A class moves 12 latent numbers of each modality; 60 nuisance factors that
say nothing about the class make the columns correlated; two latent numbers matter only through their product.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

SIZES = {"train": 2000, "valid": 400, "test": 1200}
WIDTHS = {"text": (1000, 0.9), "audio": (400, 0.6)}  # columns, and how far classes are apart
CLASSES = ("neutral", "joy", "sadness", "anger", "surprise", "fear")
FOLDER = Path(__file__).resolve().parents[2] / "data" / "01_raw" / "wide"


def main() -> None:
    """Write the table and the arrays."""
    rng = np.random.default_rng(0)
    total = sum(SIZES.values())
    label = rng.choice(len(CLASSES), total, p=[0.3, 0.2, 0.16, 0.14, 0.1, 0.1])
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (columns, distance) in WIDTHS.items():
        centres = rng.normal(size=(len(CLASSES), 12)) * distance
        latent = centres[label] + rng.normal(size=(total, 12))
        sign = rng.choice((-1.0, 1.0), total)
        product = np.stack([sign, sign * np.where(label % 2 == 0, 1, -1)], axis=1) + 0.7 * rng.normal(size=(total, 2))
        nuisance = 2 * rng.normal(size=(total, 60))
        factors = np.concatenate([latent, product, nuisance], axis=1)  # (N, 74)
        mixed = factors @ rng.normal(size=(factors.shape[1], columns)) / 4 + rng.normal(size=(total, columns))
        np.save(FOLDER / f"{name}.npy", mixed.astype(np.float32))
    splits = np.repeat(list(SIZES), list(SIZES.values()))
    with (FOLDER / "utterances.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "split", "emotion"])
        writer.writerows([f"u{row}", split, CLASSES[c]] for row, (split, c) in enumerate(zip(splits, label, strict=True)))


if __name__ == "__main__":
    main()
