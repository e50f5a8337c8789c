"""A tiny corpus of any task and shape for tests; what users generate is duet, whose ceiling is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import SPLITS, Provenance, Target
from lacuna.errors import ConfigError


@dataclass(frozen=True)
class StandIn:
    """Settings of the generated corpus.

    Attributes:
        dialogues: how many; the last fifth is the test, the fifth before it the validation.
        turns: turns of a dialogue.
        frames: longest recording in frames; 1 makes one vector an utterance.
        dims: frame width by modality.
        signal: distance between class means by modality, in standard deviations of the noise.
        classes: emotion names.
        persistence: chance that a speaker's emotion stays as it was.
        absent: share of utterances that really lack a modality.
        seed: everything follows from it.
    """

    dialogues: int = 60
    turns: int = 12
    frames: int = 1
    dims: tuple[tuple[str, int], ...] = (("text", 16), ("audio", 12), ("vision", 8))
    signal: tuple[float, ...] = (0.9, 0.6, 0.4)
    classes: tuple[str, ...] = ("neutral", "joy", "sadness", "anger")
    persistence: float = 0.6
    absent: float = 0.0
    seed: int = 0


def generate(settings: StandIn, task: str = "classification", name: str = "standin") -> Corpus:
    """Draw the corpus.

    Args:
        settings: what to draw.
        task: ``classification``, ``soft`` or ``regression``.
        name: name of the corpus.

    Raises:
        ConfigError: fewer than 5 dialogues.
    """
    if settings.dialogues < 5:
        raise ConfigError(f"five dialogues are needed for three splits, not {settings.dialogues}")
    r = np.random.default_rng(settings.seed)
    d, t, k = settings.dialogues, settings.turns, len(settings.classes)
    n = d * t
    stay = r.random((d, t)) < settings.persistence
    emotion = r.integers(k, size=(d, t))
    for turn in range(2, t):  # two speakers take turns; one's emotion lasts
        emotion[:, turn] = np.where(stay[:, turn], emotion[:, turn - 2], emotion[:, turn])
    label = emotion.reshape(n)  # (d, t) -> (n,)
    channels = {}
    for (modality, dim), strength in zip(settings.dims, settings.signal, strict=False):
        means = r.normal(size=(k, dim)) * strength
        count = r.integers(1, settings.frames + 1, size=n)
        frames = [means[label[i]] + r.normal(size=(count[i], dim)) for i in range(n)]
        lost = r.random(n) < settings.absent
        lost[0] = False
        channels[modality] = Channel([None if lost[i] else frames[i] for i in range(n)], extractor="generated")
    at = np.arange(d) * 5 // d
    split = np.where(at == 4, 2, np.where(at == 3, 1, 0)).repeat(t)
    target, values = _target(task, settings, label, r)
    return assemble(
        name,
        ids=[f"d{i // t:05d}_{i % t}" for i in range(n)],
        dialogues=[f"d{i // t:05d}" for i in range(n)],
        turns=[i % t for i in range(n)],
        speakers=["AB"[i % t % 2] for i in range(n)],
        splits=[SPLITS[s] for s in split],
        channels=channels,
        targets=[target],
        labels={target.name: values},
        provenance=Provenance("generated", "standin", "Apache-2.0", notes=(f"seed {settings.seed}",)),
    )


def _target(
    task: str, settings: StandIn, label: NDArray[np.int64], r: np.random.Generator
) -> tuple[Target, NDArray[np.float64] | NDArray[np.int64]]:
    k = len(settings.classes)
    if task == "regression":
        return Target("valence", "regression", low=-3, high=3), np.clip(
            label - (k - 1) / 2 + r.normal(size=len(label)) / 2, -3, 3
        )
    if task == "soft":
        shares = np.eye(k)[label] * 0.7 + r.dirichlet(np.ones(k), size=len(label)) * 0.3
        return Target("emotion", "soft", settings.classes), shares
    return Target("emotion", "classification", settings.classes), label
