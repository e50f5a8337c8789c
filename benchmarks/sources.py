"""Peak memory of an import against the size of its source, by layout of the source.

Sequences of 50 frames of 64 float32 columns, one modality, dialogues of 20 turns. Every layout is written twice, with few and
with many utterances; each import (read, check, save) is a process of its own that samples its anonymous memory (not the pages
of mapped files) every 5 ms. Printed is the slope between the two: bytes of memory for one more byte of the source file.

    python benchmarks/sources.py [--utterances 1000 6000] [--before FOLDER/old/src]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import save_file

from machine import machine

FRAMES, WIDTH, TURNS = 50, 64, 20
Frames = NDArray[np.float32]  # (N, T, d)
SOURCES = Path(__file__).resolve().parents[1] / "src"
IMPORT = """
import json, sys, threading, time
from pathlib import Path
import lacuna
from lacuna.corpus import save_corpus
from lacuna.corpus.importers import import_corpus

def now():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))

def watch():
    while True:
        peaks.append(now())
        time.sleep(0.005)

peaks = [now()]
threading.Thread(target=watch, daemon=True).start()
began = time.process_time()
save_corpus(import_corpus(Path(sys.argv[1])), Path(sys.argv[2]))
print(json.dumps({"bytes": max(peaks) - peaks[0], "cpu_seconds": time.process_time() - began}))
"""


def _table(n: int) -> pd.DataFrame:
    ids, dialogue = [f"u{i}" for i in range(n)], np.arange(n) // TURNS
    columns = {"id": ids, "dialogue": [f"d{d}" for d in dialogue], "turn": np.arange(n) % TURNS}
    return pd.DataFrame({**columns, "emotion": np.array(["joy", "anger"], dtype=object)[np.arange(n) % 2]})


def _beside_a_table(
    write: Callable[[Path, Frames, list[str]], object],
) -> Callable[[Path, Frames], Path]:
    def layout(folder: Path, frames: Frames) -> Path:
        table = _table(len(frames))
        table.to_parquet(folder / "utterances.parquet", index=False)
        write(folder / "audio", frames, table["id"].tolist())
        return folder

    return layout


def _parquet(folder: Path, frames: Frames) -> Path:
    n = len(frames)
    rows = pa.FixedSizeListArray.from_arrays(frames.reshape(-1), WIDTH)  # (N, T, d) -> (N * T, d)
    lists = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * FRAMES, rows)
    pq.write_table(pa.Table.from_pandas(_table(n), preserve_index=False).append_column("audio", lists), folder / "all.parquet")
    return folder / "all.parquet"


def _folder(path: Path, frames: Frames, ids: list[str]) -> None:
    path.mkdir()
    for i, values in zip(ids, frames, strict=True):
        np.save(path / f"{i}.npy", values)


LAYOUTS: dict[str, Callable[[Path, Frames], Path]] = {
    "table, .npy (N, T, d)": _beside_a_table(lambda path, frames, ids: np.save(path.with_suffix(".npy"), frames)),
    "table, .npz of frames and lengths": _beside_a_table(
        lambda path, frames, ids: np.savez(
            path.with_suffix(".npz"), frames=frames.reshape(-1, WIDTH), lengths=np.full(len(ids), FRAMES)
        )
    ),
    "table, .npz by id": _beside_a_table(
        lambda path, frames, ids: np.savez(path.with_suffix(".npz"), **dict(zip(ids, frames, strict=True)))  # type: ignore[arg-type]
    ),
    "table, .safetensors by id": _beside_a_table(
        lambda path, frames, ids: save_file(dict(zip(ids, frames, strict=True)), path.with_suffix(".safetensors"))
    ),
    "table, a folder of .npy": _beside_a_table(_folder),
    "one .parquet, lists of lists": _parquet,
}


def measure(layout: str, n: int, root: Path, sources: Path) -> tuple[int, dict[str, float]]:
    """Return the size of a source in bytes, and peak memory and CPU seconds of its import."""
    place = root / "source"
    place.mkdir()
    frames = np.random.default_rng(0).standard_normal((n, FRAMES, WIDTH), dtype=np.float32)
    path = LAYOUTS[layout](place, frames)
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(sources)}
    command = [sys.executable, "-c", IMPORT, str(path), str(root / "corpus")]
    return size, json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout)


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, nargs=2, default=[1_000, 6_000])
    parser.add_argument("--before", type=Path, help="sources of an older commit, to compare with")
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS), choices=list(LAYOUTS))
    arguments = parser.parse_args()
    versions = {**({"before": arguments.before.resolve()} if arguments.before else {}), "now": SOURCES}
    print(f"{machine()}\n\n| layout | sources | bytes of memory for a byte of source | CPU seconds |\n|---|---|--:|--:|")
    for layout in arguments.layouts:
        for version, sources in versions.items():
            found = []
            for n in arguments.utterances:
                with tempfile.TemporaryDirectory() as folder:
                    found.append(measure(layout, n, Path(folder), sources))
            (small, less), (large, more) = found
            slope = (more["bytes"] - less["bytes"]) / (large - small)
            print(f"| {layout} | {version} | {slope:.1f} | {more['cpu_seconds']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
