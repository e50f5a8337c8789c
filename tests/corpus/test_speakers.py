"""Speaker codes of a dialogue or a session are not people."""

import numpy as np
import pytest

from lacuna.corpus import assemble, open_corpus, save_corpus
from lacuna.corpus.assemble import Channel
from lacuna.corpus.schema import Target
from lacuna.corpus.speakers import qualify, speakers_are_local
from lacuna.errors import ConfigError
from lacuna.evaluation.shift.groups import Hits
from lacuna.shift import RepartitionConfig, repartition


@pytest.mark.parametrize(
    ("speakers", "dialogues", "names"),
    [
        (["M", "F", ""], ["Ses01F_a", "Ses02M_b", "Ses02M_b"], ["Ses01_M", "Ses02_F", "unknown"]),
        (["M", "F"], ["d1", "d2"], ["d1::M", "d2::F"]),
        (["speaker_0", "speaker_0"], ["1", "2"], ["1::speaker_0", "2::speaker_0"]),
        (["A", "b"], ["1", "2"], ["1::A", "2::b"]),
        (["0", "1"], ["Ses01F_a", "Ses01F_a"], ["Ses01F_a::0", "Ses01F_a::1"]),
        (["Joey", "M"], ["1", "2"], ["Joey", "M"]),  # names
        (["", None], ["1", "2"], ["unknown", "unknown"]),
    ],
)
def test_codes_are_qualified_and_names_are_kept(speakers, dialogues, names):
    found, note = qualify(speakers, dialogues)
    assert found == names
    assert (note is None) == (set(names) <= {"Joey", "M", "unknown"})


def corpus(local):
    n = 40
    dialogues = [f"d{i // 4}" for i in range(n)]
    codes = [f"speaker_{i % 2}" for i in range(n)]
    return assemble(
        "small",
        ids=[f"u{i}" for i in range(n)],
        dialogues=dialogues,
        turns=list(range(n)),
        channels={"text": Channel(np.random.default_rng(0).normal(size=(n, 3)))},
        targets=[Target("emotion", "classification", ("joy", "anger"))],
        labels={"emotion": [i % 2 for i in range(n)]},
        splits=["train"] * 20 + ["valid"] * 8 + ["test"] * 12,
        speakers=qualify(codes, dialogues)[0] if local else [f"{d}-{c}" for d, c in zip(dialogues, codes, strict=True)],
    )


@pytest.mark.parametrize("unit", ["utterance", "dialogue"])
def test_local_speakers_are_never_held_out_as_people(unit, tmp_path):
    config = RepartitionConfig(kind="groups", unit=unit, group="speaker", size=8, expected=1.0)
    save_corpus(corpus(local=True), tmp_path)
    for one in (corpus(local=True), open_corpus(tmp_path)):
        assert speakers_are_local(one)
        with pytest.raises(ConfigError, match=r"known inside their dialogue only(.|\n)*group 'dialogue'"):
            repartition(one, config)
        assert "speaker" not in Hits.of(one, one.target()).groups
    people = corpus(local=False)
    repartition(people, config)
    assert "speaker" in Hits.of(people, people.target()).groups


def test_a_repartition_of_local_speakers_says_that_shared_people_are_unknown():
    config = RepartitionConfig(kind="groups", unit="dialogue", group="dialogue", size=8, expected=1.0)
    notes = " ".join(repartition(corpus(local=True), config).notes)
    assert "whether training and the tests share people is unknown" in notes
    assert "speaker(s) are in" not in notes
