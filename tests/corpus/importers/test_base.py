from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from lacuna.corpus import save_corpus
from lacuna.corpus.importers import Options, import_corpus, importer_class, list_importers, recognise, register
from lacuna.corpus.importers.base import make_options, slug
from lacuna.errors import ConfigError, DataError


def test_every_importer_is_described_and_takes_no_fright(tmp_path):
    names = list_importers()
    assert {"mosi-csv", "mmsa", "mfn", "vectors", "table"} <= set(names)
    (tmp_path / "junk.bin").write_bytes(bytes(range(256)) * 10)
    for name, reads in names.items():
        assert "\n" not in reads
        assert importer_class(name)().recognise(tmp_path) is None
    assert recognise(tmp_path / "junk.bin") == {}


def test_nothing_and_unknown(tmp_path):
    with pytest.raises(DataError, match=r"no such path: /.*/nope\n  do: check the path, or set LACUNA_SHARED_DATA / ingest.path"):
        import_corpus(tmp_path / "nope")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(DataError, match=r"no importer recognises this(.|\n)*mosi-csv: CMU-MOSI"):
        import_corpus(tmp_path / "a.txt")
    with pytest.raises(ConfigError, match=r"unknown importer 'magic'; known: .*mfn"):
        import_corpus(tmp_path / "a.txt", importer="magic")


def test_several_importers_must_be_chosen_from(make, tmp_path):
    folder = make.mosi(tmp_path / "both")
    make.csv(folder / "utterances.csv", [["id"], ["a"]])
    np.save(folder / "audio.npy", np.ones((1, 2)))
    with pytest.raises(ConfigError, match=r"several importers recognise both: 'mosi-csv' recognises .*'table' recognises"):
        import_corpus(folder)
    assert len(import_corpus(folder, importer="table")) == 1


def test_options_are_typed(make, tmp_path):
    folder = make.mosi(tmp_path / "m")
    with pytest.raises(ConfigError, match=r"has no option 'nonfinit' \(did you mean 'nonfinite'\?\); it has: nonfinite"):
        import_corpus(folder, nonfinit="absent")
    with pytest.raises(ConfigError, match=r"option 'nonfinite' of importer 'mosi-csv'.*not 'maybe'"):
        import_corpus(folder, nonfinite="maybe")
    options = make_options("mfn", importer_class("mfn").Options, {"threshold": "3", "modalities": "audio, text"})
    assert (options.threshold, options.modalities) == (3.0, ("audio", "text"))


def test_our_own_corpus_is_opened(corpus, tmp_path):
    save_corpus(corpus, tmp_path / "c")
    assert import_corpus(tmp_path / "c").ids == corpus.ids
    assert import_corpus(tmp_path / "c", name="other").name == "other"


def test_registration_refuses_a_reserved_option():
    @dataclass(frozen=True)
    class Bad(Options):
        name: str = ""

    class Reader:
        Options: ClassVar = Bad

    with pytest.raises(ConfigError, match="cannot have an option 'name'"):
        register("bad", reads="nothing")(Reader)


def test_slug():
    assert [slug(t) for t in ("Ünaligned 50", "__", "a.b")] == ["unaligned-50", "corpus", "a-b"]
