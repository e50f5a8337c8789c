"""Masks as files: what is written comes back, and masks of other corpora or damaged files are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, DataError
from lacuna.missing import (
    Fixed,
    Layout,
    MaskPlan,
    Outage,
    decode_masks,
    encode_masks,
    list_patterns,
    masks_of,
    pattern,
    published_plans,
    read_masks,
    write_masks,
)
from standin import StandIn, generate

KINDS = [*map(pattern, list_patterns()), Outage(burst=2), Fixed(available=("text", "audio"))]
CORPUS = generate(StandIn(dialogues=6, turns=4, frames=5))


def same_masks(corpus: Corpus, plans: list[MaskPlan], others: list[MaskPlan]) -> None:
    layout, rows = Layout.of(corpus), np.random.default_rng(0).permutation(len(corpus))
    for plan, other in zip(plans, others, strict=True):
        one, two = plan.over(layout), other.over(layout)
        assert two.measured() == one.measured()
        left, right = one.present(rows), two.present(rows)
        assert left.keys() == right.keys()
        assert all(np.array_equal(left[m], right[m]) for m in left), str(plan)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), rate=st.floats(0, 1), seed=st.integers(0, 2**63))
def test_any_mask_comes_back_from_a_file(tmp_path_factory, kind, rate, seed):
    plans = [MaskPlan(kind, rate, seed), MaskPlan("rmfm", 0.5, 1)]
    path = write_masks(tmp_path_factory.mktemp("masks") / "masks.safetensors", CORPUS, plans)
    others = published_plans(str(path))
    assert [(plan.rate, plan.seed) for plan in others] == [(plan.rate, plan.seed) for plan in plans]
    same_masks(CORPUS, plans, others)
    assert MaskPlan.from_json(others[0].to_json()) == others[0]


def test_frames_that_a_corpus_lacks_stay_absent():
    frames = {m: replace(f, observed=np.arange(len(f.values)) % 3 > 0) for m, f in CORPUS.frames.items()}
    corpus = replace(CORPUS, frames=frames)
    file = masks_of(corpus, [MaskPlan("rmm", 0.0)])
    for m, f in frames.items():
        flags = np.unpackbits(file.present[m][0], count=len(f.values))
        expected = np.concatenate([f.observed[s : s + n] for s, n in zip(f.start, f.count, strict=True)])
        assert np.array_equal(flags, expected), m


def test_equal_masks_give_equal_bytes_and_a_reader_without_lacuna_understands_them(tmp_path):
    import json

    from safetensors import safe_open

    plans = [MaskPlan("outage", 0.4, 3)]
    path = write_masks(tmp_path / "masks.safetensors", CORPUS, plans)
    assert path.read_bytes() == encode_masks(masks_of(CORPUS, plans))
    with safe_open(path, "numpy") as file:
        header = json.loads(file.metadata()["lacuna.masks"])
        packed, count = file.get_tensor("audio.present"), file.get_tensor("audio.count")
    present = np.unpackbits(packed, axis=1, count=count.sum())[0].astype(bool)
    assert header["ids"] == CORPUS.ids
    assert (header["masks"][0]["pattern"], header["masks"][0]["rate"], header["masks"][0]["seed"]) == ("outage", 0.4, 3)
    assert np.array_equal(~present, plans[0].over(Layout.of(CORPUS)).missing_flat()["audio"])


def test_the_masks_of_a_part_are_read_by_id(tmp_path):
    plan = MaskPlan("rmfm", 0.5, 0)
    (other,) = published_plans(str(write_masks(tmp_path / "masks.safetensors", CORPUS, [plan])))
    part = CORPUS.take(np.arange(len(CORPUS))[::-2])
    same_masks(part, [plan], [other])  # rmfm draws each utterance by itself


def test_masks_of_other_utterances_are_refused_with_counts_and_examples(tmp_path):
    path = write_masks(tmp_path / "masks.safetensors", CORPUS.take(np.arange(20)), [MaskPlan("rmm", 0.5)])
    (plan,) = published_plans(str(path))
    with pytest.raises(DataError, match=r"4 of 24 utterances have no mask in the file") as caught:
        plan.over(Layout.of(CORPUS))
    assert CORPUS.ids[20] in str(caught.value)
    assert CORPUS.ids[0] in str(caught.value)


def test_masks_of_other_frames_modalities_or_another_file_are_refused(tmp_path):
    path = write_masks(tmp_path / "masks.safetensors", CORPUS, [MaskPlan("rmm", 0.5)])
    (plan,) = published_plans(str(path))
    layout = Layout.of(CORPUS)
    longer = replace(layout, count={m: n + (m == "audio") for m, n in layout.count.items()})
    with pytest.raises(DataError, match=rf"24 of 24 utterances have another number of frames(.|\n)*{CORPUS.ids[0]}(.|\n)*audio"):
        plan.over(longer)
    with pytest.raises(DataError, match="of other modalities"):
        plan.over(replace(layout, count={"text": layout.count["text"]}))
    with pytest.raises(ConfigError, match=r"no mask 'rmm' with rate 0.3 and seed 0; it has: rmm: rate \(seed\) 0.5 \(0\)"):
        MaskPlan(plan.pattern, 0.3).over(layout)
    with pytest.raises(ConfigError, match="no mask 'rmfm'"):
        published_plans(str(path), mask="rmfm")
    write_masks(path, CORPUS, [MaskPlan("rmm", 0.4)])
    with pytest.raises(DataError, match="another one than was named"):
        plan.over(layout)
    with pytest.raises(DataError, match="no file with masks"):
        read_masks(tmp_path / "nothing.safetensors")
    with pytest.raises(ConfigError, match="'file' needs the setting path"):
        pattern("file")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused(data):
    content = bytearray(encode_masks(masks_of(CORPUS, [MaskPlan("rmm", 0.5), MaskPlan("rmfm", 0.3)])))
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DataError, match="not a whole file of masks"):
        decode_masks(bytes(content), "masks.safetensors")


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_table_of_ids_and_modalities_is_a_mask(tmp_path, kind):
    rng = np.random.default_rng(0)
    flags = {m.name: rng.random(len(CORPUS)) < 0.6 for m in CORPUS.modalities}
    path = write_table(tmp_path, kind, CORPUS.ids, flags)
    (plan,) = published_plans(str(path))
    layout = Layout.of(CORPUS)
    mask = plan.over(layout)
    missing = mask.missing_flat()
    for m, kept in flags.items():
        assert np.array_equal(missing[m], np.repeat(~kept, layout.count[m])), m
    slots = np.stack([layout.available[m] for m in flags])
    assert mask.measured() == pytest.approx((slots & ~np.stack([*flags.values()])).sum() / slots.sum())
    assert plan.rate == pytest.approx(1 - np.mean([*flags.values()]), abs=1e-4)


def write_table(folder: Path, kind: str, ids: list[str], flags: dict[str, np.ndarray]) -> Path:
    path = folder / f"masks.{kind}"
    if kind == "npz":
        np.savez(path, id=np.array(ids), **{m: values.astype(np.int64) for m, values in flags.items()})
        return path
    rows = [",".join([name, *(str(int(v[i])) for v in flags.values())]) for i, name in enumerate(ids)]
    path.write_text("\n".join([",".join(["id", *flags]), *rows]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("masks.csv", "id,text\na,1\nb,2\n", r"a flag is not 0 or 1(.|\n)*utterance 'b', modality 'text'(.|\n)*'2'"),
        ("masks.csv", "id,text\na,1\nb,\n", "a flag is not 0 or 1"),
        ("masks.csv", "id,text\na,1\na,0\n", "an id occurs twice"),
        ("masks.csv", "name,text\na,1\n", r"needs ids and modalities(.|\n)*found: name, text"),
        ("masks.csv", "id\na\n", "needs ids and modalities"),
        ("masks.csv", "", "not a table"),
        ("masks.npz", "PK", "masks.npz"),
        ("masks.npy", "x", "an .npy file, which has no ids"),
        ("masks.pkl", "x", r"a file '\*\.pkl'"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content, "utf-8")
    with pytest.raises(DataError, match=message):
        read_masks(path)
