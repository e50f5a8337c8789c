"""Predictions of recordings: features as those that a recogniser was trained on, then one prediction for each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, suggestion
from lacuna.evaluation import predict_frame
from lacuna.training import TrainedRecognizer

if TYPE_CHECKING:
    from lacuna.media import Extraction


def extract_for(trained: TrainedRecognizer, source: Path, encode: Mapping[str, Any] | None = None, **options: Any) -> Extraction:
    """Return the features of recordings, made as those that a recogniser was trained on.

    Args:
        trained: the recogniser.
        source: a recording or a folder of recordings.
        encode: other encoders, see :func:`lacuna.media.extract`.
        options: further arguments of that function.

    Raises:
        ConfigError: no encoder of this version made the features of the recogniser.
        DataError: the recordings cannot be used.
    """
    from lacuna.media import encoders_of_modalities, extract

    return extract(source, encode or encoders_of_modalities(trained.schema.modalities), **options)


def predict_recordings(
    trained: TrainedRecognizer,
    extraction: Extraction,
    *,
    drop: str | Sequence[str] = (),
    anyway: bool = False,
    error: float = 0.1,
) -> pd.DataFrame:
    """Return predictions of clips of recordings, with their times and problems.

    Args:
        trained: the recogniser.
        extraction: of :func:`extract_for`.
        drop: modalities to leave out.
        anyway: whether a clip of which nothing was observed gets a prediction too.
        error: accepted share of prediction sets without the truth, in (0, 1).

    Returns:
        One row for each clip, see :meth:`lacuna.Model.predict`; ``start`` and ``end`` are seconds of the file, ``problems`` is a
        text, empty if nothing is wrong. Clips in quarantine are left out.

    Raises:
        ConfigError: ``drop`` names an unknown modality, or leaves none.
        DataError: the features do not fit the recogniser.
    """
    table = predict_frame(trained, without_modalities(extraction.corpus, trained, drop), anyway=anyway, error=error)
    clips = {clip.id: clip for clip in extraction.clips}
    table.insert(3, "start", [clips[name].start for name in table["id"]])
    table.insert(4, "end", [clips[name].end for name in table["id"]])
    problems: dict[str, list[str]] = {}
    for row in extraction.quarantine.itertuples():
        problems.setdefault(str(row.id), []).append(f"{row.modality}: {row.reason}")
    return table.assign(problems=["; ".join(problems.get(name, [])) for name in table["id"]])


def without_modalities(corpus: Corpus, trained: TrainedRecognizer, drop: str | Sequence[str]) -> Corpus:
    """Return the corpus without these modalities; one that only the recogniser knows is absent already.

    Args:
        corpus: the utterances.
        trained: the recogniser.
        drop: name of a modality, or several.

    Raises:
        ConfigError: neither the corpus nor the recogniser has a modality of this name.
    """
    names = (drop,) if isinstance(drop, str) else tuple(drop)
    known = list(dict.fromkeys([*trained.schema.dims, *corpus.frames]))
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"cannot drop the modality {unknown[0]!r}{suggestion(unknown[0], known)}; there are: {', '.join(known)}\n"
            "  do: correct drop"
        )
    return corpus.without(*(name for name in dict.fromkeys(names) if name in corpus.frames))
