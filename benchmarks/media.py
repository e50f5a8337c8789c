"""Measure decoding and encoders on one core: seconds of a recording for each second of processor time.

    python benchmarks/media.py clip.mp4
    python benchmarks/media.py FOLDER --workers   # wall time with one and with two processes, without a cache

Text is measured in transcripts a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]

from lacuna.media import Video, encoders_of, extract, inspect, read_audio
from lacuna.media.encoders import AudioEncoder, TextEncoder, VideoEncoder, create_encoder, list_encoders
from lacuna.media.encoders.base import ENCODERS

TEXTS = [f"I did not expect that you would come back so early, number {index}!" for index in range(100)]


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a second call; the first one loads what is needed."""
    work()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def compare_workers(folder: Path, repeats: int) -> None:
    """Print the wall times of one process, of two that are started for it, and of two that run already; and median ratios.

    This process has loaded the networks before the first measurement.
    """
    for encoder in encoders_of({}):
        encoder.load()
    started, running = [], []
    for _ in range(repeats):
        get_reusable_executor().shutdown(wait=True)  # processes of the repeat before, which end by themselves after a while
        one, first, second = (seconds_of(folder, workers) for workers in (1, 2, 2))  # the processes live on for some seconds
        started.append(one / first)
        running.append(one / second)
        print(f"one process {one:.1f} s; two {first:.1f} s with their start, {second:.1f} s without", flush=True)
    load = f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the end"
    print(f"median: {statistics.median(started):.2f} x, without the start {statistics.median(running):.2f} x; {load}")


def seconds_of(folder: Path, workers: int) -> float:
    """Return the wall time of an extraction without a cache."""
    with tempfile.TemporaryDirectory() as cache:
        begun = time.perf_counter()
        extract(folder, cache=cache, workers=workers)
        return time.perf_counter() - begun


def main() -> None:
    """Print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--workers", action="store_true", help="compare one with two processes on a folder")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    path = arguments.recording
    torch.set_num_threads(1)
    if arguments.workers:
        compare_workers(path, arguments.repeats)
        return
    seconds = inspect(path).duration or 0.0
    print(f"decode the sound: {seconds / processor_seconds(lambda: read_audio(path)):.0f} x real time")
    print(f"decode the picture, 5 Hz: {seconds / processor_seconds(lambda: list(Video(path, rate=5))):.0f} x real time")
    audio = read_audio(path)
    for name in (name for name in list_encoders() if not name.startswith("hub-")):
        encoder = create_encoder(ENCODERS.get(name).modality, name)
        if isinstance(encoder, TextEncoder):
            spent = processor_seconds(lambda encoder=encoder: [encoder.encode(text) for text in TEXTS])
            print(f"{name}: {len(TEXTS) / spent:.0f} transcripts a second")
        elif isinstance(encoder, AudioEncoder):
            print(f"{name}: {seconds / processor_seconds(lambda encoder=encoder: encoder.encode(audio)):.0f} x real time")
        elif isinstance(encoder, VideoEncoder):
            video = Video(path, rate=encoder.rate)
            spent = processor_seconds(lambda encoder=encoder, video=video: encoder.encode(video))
            print(f"{name}, with decoding: {seconds / spent:.0f} x real time")


if __name__ == "__main__":
    main()
