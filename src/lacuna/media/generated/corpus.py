"""Dialogues of drawn, speaking faces: who says what, with which emotion, in voice and face."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacuna.atomic import write_bytes
from lacuna.errors import ConfigError
from lacuna.media.decode import RATE
from lacuna.media.generated.face import Expression, Looks, draw
from lacuna.media.generated.movie import movie
from lacuna.media.generated.voice import Prosody, Voice, speak

EMOTIONS = ("neutral", "joy", "anger", "sadness")
FPS = 10  # pictures a second
_PERSIST = 0.4  # chance that the emotion of the turn before goes on
_PROSODY = {  # the full expression; a weak one lies between it and neutral
    "neutral": Prosody(),
    "joy": Prosody(pitch=1.35, range=0.35, fall=-0.10, rate=1.15, level=0.16, bright=0.5),
    "anger": Prosody(pitch=1.15, range=0.22, fall=0.35, rate=1.25, level=0.26, bright=0.9),
    "sadness": Prosody(pitch=0.85, range=0.05, fall=0.30, rate=0.78, level=0.05, bright=0.0),
}
_FACE = {
    "neutral": Expression(),
    "joy": Expression(smile=1.0, brow=0.3, lids=-0.25, nod=0.2),
    "anger": Expression(smile=-0.4, brow=-0.8, frown=1.0, lids=-0.2),
    "sadness": Expression(smile=-0.9, brow=0.1, frown=-0.8, lids=-0.4, nod=-0.3),
}
_PLAIN = (
    "we meet again at nine",
    "the train leaves from platform two",
    "I put the letter on the table",
    "they moved the meeting to monday",
    "the shop is on the other side",
    "you can see the river from here",
    "she called me this morning",
    "there are six of them now",
)
_WORDS = {
    "neutral": _PLAIN,
    "joy": ("this is wonderful news", "I am so happy for you", "what a lovely surprise", "we won and I love it"),
    "anger": ("this is outrageous", "stop it I am furious", "how dare you say that", "I hate these stupid lies"),
    "sadness": ("I miss her so much", "I feel lost and alone", "he died last winter", "nothing will be the same"),
}


@dataclass(frozen=True)
class Settings:
    """Settings of the generated recordings.

    Attributes:
        dialogues: number of recordings, at least 5: three fifths are for training, a fifth each for validation and test.
        turns: utterances in each.
        seed: decides everything that is drawn.
        told: chance that the words say the emotion; otherwise they are neutral.
        weakest: the weakest expression of voice and face, in [0, 1]; it is drawn anew for each turn and each of the two.
    """

    dialogues: int = 30
    turns: int = 5
    seed: int = 0
    told: float = 0.45
    weakest: float = 0.0

    def __post_init__(self) -> None:
        if self.dialogues < 5 or self.turns < 1 or not 0 <= self.told <= 1 or not 0 <= self.weakest <= 1:
            raise ConfigError(
                "settings of the generated recordings are out of bounds\n"
                f"  expected: dialogues >= 5, turns >= 1, told and weakest in [0, 1]\n  found: {self}\n  do: correct them"
            )


def generate(folder: Path, settings: Settings | None = None) -> Path:
    """Write recordings, one file a dialogue, and ``recordings.csv``.

    In every seventh recording the camera is off, in every ninth the microphone. The speakers of the test are in no other
    split. Pauses between turns last at least 0.7 s. The same settings give the same sound and pictures; the bytes of the
    files depend on the encoder.

    Args:
        folder: created if it does not exist.
        settings: sizes and seed.

    Returns:
        The folder.
    """
    settings = settings or Settings()
    rows = []
    for number in range(settings.dialogues):
        name = f"scene{number:03d}"
        split = ("train", "train", "train", "valid", "test")[number % 5]
        spoken = list(dialogue(number, split, settings))
        sound = np.concatenate([turn.sound for turn in spoken])
        pictures = np.concatenate([turn.pictures for turn in spoken])  # (F, 128, 128, 3)
        has_sound, has_picture = number % 9 != 8, number % 7 != 6
        write_bytes(folder / f"{name}.mp4", movie(sound if has_sound else None, pictures if has_picture else None, FPS))
        begin = 0.0
        for turn, one in enumerate(spoken):
            row = [f"{name}-{turn}", f"{name}.mp4", f"{begin + one.start:.2f}", f"{begin + one.end:.2f}"]
            rows.append([*row, one.text, name, turn, one.speaker, split, one.emotion])
            begin += len(one.sound) / RATE
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["id", "file", "start", "end", "text", "dialogue", "turn", "speaker", "split", "emotion"])
    writer.writerows(rows)
    write_bytes(folder / "recordings.csv", table.getvalue().encode())
    return folder


@dataclass(frozen=True)
class Turn:
    """One utterance with the pauses around it.

    Attributes:
        sound: (n,) float32 at 16 kHz.
        pictures: (F, 128, 128, 3) uint8 RGB, :data:`FPS` a second; as long as the sound.
        start: of the speech, in seconds of this part.
        end: of the speech, in seconds of this part.
        text: the sentence.
        speaker: name.
        emotion: one of :data:`EMOTIONS`.
    """

    sound: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    start: float
    end: float
    text: str
    speaker: str
    emotion: str


def dialogue(number: int, split: str, settings: Settings) -> Iterator[Turn]:
    """Yield the turns of one recording.

    Args:
        number: of the recording, from 0; with the seed it decides everything that is drawn.
        split: ``train``, ``valid`` or ``test``; decides the speakers.
        settings: number of turns, seed and chances.
    """
    rng = np.random.default_rng([settings.seed, number])
    pair = {"train": (0, 1, 2, 3), "valid": (4, 5), "test": (6, 7)}[split]
    speakers = rng.choice(pair, size=2, replace=False)
    emotion = str(rng.choice(EMOTIONS))
    for turn in range(settings.turns):
        if turn and rng.random() > _PERSIST:
            emotion = str(rng.choice(EMOTIONS))
        speaker = int(speakers[turn % 2])
        words = _WORDS[emotion] if rng.random() < settings.told else _PLAIN
        text = str(rng.choice(words))
        strength = rng.uniform(settings.weakest, 1, size=2)  # of voice and face
        said = _between(_PROSODY["neutral"], _PROSODY[emotion], strength[0])
        said["pitch"] *= np.exp(rng.normal(scale=0.08))
        said["level"] *= np.exp(rng.normal(scale=0.25))
        prosody = Prosody(**said)
        speech = speak(text, _voice(speaker), prosody, rng)
        before, after = 0.35 + 0.1 * rng.random(), 0.35
        count = int(np.ceil((before + len(speech) / RATE + after) * FPS))
        sound = np.zeros(count * RATE // FPS, np.float32)
        low = round(before * RATE)
        sound[low : low + len(speech)] = speech
        sound += rng.normal(scale=0.0008, size=len(sound)).astype(np.float32)
        level = np.sqrt((sound.reshape(count, -1) ** 2).mean(axis=1))  # (F * 1600,) -> (F, 1600)
        shown = _between(_FACE["neutral"], _FACE[emotion], strength[1])
        shown = {name: value + rng.normal(scale=0.12) for name, value in shown.items()}
        pictures = _pictures(speaker, Expression(**shown), level, rng)
        yield Turn(sound, pictures, before - 0.1, before + len(speech) / RATE + 0.1, text, f"speaker{speaker}", emotion)


def _between(rest: Prosody | Expression, full: Prosody | Expression, strength: float) -> dict[str, float]:
    return {name: value + strength * (getattr(full, name) - value) for name, value in vars(rest).items()}


def _pictures(speaker: int, expression: Expression, level: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return (F, size, size, 3) pictures; the mouth opens with the level of the sound, and the head moves a little."""
    turn, nod = (np.cumsum(rng.normal(scale=0.06, size=len(level))) for _ in range(2))
    blinks = rng.random(len(level)) < 0.03
    pictures = []
    for number, loud in enumerate(level.tolist()):
        moved = {
            "open": min(1.0, 5 * loud),
            "turn": float(np.clip(turn[number], -0.6, 0.6)),
            "nod": float(np.clip(expression.nod + nod[number], -0.6, 0.6)),
            "lids": -1.0 if blinks[number] else expression.lids,
        }
        pictures.append(draw(_looks(speaker), Expression(**{**vars(expression), **moved})))
    return np.stack(pictures)


def _voice(speaker: int) -> Voice:
    rng = np.random.default_rng([1, speaker])
    high = speaker % 2
    return Voice((115, 205)[high] * rng.uniform(0.9, 1.1), (0.96, 1.12)[high] * rng.uniform(0.97, 1.03), rng.uniform(0.05, 0.25))


def _looks(speaker: int) -> Looks:
    rng = np.random.default_rng([2, speaker])
    skin = np.array((0.90, 0.71, 0.60)) * rng.uniform(0.6, 1.05)
    hair = np.array((0.45, 0.30, 0.18)) * rng.uniform(0.15, 1.3)
    iris = ((0.30, 0.45, 0.55), (0.25, 0.15, 0.08), (0.30, 0.50, 0.35))[rng.integers(3)]
    return Looks(tuple(np.minimum(skin, 1)), tuple(np.minimum(hair, 1)), iris, rng.uniform(0.45, 0.50), rng.uniform(-0.5, 0.5))
