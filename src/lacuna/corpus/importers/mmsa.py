"""Pickles of splits: MMSA (CMU-MOSI, CMU-MOSEI, CH-SIMS, CLUE), MulT, MultiBench and MAG-BERT, aligned or unaligned.

A dictionary of ``train``, ``valid``, ``test``, each a dictionary of columns with one row a sample: ``id``, ``raw_text``,
``text_bert`` (N, 3, T) = [token ids, attention mask, segments], ``text`` (N, T, d), ``audio`` (N, T, d), ``vision`` (N, T, d) or
equivalent names, ``audio_lengths`` and ``vision_lengths`` in unaligned files, and labels: ``regression_labels``,
``classification_labels`` (0, 1, 2), ``annotations`` (words), or ``labels`` of shape (N,), (N, 1, 1), (N, columns) or
(N, labels, 2). Keys that are not read are named in the notes, with the option that reads them.

Padding is removed by content, wherever it stands. Where no lengths are stated and all modalities have the same number of frames,
the file is aligned: a sample is cut to the window in which any modality has content. Otherwise text ends with its attention mask,
and other modalities keep their stated length or the frames between their first and last frame that is not zero. Where a file has
token ids or words and no text features, each one gets a fixed code of random signs,
see :func:`lacuna.corpus.importers.sample_reader.token_codes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lacuna.corpus.assemble import Channel, assemble
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import Importer, Options, Recognition, register
from lacuna.corpus.importers.outlines import outline
from lacuna.corpus.importers.sample_reader import MODALITIES, SampleReader
from lacuna.corpus.importers.samples import SPLIT_NAMES, Samples, dialogues_of, identify_samples, order_of
from lacuna.corpus.importers.sources import Zeros, provenance
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.repair import Policy

_LAYOUT = {"text_bert", "regression_labels", "labels", "raw_text", *(key for keys in MODALITIES.values() for key in keys)}


@dataclass(frozen=True)
class MmsaOptions(Options):
    """Options of ``mmsa``.

    Attributes:
        dialogue: what a dialogue is: the ``video``, the single ``utterance``, or ``auto`` = the video unless splits share videos
            or ids name none.
        modalities: further keys to read as modalities, ``key`` or ``key=name``.
        targets: further keys to read as targets.
        columns: names of the columns of ``labels``, if it has several.
        words: label words and the class that each one means, ``word=class``, e.g. for labels in another language.
        scale: lowest and highest possible score; ``None`` = -3 to 3.
        token_width: columns of the token codes, used if the file has token ids or words and no text features.
        zeros: all-zero recordings within their stated length: ``keep`` as silence, or the modality is ``absent``.
        nonfinite: what to do with NaN and inf in the features.
    """

    dialogue: Literal["auto", "video", "utterance"] = "auto"
    modalities: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None
    token_width: int = 64
    zeros: Zeros = "keep"
    nonfinite: Policy = "refuse"


@register("mmsa", reads="an MMSA, MulT or MultiBench pickle: train/valid/test dicts with text_bert or text, audio, vision")
class Mmsa(Importer[MmsaOptions]):
    """See the module."""

    Options = MmsaOptions

    def recognise(self, path: Path) -> Recognition | None:
        """Return a recognition if the keys of the pickle match; the pickle is not run."""
        layout = outline(path) if path.is_file() else None
        keys = set(layout.strings) if layout is not None and layout.is_dict else set()
        if not keys & set(SPLIT_NAMES) or len(keys & _LAYOUT) < 2:
            return None
        return Recognition(f"MMSA pickle, {'unaligned' if 'audio_lengths' in keys else 'aligned or unaligned'}")

    def resembles(self, path: Path) -> bool:
        """Return whether the pickle is a dictionary with a split."""
        layout = outline(path) if path.is_file() else None
        return layout is not None and layout.is_dict and bool(set(layout.strings) & set(SPLIT_NAMES))

    def load(self, path: Path, *, name: str, options: MmsaOptions) -> Corpus:
        """Read all splits."""
        samples = Samples.of(name, read_pickle(path))
        ids, places, id_note = identify_samples(samples)
        dialogues, turns, place_note = dialogues_of(name, ids, samples.splits, places, options.dialogue)
        reader = SampleReader(samples, ids, options)
        channels = reader.channels()
        targets = reader.targets()
        texts = reader.texts()
        order = order_of(ids, samples.splits, dialogues)
        notes = [note for note in (id_note, place_note, *reader.notes, *reader.unread()) if note]

        def ordered(values: Any) -> list[Any]:
            return [values[row] for row in order]

        return assemble(
            name,
            ids=ordered(ids),
            dialogues=ordered(dialogues),
            turns=ordered(turns),
            channels={
                m: Channel(ordered(c.frames), c.extractor, None if c.tokens is None else ordered(c.tokens), c.vocabulary)
                for m, c in channels.items()
            },
            targets=[target for target, _ in targets],
            labels={target.name: values[order] for target, values in targets},
            splits=ordered(samples.splits),
            texts=None if texts is None else ordered(texts),
            provenance=provenance(self.name, path, [path], licence="as the original corpus", notes=notes),
            nonfinite=options.nonfinite,
        )
