"""Public corpora as downloaded become corpora of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adapter_layouts import LAYOUTS
from lacuna.cli import main
from lacuna.corpus.adapters import adapter_class, list_adapters, read_folder
from lacuna.corpus.importers.table import TableOptions
from lacuna.errors import ConfigError, DataError
from lacuna.loading import load_corpus, reads_recordings
from lacuna.media import clips_of, extract, is_recordings

READ = [name for name in list_adapters() if not adapter_class(name).signals]
FAST = {"text": "hashing", "audio": "functionals", "vision": None}


def _copy(name: str, folder: Path) -> Path:
    path = folder / f"my_{name}"
    path.mkdir()
    LAYOUTS[name](path)
    return path


@pytest.mark.parametrize("name", READ)
def test_the_clips_are_those_of_the_adapter(name: str, tmp_path: Path) -> None:
    folder = _copy(name, tmp_path)
    annotations = read_folder(folder)
    assert is_recordings(folder)
    assert reads_recordings(folder)
    clips = clips_of(folder)
    kept = [row for row in annotations.rows if row.file is not None or row.text is not None]
    assert [clip.id for clip in clips.clips] == [row.id for row in kept]
    assert [clip.path for clip in clips.clips] == [row.file for row in kept]
    assert list(clips.targets) == list(annotations.targets)
    assert all(len(values) == len(kept) for values in clips.labels.values())
    assert clips.licence == adapter_class(name).licence


@pytest.mark.parametrize("name", READ)
def test_the_written_table_gives_the_same_clips(name: str, tmp_path: Path) -> None:
    folder = _copy(name, tmp_path)
    direct, place = clips_of(folder), tmp_path / "edited"
    place.mkdir()
    done = CliRunner().invoke(main, ["table", str(folder), str(place / "recordings.csv")])
    assert done.exit_code == 0, done.output
    found = [row for row in read_folder(folder).rows if row.text is None and (row.file is None or not row.file.is_file())]
    if found:  # a row of our own table needs a recording or a transcript
        table = (place / "recordings.csv").read_text("utf-8").splitlines()
        gone = {row.id for row in found}
        (place / "recordings.csv").write_text("\n".join(line for line in table if line.split(",")[0] not in gone), "utf-8")
    through = clips_of(place)
    rows = [row for row, clip in enumerate(direct.clips) if clip.id in {one.id for one in through.clips}]
    assert [clip.id for clip in through.clips] == [direct.clips[row].id for row in rows]
    assert [clip.text for clip in through.clips] == [direct.clips[row].text for row in rows]
    assert [(clip.start, clip.end) for clip in through.clips] == [(direct.clips[r].start, direct.clips[r].end) for r in rows]
    assert list(map(int, through.turns)) == [direct.turns[row] for row in rows]
    assert list(through.speakers) == [direct.speakers[row] for row in rows]
    assert (through.splits or [None] * len(rows)) == [(direct.splits or [])[row] for row in rows]
    for target in direct.targets:
        if target.task != "classification":
            assert np.allclose(through.labels[target.name], direct.labels[target.name][rows], equal_nan=True)


def test_meld_becomes_a_corpus_with_what_is_missing(tmp_path: Path, good: dict[str, bytes]) -> None:
    folder = _copy("meld", tmp_path)
    for clip in folder.rglob("dia*.mp4"):
        clip.write_bytes(good["mp4"])
    extraction = extract(folder, FAST, cache=tmp_path / "cache")
    corpus = extraction.corpus
    assert set(corpus.ids) == {"train_0_0", "train_0_1", "dev_0_0", "test_0_0", "test_1_0"}
    audio = dict(zip(corpus.ids, corpus.frames["audio"].count.tolist(), strict=True))
    assert [name for name, count in audio.items() if not count] == ["test_1_0"]
    row = extraction.quarantine.set_index("id").loc["test_1_0"]
    assert row["kind"] == "no_file"
    assert row["outcome"] == "absent"
    assert corpus.provenance.licence.startswith("GPL-3.0")
    assert {"train/train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv"} <= set(corpus.provenance.files)
    assert any("1 recording of 5 not found" in note for note in corpus.provenance.notes)


def test_soft_labels_reach_the_corpus(tmp_path: Path, good: dict[str, bytes]) -> None:
    folder = _copy("crema-d", tmp_path)
    for clip in folder.rglob("*.wav"):
        clip.write_bytes(good["wav"])
    for clip in folder.rglob("*.flv"):
        clip.unlink()
    corpus = load_corpus(folder, encode={**FAST, "text": None}, options={"cache": tmp_path / "cache"})
    votes = corpus.utterances.labels["votes"]
    assert np.allclose(votes.sum(axis=1), 1)
    assert {target.name: target.task for target in corpus.targets}["votes_face"] == "soft"
    assert len(corpus.only("test")) == 1


def test_a_corpus_of_text_is_an_ordinary_corpus(tmp_path: Path) -> None:
    corpus = load_corpus(_copy("emorynlp", tmp_path), encode={"text": "hashing"}, options={"cache": tmp_path / "cache"})
    assert [len(corpus.only(split)) for split in ("train", "valid", "test")] == [2, 1, 1]
    assert [modality.name for modality in corpus.modalities] == ["text"]


def test_neither_recordings_nor_transcripts_is_an_error_that_says_where_to_get_them(tmp_path: Path) -> None:
    folder = _copy("raer", tmp_path)
    for clip in folder.rglob("*.mp4"):
        clip.unlink()
    with pytest.raises(DataError, match=r"neither a recording nor a transcript(?s:.*)zgsfer"):
        clips_of(folder)


def test_targets_are_chosen_by_name(tmp_path: Path) -> None:
    folder = _copy("iemocap", tmp_path)
    clips = clips_of(folder, TableOptions(targets=("arousal", "votes")))
    assert [target.name for target in clips.targets] == ["arousal", "votes"]
    with pytest.raises(ConfigError, match="did you mean 'valence'"):
        clips_of(folder, TableOptions(targets=("valenze",)))


def test_the_command_lists_corpora_and_where_to_get_them() -> None:
    listed = CliRunner().invoke(main, ["corpora"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in list_adapters())
    one = CliRunner().invoke(main, ["corpora", "iemocap"])
    assert "https://sail.usc.edu/iemocap" in one.output
    assert "did you mean" in CliRunner().invoke(main, ["corpora", "iemocup"]).output


def test_a_written_table_is_not_replaced_unasked(tmp_path: Path) -> None:
    folder, out = _copy("emorynlp", tmp_path), tmp_path / "table.csv"
    assert CliRunner().invoke(main, ["table", str(folder), str(out)]).exit_code == 0
    assert "exists already" in CliRunner().invoke(main, ["table", str(folder), str(out)]).output
    assert CliRunner().invoke(main, ["table", str(folder), str(out), "--overwrite"]).exit_code == 0


def test_a_sex_in_a_file_name_is_a_person_of_its_session(tmp_path: Path) -> None:
    for session in ("Ses01F", "Ses02M"):
        for speaker in "FM":
            (tmp_path / f"{session}_impro01_{speaker}000.wav").touch()
    assert set(clips_of(tmp_path).speakers) == {"Ses01_F", "Ses01_M", "Ses02_F", "Ses02_M"}
