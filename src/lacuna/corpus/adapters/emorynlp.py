"""EmoryNLP: ``emotion-detection-{trn,dev,tst}.json``, text only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import find, read_json
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_SPLITS = {"trn": "train", "dev": "valid", "tst": "test"}


@register_adapter("emorynlp")
class EmoryNlp(Adapter):
    """Reads scenes of the series Friends with seven emotions."""

    title = "EmoryNLP"
    licence = "Apache-2.0"
    where = "https://github.com/emorynlp/emotion-detection (folder json)"
    paper = "Zahiri and Choi, Emotion Detection on TV Show Transcripts with Sequence-based CNNs, AffCon 2018"
    layout = "emotion-detection-trn.json, -dev.json, -tst.json"
    splits = "official: trn (train), dev (valid), tst (test)"
    published = "train 9,934, dev 1,344, test 1,328 utterances"
    verified = "the README of the official repository"
    targets = (Target("emotion", "classification", ("neutral", "joyful", "peaceful", "powerful", "scared", "mad", "sad")),)
    label_files = ("emotion-detection-*.json|json/emotion-detection-*.json",)

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        for short, split in _SPLITS.items():
            files = find(folder, f"emotion-detection-{short}.json|json/emotion-detection-{short}.json")
            if not files:
                notes.append(f"there is no emotion-detection-{short}.json")
                continue
            try:
                scenes = [scene for episode in read_json(files[0])["episodes"] for scene in episode["scenes"]]
                for scene in scenes:
                    for turn, said in enumerate(scene["utterances"]):
                        yield Row(
                            said["utterance_id"],
                            scene["scene_id"],
                            turn,
                            speaker=" and ".join(said["speakers"]) or "unknown",
                            split=split,
                            text=said["transcript"],
                            labels={"emotion": said["emotion"].lower() or None},
                        )
            except (KeyError, TypeError) as error:
                raise DataError(
                    f"{files[0].name} is malformed", expected="episodes, scenes, utterances with emotion", found=f"no {error}"
                ) from None
