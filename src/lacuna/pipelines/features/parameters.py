"""Parameters of the features pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from lacuna.pipelines.parameters import Listed, Parameters, Rate, _told


class Features(Parameters):
    """Which recordings are encoded, and how; the fields are those of :func:`lacuna.media.extract`.

    Attributes:
        path: a recording, or a folder of recordings; ``None`` = the corpus does not come from recordings.
        encode: by modality, the name of an encoder, or its settings with its ``name``, or ``None``.
        targets: label columns of the table of clips, the default target first; empty = all.
        turns: cut recordings without a table into turns, found by this detector of speech; ``None`` = do not cut.
        max_failed: share of clips that may fail.
        workers: processes; ``None`` = one for each core.
        cache: folder of the cache; ``None`` = the cache folder of the user.
    """

    path: Path | None = None
    encode: dict[str, Any] = Field(default_factory=dict)
    targets: Annotated[list[str], Listed] = Field(default_factory=list)
    turns: Literal["energy", "silero"] | None = None
    max_failed: Rate = 0.5
    workers: PositiveInt | None = None
    cache: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Features:
        from lacuna.media import encoders_of

        _told(lambda: encoders_of(self.encode))
        return self
