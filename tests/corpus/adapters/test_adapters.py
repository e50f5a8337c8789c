"""Every adapter reads a tiny copy of its layout exactly, whatever is incidental about the files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adapter_layouts import LAYOUTS, Expected, write
from lacuna.corpus.adapters import Annotations, adapter_class, adapter_of, list_adapters, read_folder
from lacuna.corpus.adapters.files import label_files, matching
from lacuna.corpus.adapters.summary import adapters_markdown
from lacuna.corpus.doctor import examine
from lacuna.corpus.importers import import_corpus, recognise
from lacuna.errors import DataError

NAMES = list(list_adapters())
SIGNALS = [name for name in NAMES if adapter_class(name).signals]
READ_BY_FEATURES = [name for name in NAMES if name not in SIGNALS]
TEXT_FILES = (".csv", ".txt", ".json", ".annotprocessed")


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], tuple[Path, Expected]]:
    """Return a function that writes the copy of a corpus."""

    def build(name: str) -> tuple[Path, Expected]:
        folder = tmp_path / f"my_{name}"
        folder.mkdir()
        return folder, LAYOUTS[name](folder)

    return build


def test_every_adapter_has_a_copy_of_its_layout() -> None:
    assert set(NAMES) == set(LAYOUTS)


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_says_what_the_corpus_is(name: str) -> None:
    adapter = adapter_class(name)
    for attribute in ("title", "licence", "where", "paper", "language", "layout", "splits"):
        assert getattr(adapter, attribute), attribute
    assert adapter.targets
    assert adapter.label_files
    assert adapter.verified or adapter.unverified


@pytest.mark.parametrize("name", NAMES)
def test_counts_speakers_labels_and_turns_are_exact(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, expected = make(name)
    corpus = read_folder(folder)
    assert corpus.adapter.name == name
    assert corpus.counts() == expected.splits
    assert {row.speaker for row in corpus.rows} == expected.speakers
    assert Counter(row.labels.get(expected.target) for row in corpus.rows if row.labels.get(expected.target)) == expected.classes
    assert sum(row.text is not None for row in corpus.rows) == expected.texts
    assert corpus.n_recordings == (expected.recordings or 0)
    if expected.turns:
        dialogue = next(row.dialogue for row in corpus.rows if row.id == expected.turns[0])
        assert [row.id for row in corpus.rows if row.dialogue == dialogue] == expected.turns
    assert all((corpus.folder / file).is_file() for file in corpus.files)


@pytest.mark.parametrize("name", NAMES)
def test_soft_labels_are_shares(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, expected = make(name)
    corpus = read_folder(folder)
    ids, labels = [row.id for row in corpus.rows], corpus.labels()
    for target in corpus.targets:
        if target.task == "soft":
            total = labels[target.name].sum(axis=1)
            assert np.allclose(total[~np.isnan(total)], 1)
            assert not np.isnan(total).all()
    for (target, utterance), shares in expected.votes.items():
        classes = next(one.classes for one in corpus.targets if one.name == target)
        given = dict(zip(classes, labels[target][ids.index(utterance)], strict=True))
        assert {word: share for word, share in given.items() if share} == pytest.approx(shares)


@pytest.mark.parametrize("name", NAMES)
def test_exactly_one_adapter_recognises_the_folder(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, _ = make(name)
    files = label_files(folder)
    assert [other for other in NAMES if adapter_class(other)().recognises(folder, files)] == [name]
    expected = {"meld": ["meld-csv"], **{signal: ["public"] for signal in SIGNALS}}.get(name, [])
    assert list(recognise(folder)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_names_the_corpus_and_the_next_command(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, expected = make(name)
    diagnosis = examine(folder)
    assert adapter_class(name).title in " ".join(diagnosis.recognised.values())
    assert diagnosis.usable, diagnosis.errors
    if name in READ_BY_FEATURES:
        assert f"lacuna features {folder} --out" in diagnosis.advice
        assert f"{sum(expected.splits.values())} in" in diagnosis.summary["utterances"]
        assert diagnosis.summary["licence"] == adapter_class(name).licence
        if expected.recordings is not None:
            assert diagnosis.summary["recordings"].startswith(f"{expected.recordings} of")


def _signature(corpus: Annotations) -> list[tuple[object, ...]]:
    return [
        (row.id, row.dialogue, row.turn, row.speaker, row.split, row.text, sorted(row.labels.items(), key=str))
        for row in sorted(corpus.rows, key=lambda row: row.id)
    ]


def _label_paths(folder: Path, name: str) -> list[Path]:
    paths = [folder / path for pattern in adapter_class(name).label_files for path in matching(label_files(folder), pattern)]
    return [path for path in paths if path.suffix in TEXT_FILES]


def _bom(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def _crlf(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def _no_last_newline(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))


@pytest.mark.parametrize("change", [_bom, _crlf, _no_last_newline])
@pytest.mark.parametrize("name", NAMES)
def test_the_form_of_text_files_changes_nothing(
    name: str, change: Callable[[Path], None], make: Callable[[str], tuple[Path, Expected]]
) -> None:
    folder, _ = make(name)
    before = _signature(read_folder(folder))
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in TEXT_FILES:
            change(path)
    assert _signature(read_folder(folder)) == before


@pytest.mark.parametrize("name", NAMES)
def test_extra_files_change_nothing(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, _ = make(name)
    before = read_folder(folder)
    for extra in ("README.txt", ".DS_Store", "notes/other.csv", "._hidden.csv", "docs/figure.json", "extra/clip.wav"):
        write(folder, extra, "nothing of this corpus\n")
    after = read_folder(folder)
    assert _signature(after) == _signature(before)
    assert after.missing == before.missing


@pytest.mark.parametrize("name", [name for name in NAMES if name != "wesad"])
def test_the_order_of_rows_changes_nothing(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, expected = make(name)
    before = _signature(read_folder(folder))
    for path in _label_paths(folder, name):
        text = path.read_text("utf-8")
        if path.suffix == ".csv":
            first = 0 if path.name == "OpinionLevelSentiment.csv" else 1
            lines = text.splitlines()
            path.write_text("\n".join([*lines[:first], *reversed(lines[first:])]) + "\n", "utf-8")
        elif name in ("iemocap", "msp-improv"):
            path.write_text("\n\n".join(reversed(text.strip().split("\n\n"))) + "\n\n", "utf-8")
        elif name == "m3ed" and path.suffix == ".json":
            content = json.loads(text)
            for dialogues in content.values():
                for dialogue in dialogues.values():
                    dialogue["Dialog"] = dict(reversed(dialogue["Dialog"].items()))
            path.write_text(json.dumps(dict(reversed(content.items()))), "utf-8")
    after = _signature(read_folder(folder))
    if expected.positional:  # ids count rows; everything else must agree
        before, after = (sorted(tuple(map(str, row[3:])) for row in rows) for rows in (before, after))
    assert after == before


@pytest.mark.parametrize("name", [name for name in READ_BY_FEATURES if adapter_class(name).media])
def test_missing_recordings_are_counted_and_named(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, expected = make(name)
    before = read_folder(folder)
    n_rows = len(before.rows)
    absent = n_rows - (expected.recordings or 0)
    assert len(before.missing) == absent
    if absent:
        note = next(note for note in before.notes if "not found" in note)
        assert note.startswith(f"{absent} recording")
        assert before.missing[0] in note
    for row in before.rows:
        if row.file is not None:
            row.file.unlink(missing_ok=True)
    for path in folder.rglob("*"):
        if path.suffix in adapter_class(name).media:
            path.unlink()
    if adapter_of(folder) is None:  # the importer of the tables alone reads the folder then
        assert name == "meld"
        return
    assert read_folder(folder).n_recordings == 0
    diagnosis = examine(folder)
    assert diagnosis.summary["recordings"] == f"0 of {n_rows} found"
    assert diagnosis.usable == bool(expected.texts)
    assert any("no recording" in line or "neither" in line for line in (*diagnosis.warnings, *diagnosis.errors))


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_inside_a_folder_is_found(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "download" / "unpacked"
    inside.mkdir(parents=True)
    expected = LAYOUTS[name](inside)
    write(tmp_path / "download", ".DS_Store")
    corpus = read_folder(tmp_path / "download")
    assert corpus.adapter.name == name
    assert corpus.counts() == expected.splits


@pytest.mark.parametrize("name", NAMES)
def test_the_table_names_every_recording_and_label(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, expected = make(name)
    corpus = read_folder(folder)
    table = corpus.table()
    assert len(table) == sum(expected.splits.values())
    assert table["file"].notna().sum() == (expected.recordings or 0)
    assert all((corpus.folder / path).is_file() for path in table["file"].dropna())
    assert table[expected.target].value_counts().to_dict() == expected.classes


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_are_modalities_of_an_ordinary_corpus(name: str, make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, expected = make(name)
    corpus = import_corpus(folder)
    assert len(corpus) == sum(expected.splits.values())
    assert set(corpus.utterances.speaker_names.to_pylist()) == expected.speakers
    assert corpus.provenance.licence == adapter_class(name).licence
    assert len(corpus.modalities) > 1


def test_wesad_frames_are_statistics_of_each_second(make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, _ = make("wesad")
    corpus = import_corpus(folder)
    dims = {modality.name: modality.dim for modality in corpus.modalities}
    assert dims == {"chest-ecg": 4, "wrist-acc": 12, "wrist-eda": 4}
    assert set(corpus.frames["wrist-eda"].count.tolist()) == {60}
    frames = read_folder(folder).rows[0].signals["chest-ecg"]
    mean, deviation, least, largest = frames.T
    assert (least <= mean).all()
    assert (mean <= largest).all()
    assert deviation == pytest.approx(np.ones(60), abs=0.2)


def test_ch_sims_says_what_train_and_test_share(make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, _ = make("ch-sims")
    assert "train and test share 1 of the 1 test videos" in read_folder(folder).notes


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("meld", "dev_sent_emo.csv", "neutral,neutral", "boredom,neutral", "a label of target 'emotion' is no class of MELD"),
        ("meld", "dev_sent_emo.csv", "Dialogue_ID", "Dialogue", "has no column 'Dialogue_ID'"),
        ("meld", "dev_sent_emo.csv", "neutral,neutral,0,0", "neutral,neutral,zero,0", "'zero' is no number"),
        ("crema-d", "processedResults/tabulatedVotes.csv", '"100001",1', '"100001",many', "'many' is no number"),
        ("crema-d", "processedResults/tabulatedVotes.csv", '"300005"', '"900005"', "a row is malformed"),
        ("mosi", "Raw/Labels/OpinionLevelSentiment.csv", ",1,2.4", ",2.4", "a line is malformed"),
        ("ch-sims", "label.csv", "Neutral,valid", "Neutral,holdout", "unknown split"),
        ("msp-podcast", "Labels/labels_consensus.csv", ".wav,N,", ".wav,Q,", "unknown class or split"),
        ("emorynlp", "json/emotion-detection-dev.json", '"emotion"', '"feeling"', "is malformed"),
        ("emorynlp", "json/emotion-detection-dev.json", "{", "[", "is no JSON"),
        ("m3ed", "annotation.json", "EmoAnnotation", "Annotation", "is malformed"),
        ("raer", "annotation/test.txt", "80 3", "80 9", "line 1 is malformed"),
        ("mdpe", "labels/001.csv", "q1,x,y,0", "q1,x", "too few columns"),
        ("emotiontalk", "dataset/mm-process/mm.csv", "G00009_42_14_002.mp4", "clip7.mp4", "name no utterance"),
    ],
)
def test_a_malformed_label_file_is_named(
    name: str, file: str, old: str, new: str, message: str, make: Callable[[str], tuple[Path, Expected]]
) -> None:
    folder, _ = make(name)
    path = folder / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DataError) as raised:
        read_folder(folder, name).labels()
    assert message in str(raised.value) or message in str(raised.value).replace("\n", " ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 900000\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html>sign in</html>", "a web page"),
        (b"\x1f\x8b\x08\x00\xff\xff", "a gzip archive"),
        ("id,text\n1,caf\xe9\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_label_file_that_is_no_data_is_named_as_such(
    content: bytes, message: str, make: Callable[[str], tuple[Path, Expected]]
) -> None:
    folder, _ = make("crema-d")
    (folder / "processedResults" / "tabulatedVotes.csv").write_bytes(content)
    diagnosis = examine(folder)
    assert not diagnosis.usable
    assert message in diagnosis.errors[0]


def test_an_utterance_that_occurs_twice_is_refused(make: Callable[[str], tuple[Path, Expected]]) -> None:
    folder, _ = make("ch-sims")
    path = folder / "label.csv"
    path.write_text(path.read_text("utf-8") + path.read_text("utf-8").splitlines()[-1] + "\n", "utf-8")
    with pytest.raises(DataError, match="occurs twice"):
        read_folder(folder)


def test_the_page_has_a_section_for_every_corpus() -> None:
    page = adapters_markdown()
    for name in NAMES:
        adapter = adapter_class(name)
        assert f"\n## {adapter.title}\n" in page
        assert f"| `{name}` |" in page
        assert adapter.where in page


def test_other_folders_are_not_recognised(tmp_path: Path) -> None:
    write(tmp_path, "utterances.csv", "id,text\na,b\n")
    write(tmp_path, "train.csv", "text,label\na,b\n")
    assert adapter_of(tmp_path) is None
    assert adapter_of(tmp_path / "nothing") is None
    with pytest.raises(DataError, match="none of the known corpora"):
        read_folder(tmp_path)
