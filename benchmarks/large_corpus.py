"""Seconds and peak memory of every stage from a folder of arrays to predictions, against the number of utterances.

A folder of the importer `table` is written first: an utterance table (parquet), three arrays of 32, 16 and 16 columns, dialogues
of 20 turns, four classes that shift the means, 80 % train, 10 % valid, 10 % test. Each stage is then a process of its own: ingest
(read, check and save the corpus), train (one epoch), evaluate (pattern `rmm` at four rates, one mask, 20 bootstrap samples) and
report, predict (every utterance of the corpus, as CSV). Memory is the largest resident set of the process, pages of mapped files
included.

    python benchmarks/large_corpus.py --utterances 10000 200000 --model context_gru
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

DIMS = {"text": 32, "audio": 16, "vision": 16}
TURNS, CLASSES, PIECE = 20, 4, 50_000  # turns of a dialogue, emotions, utterances written at a time
RATES = (0.0, 0.3, 0.6, 0.9)
BEGIN = "import sys; from pathlib import Path; import lacuna; root, model = Path(sys.argv[1]), sys.argv[2]"
STAGES = {
    "ingest": """
from lacuna.corpus import save_corpus
save_corpus(lacuna.load_corpus(root / "source", split="given"), root / "corpus")
""",
    "train": """
corpus = lacuna.load_corpus(root / "corpus", split="given")
lacuna.create_model(model).fit(corpus, epochs=1, batch_size=256).save(root / "model")
""",
    "evaluate and report": f"""
corpus, trained = lacuna.load_corpus(root / "corpus", split="given"), lacuna.load_model(root / "model")
result = lacuna.evaluate(trained, corpus, ["rmm"], rates={RATES}, mask_seeds=(0,), replicates=20)
result.report(root / "report.html")
""",
    "predict": """
lacuna.load_model(root / "model").predict(root / "corpus").to_csv(root / "predictions.csv", index=False)
""",
}


def write_source(folder: Path, utterances: int) -> None:
    """Write the table and the arrays, a piece at a time."""
    import numpy as np
    import pandas as pd
    from numpy.lib.format import open_memmap

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    row = np.arange(utterances)
    dialogue, emotion = row // TURNS, rng.integers(0, CLASSES, utterances)
    table = {"id": [f"u{i}" for i in row], "dialogue": [f"d{d}" for d in dialogue], "turn": row % TURNS}
    split = np.array(["train"] * 8 + ["valid", "test"], dtype=object)[dialogue % 10]
    speaker = np.array(["a", "b"], dtype=object)[row % 2]
    named = pd.DataFrame({**table, "speaker": speaker, "split": split, "emotion": np.array(list("wxyz"), dtype=object)[emotion]})
    named.to_parquet(folder / "utterances.parquet", index=False)
    for name, width in DIMS.items():
        centres = rng.normal(size=(CLASSES, width)).astype(np.float32)
        array = open_memmap(folder / f"{name}.npy", "w+", np.float32, (utterances, width))
        for low in range(0, utterances, PIECE):
            piece = emotion[low : low + PIECE]
            array[low : low + PIECE] = centres[piece] + 2 * rng.standard_normal((len(piece), width), dtype=np.float32)
        array.flush()


def run_stage(code: str, root: Path, model: str) -> dict[str, float]:
    """Run a stage in a process of its own; return its wall and CPU seconds and its largest resident set in MiB."""
    began = time.monotonic()
    child = subprocess.Popen([sys.executable, "-c", BEGIN + code, str(root), model], env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"stage failed with exit code {child.returncode}")
    cpu = used.ru_utime + used.ru_stime
    return {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(cpu, 1), "peak_mib": round(used.ru_maxrss / 1024)}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, nargs="+", default=[10_000, 200_000])
    parser.add_argument("--model", default="context_gru")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--folder", type=Path, help="where the corpora are kept; by default they are deleted")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for utterances in arguments.utterances:
            root = (arguments.folder or Path(temporary)) / str(utterances)
            if not root.exists():
                write_source(root / "source", utterances)
            for stage in arguments.stages:
                rows.append({"utterances": utterances, "stage": stage, **run_stage(STAGES[stage], root, arguments.model)})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"machine": machine(), "model": arguments.model, "stages": rows}, indent=1))


if __name__ == "__main__":
    main()
