"""Draw people and return them as a corpus: a dialogue for each person, a turn for each window."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.schema import Provenance, Target
from lacuna.errors import ConfigError
from lacuna.synthetic.wrist.conductance import Array, Conductance
from lacuna.synthetic.wrist.settings import STATES, Wrist

EDA_RATE, HEART_RATE, TEMPERATURE_RATE = 2.0, 0.5, 0.125  # samples in a second
SENSORS = {
    "eda": "wrist: skin conductance in microsiemens, and its slope in microsiemens a second",
    "heart": "wrist: heart rate in beats a minute",
    "temperature": "wrist: skin temperature in degrees Celsius",
}
_MOST = 10**8  # samples times responses of a person: one array of 0.8 GB
_SPLIT = ("train", "train", "train", "valid", "test")  # by number of the person modulo 5


@dataclass(frozen=True, eq=False)
class Person:
    """The recordings of one person, N windows.

    Attributes:
        state: (N,) int64 place in ``STATES``.
        arousal: (N,) float64, as the person reports it.
        valence: (N,) float64, as the person reports it.
        conductance: the noise-free skin conductance.
        frames: by sensor (N, T, d) float64.
        recorded: by sensor (N,) bool; False where the sensor was lost.
    """

    state: NDArray[np.int64]
    arousal: Array
    valence: Array
    conductance: Conductance
    frames: dict[str, Array]
    recorded: dict[str, NDArray[np.bool_]]


def person(settings: Wrist, number: int) -> Person:
    """Return person ``number``, a pure function of the settings without ``people``.

    Raises:
        ConfigError: the person would have more skin responses than fit in memory.
    """
    s, r = settings, np.random.Generator(np.random.PCG64(np.random.SeedSequence(settings.seed, spawn_key=(number,))))
    n = int(r.integers(s.windows[0], s.windows[1], endpoint=True))
    state = _states(n, r)
    centre = np.array(list(STATES.values()))[state]  # (N, 2)
    arousal, valence = (centre + r.normal(0, 0.2, 2) + r.normal(0, 0.2, (n, 2))).T
    level, gain, response = np.array([4.0, 0.3, 1.0]) * np.exp(s.spread * r.standard_normal(3))
    with np.errstate(over="ignore"):
        rates = s.rate * np.exp(s.reactivity * response * arousal)  # (N,)
    expected = float(rates.sum()) * s.seconds
    if expected * n * s.seconds * EDA_RATE > _MOST:
        raise ConfigError(
            f"wrist: person {number} would have about {expected:.3g} skin responses in {n} windows of {s.seconds} seconds\n"
            "  do: lower 'rate', 'reactivity', 'spread' or 'seconds'"
        )
    onset, amplitude = _responses(s, rates, gain, r)
    conductance = Conductance(
        level=level,
        drift=s.drift,
        period=float(r.uniform(400, 1200)),
        phase=float(r.uniform(0, 2 * np.pi)),
        onset=onset,
        amplitude=amplitude,
        rise=s.rise,
        decay=s.decay,
    )
    eda = conductance.value(_times(n * s.seconds, EDA_RATE))
    eda += r.normal(0, s.noise, len(eda))
    resting = r.normal([68.0, 33.0], [8.0, 1.0])  # heart rate and temperature
    heart = np.repeat(resting[0] + 6 * response * arousal, _number(s, HEART_RATE))
    heart += r.normal(0, 6, n).repeat(_number(s, HEART_RATE)) + r.normal(0, 3, len(heart))
    temperature = np.repeat(resting[1] - 0.2 * arousal + 0.2 * valence, _number(s, TEMPERATURE_RATE))
    temperature += np.cumsum(r.normal(0, 0.05, len(temperature))) + r.normal(0, 0.05, len(temperature))
    signals = {"eda": np.stack([eda, np.gradient(eda, 1 / EDA_RATE)], axis=1), "heart": heart, "temperature": temperature}
    recorded = r.random((len(SENSORS), n)) >= s.loss  # (M, N)
    recorded[r.integers(len(SENSORS), size=n), np.arange(n)] |= ~recorded.any(axis=0)
    return Person(
        state=state,
        arousal=arousal,
        valence=valence,
        conductance=conductance,
        frames={name: x.reshape(n, len(x) // n, -1) for name, x in signals.items()},  # (N T, d) -> (N, T, d)
        recorded=dict(zip(SENSORS, recorded, strict=True)),
    )


def generate(settings: Wrist) -> Corpus:
    """Return the corpus in memory.

    Raises:
        ConfigError: see :func:`person`.

    >>> from lacuna.synthetic.wrist import preset
    >>> corpus = generate(preset("tiny"))
    >>> [m.name for m in corpus.modalities], [t.name for t in corpus.targets]
    (['eda', 'heart', 'temperature'], ['state', 'arousal', 'valence'])
    """
    people = [person(settings, number) for number in range(settings.people)]
    rows = [(number, turn) for number, one in enumerate(people) for turn in range(len(one.state))]
    names = [f"p{number:06d}" for number in range(settings.people)]
    channels = {}
    for sensor, description in SENSORS.items():
        frames = [
            people[p].frames[sensor][turn].astype(np.float32) if people[p].recorded[sensor][turn] else None for p, turn in rows
        ]
        channels[sensor] = Channel(frames, extractor=description)
    return assemble(
        "wrist",
        ids=[f"{names[p]}-{turn:02d}" for p, turn in rows],
        dialogues=[names[p] for p, _ in rows],
        turns=[turn for _, turn in rows],
        speakers=[names[p] for p, _ in rows],
        splits=[_SPLIT[p % len(_SPLIT)] for p, _ in rows],
        channels=channels,
        targets=[
            Target("state", "classification", tuple(STATES)),
            Target("arousal", "regression"),
            Target("valence", "regression"),
        ],
        labels={name: np.concatenate([getattr(one, name) for one in people]) for name in ("state", "arousal", "valence")},
        provenance=Provenance(
            source="generated",
            importer="wrist",
            licence="Apache-2.0",
            notes=("settings of wrist: " + json.dumps(settings.to_json(), sort_keys=True),),
        ),
    )


def _states(n: int, r: np.random.Generator) -> NDArray[np.int64]:
    """Return the state of each window: rest, stress or amusement, rest, and the other one, in blocks of random length."""
    shares = np.array([0.25, 0.3, 0.25, 0.2]) * r.uniform(0.7, 1.3, 4)
    order = [0, 1, 0, 2] if r.random() < 0.5 else [0, 2, 0, 1]
    if order[1] == 2:
        shares[[1, 3]] = shares[[3, 1]]  # stress lasts longer than amusement
    ends = np.cumsum(shares) / shares.sum() * n
    return np.asarray(order, np.int64)[np.searchsorted(ends, np.arange(n) + 0.5)]


def _responses(s: Wrist, rates: Array, gain: float, r: np.random.Generator) -> tuple[Array, Array]:
    """Return onsets and amplitudes, (I,) float64 each, of responses at a rate (N,) for each window."""
    counts = r.poisson(rates * s.seconds)
    first = np.repeat(np.arange(len(rates)) * float(s.seconds), counts)
    return first + r.uniform(0, s.seconds, len(first)), gain * r.gamma(2.0, 0.5, len(first))


def _times(seconds: int, rate: float) -> Array:
    return np.arange(int(seconds * rate)) / rate


def _number(s: Wrist, rate: float) -> int:
    return int(s.seconds * rate)
