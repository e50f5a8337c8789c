"""The true parameters of a duet, drawn from the corpus seed; the corpus and its shifted test share them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lacuna.synthetic.duet.channels import Signal, Words
from lacuna.synthetic.duet.settings import Duet
from lacuna.synthetic.duet.warp import Array, Warp
from lacuna.synthetic.duet.words import EMOTIONS, FILLER, SCENES


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The text channel.

    Attributes:
        words: V words.
        content: (V,) bool, False for filler.
        chance: (K, G, V) float64 P(word | emotion, scene).
        emotion: (V, K) float64 log P(word | emotion) up to a constant for each word; 0 for words independent of the emotion.
        scene: (V, G) float64 the same for scenes.
        linear: (V, d) float64 embeddings in the linear space.
        table: (V, d) float32 observed embeddings.
        warp: map from the linear space to observed embeddings.
    """

    words: tuple[str, ...]
    content: NDArray[np.bool_]
    chance: Array
    emotion: Array
    scene: Array
    linear: Array
    table: NDArray[np.float32]
    warp: Warp


@dataclass(frozen=True, eq=False)
class Carrier:
    """The audio or the vision channel; all directions are after the rotation.

    Attributes:
        emotion: (K, d) float64 means of the emotions.
        scene: (G, d) float64 means of the scenes, orthogonal to the emotions' and to ``loading``.
        loading: (d, q) float64 A.
        shared: standard deviation of the noise that all frames of a turn share.
        noise: standard deviation of the noise of a single frame.
        warp: map from the linear space to observed frames.
    """

    emotion: Array
    scene: Array
    loading: Array
    shared: float
    noise: float
    warp: Warp

    def variance(self, count: NDArray[np.int64]) -> Array:
        """Return the variance per column of the mean of some frames around mu + A z, inf for no frame.

        Args:
            count: (...) int64 number of frames.

        Returns:
            (...) float64.
        """
        with np.errstate(divide="ignore"):
            return np.where(count > 0, self.shared**2 + self.noise**2 / count, np.inf)


@dataclass(frozen=True, eq=False)
class World:
    """The true parameters of a duet.

    Attributes:
        settings: settings that it was drawn from.
        prior: (K,) float64 prior of the emotions.
        kernel: (K, K, K) float64 P(new emotion | own emotion, other speaker's emotion), in the order [own, other, new].
        lexicon: the text channel.
        carriers: ``audio`` and ``vision``.
    """

    settings: Duet
    prior: Array
    kernel: Array
    lexicon: Lexicon
    carriers: dict[str, Carrier]

    def agreement(self, rho: float) -> Array:
        """Return P(scene | emotion), (K, G) float64, if an emotion has its partner scene with probability ``rho``."""
        k, g = len(self.prior), self.settings.scenes
        table = np.full((k, g), (1 - rho) / (g - 1))
        table[np.arange(k), np.arange(k) % g] = rho
        return table


@lru_cache(maxsize=8)
def draw_world(settings: Duet) -> World:
    """Return the true parameters of some settings; they depend on neither ``dialogues`` nor ``ood``."""
    prior = np.array(settings.prior)
    prior /= prior.sum()
    k, stay, catch = len(prior), settings.persistence, settings.contagion
    same = np.eye(k)
    # [own, other, new]: the emotion stays, becomes that of the other speaker, or is drawn from the prior
    kernel = stay * same[:, None, :] + catch * same[None, :, :] + (1 - stay - catch) * prior
    streams = [np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence(settings.seed, spawn_key=(0,)).spawn(3)]
    return World(
        settings=settings,
        prior=prior,
        kernel=kernel,
        lexicon=_lexicon(settings.text, k, settings.scenes, streams[0]),
        carriers={
            "audio": _carrier(settings.audio, k, settings.scenes, settings.factors, streams[1]),
            "vision": _carrier(settings.vision, k, settings.scenes, settings.factors, streams[2]),
        },
    )


