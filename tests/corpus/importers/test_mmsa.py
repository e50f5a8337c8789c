import numpy as np
import pytest

from lacuna.corpus.importers import import_corpus, recognise
from lacuna.corpus.importers.mmsa import token_codes
from lacuna.errors import DataError


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
