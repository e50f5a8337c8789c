"""Everything that duet is drawn from, as frozen values; ``docs/duet.md`` says what each one does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import isfinite
from typing import Any

from lacuna.corpus.duet.words import EMOTIONS, SCENES
from lacuna.errors import ConfigError


@dataclass(frozen=True)
class Words:
    """The text channel.

    Attributes:
        dim: width of the embedding.
        tokens: fewest and most tokens of a turn, drawn evenly.
        emotional: share of tokens from an emotion's lexicon.
        topical: share of tokens from a scene's lexicon; what is left is filler.
        slip: chance that an emotional word comes from the lexicon of another emotion.
        wander: chance that a topical word comes from the lexicon of another scene.
        pull: distance of a lexicon's centre from the origin; single words scatter around it with variance 1 a column.
        bend: a of the map sinh(a arcsinh(x) + b).
        tilt: size of b, its sign drawn for each column.
    """

    dim: int = 64
    tokens: tuple[int, int] = (5, 14)
    emotional: float = 0.3
    topical: float = 0.2
    slip: float = 0.54
    wander: float = 0.43
    pull: float = 1.0
    bend: float = 2.0
    tilt: float = 0.5


@dataclass(frozen=True)
class Signal:
    """The audio or the vision channel, in its linear space.

    Attributes:
        dim: width of a frame.
        frames: fewest and most frames of a turn, drawn evenly.
        separation: length of each emotion's mean.
        loading: length of each of the expressiveness vector's directions.
        overlap: share of their squared length that lies among the emotions' means, where expressiveness is mistaken for emotion.
        shared: standard deviation of what all frames of a turn share.
        noise: standard deviation of each frame's own noise.
        code: columns that carry the scene (the room, the camera) and nothing else, before the rotation.
        cue: length of each scene's mean.
        bend: a of the map sinh(a arcsinh(x) + b).
        tilt: size of b, its sign drawn for each column.
    """

    dim: int
    frames: tuple[int, int]
    separation: float
    loading: float
    overlap: float
    shared: float
    noise: float = 1.0
    code: int = 4
    cue: float = 0.5
    bend: float = 3.0
    tilt: float = 0.5


@dataclass(frozen=True)
class Duet:
    """Settings of the corpus; two corpora with equal settings are equal byte for byte.

    Attributes:
        dialogues: how many; the first 300 of a larger corpus are the corpus of 300.
        turns: fewest and most turns of a dialogue, drawn evenly.
        prior: how often each emotion is felt, in the order of ``words.EMOTIONS``; its length is K.
        persistence: chance that a speaker's emotion stays.
        contagion: chance that it becomes the other's; what is left is drawn from the prior.
        alternate: chance that the other speaks next.
        factors: q, the length of the expressiveness vector that voice and face share.
        scenes: G, how many scenes there are; the partner of emotion e is scene e mod G.
        rho_iid: chance that the scene of a turn is its emotion's partner, in train, valid and test.
        rho_ood: the same in the shifted test.
        ood: draw the shifted test: same world, another ``rho``, other speakers, nothing but a test split.
        text: the words.
        audio: the voice.
        vision: the face.
        seed: everything follows from it.

    Raises:
        ConfigError: a value is out of bounds.
    """

    dialogues: int = 300
    turns: tuple[int, int] = (8, 30)
    prior: tuple[float, ...] = (0.3, 0.2, 0.16, 0.14, 0.1, 0.1)
    persistence: float = 0.4
    contagion: float = 0.2
    alternate: float = 0.9
    factors: int = 4
    scenes: int = 3
    rho_iid: float = 0.9
    rho_ood: float = 0.1
    ood: bool = False
    text: Words = field(default_factory=Words)
    audio: Signal = field(default_factory=lambda: Signal(32, (4, 9), separation=0.93, loading=3.0, overlap=0.85, shared=0.6))
    vision: Signal = field(default_factory=lambda: Signal(24, (3, 7), separation=0.97, loading=3.0, overlap=0.95, shared=0.8))
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "prior", tuple(float(p) for p in self.prior))
        _require(2 <= len(self.prior) <= len(EMOTIONS), "prior", f"2 to {len(EMOTIONS)} shares", self.prior)
        _require(min(self.prior) > 0 and abs(sum(self.prior) - 1) < 1e-9, "prior", "shares above 0 that sum to 1", self.prior)
        _require(self.dialogues >= 1, "dialogues", "at least 1", self.dialogues)
        _require(0 <= self.seed < 2**63, "seed", "from 0 to 2**63 - 1", self.seed)
        _require(1 <= self.factors <= 16, "factors", "from 1 to 16", self.factors)
        _require(2 <= self.scenes <= len(SCENES), "scenes", f"from 2 to {len(SCENES)}", self.scenes)
        for name in ("persistence", "contagion"):
            _require(0 <= getattr(self, name) < 1, name, "at least 0 and below 1", getattr(self, name))
        left = 1 - self.persistence - self.contagion
        _require(left >= 1e-3, "persistence + contagion", "at most 0.999, so that every emotion stays possible", 1 - left)
        _require(0 <= self.alternate <= 1, "alternate", "from 0 to 1", self.alternate)
        for name in ("rho_iid", "rho_ood"):
            _require(0 < getattr(self, name) < 1, name, "above 0 and below 1", getattr(self, name))
        _range(self, "turns", 1)
        _words(self.text)
        for name, signal in (("audio", self.audio), ("vision", self.vision)):
            _signal(name, signal, least=len(self.prior) + self.factors, scenes=self.scenes)

    @property
    def emotions(self) -> tuple[str, ...]:
        """K emotion names, in the order of their codes."""
        return tuple(EMOTIONS)[: len(self.prior)]

    @property
    def rho(self) -> float:
        """Chance that a turn's scene is its emotion's partner in this corpus."""
        return self.rho_ood if self.ood else self.rho_iid

    @property
    def name(self) -> str:
        """Name of the corpus: ``duet`` or ``duet-ood``."""
        return "duet-ood" if self.ood else "duet"

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON or YAML file; :meth:`from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Duet:
        """Settings from plain values; what is left out keeps its default.

        Raises:
            ConfigError: a name is unknown or a value out of bounds.
        """
        return _changed(cls(), content, "")


def preset(name: str, **changes: Any) -> Duet:
    """Settings by name: ``tiny`` (tests), ``demo`` (300 dialogues) or ``bench`` (10,000), with changes.

    Raises:
        ConfigError: there is no such preset or setting, or a value is out of bounds.
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r} of duet; there are: {', '.join(PRESETS)}")
    return Duet.from_json({**PRESETS[name], **changes})


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "dialogues": 15,
        "turns": (3, 7),
        "text": {"tokens": (3, 6)},
        "audio": {"frames": (2, 4)},
        "vision": {"frames": (1, 3)},
    },
    "demo": {"dialogues": 300},
    "bench": {"dialogues": 10_000},
}


