"""Seconds and peak memory of every stage from a folder of arrays to predictions, against the number of utterances.

A folder of the importer `table` is written first: an utterance table (parquet), three arrays of 32, 16 and 16 columns, dialogues
of 20 turns, four classes that shift the means, 80 % train, 10 % valid, 10 % test. Each stage is then a process of its own: ingest
(read, check and save the corpus), train (one epoch), evaluate (pattern `rmm` at four rates, one mask, 20 bootstrap samples) and
report, predict (`lacuna predict` on every utterance). The stage `start` imports what `predict` needs and loads the model: its
seconds are a part of those of predict. Memory is the largest resident set of the process, pages of mapped files included.

With `--before` every stage runs in pairs, first with the sources in that folder (of an older commit), then with those of this
clone, on one source and one model; each number is then the least of the pairs.

    python benchmarks/large_corpus.py --utterances 10000 200000 --model context_gru
    git archive --prefix=old/ b4b5285 src | tar x -C FOLDER
    python benchmarks/large_corpus.py --model mlp --stages start predict --before FOLDER/old/src --pairs 5 --folder FOLDER
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
SOURCES = Path(__file__).resolve().parents[1] / "src"
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
    "start": """
import lacuna.cli
lacuna.load_model(root / "model")
""",
    "predict": """
from lacuna.cli import main
main(["predict", str(root / "model"), str(root / "corpus"), "--out", str(root / "predictions.csv"), "--overwrite"])
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


def run_stage(code: str, root: Path, model: str, sources: Path = SOURCES) -> dict[str, float]:
    """Run a stage in a process of its own; return its wall and CPU seconds and its largest resident set in MiB."""
    began = time.monotonic()
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(sources)}
    child = subprocess.Popen([sys.executable, "-c", BEGIN + code, str(root), model], env=env, stdout=subprocess.DEVNULL)
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
    parser.add_argument("--before", type=Path, help="sources of an older commit, to compare with")
    parser.add_argument("--pairs", type=int, default=1, help="repetitions of every stage")
    arguments = parser.parse_args()
    versions = {**({"before": arguments.before.resolve()} if arguments.before else {}), "now": SOURCES}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for utterances in arguments.utterances:
            root = (arguments.folder or Path(temporary)) / str(utterances)
            if not root.exists():
                write_source(root / "source", utterances)
            for stage in arguments.stages:
                runs = [
                    {name: run_stage(STAGES[stage], root, arguments.model, version) for name, version in versions.items()}
                    for _ in range(arguments.pairs)
                ]
                for name in versions:
                    least = {unit: min(run[name][unit] for run in runs) for unit in runs[0][name]}
                    rows.append({"utterances": utterances, "stage": stage, "sources": name, **least})
                    print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"machine": machine(), "model": arguments.model, "stages": rows}, indent=1))


if __name__ == "__main__":
    main()
