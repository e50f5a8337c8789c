"""Any speech network of the hub: HuBERT, WavLM, wav2vec 2.0, the encoder of Whisper, ..."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.errors import ConfigError
from lacuna.media.align import n_frames
from lacuna.media.decode import RATE, Audio
from lacuna.media.encoders.base import ENCODERS, AudioEncoder, Encoded
from lacuna.media.hub import HubSettings, found

_PIECE = 30 * RATE  # samples that are encoded together
_LEAST = RATE // 10  # samples; a shorter sound is padded


@ENCODERS.register("hub-audio")
@dataclass(frozen=True)
class HubAudio(HubSettings, AudioEncoder):
    """Return the hidden layers of a frozen network, averaged over frames.

    Attributes:
        rate: frames a second.
    """

    source = "a network of the Hugging Face hub; its licence is on its page"
    rate: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 50:
            raise ConfigError(f"encoder 'hub-audio': rate is in (0, 50] frames a second, found {self.rate!r}\n  do: correct rate")

    def encode(self, audio: Audio) -> Encoded:
        """Return (T, d) features; a frame without an observed sample is not observed."""
        count = n_frames(audio.seconds, self.rate)
        pieces = list(self._pieces(audio.samples))
        times = np.concatenate([at for at, _ in pieces])  # (n,) seconds
        values = np.concatenate([hidden for _, hidden in pieces])  # (n, d)
        frame = np.minimum((times * self.rate).astype(np.int64), count - 1)
        sums = np.zeros((count, values.shape[1]))
        np.add.at(sums, frame, values)
        n_values = np.bincount(frame, minlength=count)
        for empty in np.flatnonzero(n_values == 0):  # frames shorter than those of the network
            sums[empty], n_values[empty] = values[np.abs(times - (empty + 0.5) / self.rate).argmin()], 1
        sample = np.minimum((np.arange(len(audio.samples)) / RATE * self.rate).astype(np.int64), count - 1)
        observed = np.bincount(sample, weights=audio.observed, minlength=count) > 0
        frames = sums / n_values[:, None] * observed[:, None]
        return Encoded(frames.astype(np.float32), observed)

    def _pieces(self, samples: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Yield the times (n,) and the features (n, d) of pieces of the sound."""
        import torch

        extractor, network = _extractor(self.model, self.revision), self.network()
        for low in range(0, max(1, len(samples)), _PIECE):
            piece = samples[low : low + _PIECE]
            padded = np.pad(piece, (0, max(0, _LEAST - len(piece))))
            inputs = extractor(padded, sampling_rate=RATE, return_tensors="pt")
            with torch.inference_mode():
                hidden = self.chosen(network(**inputs, output_hidden_states=True).hidden_states).numpy()  # (n, d)
            # Whisper pads every piece to 30 s of spectrum
            seconds = _PIECE / RATE if "input_features" in inputs else len(padded) / RATE
            at = (np.arange(len(hidden)) + 0.5) / len(hidden) * seconds
            inside = at < max(len(piece), 1) / RATE
            inside[0] = True
            yield low / RATE + at[inside], hidden[inside]


@lru_cache(maxsize=2)
def _extractor(model: str, revision: str) -> Any:
    from transformers import AutoFeatureExtractor

    return found(AutoFeatureExtractor, model, revision)
