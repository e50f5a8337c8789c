"""conv-emotion, MMGCN and COSMIC pickles, made here in every known arrangement."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from lacuna.corpus import validate
from lacuna.corpus.importers import import_corpus, recognise
from lacuna.corpus.speakers import speakers_are_local
from lacuna.errors import ConfigError, DataError, LacunaError, UnsafePickleError

LENGTHS = {"Ses01F_impro01": 4, "Ses01M_script02": 6, "Ses05F_impro03": 5}
WIDTHS = {"text": 10, "audio": 8, "vision": 6}


def vectors(lengths, width, seed=0, kind=list):
    rng = np.random.default_rng([seed, width])
    return {d: kind(rng.normal(size=(n, width)).astype(np.float32)) for d, n in lengths.items()}


def iemocap():
    ids = {d: [f"{d}_{'MF'[t % 2]}{t:03d}" for t in range(n)] for d, n in LENGTHS.items()}
    speakers = {d: ["MF"[t % 2] for t in range(n)] for d, n in LENGTHS.items()}
    labels = {d: [(i + 2 * t) % 6 for t in range(n)] for i, (d, n) in enumerate(LENGTHS.items())}
    sentences = {d: [f"this is turn {t}" for t in range(n)] for d, n in LENGTHS.items()}
    features = [vectors(LENGTHS, w, i) for i, w in enumerate(WIDTHS.values())]
    train, test = ["Ses01F_impro01", "Ses01M_script02"], ["Ses05F_impro03"]
    return [ids, speakers, labels, *features, sentences, train, set(test)]


def meld(vision=True):
    lengths = {0: 8, 1: 3, 2: 9, 3: 2}
    codes = {0: [0, 1, 2, 3, 4, 5, 6, 1], 1: [0, 0, 4], 2: [6, 5, 4, 3, 2, 1, 0, 0, 4], 3: [1, 3]}
    feelings = {d: [{0: 0, 4: 1}.get(c, 2) for c in cs] for d, cs in codes.items()}
    feelings[0][1] = 1  # a surprise may be positive
    ids = {d: [2 * t for t in range(n)] for d, n in lengths.items()}
    speakers = {d: [[int(s == t % 3) for s in range(9)] for t in range(n)] for d, n in lengths.items()}
    speakers[3][0] = [0] * 9
    sentences = {d: [f"well , turn {t}" for t in range(n)] for d, n in lengths.items()}
    features = [vectors(lengths, w, i, np.asarray) for i, w in enumerate(WIDTHS.values())]
    return [ids, speakers, codes, *features[: 2 + vision], sentences, [0, 1, 2], [3], feelings]


def write(tmp_path, content, name="features.pkl"):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(tuple(content)))
    return path


def refuse(tmp_path, content, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        import_corpus(write(tmp_path, content), importer="conversations", **options)
    return caught.value


def test_iemocap_of_nine(tmp_path):
    path = write(tmp_path, iemocap())
    assert list(recognise(path)) == ["conversations"]
    corpus = import_corpus(path)
    assert [(m.name, m.dim) for m in corpus.modalities] == list(WIDTHS.items())
    assert corpus.target().classes == ("happy", "sad", "neutral", "angry", "excited", "frustrated")
    assert corpus.ids[0] == "Ses01F_impro01_M000"
    assert corpus.utterances.speaker_names.to_pylist() == ["Ses01_M", "Ses01_F", "Ses05_M", "Ses05_F"]
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [10, 0, 5]
    assert corpus.transcripts[1] == "this is turn 1"
    frames = iemocap()[4]["Ses05F_impro03"][2]
    assert (corpus.frames["audio"].of(corpus.ids.index("Ses05F_impro03_M002")) == frames).all()
    told = corpus.provenance.notes[0]
    assert "entry 0 ids" in told
    assert "entry 5 vision (6)" in told
    assert "entry 8 test" in told


@pytest.mark.parametrize("vision", [False, True], ids=["nine", "ten"])
def test_meld(tmp_path, vision):
    corpus = import_corpus(write(tmp_path, meld(vision)), name="meld")
    assert [m.name for m in corpus.modalities] == ["text", "audio", "vision"][: 2 + vision]
    assert [t.name for t in corpus.targets] == ["emotion", "sentiment"]
    assert corpus.target("emotion").classes[4] == "joy"
    assert corpus.target("sentiment").classes == ("neutral", "positive", "negative")
    assert corpus.ids[:2] == ["0_0", "0_2"]
    assert corpus.utterances.turn[:3].tolist() == [0, 2, 4]
    speakers = corpus.utterances.speaker_names.to_pylist()
    assert {s.partition("::")[0] for s in speakers} == {"0", "1", "2", "3", "unknown"}
    assert speakers_are_local(corpus)
    assert any("valid inside their dialogue only" in note for note in corpus.provenance.notes)
    assert [len(corpus.only(s)) for s in ("train", "test")] == [20, 2]


def test_sentiments_are_told_by_their_range_and_by_the_emotions_they_go_with(tmp_path):
    content = meld()
    codes, feelings = content[2], {d: [[1, 2, 0][s] for s in ss] for d, ss in content[9].items()}
    content[2], content[9] = feelings, codes  # sentiments first, and numbered in another way
    corpus = import_corpus(write(tmp_path, content), name="meld")
    assert corpus.utterances.labels["emotion"].tolist() == [c for cs in codes.values() for c in cs]
    assert corpus.target("sentiment").classes == ("negative", "neutral", "positive")


def test_emorynlp_is_not_taken_for_meld(tmp_path):
    content = meld()
    content[9] = {d: [[2, 0, 2, 1, 0, 2, 0][c] for c in cs] for d, cs in content[2].items()}
    corpus = import_corpus(write(tmp_path, content), name="emorynlp")
    assert corpus.target("emotion").classes == tuple(f"class_{i}" for i in range(7))
    assert corpus.target("sentiment").classes == ("class_0", "class_1", "class_2")
    assert any("names of the classes" in n for n in corpus.provenance.notes)
    named = import_corpus(write(tmp_path, content), name="emorynlp", classes="joyful,mad,peaceful,neutral,sad,powerful,scared")
    assert named.target().classes[-1] == "scared"
    with pytest.raises(ConfigError, match="go up to 6"):
        import_corpus(write(tmp_path, content), name="emorynlp", classes=("a", "b"))


def test_cosmic_layers_of_text_are_laid_side_by_side(tmp_path):
    base = iemocap()
    layers = [vectors(LENGTHS, 5, i) for i in range(4)]
    sets = [["Ses01F_impro01"], ["Ses05F_impro03"], ["Ses01M_script02"]]
    corpus = import_corpus(write(tmp_path, [base[1], base[2], *layers, base[6], *sets]), name="cosmic")
    assert [(m.name, m.dim) for m in corpus.modalities] == [("text", 20)]
    assert (corpus.frames["text"].of(0)[0, 5:10] == layers[1]["Ses01F_impro01"][0]).all()
    assert corpus.ids[0] == "Ses01F_impro01_0"
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [4, 6, 5]
    twelve = [*base[:3], *layers, base[4], base[5], *base[6:]]
    corpus = import_corpus(write(tmp_path, twelve), name="sdt")
    assert [(m.name, m.dim) for m in corpus.modalities] == [("text", 20), ("audio", 8), ("vision", 6)]


def test_cosmic_meld_of_eleven(tmp_path):
    _, speakers, codes, *_, sentences, train, test, feelings = meld()
    layers = [vectors({d: len(c) for d, c in codes.items()}, 5, i) for i in range(4)]
    path = write(tmp_path, [speakers, codes, feelings, *layers, sentences, train[:2], test, train[2:]])
    corpus = import_corpus(path, name="meld")
    assert [(t.name, len(t.classes)) for t in corpus.targets] == [("emotion", 7), ("sentiment", 3)]
    assert [len(corpus.only(s)) for s in ("train", "valid", "test")] == [11, 9, 2]


def test_the_order_of_entries_that_content_can_tell_does_not_matter(tmp_path):
    ids, speakers, labels, text, audio, vision, sentences, train, test = iemocap()
    one = import_corpus(write(tmp_path, iemocap()), name="c")
    two = import_corpus(write(tmp_path, [sentences, labels, text, audio, vision, train, test, speakers, ids]), name="c")
    assert one.ids == two.ids
    assert one.transcripts == two.transcripts
    assert (one.utterances.speaker == two.utterances.speaker).all()
    assert (one.frames["audio"].values == two.frames["audio"].values).all()


def test_more_feature_entries_than_known_need_names(tmp_path):
    content = iemocap()
    content[6:6] = [vectors(LENGTHS, 3, 9), vectors(LENGTHS, 4, 9)]
    path = write(tmp_path, content)
    seen = recognise(path)["conversations"]
    assert "modalities" in str(refuse(tmp_path, content))
    assert [m.dim for m in import_corpus(path, **seen.options).modalities] == [10, 8, 6, 3, 4]
    corpus = import_corpus(path, modalities="text,audio,vision,pose,-")
    assert [(m.name, m.dim) for m in corpus.modalities][3:] == [("pose", 3)]
    assert "expected: 2 entries" in str(refuse(tmp_path, content, modalities=("text", "audio")))


def test_zeros_mean_absence_only_when_told(tmp_path):
    content = iemocap()
    content[4]["Ses01F_impro01"][2] = np.zeros(8)
    content[5]["Ses01F_impro01"][3] = None
    path = write(tmp_path, content)
    corpus = import_corpus(path, name="c")
    assert corpus.absences()["audio"]["train"] == 0
    assert any("all zero" in str(f.error) for f in validate(corpus))
    corpus = import_corpus(path, name="c", zeros="absent")
    assert corpus.absences()["audio"]["train"] == corpus.absences()["vision"]["train"] == 1
    assert any("audio: absent from 1 utterances, 1 of them with an all-zero vector" in n for n in corpus.provenance.notes)


def test_nonfinite_policy(tmp_path):
    content = iemocap()
    content[3]["Ses01F_impro01"][1][0] = np.nan
    assert "NaN" in str(refuse(tmp_path, content))
    corpus = import_corpus(write(tmp_path, content), importer="conversations", nonfinite="absent")
    assert corpus.absences()["text"]["train"] == 1


def test_a_folder_with_one_such_pickle(tmp_path):
    write(tmp_path, iemocap(), "a.pkl")
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"train": 1}))
    assert len(import_corpus(tmp_path, name="c")) == 15
    write(tmp_path, meld(), "b.pkl")
    with pytest.raises(DataError, match=r"a\.pkl, b\.pkl"):
        import_corpus(tmp_path, name="c", importer="conversations")
    assert len(import_corpus(tmp_path, name="c", importer="conversations", pickle="b.pkl")) == 22


def spoil(change):
    content = iemocap()
    change(content)
    return content


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c[4]["Ses01M_script02"].pop(), "disagree about dialogue 'Ses01M_script02'"),
        (lambda c: c[5].pop("Ses05F_impro03"), "entry 5 lacks 1 dialogue"),
        (lambda c: c[7].append("Ses09"), "entry 0 lacks 1 dialogue"),
        (lambda c: c[7].append("Ses05F_impro03"), "shared between splits"),
        (lambda c: c.append({"a"} | set(LENGTHS)), "entry 0 lacks"),
        (lambda c: c.append({"elsewhere": [1]}), "lacks 3 dialogue"),
        (lambda c: (c.__delitem__(slice(7, None)), c.append({"elsewhere": [1]})), "no utterance is in every entry"),
        (lambda c: c.append(3.5), "entry 9 is of an unknown kind"),
        (lambda c: c.append([0.5]), "entry 9 is of an unknown kind"),
        (lambda c: c.append(dict.fromkeys(LENGTHS, 7)), "int in dialogue 'Ses01F_impro01'"),
        (lambda c: c[2]["Ses01F_impro01"].__setitem__(1, "sad"), "numbers and strings"),
        (lambda c: c[2]["Ses01F_impro01"].__setitem__(1, None), "nothing and numbers"),
        (lambda c: c[2]["Ses01F_impro01"].__setitem__(1, 0.5), "not whole"),
        (lambda c: c[2]["Ses01F_impro01"].__setitem__(1, float("nan")), "not whole"),
        (lambda c: c[2]["Ses01F_impro01"].__setitem__(1, -3), "out of bounds"),
        (lambda c: c.append({d: [5] * n for d, n in LENGTHS.items()}), "three classes"),
        (lambda c: c.insert(3, {d: [[0, 1]] * n for d, n in LENGTHS.items()}), "the speakers are ambiguous"),
        (lambda c: c.pop(2), "there are no labels"),
        (lambda c: [c.pop(3) for _ in range(3)], "no feature vectors"),
        (lambda c: c[3]["Ses01F_impro01"].__setitem__(1, np.zeros(3)), "width"),
        (lambda c: c[3]["Ses01F_impro01"].__setitem__(1, [[1], [1, 2]]), "entry 3 holds"),
        (lambda c: c.__setitem__(slice(None), [[1, 2], [3]]), "not a sequence of dictionaries"),
    ],
)
def test_malformed(tmp_path, change, told):
    content = spoil(change)
    error = refuse(tmp_path, content)
    assert told in str(error)
    assert error.found is not None or error.hint is not None
    if told in ("no feature vectors", "not a sequence of dictionaries", "there are no labels"):
        assert "conversations" not in recognise(write(tmp_path, content))


def test_entries_can_be_ignored(tmp_path):
    content = [*iemocap(), 3.5, None]
    corpus = import_corpus(write(tmp_path, content), importer="conversations", ignore=[9])
    assert any("entry 9 was left out" in n for n in corpus.provenance.notes)
    assert any("entry 10 is empty" in n for n in corpus.provenance.notes)


def test_dialogues_outside_every_split_stay_without_one(tmp_path):
    content = spoil(lambda c: c[7].pop())
    corpus = import_corpus(write(tmp_path, content), importer="conversations")
    assert (corpus.utterances.split == -1).sum() == 6
    assert "1 dialogue(s) are in no split" in corpus.provenance.notes


class _Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched-by-a-pickle"),)


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, [{"d": [_Evil()]}])
    assert recognise(path) == {}
    with pytest.raises(UnsafePickleError):
        import_corpus(path, importer="conversations")
    assert not Path("touched-by-a-pickle").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_recognised(tmp_path, protocol):
    path = tmp_path / "features.pkl"
    for content in (tuple(iemocap()), iemocap()):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        assert "conversations" in recognise(path)


def test_truncated(tmp_path):
    path = write(tmp_path, iemocap())
    path.write_bytes(path.read_bytes()[:-40])
    assert recognise(path) == {}
    with pytest.raises(LacunaError):
        import_corpus(path, importer="conversations")


def numbered(codes, **changes):
    """The pickle of IEMOCAP with whole numbers as speakers before the emotions."""
    content = iemocap()
    content[1] = {d: [codes[s] for s in row] for d, row in content[1].items()}
    for position, entry in changes.items():
        content[int(position[1:])] = entry
    return content


@pytest.mark.parametrize("codes", [{"M": 0, "F": 1}, {"M": 3, "F": 8}])
def test_whole_numbers_before_the_emotions_are_local_speakers(tmp_path, codes):
    corpus = import_corpus(write(tmp_path, numbered(codes)))
    assert speakers_are_local(corpus)
    first = [f"Ses01F_impro01::{codes[s]}" for s in "MF"]
    assert corpus.utterances.speaker_names.to_pylist()[:2] == first
    assert [t.name for t in corpus.targets] == ["emotion"]
    assert corpus.utterances.labels["emotion"][:4].tolist() == [0, 2, 4, 0]  # not the speakers


def test_numbers_that_may_be_speakers_or_labels_are_refused(tmp_path):
    labels = {d: [(t + 1) % 3 for t in range(n)] for d, n in LENGTHS.items()}
    content = numbered({"M": 0, "F": 1}, p2=labels)
    assert "speakers=1 if they are speakers" in str(refuse(tmp_path, content))
    path = write(tmp_path, content)
    corpus = import_corpus(path, speakers=1)
    assert corpus.utterances.labels["emotion"][:3].tolist() == [1, 2, 0]
    assert speakers_are_local(corpus)
    assert [t.name for t in import_corpus(path, speakers=-1).targets] == ["emotion", "sentiment"]
    with pytest.raises(ConfigError, match="entry 5 of"):
        import_corpus(path, speakers=5)


def test_three_entries_of_numbers_are_speakers_emotions_sentiments(tmp_path):
    content = meld()
    content[1] = {d: [row.index(1) if any(row) else 0 for row in rows] for d, rows in content[1].items()}
    corpus = import_corpus(write(tmp_path, content))
    assert [t.name for t in corpus.targets] == ["emotion", "sentiment"]
    assert corpus.target("emotion").classes[4] == "joy"
    assert speakers_are_local(corpus)
