import io

import numpy as np
import pytest

from lacuna.corpus.importers.sources import many, read_npy, read_npz
from lacuna.errors import DataError


def saved(write, *arrays, **named):
    buffer = io.BytesIO()
    write(buffer, *arrays, **named)
    return buffer.getvalue()


NPY = saved(np.save, np.arange(1000.0).reshape(100, 10))
NPZ = saved(np.savez, a=np.arange(1000.0), b=np.arange(3))
PACKED = saved(np.savez_compressed, a=np.random.default_rng(0).normal(size=1000))
OBJECTS = np.array([{}, None])
DAMAGED = {
    "five bytes": ("a.npy", b"hello", "5 bytes that do not begin as a numpy array does"),
    "one byte": ("a.npy", b"x", "1 byte that do"),
    "empty": ("a.npy", b"", "an empty file"),
    "cut header": ("a.npy", NPY[:40], "a numpy array that is cut off after 40 bytes"),
    "cut": ("a.npy", NPY[:500], "500 of the 8,128 bytes that its header announces"),
    "odd header": ("a.npy", NPY.replace(b"descr", b"dexcr"), ""),
    "an archive": ("a.npy", NPZ, "do not begin as a numpy array"),
    "objects": ("a.npy", saved(np.save, OBJECTS, allow_pickle=True), "objects of Python"),
    "empty archive": ("a.npz", b"", "an empty file"),
    "cut archive": ("a.npz", NPZ[:500], "a zip archive that is cut off after 500 bytes"),
    "an array": ("a.npz", NPY, "do not begin as a zip archive"),
    "flipped": ("a.npz", PACKED[:900] + b"\xff" * 50 + PACKED[950:], "damaged arrays"),
    "objects in an archive": (
        "a.npz",
        saved(np.savez, good=np.ones(2), bad=OBJECTS, allow_pickle=True),
        "objects of Python in 'bad'",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_array_is_explained_and_never_to_be_unpickled(case, tmp_path):
    name, content, found = DAMAGED[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        (read_npy if name.endswith("npy") else read_npz)(tmp_path / name)
    error = caught.value
    assert error.what == f"{name} is not a readable {name[1:]} of numbers"
    assert found in error.found
    assert error.expected
    assert error.hint.startswith("write it again")
    assert "corpus" not in str(error)
    assert "pickle" not in str(error)


def test_whole_arrays_are_read(tmp_path):
    (tmp_path / "a.npy").write_bytes(NPY)
    assert read_npy(tmp_path / "a.npy").shape == (100, 10)
    np.save(tmp_path / "none.npy", np.ones((0, 3)))
    assert read_npy(tmp_path / "none.npy").shape == (0, 3)
    for content in (NPZ, PACKED):
        (tmp_path / "a.npz").write_bytes(content)
        assert read_npz(tmp_path / "a.npz")["a"].shape == (1000,)


def test_many():
    assert [many(n, "entry") for n in (0, 1, 1000)] == ["0 entries", "1 entry", "1000 entries"]
