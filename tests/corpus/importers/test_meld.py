"""MELD's CSVs with and without features, made here; and the real ones where they are at hand."""

import csv
import pickle

import numpy as np
import pytest

from lacuna.corpus.importers import import_corpus, recognise
from lacuna.corpus.splits import fold
from lacuna.errors import ConfigError, DataError

HEADER = ["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season"]
EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")


def rows_of(dialogues):
    feeling = {"neutral": "neutral", "joy": "positive"}
    rows = []
    for d, turns in dialogues.items():
        for t in turns:
            emotion = EMOTIONS[len(rows) % 7]
            text = f"Oh, it\u2019s {emotion}! Turn \u201c{t}\u201d"
            rows.append([len(rows) + 1, text, f"Speaker {t % 2}", emotion, feeling.get(emotion, "negative"), d, t, 1])
    return rows


def write(folder, split, rows, header=HEADER, encoding="utf-8"):
    with (folder / f"{split}_sent_emo.csv").open("w", encoding=encoding, newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return folder


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "train", rows_of({0: (0, 1, 2, 3), 1: (0, 2, 3, 4)}))
    write(tmp_path, "dev", rows_of({0: (0, 1, 2), 4: (0, 1)}))
    write(tmp_path, "test", rows_of({0: (0, 1)}))
    return tmp_path


def store(folder, name, content):
    path = folder / name
    if path.suffix == ".npy":
        np.save(path, content)
    else:
        path.write_bytes(pickle.dumps(content))
    return name


def test_words_alone_make_a_corpus(folder):
    assert list(recognise(folder)) == ["meld-csv"]
    corpus = import_corpus(folder, name="meld")
    assert [(m.name, m.dim) for m in corpus.modalities] == [("text", 256)]
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [8, 5, 2]
    assert corpus.utterances.dialogue_names.to_pylist() == ["train_0", "train_1", "dev_0", "dev_4", "test_0"]
    assert corpus.ids[4:6] == ["train_1_0", "train_1_2"]
    assert [t.classes for t in corpus.targets] == [EMOTIONS, ("neutral", "positive", "negative")]
    assert corpus.utterances.labels["emotion"][:8].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]
    assert corpus.utterances.labels["sentiment"][:8].tolist() == [0, 2, 2, 2, 1, 2, 2, 0]
    assert corpus.transcripts[0] == "Oh, it\u2019s neutral! Turn \u201c0\u201d"
    assert corpus.utterances.speaker_names.to_pylist() == ["Speaker 0", "Speaker 1"]


def test_hashing_is_a_pure_function_of_the_words(folder):
    rows = [
        [1, text, "A", "joy", "positive", 0, t, 1] for t, text in enumerate(("It's me", "it\u2019s ME", "me! Okay,", "Okay,"))
    ]
    corpus = import_corpus(write(folder, "dev", rows), name="c", splits=["dev"], width=64)
    table = corpus.frames["text"].values
    assert np.allclose(np.linalg.norm(table, axis=1), 1)
    assert (table[0] == table[1]).all()
    assert not np.allclose(table[2], table[3])
    assert table[3].nonzero()[0].tolist() == [41, 51]  # the same on every machine


def test_one_split_alone_has_no_split_and_can_be_cut_into_folds(folder):
    write(folder, "dev", rows_of(dict.fromkeys(range(6), (0, 1))))
    corpus = import_corpus(folder, splits="dev")
    assert (corpus.utterances.split == -1).all()
    assert [len(fold(corpus, 3, 0, seed=0).only(s)) for s in ("train", "valid", "test")] == [4, 4, 4]
    assert import_corpus(folder / "dev_sent_emo.csv").ids == corpus.ids


def test_matrices_in_row_order_and_dictionaries(folder):
    text = np.arange(4 * 3, dtype=np.float32).reshape(4, 3)
    vision = {"0_0": np.ones(2), "dia0_utt2": np.full(2, 2.0), "4_0": [3.0, 3.0], "9_9": np.ones(2), "odd": np.ones(2)}
    corpus = import_corpus(
        folder,
        splits=("dev",),
        features={
            "text": store(folder, "text.pkl", text),
            "vision": store(folder, "{split}_v.pickle".format(split="dev"), vision),
        },
        skip="0_1",
    )
    assert corpus.absences() == {"text": {"none": 1}, "vision": {"none": 2}}
    assert corpus.frames["text"].of(2).tolist() == [[3.0, 4.0, 5.0]]
    assert corpus.frames["vision"].of(3).tolist() == [[3.0, 3.0]]
    notes = " | ".join(corpus.provenance.notes)
    assert "skipped in matrices in row order: dev_0_1" in notes
    assert "2 of its keys name no utterance" in notes
    assert "no modality at all: dev_0_1 (1)" in notes
    assert set(corpus.provenance.files) == {"dev_sent_emo.csv", "text.pkl", "dev_v.pickle"}


def test_features_by_split(folder):
    store(folder, "dev_a.npy", np.ones((4, 2, 3), np.float32))
    store(folder, "test_a.npy", np.ones((2, 1, 3), np.float32))
    audio = {"dev": "dev_a.npy", "test": "test_a.npy"}
    corpus = import_corpus(folder, name="c", features={"text": "hashed", "audio": audio}, skip=["dev_0_1"])
    assert corpus.absences()["audio"] == {"train": 8, "valid": 1, "test": 0}
    assert corpus.frames["audio"].of(8).shape == (2, 3)
    assert any("no features of train" in n for n in corpus.provenance.notes)
    placed = import_corpus(folder, name="c", splits=["dev", "test"], features={"audio": "{split}_a.npy"}, skip=["dev_0_1"])
    assert placed.absences()["audio"] == {"valid": 1, "test": 0}
    with pytest.raises(ConfigError, match=r"\{split\}"):
        import_corpus(folder, features={"audio": "dev_a.npy"})
    with pytest.raises(ConfigError, match="unknown split 'valid'"):
        import_corpus(folder, features={"audio": {"valid": "dev_a.npy"}})


