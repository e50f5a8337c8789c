"""Decode thousands of damaged recordings; each must end in time, with features or with a reason.

    python benchmarks/fuzz_media.py FOLDER --count 2000

FOLDER holds intact recordings. Each round takes one of them, changes it, and reads sound and picture. Printed: outcomes, the
slowest round, and the memory of the process before and after.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lacuna.media import Limits, MediaError, Video, read_audio
from lacuna.media.decode import SUFFIXES

LIMITS = Limits(clip_seconds=60, wait=20)


def change(content: bytes, rng: np.random.Generator) -> bytes:
    """Return damaged content: flipped bytes anywhere or in the header, a cut, a hole, a repeated or a moved part."""
    kind, size = rng.integers(7), len(content)
    data = bytearray(content)
    low, high = sorted(rng.integers(0, size, 2).tolist())
    if kind < 2:
        for place in rng.integers(0, size if kind else min(size, 600), rng.integers(1, 60)):
            data[place] = rng.integers(256)
    elif kind == 2:
        del data[low:]
    elif kind == 3:
        del data[low : min(high, low + 5000)]
    elif kind == 4:
        data[low:high] = bytes(high - low)
    elif kind == 5:
        data[low:low] = data[low:high][:20_000]
    else:
        for place in rng.integers(max(0, size - 600), size, rng.integers(1, 60)):
            data[place] = rng.integers(256)
    return bytes(data)


def outcome(read: Callable[[], tuple[str, ...]]) -> str:
    """Return the kinds of problems, or ``fine``."""
    try:
        return "+".join(read()) or "fine"
    except MediaError as error:
        return error.problem.kind


def sound(path: Path) -> tuple[str, ...]:
    """Read the sound; return the kinds of problems."""
    return tuple(sorted(problem.kind for problem in read_audio(path, limits=LIMITS).problems))


def picture(path: Path) -> tuple[str, ...]:
    """Read the picture; return the kinds of problems."""
    video = Video(path, rate=5, limits=LIMITS)
    for _ in video:
        pass
    return tuple(sorted(problem.kind for problem in video.problems))


def main() -> None:
    """Run the rounds and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files = sorted(p for p in arguments.folder.iterdir() if p.suffix in SUFFIXES and 0 < p.stat().st_size < 400_000)
    rng = np.random.default_rng(arguments.seed)
    outcomes: Counter[str] = Counter()
    slowest, memory = (0.0, ""), []
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(arguments.count):
            source = files[index % len(files)]
            path = Path(scratch) / f"a{source.suffix}"
            path.write_bytes(change(source.read_bytes(), rng))
            begun = time.monotonic()
            outcomes[f"sound: {outcome(lambda path=path: sound(path))}"] += 1
            outcomes[f"picture: {outcome(lambda path=path: picture(path))}"] += 1
            slowest = max(slowest, (time.monotonic() - begun, f"round {index}, {source.name}"))
            if index in (arguments.count // 4, arguments.count - 1):
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    for name, count in sorted(outcomes.items()):
        print(f"{count:6d}  {name}")
    print(f"slowest: {slowest[0]:.2f} s ({slowest[1]})")
    print(f"largest memory after a quarter and at the end: {memory[0]:.0f} MB, {memory[-1]:.0f} MB")


if __name__ == "__main__":
    main()
