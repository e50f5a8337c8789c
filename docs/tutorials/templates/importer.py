"""One ``.npz`` file with ``ids``, ``emotions``, and a matrix of utterance vectors for each modality."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.sources import npz_shapes, provenance, read_npz
from lacuna.corpus.repair import Policy
from lacuna.corpus.schema import Target

_MODALITIES = ("text", "audio", "vision")


@dataclass(frozen=True)
class SimpleOptions(Options):
    """Options of ``simple``.

    Attributes:
        nonfinite: what to do with NaN and inf in the features.
    """

    nonfinite: Policy = "refuse"


@register("simple", reads="one .npz with ids, emotions and a matrix for each of text, audio, vision")
class Simple(Importer[SimpleOptions]):
    """See the module."""

    Options = SimpleOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return what the file holds, from its header alone."""
        if path.suffix != ".npz" or not {"ids", "emotions"} <= (names := set(npz_shapes(path))):
            return None
        return Recognition(f"simple .npz: {', '.join(m for m in _MODALITIES if m in names)}")

    def load(self, path: Path, *, name: str, options: SimpleOptions) -> Corpus:
        """Return the corpus."""
        arrays = read_npz(path)
        ids = [str(value) for value in arrays["ids"]]
        classes, codes = np.unique(arrays["emotions"].astype(str), return_inverse=True)
        target = Target("emotion", "classification", tuple(classes.tolist()))
        return assemble(
            name,
            ids=ids,
            dialogues=ids,
            turns=[0] * len(ids),
            channels={m: Channel([row[None] for row in arrays[m]]) for m in _MODALITIES if m in arrays},  # (d,) -> (1, d)
            targets=[target],
            labels={"emotion": codes},
            provenance=provenance(self.name, path, [path]),
            nonfinite=options.nonfinite,
        )
