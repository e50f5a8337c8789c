"""Generate a duet in memory, or stream it to disk at any size."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from lacuna.corpus.corpus import Corpus, Frames, Utterances
from lacuna.corpus.schema import Modality, Provenance, Target
from lacuna.corpus.storage.format import CorpusWriter
from lacuna.synthetic.duet.settings import Duet
from lacuna.synthetic.duet.sheets import Sheet, draw
from lacuna.synthetic.duet.transcripts import render
from lacuna.synthetic.duet.words import CAST, UNSEEN
from lacuna.synthetic.duet.world import draw_world

_PIECE = 16  # sheets written together
_SPLIT = np.array([0, 0, 0, 1, 2])  # of dialogue number mod 5: train, train, train, valid, test
_NOTE = "settings of duet: "


def generate(settings: Duet) -> Corpus:
    """Return the corpus in memory, about 3.5 kB for each utterance with the default widths; :func:`write` streams instead."""
    return _corpus(settings, list(draw(settings)))


def write(settings: Duet, folder: Path) -> Path:
    """Write the corpus into a folder for :func:`lacuna.corpus.open_corpus`, a piece at a time.

    Args:
        settings: settings of the corpus.
        folder: created if needed; an existing corpus is replaced when the new one is complete.

    Returns:
        The folder.
    """
    sheets = draw(settings)
    with CorpusWriter(folder) as writer:
        while piece := list(islice(sheets, _PIECE)):
            writer.append(_corpus(settings, piece))
    return folder


def settings_of(corpus: Corpus) -> Duet | None:
    """Return the settings that a corpus was drawn from, read from its provenance; ``None`` if it is no duet."""
    if corpus.provenance.importer != "duet":
        return None
    for note in corpus.provenance.notes:
        if note.startswith(_NOTE):
            return Duet.from_json(json.loads(note.removeprefix(_NOTE)))
    return None


def _corpus(settings: Duet, sheets: list[Sheet]) -> Corpus:
    """Return sheets end to end as a corpus."""
    lexicon = draw_world(settings).lexicon
    dialogue = np.concatenate([s.dialogue for s in sheets])
    turn = np.concatenate([s.turn for s in sheets])
    tokens = np.concatenate([s.tokens for s in sheets])
    numbers, code = np.unique(dialogue, return_inverse=True)
    letter = "s" if settings.ood else "d"
    names = [f"{letter}{n:07d}" for n in numbers.tolist()]
    ids = [f"{names[d]}-{t:02d}" for d, t in zip(code.tolist(), turn.tolist(), strict=True)]
    frames = {}
    for m in ("text", "audio", "vision"):
        count = np.concatenate([s.count[m] for s in sheets])
        values = np.concatenate([s.values[m] for s in sheets])
        frames[m] = Frames(values, np.cumsum(count) - count, count, tokens=tokens if m == "text" else None)
    transcripts = pa.array(render(lexicon, tokens, frames["text"].count), pa.large_string())
    split = np.full(len(turn), 2) if settings.ood else _SPLIT[dialogue % len(_SPLIT)]
    emotion = np.concatenate([s.emotion for s in sheets])
    return Corpus(
        name=settings.name,
        modalities=(
            Modality("text", settings.text.dim, "duet: embedding of each word", len(lexicon.words)),
            Modality("audio", settings.audio.dim, "duet: voice"),
            Modality("vision", settings.vision.dim, "duet: face"),
        ),
        targets=(Target("emotion", "classification", settings.emotions),),
        utterances=Utterances(
            id=pa.array(ids, pa.large_string()),
            dialogue=code.astype(np.int64),
            turn=turn,
            speaker=np.concatenate([s.speaker for s in sheets]),
            split=split.astype(np.int64),
            labels={"emotion": emotion},
            dialogue_names=pa.array(names, pa.large_string()),
            speaker_names=pa.array(UNSEEN if settings.ood else CAST, pa.large_string()),
            text=lambda: transcripts,
        ),
        frames=frames,
        provenance=Provenance(
            source="generated",
            importer="duet",
            licence="Apache-2.0",
            notes=(_NOTE + json.dumps(settings.to_json(), sort_keys=True),),
        ),
    )
