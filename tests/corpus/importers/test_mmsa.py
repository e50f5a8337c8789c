import numpy as np
import pytest

from lacuna.corpus.importers import import_corpus, recognise
from lacuna.corpus.importers.sample_reader import token_codes
from lacuna.corpus.schema import SPLITS
from lacuna.errors import ConfigError, DataError


def test_unaligned(make, tmp_path):
    path = make.dump(tmp_path / "mosi.pkl", make.mmsa())
    assert list(recognise(path)) == ["mmsa"]
    corpus = import_corpus(path)
    assert corpus.ids[:2] == ["vid0$_$9", "vid0$_$10"]  # sorted by clip number
    assert corpus.transcripts[:2] == ["two", "one train"]
    assert corpus.frames["audio"].count[:2].tolist() == [6, 4]
    assert corpus.frames["vision"].count[:2].tolist() == [3, 4]
    text = corpus.frames["text"]
    assert text.count[:2].tolist() == [2, 3]
    first = text.start[1]
    assert text.tokens[first : first + 3].tolist() == [101, 7, 102]
    assert corpus.modalities[0].vocabulary == 30522
    assert corpus.utterances.labels["polarity"].tolist() == [2, 0] * 3
    assert corpus.utterances.labels["score"].tolist() == [3, -1.5] * 3
    assert corpus.absences()["vision"]["train"] == 0
    assert import_corpus(path, zeros="absent").absences()["vision"] == {"train": 1, "valid": 1, "test": 1}


def test_aligned_cuts_trailing_zeros(make, tmp_path):
    corpus = import_corpus(make.dump(tmp_path / "a.pkl", make.mmsa(unaligned=False)))
    assert corpus.frames["audio"].count[:2].tolist() == [6, 4]
    assert corpus.absences()["vision"]["train"] == 1  # nothing but padding
    assert "read as unaligned" in " ".join(corpus.provenance.notes)


def test_token_ids_alone_are_hashed(make, tmp_path):
    path = make.dump(tmp_path / "a.pkl", make.mmsa(text=False))
    corpus = import_corpus(path, token_width=100)
    text = corpus.frames["text"]
    assert corpus.modalities[0].dim == 100
    assert "signed hash" in corpus.modalities[0].extractor
    assert np.array_equal(text.of(1), token_codes(np.array([101, 7, 102]), 100))
    assert set(np.unique(text.values)) == {-1, 1}


def test_token_codes_are_fixed_and_nearly_orthogonal():
    codes = token_codes(np.arange(2000), 256)
    assert codes.dtype == np.float32
    assert codes[7, :8].tolist() == token_codes(np.array(7), 8).tolist()
    assert abs(codes.mean()) < 0.01
    gram = codes[:300] @ codes[:300].T / 256
    assert np.abs(gram - np.eye(300)).max() < 0.4


def test_splits_that_share_videos_are_read_with_a_note(make, tmp_path):
    content = make.mmsa()
    content["test"]["id"] = ["vid0$_$11", "vid0$_$12"]
    path = make.dump(tmp_path / "ood.pkl", content)
    with pytest.raises(DataError, match=r"'vid0' is shared between splits(.|\n)*option dialogue=utterance"):
        import_corpus(path, dialogue="video")
    for options in ({}, {"dialogue": "utterance"}):
        corpus = import_corpus(path, **options)
        assert len(corpus.utterances.dialogue_names) == 6
        assert any(
            "1 of 2 videos are in several splits, 1 of the 1 test videos in train too" in n for n in corpus.provenance.notes
        )


def test_nonfinite_by_policy(make, tmp_path):
    content = make.mmsa()
    content["train"]["audio"][1, 2, 0] = -np.inf
    path = make.dump(tmp_path / "a.pkl", content)
    with pytest.raises(DataError, match=r"1 of 6 utterances hold NaN or inf in audio(.|\n)*vid0\$_\$9(.|\n)*-inf in frame 2"):
        import_corpus(path)
    assert import_corpus(path, nonfinite="absent").frames["audio"].observed.sum() == 29