@pytest.mark.parametrize(("rows", "skip", "off"), [(4, (), "-1"), (6, (), "+1"), (5, ("0_1",), "+1")])
def test_a_matrix_with_other_rows_says_by_how_many(folder, rows, skip, off):
    store(folder, "text.pkl", np.zeros((rows, 3), np.float32))
    with pytest.raises(DataError) as caught:
        import_corpus(folder, name="c", splits=["dev"], features={"text": "text.pkl"}, skip=skip)
    assert f"has {off} rows" in str(caught.value)
    assert caught.value.found == rows
    assert caught.value.modality == "text"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"a": 1.0}, "no key of f.pkl"),
        ({}, "no key of f.pkl"),
        ("words", "holds no features"),
        ([], "holds no features"),
        (np.zeros(5), "holds no features"),
        (np.full((5, 2), np.nan), "NaN or inf"),
        ({"0_0": "x", "0_1": "y"}, "not a table of numbers"),
        ([[1.0], [1.0, 2.0], [1.0], [1.0], [1.0]], "width"),
    ],
)
def test_malformed_features(folder, content, told):
    store(folder, "f.pkl", content)
    with pytest.raises(DataError, match=told):
        import_corpus(folder, name="c", splits=["dev"], features={"text": "f.pkl"})


def test_options_that_fit_nothing(folder):
    with pytest.raises(DataError, match="does not exist"):
        import_corpus(folder, splits=["dev"], features={"text": "nothing.pkl"})
    with pytest.raises(ConfigError, match="no utterance"):
        import_corpus(folder, splits=["dev"], skip=["77_7"])
    with pytest.raises(ConfigError, match="no utterance"):
        import_corpus(folder, skip=["0_1"])
    with pytest.raises(ConfigError, match="width"):
        import_corpus(folder, width=1)
    (folder / "test_sent_emo.csv").unlink()
    with pytest.raises(DataError, match=r"test_sent_emo\.csv"):
        import_corpus(folder, splits=["test"])
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"train_sent_emo\.csv"):
        import_corpus(folder / "empty", importer="meld-csv")


def test_malformed_tables(folder):
    def refuse(told, rows, header=HEADER, encoding="utf-8"):
        with pytest.raises(DataError) as caught:
            import_corpus(write(folder, "dev", rows, header, encoding), importer="meld-csv", splits=["dev"])
        assert told in str(caught.value)
        return caught.value

    good = rows_of({0: (0, 1, 2)})
    assert "cp1252" in str(refuse("not UTF-8", good, encoding="cp1252"))
    refuse("lacks Emotion", good, [h if h != "Emotion" else "Feeling" for h in HEADER])
    refuse("lacks rows", [])
    refuse("row 2 of dev_sent_emo.csv: unknown emotion", [good[0], [*good[1][:3], "bored", *good[1][4:]]])
    refuse("row 1 of dev_sent_emo.csv: unknown sentiment", [[*good[0][:4], "so-so", *good[0][5:]]])
    refuse("row 1 of dev_sent_emo.csv: Utterance_ID is not a number", [[*good[0][:6], "x", 1]])
    refuse("row 1 of dev_sent_emo.csv has too few fields", [good[0][:4]])
    assert refuse("unique", [good[0], good[0]]).utterance == "dev_0_0"


def test_a_blank_label_is_no_label(folder):
    rows = rows_of({0: (0, 1, 2)})
    rows[1][3] = ""
    corpus = import_corpus(write(folder, "dev", rows), splits=["dev"])
    assert corpus.utterances.labels["emotion"].tolist() == [0, -1, 2]


def test_other_csvs_are_not_recognised(tmp_path):
    (tmp_path / "dev_sent_emo.csv").write_text("a,b\n1,2\n")
    assert "meld-csv" not in recognise(tmp_path)


def test_real_dev(shared_data):
    corpus = import_corpus(
        shared_data / "meld",
        name="meld-dev",
        splits=["dev"],
        features={
            "text": "text_base_val.pkl",
            "audio": "audio_wav2vec2_val.pkl",
            "vision": "{split}_vis_3_35_intervals_aus.pickle",
        },
        skip=["110_7"],
    )
    assert len(corpus) == 1109
    assert len(corpus.utterances.dialogue_names) == 114
    assert {m.name: m.dim for m in corpus.modalities} == {"text": 768, "audio": 768, "vision": 105}
    assert corpus.absences() == {"text": {"none": 1}, "audio": {"none": 1}, "vision": {"none": 7}}
    gone = [i for i, seen in zip(corpus.ids, corpus.frames["vision"].any_observed, strict=True) if not seen]
    assert gone == [f"dev_{i}" for i in ("5_9", "45_10", "70_3", "77_0", "89_0", "104_14", "110_7")]


def test_real_text(shared_data):
    corpus = import_corpus(shared_data / "meld")
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [9989, 1109, 2610]
    assert len(corpus.utterances.dialogue_names) == 1038 + 114 + 280
    assert np.allclose(np.linalg.norm(corpus.frames["text"].values, axis=1), 1, atol=1e-5)
