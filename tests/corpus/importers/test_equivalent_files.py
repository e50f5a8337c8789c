"""The same data in another arrangement is the same corpus: key order, protocol, dtype, nesting, row order, equivalent names."""

import collections
import pickle

import numpy as np
import pytest

from corpus_arrangements import ARRANGEMENTS, ELSEWHERE
from lacuna.corpus import open_corpus, save_corpus
from lacuna.corpus.importers import import_corpus, list_importers, recognise

SPLITS = {"train": 6, "valid": 3, "test": 4}


def digest(path, folder, **options):
    save_corpus(import_corpus(path, name="same", **options), folder)
    return open_corpus(folder).digest


def shuffled(mapping, rng, kind=dict):
    keys = list(mapping)
    return kind((keys[i], mapping[keys[i]]) for i in rng.permutation(len(keys)))


def whole(rng, *shape):
    return rng.integers(1, 9, size=shape).astype(np.float64)  # exact in every dtype


def splits_of_samples():
    rng = np.random.default_rng(0)
    content = {}
    for number, (split, n) in enumerate(SPLITS.items()):
        content[split] = {
            "id": [f"v{number}$_${clip}" for clip in range(n)],
            "raw_text": [f"word {clip}" for clip in range(n)],
            "text": whole(rng, n, 4, 3),
            "audio": whole(rng, n, 4, 2),
            "vision": whole(rng, n, 4, 2),
            "regression_labels": np.linspace(-2, 2, n).round(1),
        }
    return content


def rows(part, order):
    return {k: [v[i] for i in order] if isinstance(v, list) else v[order] for k, v in part.items()}


MMSA = {
    "keys in another order": lambda c, r: shuffled({s: shuffled(p, r) for s, p in c.items()}, r),
    "an ordered dictionary": lambda c, r: shuffled(c, r, collections.OrderedDict),
    "rows in another order": lambda c, r: {s: rows(p, r.permutation(len(p["id"]))) for s, p in c.items()},
    "single precision": lambda c, r: {s: {**p, "audio": p["audio"].astype(np.float32)} for s, p in c.items()},
    "integers": lambda c, r: {s: {**p, "vision": p["vision"].astype(np.int16)} for s, p in c.items()},
    "nested lists": lambda c, r: {s: {**p, "audio": p["audio"].tolist(), "text": list(p["text"])} for s, p in c.items()},
    "ids of bytes": lambda c, r: {s: {**p, "id": np.array(p["id"], "S8")} for s, p in c.items()},
    "ids in a column": lambda c, r: {s: {**p, "id": np.array(p["id"])[:, None]} for s, p in c.items()},
    "labels (N, 1, 1)": lambda c, r: renamed(
        {s: {**p, "regression_labels": p["regression_labels"][:, None, None]} for s, p in c.items()}, regression_labels="labels"
    ),
    "names of MFN": lambda c, r: renamed(c, vision="video", audio="acoustic"),
    "val for valid": lambda c, r: {{"valid": "val"}.get(s, s): p for s, p in c.items()},
    "padding in front": lambda c, r: {s: padded(p, 3, 0) for s, p in c.items()},
    "padding behind": lambda c, r: {s: padded(p, 0, 2) for s, p in c.items()},
    "padding around": lambda c, r: {s: padded(p, 1, 2) for s, p in c.items()},
}


def renamed(content, **names):
    return {s: {names.get(key, key): value for key, value in part.items()} for s, part in content.items()}


def padded(part, front, behind):
    pad = {m: np.pad(part[m], ((0, 0), (front, behind), (0, 0))) for m in ("text", "audio", "vision")}
    return {**part, **pad}


@pytest.mark.parametrize("change", MMSA)
def test_mmsa(change, make, tmp_path):
    expected = digest(make.dump(tmp_path / "one.pkl", splits_of_samples()), tmp_path / "one")
    content = MMSA[change](splits_of_samples(), np.random.default_rng(1))
    assert list(recognise(make.dump(tmp_path / "two.pkl", content))) == ["mmsa"]
    assert digest(tmp_path / "two.pkl", tmp_path / "two") == expected


@pytest.mark.parametrize("protocol", range(6))
def test_mmsa_in_every_protocol(protocol, tmp_path, make):
    expected = digest(make.dump(tmp_path / "one.pkl", splits_of_samples()), tmp_path / "one")
    (tmp_path / "two.pkl").write_bytes(pickle.dumps(splits_of_samples(), protocol=protocol))
    assert list(recognise(tmp_path / "two.pkl")) == ["mmsa"]
    assert digest(tmp_path / "two.pkl", tmp_path / "two") == expected