def test_without_labels(make, tmp_path):
    content = make.mmsa()
    for part in content.values():
        for key in ("regression_labels", "classification_labels", "annotations"):
            del part[key]
    assert import_corpus(make.dump(tmp_path / "a.pkl", content)).targets == ()


def splits_of(**columns):
    return {
        split: {key: value[:] if hasattr(value, "__getitem__") else value for key, value in columns.items()} for split in SPLITS
    }


def sample_columns(n=4, **changes):
    rng = np.random.default_rng(0)
    columns = {
        "audio": rng.normal(size=(n, 3, 2)),
        "text": rng.normal(size=(n, 3, 2)),
        "labels": np.linspace(-3, 3, n)[:, None, None],
    }
    return {**columns, **changes}


def read(make, tmp_path, *, videos=True, options=None, **changes):
    content = splits_of(**sample_columns(**changes))
    for number, part in enumerate(content.values()):
        if videos and "id" not in part:
            part["id"] = [f"v{number}[{clip}]" for clip in range(len(part["audio"]))]
    return import_corpus(make.dump(tmp_path / "a.pkl", content), importer="mmsa", **(options or {}))


def notes(corpus):
    return " ".join(corpus.provenance.notes)


def test_multibench_ids_and_labels(make, tmp_path):
    corpus = read(make, tmp_path)
    assert corpus.ids[:2] == ["v0[0]", "v0[1]"]
    assert len(corpus.utterances.dialogue_names) == 3
    assert [t.name for t in corpus.targets] == ["polarity", "score"]
    assert corpus.utterances.labels["score"][:4].tolist() == [-3, -1, 1, 3]


def test_mult_ids_are_rows_of_video_and_times_in_any_order(make, tmp_path):
    rows = np.array([["v", "10.5", "12"], ["v", "2.25", "3"], ["w", "0.0", "1"], ["v", "-1", "1"]])
    content = {"train": {**sample_columns(), "id": rows}, "test": {**sample_columns(), "id": np.char.add(rows, ["x", "", ""])}}
    corpus = import_corpus(make.dump(tmp_path / "a.pkl", content))
    assert corpus.ids[:4] == ["v$_$-1", "v$_$2.25", "v$_$10.5", "w$_$0.0"]
    assert corpus.utterances.turn[:4].tolist() == [0, 1, 2, 0]


def test_without_ids_samples_are_named_by_row(make, tmp_path):
    corpus = read(make, tmp_path, videos=False)
    assert corpus.ids[0] == "train-0"
    assert "the file has no ids" in notes(corpus)


def test_mag_bert_tuples(make, tmp_path):
    rng = np.random.default_rng(0)
    sample = ((["good", "film"], rng.normal(size=(2, 3)), rng.normal(size=(2, 4))), np.array([[1.5]]))
    content = {s: [(*sample, f"v{n}[{clip}]") for clip in range(2)] for n, s in enumerate(SPLITS)}
    corpus = import_corpus(make.dump(tmp_path / "a.pkl", content), importer="mmsa")
    assert {m.name: m.dim for m in corpus.modalities} == {"text": 64, "audio": 4, "vision": 3}
    assert corpus.transcripts[0] == "good film"
    assert corpus.ids[0] == "v0[0]"
    assert corpus.utterances.labels["score"][0] == 1.5


