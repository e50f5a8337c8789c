"""Facts about a registered model: where it was published and what kind of method it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lacuna.errors import ConfigError

Task = Literal["baseline", "recovery", "graph", "generation", "fusion"]
TASKS: tuple[Task, ...] = get_args(Task)
MODALITIES = ("text", "audio", "vision", "image", "music", "any")


@dataclass(frozen=True)
class ModelInfo:
    """Facts about a registered model, declared with :func:`lacuna.models.register`.

    Attributes:
        name: name in the registry.
        title: title of the paper; of a baseline, a short description.
        task: kind of method. ``baseline`` = a simple reference; ``recovery`` = estimates missing features and recognises from the
            completed input; ``graph`` = passes messages on conversation graphs; ``generation`` = learns a distribution of the
            features (flow or diffusion) and fills missing ones from it; ``fusion`` = fuses what is observed, no recovery first.
        paper: link to the paper (doi, arXiv, proceedings); empty for baselines.
        year: year of publication, ``None`` for baselines.
        venue: conference or journal; empty for baselines and preprints.
        reference: classic reference of a baseline, where one exists.
        modalities: what the system of the paper reads, of ``MODALITIES``; ``("any",)`` = none in particular. The models here
            read any modality. Empty for baselines.
        reconstruction: code and equations of the authors are not public or were not used, so parts of the model are decisions of
            this library.

    Raises:
        ConfigError: an unknown task or modality, a paper that is not a link, or a year or venue without a paper.
    """

    name: str
    title: str = ""
    task: Task | Literal[""] = ""
    paper: str = ""
    year: int | None = None
    venue: str = ""
    reference: str = ""
    modalities: tuple[str, ...] = ()
    reconstruction: bool = False

    def __post_init__(self) -> None:
        where = f"model '{self.name}':"
        if self.task and self.task not in TASKS:
            raise ConfigError(f"{where} 'task' must be one of {', '.join(TASKS)}; found {self.task!r}")
        if unknown := [m for m in self.modalities if m not in MODALITIES]:
            raise ConfigError(f"{where} 'modalities' must be of {', '.join(MODALITIES)}; found {unknown[0]!r}")
        if self.paper and not self.paper.startswith(("https://", "http://")):
            raise ConfigError(f"{where} 'paper' must be a link that begins with https://; found {self.paper!r}")
        if not self.paper and (self.year is not None or self.venue):
            raise ConfigError(f"{where} 'year' and 'venue' are those of a paper; declare 'paper' as a link, or neither of them")

    @property
    def undeclared(self) -> list[str]:
        """Return the names of the facts that are missing: a model has a title and a task, a paper also a year and modalities."""
        lacking = [name for name in ("title", "task") if not getattr(self, name)]
        return lacking + [name for name in ("year", "modalities") if self.paper and not getattr(self, name)]

    @property
    def made_for(self) -> str:
        """Return the modalities as text; ``any`` for baselines."""
        return ", ".join(self.modalities) or "any"
