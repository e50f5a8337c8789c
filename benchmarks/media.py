"""Measure decoding and encoders on one core: seconds of a recording for each second of processor time.

    python benchmarks/media.py clip.mp4

Text is measured in transcripts a second.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from lacuna.media import Video, inspect, read_audio
from lacuna.media.encoders import AudioEncoder, TextEncoder, VideoEncoder, create_encoder, list_encoders
from lacuna.media.encoders.base import ENCODERS

TEXTS = [f"I did not expect that you would come back so early, number {index}!" for index in range(100)]


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a second call; the first one loads what is needed."""
    work()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    path = parser.parse_args().recording
    torch.set_num_threads(1)
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
