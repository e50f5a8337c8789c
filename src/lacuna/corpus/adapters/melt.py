"""MELT: MELD's utterances with labels from GPT-4o, ``meld_train.csv`` and ``meld_test.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import AUDIO, VIDEO, Media, find, read_rows, whole
from lacuna.corpus.importers.conversations import MELD
from lacuna.corpus.schema import Target

_COLUMNS = ("filename", "Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "llm_label")


@register_adapter("melt")
class Melt(Adapter):
    """Reads both labels of an utterance, so that the noise of either can be studied."""

    title = "MELT"
    licence = "none stated in the repository; the utterances are MELD's (GPL-3.0)"
    where = "https://github.com/KeiKinn/meltdataset (labels); the clips are those of MELD"
    paper = "Jing et al., MELT: Towards Automated Multimodal Emotion Data Annotation by Leveraging LLM Embedded Knowledge, 2025"
    layout = "meld_train.csv, meld_test.csv; clips dia0_utt0.wav or .mp4 in folders with 'train' or 'test' in their path"
    splits = "official: train, test"
    published = "train 7,024, test 1,797 utterances"
    verified = "the CSVs of the official repository"
    targets = (Target("emotion", "classification", MELD), Target("meld_emotion", "classification", MELD))
    label_files = ("meld_train.csv", "meld_test.csv")
    media = (*AUDIO, *VIDEO)

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        media = Media(folder, self.media)
        for split in ("train", "test"):
            file = find(folder, f"meld_{split}.csv")[0]
            for row in read_rows(file, _COLUMNS):
                dialogue, turn = (whole(file, row[column], row["filename"]) for column in ("Dialogue_ID", "Utterance_ID"))
                yield Row(
                    f"{split}_{dialogue}_{turn}",
                    f"{split}_{dialogue}",
                    turn,
                    speaker=row["Speaker"] or "unknown",
                    split=split,
                    text=row["Utterance"],
                    file=media.path(Path(row["filename"]).stem, within=split),
                    labels={"emotion": row["llm_label"].lower() or None, "meld_emotion": row["Emotion"].lower() or None},
                )
        notes.append("emotion: the label of GPT-4o, from the text alone; meld_emotion: the label of people")

    def targets_of(self, rows: Sequence[Row]) -> tuple[Target, ...]:
        """Return the targets; GPT-4o also used words that are no class of MELD."""
        words = {str(row.labels["emotion"]) for row in rows if row.labels["emotion"]}
        return Target("emotion", "classification", (*MELD, *sorted(words - set(MELD)))), self.targets[1]
