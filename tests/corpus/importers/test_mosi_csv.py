from collections import Counter

import numpy as np
import pytest

from lacuna.corpus import validate
from lacuna.corpus.importers import import_corpus
from lacuna.corpus.splits import carve_valid
from lacuna.errors import DataError


def test_turns_are_sorted_as_numbers_and_text_is_kept(make, tmp_path):
    corpus = import_corpus(make.mosi(tmp_path / "mosi"))
    assert corpus.ids == ["v_a_1", "v_a_2", "v_a_10", "w_1"]
    assert corpus.utterances.dialogue_names.to_pylist() == ["v_a", "w"]
    assert corpus.transcripts[2] == "say v_a_10"
    assert corpus.utterances.labels["polarity"].tolist() == [1, 1, 0, 0]
    assert corpus.frames["text"].of(2).tolist() == [[1.5, 1.5]]
    assert [t.name for t in corpus.targets] == ["polarity"]


def test_scores_come_from_the_gcnet_pickle(make, tmp_path):
    folder = make.mosi(tmp_path / "mosi")
    make.gcnet(folder / "gcnet.pkl")
    corpus = import_corpus(folder)
    assert corpus.utterances.labels["score"].tolist() == [2, 0, -1, -0.5]
    make.gcnet(folder / "gcnet.pkl", (2.0, 1.0, 0.0, -0.5))
    with pytest.raises(DataError, match=r"1 labels disagree with their score(.|\n)*v_a_10(.|\n)*label 0, score 1"):
        import_corpus(folder)


def test_real(shared_data):
    corpus = import_corpus(shared_data / "cmu_mosi")
    u = corpus.utterances
    assert len(corpus) == 2199
    assert len(np.unique(u.dialogue)) == 93
    assert Counter(u.split.tolist()) == {0: 1447, 2: 752}
    assert {m.name: m.dim for m in corpus.modalities} == {"text": 100, "audio": 73, "vision": 100}
    assert np.array_equal(u.labels["polarity"] == 1, u.labels["score"] >= 0)
    assert all(corpus.transcripts)
    told = " ".join(f.error.what for f in validate(corpus))
    assert "32 of 100 columns of vision are constant" in told
    train = corpus.only("train").utterances.labels["polarity"]
    assert train.mean() == pytest.approx(0.49, abs=0.01)
    carved = carve_valid(corpus, 0.15, 0)
    assert len(carved.only("valid")) > 150
