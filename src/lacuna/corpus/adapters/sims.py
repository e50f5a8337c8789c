"""CH-SIMS and CH-SIMS v2: ``label.csv`` or ``meta.csv``, and one folder of clips a video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media
from lacuna.corpus.adapters.opinions import SCORES, TABLES, is_sims, opinion_rows, table_of
from lacuna.corpus.schema import Target
from lacuna.errors import DataError


@register_adapter("ch-sims")
class ChSims(Adapter):
    """Reads scores of the whole clip and of each modality alone, transcripts and clips."""

    title = "CH-SIMS, CH-SIMS v2"
    licence = "research only; the clips are from films, series and shows"
    where = "https://github.com/thuiar/MMSA and https://github.com/thuiar/ch-sims-v2 (download links)"
    paper = "Yu et al., CH-SIMS, ACL 2020; Liu et al., CH-SIMS v2.0, ICMI 2022"
    language = "Chinese"
    layout = "label.csv, meta.csv or meta(s).csv; Raw/<video>/<clip>.mp4"
    splits = "official: train, valid, test; they share most of their videos, and so their speakers"
    published = "CH-SIMS 2,281 clips of 60 videos; CH-SIMS v2 4,402 labelled clips"
    verified = "public readers of label.csv and meta.csv"
    unverified = "the archives themselves; the unsupervised part of v2 has no labels and is not read"
    targets = (
        *(Target(name, "regression", low=-1, high=1) for name in SCORES),
        Target("polarity", "classification", ("negative", "weakly negative", "neutral", "weakly positive", "positive")),
    )
    label_files = ("|".join(TABLES),)
    media = (*VIDEO, *AUDIO)

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether the label table is there, with videos named as in CH-SIMS."""
        return table_of(folder, is_sims) is not None

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        table = table_of(folder, is_sims)
        if table is None:
            raise DataError("there is no label table", corpus=folder.name, expected=self.layout)
        rows = list(opinion_rows(table, Media(folder, self.media)))
        videos = [{row.dialogue for row in rows if row.split == split} for split in ("train", "test")]
        notes.append(f"train and test share {len(videos[0] & videos[1])} of the {len(videos[1])} test videos")
        notes.append("score_text, score_audio, score_vision: judged from this modality alone")
        return rows

    def targets_of(self, rows: Sequence[Row]) -> tuple[Target, ...]:
        """Return the targets that the table has labels of."""
        labelled = {name for row in rows for name, value in row.labels.items() if value is not None}
        return tuple(target for target in self.targets if target.name in labelled)
