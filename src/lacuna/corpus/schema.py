"""Modalities, targets and provenance of a corpus, as frozen values that are stored with every model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from lacuna.errors import ConfigError, DataError, suggestion

Task = Literal["classification", "soft", "regression"]
SPLITS = ("train", "valid", "test")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check_name(kind: str, name: str) -> str:
    """Return ``name`` if it is valid in a path, a column name and a YAML key.

    Raises:
        DataError: the name has characters outside ``a-z 0-9 _ -``.
    """
    if not _NAME.fullmatch(name):
        raise DataError(
            f"{kind} name {name!r} cannot be used",
            expected="lower-case letters, digits, '_' and '-', starting with a letter or digit",
            found=repr(name),
            hint=f"rename the {kind}",
        )
    return name


@dataclass(frozen=True)
class Modality:
    """One channel of a corpus.

    Attributes:
        name: e.g. ``text``, ``audio``, ``vision``.
        dim: width of a frame; every frame is ``(dim,)`` float32.
        extractor: description of what computed the features.
        vocabulary: size of the vocabulary when token ids are kept beside the frames, else ``None``.
    """

    name: str
    dim: int
    extractor: str = "unknown"
    vocabulary: int | None = None

    def __post_init__(self) -> None:
        check_name("modality", self.name)
        if self.dim < 1:
            raise DataError(
                "a modality needs at least one column",
                modality=self.name,
                expected="dim >= 1",
                found=self.dim,
                hint="give the number of feature columns",
            )


@dataclass(frozen=True)
class Target:
    """A prediction target.

    Attributes:
        name: e.g. ``emotion``, ``sentiment``, ``score``.
        task: ``classification`` (int64 class), ``soft`` (a distribution over classes) or ``regression`` (float32).
        classes: class names in the order of their codes; empty for regression.
        low: lowest possible value of a regression target, if it has one.
        high: highest possible value of a regression target, if it has one.
    """

    name: str
    task: Task
    classes: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        check_name("target", self.name)
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.task not in ("classification", "soft", "regression"):
            raise DataError(
                f"target '{self.name}' has unknown task {self.task!r}",
                expected="classification, soft or regression",
                hint="choose one of these tasks",
            )
        if (self.task == "regression") != (not self.classes):
            raise DataError(
                f"target '{self.name}' of task '{self.task}' has {len(self.classes)} classes",
                expected="no classes for regression, at least one otherwise",
                hint="list the classes of a classification, and none of a regression",
            )

    @property
    def width(self) -> int:
        """Return the number of outputs that a model needs: one for each class, or 1."""
        return max(1, len(self.classes))


@dataclass(frozen=True)
class Schema:
    """The modalities that a model reads and the targets that it predicts.

    Attributes:
        modalities: in the order of the corpus.
        target: main target, which validation selects by and evaluation scores.
        auxiliary: targets that are learned beside the main one.
    """

    modalities: tuple[Modality, ...]
    target: Target
    auxiliary: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", tuple(self.modalities))
        object.__setattr__(self, "auxiliary", tuple(self.auxiliary))
        if not self.modalities:
            raise ConfigError("a model needs at least one modality")
        names = [self.target.name, *(t.name for t in self.auxiliary)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"target '{twice[0]}' is named twice; auxiliary targets differ from the main one, '{names[0]}'")

    @property
    def dims(self) -> dict[str, int]:
        """Return the frame width by modality, in the order of the corpus."""
        return {m.name: m.dim for m in self.modalities}

    def only(self, names: Sequence[str]) -> Schema:
        """Return the schema with these modalities alone, in its own order; all of them if none is named.

        Raises:
            ConfigError: the schema lacks one of them.
        """
        if unknown := [name for name in names if name not in self.dims]:
            raise ConfigError(f"there is no modality '{unknown[0]}'{suggestion(unknown[0], list(self.dims))}")
        return replace(self, modalities=tuple(m for m in self.modalities if not names or m.name in names))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file; :meth:`from_json` reads them back."""
        content = asdict(self)
        return content if self.auxiliary else {name: value for name, value in content.items() if name != "auxiliary"}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Schema:
        """Return the schema from the values of :meth:`to_json`."""
        return cls(
            modalities=tuple(Modality(**m) for m in content["modalities"]),
            target=Target(**content["target"]),
            auxiliary=tuple(Target(**t) for t in content.get("auxiliary", ())),
        )


@dataclass(frozen=True)
class Provenance:
    """Source of a corpus.

    Attributes:
        source: name of the file or folder that was read, without machine paths.
        importer: name of the importer, or of the generator.
        licence: terms of the original corpus, as far as known.
        files: SHA-256 of the files that were read, by file name.
        notes: what the importer recognised, decided or repaired, one sentence each.
    """

    source: str = "unknown"
    importer: str = "unknown"
    licence: str = "unknown"
    files: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))

    def noting(self, *notes: str) -> Provenance:
        """Return the provenance with more notes."""
        return Provenance(self.source, self.importer, self.licence, self.files, (*self.notes, *notes))