def _lexicon(text: Words, k: int, g: int, r: np.random.Generator) -> Lexicon:
    lists = [*list(EMOTIONS.values())[:k], *list(SCENES.values())[:g], FILLER]
    owner = np.repeat(np.arange(k + g + 1), [len(words) for words in lists])  # (V,) list of each word
    within = np.concatenate([1 / (3.0 + np.arange(len(words))) for words in lists])  # a mild Zipf's law in each list
    within /= np.bincount(owner, within)[owner]
    slip, wander = _confusion(k, text.slip), _confusion(g, text.wander)
    blank = np.zeros((1, len(owner)))
    by_emotion = np.concatenate([slip, np.zeros((k, g + 1))], axis=1)[:, owner] * within  # (K, V)
    by_scene = np.concatenate([np.zeros((g, k)), wander, np.zeros((g, 1))], axis=1)[:, owner] * within  # (G, V)
    filler = (1 - text.emotional - text.topical) * np.where(owner == k + g, within, blank)
    chance = text.emotional * by_emotion[:, None] + text.topical * by_scene[None] + filler  # (K, G, V)
    centres = r.standard_normal((k + g + 1, text.dim))
    centres *= text.pull / np.linalg.norm(centres, axis=1, keepdims=True)
    embedding = centres[owner] + r.standard_normal((len(owner), text.dim))
    warp = _warp(text.dim, text.bend, text.tilt, r)
    linear = embedding @ _rotation(text.dim, r)
    table = warp(linear).astype(np.float32)
    return Lexicon(
        words=tuple(word for words in lists for word in words),
        content=owner < k + g,
        chance=chance,
        emotion=np.log(by_emotion, out=np.zeros_like(by_emotion), where=by_emotion > 0).T,
        scene=np.log(by_scene, out=np.zeros_like(by_scene), where=by_scene > 0).T,
        linear=linear,
        table=table,
        warp=warp,
    )


def _carrier(signal: Signal, k: int, g: int, q: int, r: np.random.Generator) -> Carrier:
    plain = signal.dim - signal.code  # columns before the rotation: first the emotion's, then the scene's
    emotion, scene, loading = np.zeros((k, signal.dim)), np.zeros((g, signal.dim)), np.zeros((signal.dim, q))
    basis = _rotation(plain, r)
    emotion[:, :plain] = signal.separation * basis[:k]
    scene[:, plain:] = signal.cue * _rotation(signal.code, r)[:g]
    among, beside = (part.T @ _directions(len(part), q, r) for part in (basis[:k], basis[k:]))  # (plain, q) each
    loading[:plain] = signal.loading * (np.sqrt(signal.overlap) * among + np.sqrt(1 - signal.overlap) * beside)
    rotation = _rotation(signal.dim, r)
    return Carrier(
        emotion=emotion @ rotation,
        scene=scene @ rotation,
        loading=rotation.T @ loading,
        shared=signal.shared,
        noise=signal.noise,
        warp=_warp(signal.dim, signal.bend, signal.tilt, r),
    )


def _confusion(n: int, error: float) -> Array:
    """Return an (n, n) float64 matrix with 1 - error on the diagonal and the error divided among the other entries."""
    return np.where(np.eye(n, dtype=bool), 1 - error, error / max(1, n - 1))


def _directions(n: int, q: int, r: np.random.Generator) -> Array:
    """Return q independent, uniformly distributed unit vectors of n columns: (n, q) float64."""
    drawn = r.standard_normal((n, q))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0))


def _rotation(n: int, r: np.random.Generator) -> Array:
    """Return a uniformly distributed (Haar) rotation of n columns: (n, n) float64."""
    q, upper = np.linalg.qr(r.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diag(upper)))


def _warp(dim: int, bend: float, tilt: float, r: np.random.Generator) -> Warp:
    return Warp(bend, tilt * np.where(r.random(dim) < 0.5, -1.0, 1.0))