@pytest.mark.parametrize(("front", "behind"), [(0, 3), (3, 0), (2, 2)])
def test_stated_lengths_hold_wherever_padding_stands(front, behind, make, tmp_path):
    plain = splits_of_samples()
    for part in plain.values():
        part["audio_lengths"] = [4] * len(part["id"])
    other = {s: padded(p, front, behind) for s, p in plain.items()}
    expected = digest(make.dump(tmp_path / "one.pkl", plain), tmp_path / "one")
    assert digest(make.dump(tmp_path / "two.pkl", other), tmp_path / "two") == expected


def dialogues():
    rng = np.random.default_rng(0)
    lengths = {f"Ses0{s}{x}_impro{i}": 2 + i for s in (1, 2, 3) for x in "FM" for i in (1, 10, 2)}
    speakers = {d: ["MF"[t % 2] for t in range(n)] for d, n in lengths.items()}
    labels = {d: [(t + n) % 6 for t in range(n)] for d, n in lengths.items()}
    text, audio = ({d: whole(rng, n, width) for d, n in lengths.items()} for width in (3, 2))
    sentences = {d: [f"turn number {t}" for t in range(n)] for d, n in lengths.items()}
    train, test = (sorted(d for d in lengths if (d[4] == "3") == held) for held in (False, True))
    return [speakers, labels, text, audio, sentences, train, test]


CONVERSATIONS = {
    "keys in another order": lambda c, r: [shuffled(e, r) if isinstance(e, dict) else e for e in c],
    "entries in another order": lambda c, r: [c[i] for i in (5, 4, 6, 1, 2, 3, 0)],
    "a tuple": lambda c, r: tuple(c),
    "sets": lambda c, r: [*c[:5], set(c[5]), frozenset(c[6])],
    "vectors one by one": lambda c, r: [*c[:2], {d: list(v) for d, v in c[2].items()}, c[3], *c[4:]],
    "plain lists": lambda c, r: [*c[:2], {d: v.tolist() for d, v in c[2].items()}, c[3], *c[4:]],
    "frames of one": lambda c, r: [*c[:3], {d: v[:, None, :] for d, v in c[3].items()}, *c[4:]],
    "single precision": lambda c, r: [*c[:2], {d: v.astype(np.float32) for d, v in c[2].items()}, *c[3:]],
    "labels as arrays": lambda c, r: [c[0], {d: np.array(v, np.uint8) for d, v in c[1].items()}, *c[2:]],
}


@pytest.mark.parametrize("change", CONVERSATIONS)
def test_conversations(change, make, tmp_path):
    expected = digest(make.dump(tmp_path / "one.pkl", dialogues()), tmp_path / "one")
    content = CONVERSATIONS[change](dialogues(), np.random.default_rng(1))
    assert "conversations" in recognise(make.dump(tmp_path / "two.pkl", content))
    assert digest(tmp_path / "two.pkl", tmp_path / "two") == expected


def sequences():
    rng = np.random.default_rng(0)
    return {
        f"{part}_{split}": np.linspace(1, 5, n) if part == "y" else whole(rng, n, 4, 2)
        for split, n in SPLITS.items()
        for part in ("audio", "video", "y")
    }


@pytest.mark.parametrize("change", ["keys in another order", "single precision", "padding", "labels (N, 1)", "a folder"])
def test_mfn(change, tmp_path):
    content, rng = sequences(), np.random.default_rng(1)
    np.savez(tmp_path / "one.npz", **content)
    expected = digest(tmp_path / "one.npz", tmp_path / "one")
    other = shuffled(content, rng)
    if change == "single precision":
        other = {k: v if k.startswith("y") else v.astype(np.float32) for k, v in content.items()}
    elif change == "padding":
        other = {k: v if v.ndim == 1 else np.pad(v, ((0, 0), (2, 1), (0, 0))) for k, v in content.items()}
    elif change == "labels (N, 1)":
        other = {k: v[:, None] if v.ndim == 1 else v for k, v in content.items()}
    path = tmp_path / "two.npz"
    if change == "a folder":
        path = tmp_path / "files"
        path.mkdir()
        for key, value in content.items():
            np.save(path / f"{key}.npy", value)
    else:
        np.savez(path, **other)
    assert list(recognise(path)) == ["mfn"]
    assert digest(path, tmp_path / "two") == expected


@pytest.mark.parametrize("importer", list_importers())
def test_every_importer_is_tested_on_several_arrangements(importer):
    assert importer in ELSEWHERE or len(ARRANGEMENTS.get(importer, ())) >= 3


@pytest.mark.parametrize(("importer", "arrangement"), [(i, a) for i, cases in ARRANGEMENTS.items() for a in list(cases)[1:]])
def test_an_arrangement_changes_nothing(importer, arrangement, tmp_path):
    digests = []
    for name in (next(iter(ARRANGEMENTS[importer])), arrangement):
        folder = tmp_path / str(len(digests))
        folder.mkdir()
        path = ARRANGEMENTS[importer][name](folder)
        assert importer in recognise(path)
        digests.append(digest(path, tmp_path / f"stored{len(digests)}", importer=importer))
    assert digests[0] == digests[1]
