"""Features of single videos as MMSA-FET writes them: a pickle of one dictionary without splits and labels, or a folder of such.

``run_single`` writes ``audio`` (T, d), ``vision`` (T, d), ``text`` (T, d) and ``text_bert`` (3, T) of one recording, with the
settings of the extractor beside them. Each file is one utterance, named after the file, so that a model that was trained on the
same features can predict it. (``run_dataset`` writes the format of importer ``mmsa``.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.assemble import assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.mmsa import MmsaOptions
from lacuna.corpus.importers.outlines import PICKLES, outline
from lacuna.corpus.importers.sample_reader import MODALITIES, SampleReader
from lacuna.corpus.importers.samples import SPLIT_NAMES, Samples
from lacuna.corpus.importers.sources import describe, folder_files, natural_key, provenance
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.repair import Policy
from lacuna.errors import DataError

_FEATURES = {key for keys in MODALITIES.values() for key in keys}
_LABELS = {"labels", "label", "regression_labels", "classification_labels"}
_MOST = 1000  # files of a folder whose outline is read


@dataclass(frozen=True)
class FetOptions(Options):
    """Options of ``mmsa-fet``.

    Attributes:
        token_width: columns of the token codes, used if the file has token ids and no text features.
        nonfinite: what to do with NaN and inf in the features.
    """

    token_width: int = 64
    nonfinite: Policy = "refuse"


@register("mmsa-fet", reads="MMSA-FET features of one video: a pickle of audio, vision, text without splits; or a folder of such")
class MmsaFet(Importer[FetOptions]):
    """See the module."""

    Options = FetOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if every pickle has features and neither splits nor labels."""
        files = _files(path)[:_MOST]
        if not files or not all(_fits(file) for file in files):
            return None
        return Recognition(f"MMSA-FET features of {len(files)} recording(s), without labels")

    def load(self, path: Path, *, name: str, options: FetOptions) -> Corpus:
        """Read every file as one utterance."""
        files = _files(path)
        parts = [_part(name, file) for file in files]
        keys = sorted({key for part in parts for key in part})
        if lacking := next((f for f, part in zip(files, parts, strict=True) if set(part) != set(keys)), None):
            raise DataError(f"{lacking.name} has other keys than the others", corpus=name, expected=", ".join(keys))
        ids = [file.stem for file in files]
        other = sorted(set(keys) - _FEATURES - {"text_bert", "raw_text"})
        columns = {key: [part[key] for part in parts] for key in keys if key not in other}
        samples = Samples(name, ["test"] * len(ids), columns, {})
        reader = SampleReader(samples, ids, MmsaOptions(token_width=options.token_width))
        channels = reader.channels()
        notes = [*reader.notes, "no labels: for predictions", *([f"keys not read: {', '.join(other)}"] if other else [])]
        return assemble(
            name,
            ids=ids,
            dialogues=ids,
            turns=[0] * len(ids),
            channels=channels,
            texts=reader.texts(),
            provenance=provenance(self.name, path, files, notes=notes),
            nonfinite=options.nonfinite,
        )


def _files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else list(folder_files(path).values())
    return sorted((f for f in files if f.suffix.lower() in PICKLES), key=lambda f: natural_key(f.stem))


def _fits(file: Path) -> bool:
    layout = outline(file)
    keys = set(layout.strings) if layout is not None and layout.is_dict else set()
    return bool(keys & _FEATURES) and not keys & (set(SPLIT_NAMES) | _LABELS)


def _part(name: str, file: Path) -> dict[str, Any]:
    """Return the features of one recording, each (T, d)."""
    content = read_pickle(file)
    if not isinstance(content, dict) or not set(map(str, content)) & _FEATURES:
        expected = "a dictionary with audio, vision or text"
        raise DataError(f"{file.name} holds no features", corpus=name, expected=expected, found=describe(content))
    part: dict[str, Any] = {}
    for key, value in content.items():
        if key == "text_bert":
            tokens: NDArray[Any] = np.asarray(value)
            tokens = tokens.reshape(tokens.shape[-2:])  # (1, 3, T) -> (3, T)
            part[key] = tokens if len(tokens) == 3 else tokens.T
        elif key in _FEATURES and not isinstance(value, str):
            array: NDArray[Any] = np.asarray(value)
            part[key] = array.reshape(-1, array.shape[-1]) if array.ndim else array  # (d,) or (1, T, d) -> (T, d)
        else:
            part[str(key)] = value
    return part
