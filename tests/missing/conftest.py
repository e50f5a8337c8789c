"""Layouts to mask, made without a corpus."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from lacuna.corpus.corpus import keys_of
from lacuna.missing import Layout


class Layouts:
    """Functions on layouts; a session-scoped fixture, so that hypothesis may use it."""

    @staticmethod
    def make(
        utterances: int = 120,
        *,
        turns: int = 6,
        frames: Mapping[str, int | tuple[int, int]] | None = None,
        absent: float = 0.0,
        holes: float = 0.0,
        parties: int = 2,
        seed: int = 0,
    ) -> Layout:
        """Return a layout of dialogues of ``turns`` turns.

        Args:
            utterances: N.
            turns: utterances of a dialogue.
            frames: by modality the number of frames, or its bounds.
            absent: share of slots without frames.
            holes: share of frames of audio and vision that are originally missing.
            parties: speakers of a dialogue.
            seed: of everything random.
        """
        rng = np.random.default_rng(seed)
        rows = np.arange(utterances)
        count, observed = {}, {}
        for name, bounds in (frames or {"text": (1, 12), "audio": (5, 30), "vision": (1, 40)}).items():
            low, high = (bounds, bounds) if isinstance(bounds, int) else bounds
            n = rng.integers(low, high + 1, utterances)
            count[name] = np.where(rng.random(utterances) < absent, 0, n)
            if holes and name != "text":
                observed[name] = rng.random(int(count[name].sum())) >= holes
        return Layout(
            utterance=keys_of([f"u{i}" for i in rows]),
            dialogue=keys_of([f"d{i // turns}" for i in rows]),
            speaker=keys_of([f"d{i // turns}s{rng.integers(parties)}" for i in rows]),
            turn=rows % turns * 2,
            count=count,
            observed=observed,
        )

    @staticmethod
    def take(layout: Layout, rows: NDArray[np.int64]) -> Layout:
        """Return the layout of the utterances at ``rows``, in that order, as ``Layout.of(corpus.take(rows))`` does."""
        pieces = {m: np.split(layout.observed[m], np.cumsum(layout.count[m])[:-1]) for m in layout.observed}
        return Layout(
            utterance=layout.utterance[rows],
            dialogue=layout.dialogue[rows],
            speaker=layout.speaker[rows],
            turn=layout.turn[rows],
            count={m: c[rows] for m, c in layout.count.items()},
            observed={m: np.concatenate([np.zeros(0, bool), *(p[r] for r in rows)]) for m, p in pieces.items()},
        )

    @staticmethod
    def original(layout: Layout) -> dict[str, NDArray[np.bool_]]:
        """Return by modality (sum count,) bool: the frame is originally present."""
        return {m: layout.observed.get(m, np.ones(int(c.sum()), bool)) for m, c in layout.count.items()}

    @staticmethod
    def by_utterance(layout: Layout, flat: Mapping[str, NDArray[np.bool_]]) -> dict[tuple[int, str], bytes]:
        """Return the flags of each slot, by utterance key and modality."""
        return {
            (int(key), m): piece.tobytes()
            for m, values in flat.items()
            for key, piece in zip(layout.utterance, np.split(values, np.cumsum(layout.count[m])[:-1]), strict=True)
        }

    @staticmethod
    def slots(layout: Layout, flat: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.float64]:
        """Return the missing share of each slot's frames: (N, M), NaN where the slot has no frames."""
        columns = []
        for m, values in flat.items():
            utterance = np.repeat(np.arange(len(layout)), layout.count[m])
            with np.errstate(invalid="ignore"):
                columns.append(np.bincount(utterance, values, len(layout)) / layout.count[m])
        return np.stack(columns, axis=1)


@pytest.fixture(scope="session")
def layouts() -> Layouts:
    return Layouts()