def test_nothing_vanishes_without_a_note(make, tmp_path):
    pose, scores = np.ones((4, 3, 5)), np.linspace(-1, 1, 4)
    changes = {"pose": pose, "regression_labels_T": scores, "remark": "free text"}
    corpus = read(make, tmp_path, **changes)
    assert "key 'pose'" in notes(corpus)
    assert "modalities=pose" in notes(corpus)
    assert "targets=regression_labels_T" in notes(corpus)
    assert "key 'remark'" in notes(corpus)
    options = {"modalities": "pose=body", "targets": "regression_labels_T"}
    corpus = read(make, tmp_path, options=options, **changes)
    assert [m.name for m in corpus.modalities] == ["text", "audio", "body"]
    assert [t.name for t in corpus.targets] == ["polarity", "score", "regression_labels_t"]
    assert "pose" not in notes(corpus)
    with pytest.raises(ConfigError, match="'modalities' names 'smell'; the file has: audio"):
        read(make, tmp_path, options={"modalities": "smell"})


def test_labels_under_an_unknown_name_are_never_no_labels(make, tmp_path):
    content = splits_of(**sample_columns())
    for number, part in enumerate(content.values()):
        part["id"] = [f"v{number}_{clip}" for clip in range(4)]
        part["my_sentiment"] = part.pop("labels")[:, 0, 0]
    path = make.dump(tmp_path / "a.pkl", content)
    with pytest.raises(DataError, match=r"no known key holds the labels(.|\n)*targets=my_sentiment"):
        import_corpus(path)
    assert [t.task for t in import_corpus(path, targets="my_sentiment").targets] == ["regression"]


LABELS = {
    "scores beyond 3": (np.array([1.5, 9, 4, 2]), {"scale": "1,9"}, {"polarity": [0, 2, 0, 0], "score": [1.5, 9, 4, 2]}),
    "two values": (np.array([[0.5, -0.5]] * 4), {"columns": "arousal,valence"}, {"arousal": [0.5] * 4, "valence": [-0.5] * 4}),
    "two columns, one-hot": (np.eye(2)[[0, 1, 1, 0]], {"columns": "calm,angry"}, {"label": [0, 1, 1, 0]}),
    "pairs of MulT's IEMOCAP": (
        np.eye(2)[[[0, 1], [1, 0], [1, 1], [0, 0]]],
        {"columns": "happy,sad"},
        {"happy": [0, 1, 1, 0], "sad": [1, 0, 1, 0]},
    ),
    "whole numbers": (np.array([[0], [2], [1], [0]]), {}, {"label": [0, 2, 1, 0]}),
    "words": (np.array(["froh", "wut", "froh", "froh"]), {"words": "froh=joy,wut=anger"}, {"label": [1, 0, 1, 1]}),
}


@pytest.mark.parametrize("case", LABELS)
def test_other_labels(case, make, tmp_path):
    values, options, expected = LABELS[case]
    corpus = read(make, tmp_path, labels=values, options=options)
    assert {name: v[:4].tolist() for name, v in corpus.utterances.labels.items()} == expected


def test_words_that_name_no_class_get_the_option(make, tmp_path):
    words = np.array(["positiv", "negativ", "neutral", "positiv"])
    with pytest.raises(DataError, match=r"name no class(.|\n)*option `words`, e\.g\. words=negativ=negative"):
        read(make, tmp_path, annotations=words)
    corpus = read(make, tmp_path, annotations=words, options={"words": "positiv=positive,negativ=negative"})
    assert corpus.utterances.labels["polarity"][:4].tolist() == [2, 0, 1, 2]


def test_scores_out_of_range_get_the_option(make, tmp_path):
    with pytest.raises(DataError, match=r"out of bounds(.|\n)*option `scale`, e\.g\. scale=0,9"):
        read(make, tmp_path, labels=np.array([1.5, 9, 4, 2]))


def test_content_before_the_end_of_padding_is_observed_and_padding_is_not(make, tmp_path):
    audio = np.zeros((4, 5, 2))
    audio[:, 3:] = 1
    text = audio.copy()
    text[:, 2] = 1
    corpus = read(make, tmp_path, audio=audio, text=text)
    assert corpus.frames["text"].count.tolist() == corpus.frames["audio"].count.tolist() == [3] * 12
    assert "padding in front: text 12, audio 12" in notes(corpus)
