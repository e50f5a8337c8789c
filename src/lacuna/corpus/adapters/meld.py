"""MELD: ``{train,dev,test}_sent_emo.csv`` and one folder of clips a split, as in ``MELD.Raw.tar.gz``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, matching, read_rows, whole
from lacuna.corpus.importers.conversations import MELD
from lacuna.corpus.importers.meld import SENTIMENTS
from lacuna.corpus.schema import Target

_SPLITS = {"train": "train", "dev": "valid", "test": "test"}
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")


def _tables(split: str) -> str:
    return f"{split}_sent_emo.csv|{split}/{split}_sent_emo.csv|data/MELD/{split}_sent_emo.csv"


@register_adapter("meld")
class MeldRaw(Adapter):
    """Reads labels, transcripts and clips; a folder with the CSVs alone is read by importer ``meld-csv``."""

    title = "MELD"
    licence = "GPL-3.0 (annotations); the clips are from the series Friends, for research only"
    where = "https://affective-meld.github.io (MELD.Raw.tar.gz; unpack the archives inside it too)"
    paper = "Poria et al., MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations, ACL 2019"
    layout = "{train,dev,test}_sent_emo.csv; train_splits/, dev_splits_complete/, output_repeated_splits_test/ with dia0_utt0.mp4"
    splits = "official: train, dev (valid), test"
    published = "train 9,989, dev 1,109, test 2,610 utterances"
    verified = "the CSVs of the official repository"
    unverified = "the folders inside MELD.Raw.tar.gz; a clip is found in any folder with the name of its split in its path"
    targets = (Target("emotion", "classification", MELD), Target("sentiment", "classification", SENTIMENTS))
    label_files = ("|".join(map(_tables, _SPLITS)),)
    media = (*VIDEO, *AUDIO)

    def recognises(self, folder: Path, files: Sequence[str]) -> bool:
        """Return whether there are CSVs, and clips or CSVs in other folders."""
        names = matching(files, self.label_files[0])
        return bool(names) and (any("/" in path for path in names) or bool(Media(folder, self.media)))

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        media = Media(folder, self.media)
        for split, standard in _SPLITS.items():
            files = find(folder, _tables(split))
            if not files:
                notes.append(f"there is no {split}_sent_emo.csv")
            for row in read_rows(files[0], _COLUMNS) if files else ():
                where = f"{split}_{row['Dialogue_ID']}_{row['Utterance_ID']}"
                dialogue, turn = (whole(files[0], row[column], where) for column in ("Dialogue_ID", "Utterance_ID"))
                yield Row(
                    f"{split}_{dialogue}_{turn}",
                    f"{split}_{dialogue}",
                    turn,
                    speaker=row["Speaker"] or "unknown",
                    split=standard,
                    text=row["Utterance"],
                    file=media.path(f"dia{dialogue}_utt{turn}", within=split),
                    labels={name: row[name.capitalize()].lower() or None for name in ("emotion", "sentiment")},
                )
        notes.append("names such as 'Waiter' may be several people; the main cast has names of its own")
