"""Agreement of raters: a loop over all raters as reference, and the votes of CREMA-D."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lacuna.errors import ConfigError, DataError
from lacuna.metrics.protocols import score_tables
from lacuna.metrics.protocols.humans import cremad_truth, leave_one_out, majority_labels, read_cremad_votes, read_iemocap_votes

CREMAD = Path(os.environ.get("LACUNA_SHARED_DATA", "")) / "cremad_votes"


@pytest.mark.parametrize("seed", range(5))
def test_leave_one_out_equals_a_loop_over_raters(seed: int) -> None:
    votes = np.random.default_rng(seed).integers(0, 4, (20, 3)).astype(float)
    expected = np.zeros((3, 3))
    for item in votes:
        raters = [c for c in range(3) for _ in range(int(item[c]))]
        for i, vote in enumerate(raters):
            others = np.bincount(raters[:i] + raters[i + 1 :], minlength=3)
            if others.sum():
                tied = np.flatnonzero(others == others.max())
                expected[tied, vote] += 1 / len(tied)
    np.testing.assert_allclose(leave_one_out(votes), expected)


def test_values_by_hand() -> None:
    votes = pd.DataFrame(
        {"id": ["1", "1", "2"], "modality": ["voice", "both", "both"], "votes_a": [2, 3, 1], "votes_b": [1, 0, 0]}
    )
    truth = pd.DataFrame({"id": ["1", "2"], "label": ["a", "b"]})
    got = score_tables("humans", votes, truth).set_index(["subset", "metric"])
    value = got["value"]
    assert value["both", "agreement"] == 1  # item 2 has one rater, so nobody to agree with
    assert got["n"]["both", "agreement"] == 3
    assert value["voice", "agreement"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert value["voice", "against_reference"] == pytest.approx(2 / 3)
    assert value["both", "accuracy"] == 3 / 4
    assert value["both", "class_accuracy"] == 0.5
    assert value["both", "majority_accuracy"] == 0.5


def test_votes_are_whole_and_items_occur_once() -> None:
    with pytest.raises(DataError, match="counts of raters"):
        score_tables("humans", pd.DataFrame({"id": ["1"], "votes_a": [0.5]}))
    with pytest.raises(DataError, match="twice"):
        score_tables("humans", pd.DataFrame({"id": ["1", "1"], "votes_a": [1, 2]}))


def test_votes_of_iemocap_by_kind_of_rater(tmp_path: Path) -> None:
    folder = tmp_path / "Session1/dialog/EmoEvaluation"
    folder.mkdir(parents=True)
    (folder / "Ses01F_impro01.txt").write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tNeutral;\t()\nC-E3:\tNeutral; Sadness;\t()\nC-E4:\tAnger;\t(a note)\nC-F1:\tNeutral;\t()\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\n\n"
        "[10.0100 - 11.3925]\tSes01F_impro01_F001\txxx\t[2.5000, 2.5000, 2.5000]\nC-E2:\tAnger;\t()\n",
        "utf-8",
    )
    votes = read_iemocap_votes(tmp_path).set_index(["id", "modality"])
    assert votes.loc[("Ses01F_impro01_F000", "both")].to_dict() == {"votes_anger": 1, "votes_neutral": 2, "votes_sadness": 1}
    assert votes.loc[("Ses01F_impro01_F000", "self"), "votes_neutral"] == 1
    assert votes.loc[("Ses01F_impro01_F001", "both"), "votes_anger"] == 1
    assert len(votes) == 3
    with pytest.raises(ConfigError, match="no votes of IEMOCAP"):
        read_iemocap_votes(tmp_path / "nowhere")


def test_a_tie_has_no_majority_label() -> None:
    assert majority_labels(np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]), ("a", "b")) == ["", "b", ""]


@pytest.mark.skipif(not (CREMAD / "tabulatedVotes.csv").is_file(), reason="votes of CREMA-D are not there")
def test_raters_of_cremad_agree_most_with_voice_and_face() -> None:
    votes = read_cremad_votes(CREMAD)
    truth = cremad_truth(votes)
    assert len(truth) == 7442
    intended = truth[["id", "intended"]].rename(columns={"intended": "label"})
    got = score_tables("humans", votes, intended).set_index(["subset", "metric"])["value"]
    assert got["voice", "agreement"] < got["face", "agreement"] < got["both", "agreement"]
    # Cao et al. 2014 publish 40.9% (voice), 58.2% (face) and 63.6% (both). The public votes lack the answers that took more than
    # 10 s; pooled they give 40.0%, 57.4% and 63.1%, as a mean over the six emotions 40.7%, 57.7% and 63.4%
    for modality, published in (("voice", 0.409), ("face", 0.582), ("both", 0.636)):
        assert got[modality, "accuracy"] == pytest.approx(published, abs=0.01)
        assert got[modality, "class_accuracy"] == pytest.approx(published, abs=0.006)
    face = pd.DataFrame({"id": truth["id"], "predicted": truth["label_face"]})
    conflict = score_tables("conflict", face, truth, modalities="voice+face").set_index(["subset", "metric"])["value"]
    assert conflict["all", "bias"] == -1
