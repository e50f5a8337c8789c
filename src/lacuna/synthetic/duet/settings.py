"""Settings of duet as frozen values; ``docs/explanation/duet.md`` describes each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from lacuna.errors import ConfigError
from lacuna.synthetic.duet.channels import Signal, Words, check_range, check_signal, check_words, require
from lacuna.synthetic.duet.words import EMOTIONS, SCENES


@dataclass(frozen=True)
class Duet:
    """Settings of the corpus; two corpora with equal settings are equal byte for byte.

    Attributes:
        dialogues: number of dialogues; the first 300 dialogues of a larger corpus are the corpus of 300.
        turns: fewest and most turns of a dialogue, uniform.
        prior: probability of each emotion, in the order of ``words.EMOTIONS``; its length is K.
        persistence: probability that a speaker's emotion stays.
        contagion: probability that it becomes the emotion of the other speaker; otherwise it is drawn from the prior.
        alternate: probability that the other speaker has the next turn.
        factors: q, length of the expressiveness vector that audio and vision share.
        scenes: G, number of scenes; the partner of emotion e is scene e mod G.
        rho_iid: probability that the scene of a turn is the partner of its emotion, in train, valid and test.
        rho_ood: the same in the shifted test.
        ood: draw the shifted test: same true parameters, ``rho_ood``, other speakers, only a test split.
        text: settings of the text channel.
        audio: settings of the audio channel.
        vision: settings of the vision channel.
        seed: determines all random draws.

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
        for name in ("dialogues", "factors", "scenes", "seed"):
            value = getattr(self, name)
            require(isinstance(value, int) and not isinstance(value, bool), name, "a whole number", value)
        require(isinstance(self.ood, bool), "ood", "true or false", self.ood)
        require(2 <= len(self.prior) <= len(EMOTIONS), "prior", f"2 to {len(EMOTIONS)} shares", self.prior)
        require(min(self.prior) > 0 and abs(sum(self.prior) - 1) < 1e-9, "prior", "shares above 0 that sum to 1", self.prior)
        require(self.dialogues >= 1, "dialogues", "at least 1", self.dialogues)
        require(0 <= self.seed < 2**63, "seed", "from 0 to 2**63 - 1", self.seed)
        require(1 <= self.factors <= 16, "factors", "from 1 to 16", self.factors)
        require(2 <= self.scenes <= len(SCENES), "scenes", f"from 2 to {len(SCENES)}", self.scenes)
        for name in ("persistence", "contagion"):
            require(0 <= getattr(self, name) < 1, name, "at least 0 and below 1", getattr(self, name))
        left = 1 - self.persistence - self.contagion
        require(left >= 1e-3, "persistence + contagion", "at most 0.999, so that every emotion stays possible", 1 - left)
        require(0 <= self.alternate <= 1, "alternate", "from 0 to 1", self.alternate)
        for name in ("rho_iid", "rho_ood"):
            require(0 < getattr(self, name) < 1, name, "above 0 and below 1", getattr(self, name))
        check_range(self, "turns", 1)
        check_words(self.text)
        for name, signal in (("audio", self.audio), ("vision", self.vision)):
            check_signal(name, signal, least=len(self.prior) + self.factors, scenes=self.scenes)

    @property
    def emotions(self) -> tuple[str, ...]:
        """K emotion names, in the order of their codes."""
        return tuple(EMOTIONS)[: len(self.prior)]

    @property
    def rho(self) -> float:
        """Probability that the scene of a turn is the partner of its emotion in this corpus."""
        return self.rho_ood if self.ood else self.rho_iid

    @property
    def dims(self) -> dict[str, int]:
        """Width of a frame by modality."""
        return {"text": self.text.dim, "audio": self.audio.dim, "vision": self.vision.dim}

    @property
    def name(self) -> str:
        """Name of the corpus: ``duet`` or ``duet-ood``."""
        return "duet-ood" if self.ood else "duet"

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON or YAML file; :meth:`from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Duet:
        """Return settings from plain values; names that are left out keep their defaults.

        Raises:
            ConfigError: a name is unknown or a value out of bounds.
        """
        settings: Duet = _changed(cls(), content, "")
        return settings


def preset(name: str, **changes: Any) -> Duet:
    """Return settings by name: ``tiny`` (tests), ``demo`` (300 dialogues) or ``bench`` (10,000), with changes.

    Raises:
        ConfigError: the preset or a setting is unknown, or a value is out of bounds.

    Example:
        >>> preset("tiny", seed=3).dialogues
        15
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
    require(isinstance(content, Mapping), where.rstrip("."), "settings by name", content)
    known = {f.name: getattr(default, f.name) for f in fields(default)}
    if unknown := sorted(set(content) - set(known)):
        raise ConfigError(f"duet has no setting '{where}{unknown[0]}'; known: {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(known[name], (Words, Signal)):
            values[name] = value if isinstance(value, type(known[name])) else _changed(known[name], value, f"{name}.")
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return replace(default, **values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a setting of duet has the wrong type: {error}") from None
