"""Kill the extraction of features with SIGKILL again and again, and compare the corpus with that of an undisturbed run.

    python benchmarks/media_kills.py --clips 1000 --kills 20 --options "--workers 1 --set vision.rate=1"
    python benchmarks/media_kills.py --memory 100 300 1000 --options "--workers 1 --set vision.rate=1"   # undisturbed runs

The clips are generated recordings of about two seconds with voice, face and transcript (lacuna.media.generated), read by the
default encoders, or by those that the options name. A tenth of the kills, at least one, hit the writing of the corpus; the
others are at random moments of the encoding. One line of JSON for each result; ``same`` says that all files of the two corpora
have the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacuna.atomic import sha256
from lacuna.media.generated import Settings, generate

PAUSE = 0.05  # seconds between two looks at the cache


@dataclass(frozen=True)
class Extraction:
    """A call of ``lacuna features`` in a process group of its own.

    Attributes:
        recordings: folder of the clips.
        out: folder of the corpus.
        cache: folder of the cache.
        options: further options of the command.
    """

    recordings: Path
    out: Path
    cache: Path
    options: tuple[str, ...] = ()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command."""
        folders = [str(self.recordings), "--out", str(self.out), "--cache", str(self.cache)]
        command = [sys.executable, "-m", "lacuna", "features", *folders, "--overwrite", *self.options]
        return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self) -> dict[str, float]:
        """Run the command to its end and return its wall seconds, processor seconds and peak memory in MiB."""
        begun = time.perf_counter()
        process = self.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"lacuna features ended with {process.returncode}")
        return {
            "seconds": round(time.perf_counter() - begun, 1),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
            "peak_mib": round(used.ru_maxrss / 1024, 1),  # of the largest process
        }

    def kill(self, after_files: int | None, delay: float) -> bool:
        """Start the command and kill it and its processes.

        Args:
            after_files: as soon as the cache holds so many files; ``None`` = as soon as the corpus is being written.
            delay: seconds later.

        Returns:
            Whether the command was killed; it may have ended before.
        """
        begun = time.time()
        process = self.start()
        while process.poll() is None and not (self._writes(begun) if after_files is None else self.n_cached() >= after_files):
            time.sleep(PAUSE if after_files is not None else PAUSE / 10)
        time.sleep(delay)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def n_cached(self) -> int:
        """Return the number of complete files in the cache."""
        return sum(name.endswith(".safetensors") for _, _, names in os.walk(self.cache) for name in names)

    def _writes(self, since: float) -> bool:
        return self.out.is_dir() and any(_changed(path) > since for path in self.out.iterdir())


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # a temporary file that was renamed meanwhile
        return 0.0


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder."""
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def generated(folder: Path, clips: int) -> Path:
    """Write recordings of one utterance each."""
    return generate(folder, Settings(dialogues=clips, turns=1))


def compare(folder: Path, recordings: Path, kills: int, seed: int, options: tuple[str, ...]) -> dict[str, Any]:
    """Return what an undisturbed and a killed extraction of the same clips have in common."""
    whole = Extraction(recordings, folder / "whole", folder / "whole_cache", options)
    undisturbed = whole.run()
    disturbed = Extraction(recordings, folder / "killed", folder / "killed_cache", options)
    draw = random.Random(seed)
    n_files, n_writing = whole.n_cached(), max(1, kills // 10)
    n_killed = n_attempts = 0
    for moment in sorted(draw.randrange(n_files) for _ in range(kills - n_writing)):
        n_attempts += 1
        n_killed += disturbed.kill(moment, draw.uniform(0, 0.5))
    while n_killed < kills and n_attempts < 2 * kills:
        n_attempts += 1
        n_killed += disturbed.kill(None, draw.uniform(0, 0.05))
    last = disturbed.run()
    return {
        "clips": len(list(recordings.glob("*.mp4"))),
        "kills": n_killed,
        "attempts": n_attempts,
        "cached_files": n_files,
        "undisturbed": undisturbed,
        "last": last,
        "files": sorted(contents(whole.out)),
        "same": contents(whole.out) == contents(disturbed.out),
    }


def main() -> None:
    """Print one line of JSON for each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--recordings", type=Path, help="of an earlier run, instead of generated ones")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--memory", type=int, nargs="+", metavar="CLIPS", help="measure the peak memory instead")
    parser.add_argument("--options", default="--workers 1", help="of lacuna features; default: --workers 1")
    arguments = parser.parse_args()
    options = tuple(arguments.options.split())
    machine = {"cores": os.cpu_count(), "options": arguments.options}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if not arguments.memory:
            recordings = arguments.recordings or generated(folder / "recordings", arguments.clips)
            result = compare(folder, recordings, arguments.kills, arguments.seed, options)
            print(json.dumps({**result, **machine}))
            return
        for clips in arguments.memory:
            place = folder / str(clips)
            recordings = generated(place / "recordings", clips)
            used = Extraction(recordings, place / "corpus", place / "cache", options).run()
            print(json.dumps({"clips": clips, **used, **machine}), flush=True)


if __name__ == "__main__":
    main()
