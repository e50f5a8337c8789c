"""A generated corpus of wide vectors and single utterances: few informative directions among 1,024 + 768 columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

DIMS = {"text": 1024, "audio": 768}
SIGNAL = {"text": 0.5, "audio": 0.35}
CLASSES = 6


def write_wide(folder: Path, utterances: int = 5000, seed: int = 0) -> Path:
    """Write the corpus as a table and arrays, 70 % train, 15 % valid, 15 % test; the folder is returned."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    emotion = generator.choice(CLASSES, size=utterances, p=np.array([0.3, 0.2, 0.17, 0.13, 0.12, 0.08]))
    for name, dim in DIMS.items():
        factors = generator.normal(size=(CLASSES + 40, dim)) / np.sqrt(np.arange(1, CLASSES + 41))[:, None]
        hidden = generator.normal(size=(utterances, CLASSES + 40))
        hidden[:, :CLASSES] += SIGNAL[name] * 2 * np.eye(CLASSES)[emotion]
        values = hidden @ factors + generator.normal(size=(utterances, dim))
        np.save(folder / f"{name}.npy", values.astype(np.float32))
    split = np.repeat(["train", "valid", "test"], [int(0.7 * utterances), int(0.15 * utterances), int(0.15 * utterances)])
    names = [f"u{number}" for number in range(utterances)]
    table = pd.DataFrame({"id": names, "dialogue": names, "turn": 0, "speaker": "a", "split": split, "text": ""})
    table["emotion"] = [f"class_{code}" for code in emotion]
    table.to_csv(folder / "utterances.csv", index=False)
    return folder
