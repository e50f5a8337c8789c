"""Draw dialogues in sheets of a fixed size.

A sheet is a pure function of the true parameters, of ``ood`` and of its number, and is always drawn completely. So a dialogue
does not depend on the number of dialogues or on how they are written to disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.synthetic.duet.channels import Signal
from lacuna.synthetic.duet.settings import Duet
from lacuna.synthetic.duet.warp import Array
from lacuna.synthetic.duet.words import CAST
from lacuna.synthetic.duet.world import Carrier, Lexicon, World, draw_world

SHEET = 64  # dialogues drawn together; another size gives another corpus
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sheet:
    """N utterances of whole dialogues.

    Attributes:
        dialogue: (N,) int64 number in the whole corpus.
        turn: (N,) int64.
        speaker: (N,) int64 place in the cast.
        emotion: (N,) int64, the label.
        scene: (N,) int64, hidden from models.
        count: by modality (N,) int64.
        values: by modality (sum count, d) float32.
        tokens: (sum count of text,) int64.
    """

    dialogue: Integers
    turn: Integers
    speaker: Integers
    emotion: Integers
    scene: Integers
    count: dict[str, Integers]
    values: dict[str, NDArray[np.float32]]
    tokens: Integers


def draw(settings: Duet) -> Iterator[Sheet]:
    """Yield the sheets of a corpus, the last one cut to the number of dialogues."""
    world = draw_world(settings)
    for number in range(-(-settings.dialogues // SHEET)):
        sheet = draw_sheet(world, number)
        inside = int(np.searchsorted(sheet.dialogue, settings.dialogues))
        yield sheet if inside == len(sheet.dialogue) else _cut(sheet, inside)


def draw_sheet(world: World, number: int) -> Sheet:
    """Return sheet ``number``: dialogues ``SHEET * number`` to ``SHEET * (number + 1) - 1``."""
    s = world.settings
    stream = np.random.SeedSequence(s.seed, spawn_key=(2 if s.ood else 1, number))
    chain, chance, text, audio, vision = (np.random.Generator(np.random.PCG64(x)) for x in stream.spawn(5))
    longest = s.turns[1]
    turns = chain.integers(s.turns[0], longest, size=SHEET, endpoint=True)
    lead = chain.integers(len(CAST), size=SHEET)
    follow = (lead + chain.integers(1, len(CAST), size=SHEET)) % len(CAST)
    speaking, emotion = _conversation(world, chain, longest)
    real = np.arange(longest) < turns[:, None]  # (SHEET, T)
    dialogue, turn = np.nonzero(real)
    label = emotion[real]  # (N,)
    agreement = np.cumsum(world.agreement(s.rho), axis=1)
    scene = _pick(agreement[label], chance.random(len(label)))
    z = chance.standard_normal((len(label), s.factors))
    tokens, count = _speech(world.lexicon, s.text.tokens, label, scene, text)
    sheet = Sheet(
        dialogue=dialogue + number * SHEET,
        turn=turn,
        speaker=np.where(speaking[real] == 0, lead[dialogue], follow[dialogue]),
        emotion=label,
        scene=scene,
        count={"text": count},
        values={"text": world.lexicon.table[tokens]},
        tokens=tokens,
    )
    for name, signal, r in (("audio", s.audio, audio), ("vision", s.vision, vision)):
        carrier = world.carriers[name]
        centre = carrier.emotion[label] + carrier.scene[scene]  # (N, d), a new array
        sheet.values[name], sheet.count[name] = _recording(carrier, signal, centre, z, r)
    return sheet


def _conversation(world: World, r: np.random.Generator, longest: int) -> tuple[Integers, Integers]:
    """Return speaker and emotion of each turn: two (SHEET, T) int64 arrays; the first speaker is 0, the other 1."""
    prior, kernel = np.cumsum(world.prior), np.cumsum(world.kernel, axis=2)
    state = _pick(prior, r.random((SHEET, 2)))  # (SHEET, 2) emotion of each speaker
    passes = r.random((SHEET, longest)) < world.settings.alternate
    passes[:, 0] = False
    speaking = np.cumsum(passes, axis=1) % 2
    moves = r.random((SHEET, longest))
    emotion = np.empty((SHEET, longest), np.int64)
    every = np.arange(SHEET)
    for t in range(longest):
        who = speaking[:, t]
        state[every, who] = _pick(kernel[state[every, who], state[every, 1 - who]], moves[:, t])
        emotion[:, t] = state[every, who]
    return speaking, emotion


def _pick(cumulative: Array, uniform: Array) -> Integers:
    """Return a draw from distributions with cumulative sums (..., C) and one uniform number each: (...) int64."""
    return np.asarray((uniform[..., None] >= cumulative[..., :-1]).sum(axis=-1), np.int64)


def _speech(
    lexicon: Lexicon, length: tuple[int, int], emotion: Integers, scene: Integers, r: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return the tokens of all utterances end to end, (R,) int64, and the number of each utterance, (N,) int64."""
    count = r.integers(length[0], length[1], size=len(emotion), endpoint=True)
    k, g, v = lexicon.chance.shape
    table = np.cumsum(lexicon.chance.reshape(k * g, v), axis=1)  # (K, G, V) -> (K * G, V)
    table[:, -1] = 1.0
    row = np.repeat(emotion * g + scene, count)  # (R,)
    ladder = (table + np.arange(k * g)[:, None]).reshape(-1)  # (K * G, V) -> (K * G * V,), ascending
    place = np.searchsorted(ladder, r.random(len(row)) + row, side="right")
    return np.minimum(place - row * v, v - 1), count


def _recording(
    carrier: Carrier, signal: Signal, centre: Array, z: Array, r: np.random.Generator
) -> tuple[NDArray[np.float32], Integers]:
    """Return the frames of all utterances end to end, (R, d) float32, and the number of each utterance, (N,) int64.

    Noise is isotropic, so it is drawn after the rotation; all else is computed by column, so that the result does not depend on
    how many utterances are computed together. ``centre`` is overwritten.
    """
    count = r.integers(signal.frames[0], signal.frames[1], size=len(centre), endpoint=True)
    for factor, direction in enumerate(carrier.loading.T):
        centre += z[:, factor, None] * direction
    centre += carrier.shared * r.standard_normal(centre.shape)
    frames = np.repeat(centre, count, axis=0)  # (R, d)
    frames += carrier.noise * r.standard_normal(frames.shape)
    return carrier.warp(frames).astype(np.float32), count


def _cut(sheet: Sheet, rows: int) -> Sheet:
    """Return the first ``rows`` utterances."""
    last = {m: int(count[:rows].sum()) for m, count in sheet.count.items()}
    return Sheet(
        dialogue=sheet.dialogue[:rows],
        turn=sheet.turn[:rows],
        speaker=sheet.speaker[:rows],
        emotion=sheet.emotion[:rows],
        scene=sheet.scene[:rows],
        count={m: count[:rows] for m, count in sheet.count.items()},
        values={m: values[: last[m]] for m, values in sheet.values.items()},
        tokens=sheet.tokens[: last["text"]],
    )