def _changed(default: Any, content: Mapping[str, Any], where: str) -> Any:
    known = {f.name: getattr(default, f.name) for f in fields(default)}
    if unknown := sorted(set(content) - set(known)):
        raise ConfigError(f"duet has no setting '{where}{unknown[0]}'; known: {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(known[name], (Words, Signal)):
            values[name] = value if isinstance(value, (Words, Signal)) else _changed(known[name], value, f"{name}.")
        else:
            values[name] = tuple(value) if isinstance(known[name], tuple) else value
    try:
        return replace(default, **values)
    except TypeError as error:
        raise ConfigError(f"a setting of duet is not of the right kind: {error}") from None


def _require(holds: bool, name: str, expected: str, found: object) -> None:
    if not holds:
        raise ConfigError(f"duet: '{name}' must be {expected}, not {found!r}")


def _range(part: Any, name: str, least: int, where: str = "") -> None:
    found = getattr(part, name)
    fits = len(found) == 2 and all(isinstance(v, int) for v in found) and least <= found[0] <= found[1]
    _require(fits, where + name, f"two whole numbers, the fewest ({least} or more) and the most", found)


def _positive(part: Any, where: str, *names: str) -> None:
    for name in names:
        value = getattr(part, name)
        _require(isfinite(value) and value > 0, where + name, "a number above 0", value)


def _words(text: Words) -> None:
    _range(text, "tokens", 1, "text.")
    _positive(text, "text.", "dim", "emotional", "topical", "slip", "wander", "bend")
    _require(text.emotional + text.topical < 1, "text.emotional + text.topical", "below 1", text.emotional + text.topical)
    _require(text.slip < 1 and text.wander < 1, "text.slip and text.wander", "below 1", (text.slip, text.wander))
    _require(isfinite(text.pull) and text.pull >= 0, "text.pull", "0 or more", text.pull)
    _require(0 <= text.tilt <= 3 and text.bend <= 6, "text.bend and text.tilt", "at most 6 and 3", (text.bend, text.tilt))


def _signal(name: str, signal: Signal, least: int, scenes: int) -> None:
    where = f"{name}."
    _range(signal, "frames", 1, where)
    _positive(signal, where, "dim", "separation", "loading", "shared", "noise", "cue", "bend")
    _require(0 <= signal.overlap <= 1, where + "overlap", "from 0 to 1", signal.overlap)
    _require(signal.code >= scenes, where + "code", f"at least the {scenes} scenes", signal.code)
    _require(signal.dim >= signal.code + least, where + "dim", f"at least {signal.code + least}", signal.dim)
    _require(0 <= signal.tilt <= 3 and signal.bend <= 6, where + "bend and tilt", "at most 6 and 3", (signal.bend, signal.tilt))
