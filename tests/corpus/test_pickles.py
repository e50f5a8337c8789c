"""Hostile pickles must execute nothing, genuine ones must read right."""

import codecs
import copyreg
import functools
import importlib
import io
import os
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy._core import multiarray

from lacuna.corpus.pickle_work import check_work
from lacuna.corpus.pickles import read_pickle
from lacuna.errors import DataError, LacunaError, UnsafePickleError


class Calls:
    """Pickles as a call of ``function``, with state if given."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


class Persistent(pickle.Pickler):
    def persistent_id(self, thing):
        return "outside" if thing == "me" else None


def persistent():
    stream = io.BytesIO()
    Persistent(stream).dump(["me"])
    return stream.getvalue()


def named(module, name, tail=b"\x8c\x01x\x85R."):
    """STACK_GLOBAL of any two strings, called with 'x'."""
    return b"\x80\x04" + b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module, name)) + b"\x93" + tail


def dtype_state(*state):
    """An array whose dtype claims any layout."""
    kind = Calls(np.dtype, "V8", False, True, state=state)
    return Calls(multiarray._reconstruct, np.ndarray, (0,), b"b", state=(1, (1,), kind, False, b"A" * 8))


def inner_torch(command):
    """A torch storage whose inner archive runs a command."""
    stream = io.BytesIO()
    torch.save({"x": Calls(os.system, command)}, stream, _use_new_zipfile_serialization=False)
    return Calls(torch.storage._load_from_bytes, stream.getvalue())


HOSTILE = {
    "os.system": lambda c: Calls(os.system, c),
    "eval": lambda c: Calls(eval, f"__import__('os').system({c!r})"),
    "getattr": lambda c: b"cbuiltins\ngetattr\n(cos\nsystem\nS'__call__'\ntR(S'" + c.encode() + b"'\ntR.",
    "getattr of a string": lambda c: Calls(getattr, "x", "upper"),
    "importlib": lambda c: Calls(importlib.import_module, "antigravity"),
    "numpy.load": lambda c: Calls(np.load, "evil.npy", None, True),
    "torch.load by partial": lambda c: Calls(functools.partial(torch.load, weights_only=False), "evil.pt"),
    "functools.partial": lambda c: Calls(functools.partial, os.system, c),
    "codecs.decode": lambda c: Calls(codecs.decode, b"x", "zip"),
    "encode with an odd codec": lambda c: Calls(codecs.encode, "x", "idna"),
    "persistent id": lambda c: persistent(),
    "reconstruct a foreign class": lambda c: Calls(multiarray._reconstruct, np.matrix, (0,), b"b"),
    "reconstruct a list": lambda c: Calls(multiarray._reconstruct, list, (0,), b"b"),
    "nested torch storage": inner_torch,
    "dotted builtins": lambda c: named("builtins", "str.__class__"),
    "dotted numpy": lambda c: named("numpy", "ndarray.__class__"),
    "dotted module": lambda c: named("os", "path.os.system"),
    "walk to globals": lambda c: named("collections", "OrderedDict.__init_subclass__"),
    "unregistered extension": lambda c: b"\x80\x02\x82\x7b.",
    "ndarray from a buffer": lambda c: Calls(np.ndarray, (1,), np.dtype("O"), b"A" * 8),
    "void dtype": lambda c: Calls(np.dtype, "V8"),
    "structured dtype": lambda c: Calls(np.dtype, [("f", "O")]),
    "dtype with offsets outside": lambda c: dtype_state(3, "|", None, ("f",), {"f": (np.dtype("i8"), 10**6)}, 8, 1, 0),
    "scalar object": lambda c: Calls(multiarray.scalar, np.dtype("O"), b"A" * 8),
    "item size": lambda c: Calls(np.dtype, "f8", False, True, state=(3, "<", None, None, None, 1, 1, 0)),
    "tensor outside its storage": lambda c: Calls(
        torch._utils._rebuild_tensor_v2, torch.ones(1).storage(), 0, (10**6,), (1,), False, {}
    ),
    "tensor of no storage": lambda c: Calls(torch._utils._rebuild_tensor_v2, "x", 0, (1,), (1,), False, {}),
    "memory without content": lambda c: Calls(bytearray, 1 << 40),
    "subclass hook": lambda c: named("builtins", "type"),
    "file": lambda c: Calls(open, "stolen", "w"),
    "build changes a function": lambda c: named("torch.storage", "_load_from_bytes", b"N}\x8c\x0c__defaults__\x8c\x01xs\x86b."),
    "build by setstate": lambda c: named("_codecs", "encode", b"}\x8c\x05_func\x8c\x01xsb."),
    "python 2 system": lambda c: b"cposix\nsystem\n(S'" + c.encode() + b"'\ntR.",
    "instance opcode": lambda c: b"(S'" + c.encode() + b"'\nios\nsystem\n.",
}


def test_the_sentinel_would_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(HOSTILE["os.system"]("touch sentinel")))
    assert (tmp_path / "sentinel").exists()


@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles_execute_nothing(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = HOSTILE[kind]("touch sentinel")
    path = tmp_path / "hostile.pkl"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, 2))
    with pytest.raises(LacunaError) as caught:
        read_pickle(path)
    assert "hostile.pkl" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.pkl"]


def test_a_registered_extension_is_asked_for_by_name(tmp_path):
    copyreg.add_extension("os", "system", 0x7B)
    try:
        path = tmp_path / "hostile.pkl"
        path.write_bytes(b"\x80\x02\x82\x7b.")
        with pytest.raises(UnsafePickleError, match=r"it asks for 'os.system'"):
            read_pickle(path)
    finally:
        copyreg.remove_extension("os", "system", 0x7B)


def test_the_refusal_says_what_and_what_to_do(tmp_path):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Calls(os.system, "true")))
    with pytest.raises(UnsafePickleError, match=r"evil.pkl was not read: it asks for '(posix|nt).system'\n  do: .*npz"):
        read_pickle(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80\x04",
        b"\x80\x04]" + b"(" * 10,
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x",
        b".....",
        b"((((",
    ],
)
def test_broken_pickles(content, tmp_path):
    (tmp_path / "broken.pkl").write_bytes(content)
    with pytest.raises(DataError, match="not a readable pickle"):
        read_pickle(tmp_path / "broken.pkl")


def test_too_large(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([0] * 100))
    with pytest.raises(DataError, match="too large"):
        read_pickle(tmp_path / "a.pkl", limit=10)
    with pytest.raises(DataError, match="not a readable pickle"):
        read_pickle(tmp_path / "nope.pkl")


def test_deep_nesting_is_an_error_and_not_a_crash(tmp_path):
    (tmp_path / "deep.pkl").write_bytes(b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".")
    with pytest.raises(DataError, match="nests too deeply"):
        read_pickle(tmp_path / "deep.pkl")


@pytest.mark.parametrize("protocol", range(6))
def test_genuine_ones_read_right(protocol, tmp_path):
    shared = np.arange(3)
    content = {
        "float": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f8"),
        "text": np.array(["ab", "cde"]),
        "bytes": np.array([b"xy"]),
        "empty": np.zeros((0, 3)),
        "bool": np.array([True, False]),
        "scalars": [np.float32(2.5), np.int64(3), np.bool_(True), np.str_("q")],
        "tensor": torch.arange(6.0).reshape(2, 3).T,
        "half": torch.ones(2, dtype=torch.float16),
        "sets": ({1, 2}, frozenset("a")),
        "plain": [1, 2.5, "x", b"y", None, True, 1j, (1, [2]), bytearray(b"z")],
        "twice": [shared, shared],
    }
    path = Path(tmp_path / "good.pkl")
    path.write_bytes(pickle.dumps(content, protocol))
    read = read_pickle(path)
    for key in ("float", "fortran", "big", "text", "bytes", "empty", "bool", "tensor", "half"):
        assert type(read[key]) is np.ndarray
        np.testing.assert_array_equal(read[key], np.asarray(content[key]))
    assert read["scalars"] == content["scalars"]
    assert read["sets"] == content["sets"]
    assert read["plain"] == content["plain"]
    assert read["twice"][0] is read["twice"][1]


def test_arrays_of_objects(tmp_path):
    content = np.array(["a", None, [1, 2], np.arange(2)], object)
    (tmp_path / "o.pkl").write_bytes(pickle.dumps(content))
    read = read_pickle(tmp_path / "o.pkl")
    assert [*read[:3]] == ["a", None, [1, 2]]
    assert type(read[3]) is np.ndarray


def test_python_2_strings_are_latin1(tmp_path):
    (tmp_path / "py2.pkl").write_bytes(b"(dp0\nS'caf\\xe9'\np1\n(lp2\nI1\naF2.5\nas.")
    assert read_pickle(tmp_path / "py2.pkl") == {"café": [1, 2.5]}
    python2 = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n"
    python2 += b"(S'f4'\nI0\nI1\ntR"
    python2 += b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00@'\ntb."
    (tmp_path / "py2.pkl").write_bytes(python2)
    assert read_pickle(tmp_path / "py2.pkl").tolist() == [1.0, 2.0]


def test_random_damage_raises_our_errors_only(tmp_path):
    r = np.random.default_rng(0)
    good = pickle.dumps({"a": np.arange(50.0), "b": ["x"] * 20, "t": np.array(["q"], object), "s": {1}, "n": np.float64(3)})
    path = tmp_path / "damaged.pkl"
    for _ in range(600):
        damaged = bytearray(good)
        for at in r.integers(len(good), size=r.integers(1, 4)):
            damaged[at] = r.integers(256)
        path.write_bytes(bytes(damaged[: r.integers(1, len(good) + 1)] if r.random() < 0.3 else damaged))
        try:
            read_pickle(path)
        except LacunaError:
            continue


def _tower(height, bottom=b")"):
    """Tuples that hold the tuple below them twice; two to the power of ``height`` parts in three bytes a level."""
    return bottom + b"2\x86" * height


_LISTS = b"".join(b"]q" + bytes([i]) + b"(h" + bytes([i - 1]) + b"h" + bytes([i - 1]) + b"e" for i in range(1, 60))
TINY = {
    "nested tuples as a key": b"\x80\x02}" + _tower(60) + b"K\x01s.",
    "nested tuples in a set": b"\x80\x04\x8f(" + _tower(60) + b"\x90.",
    "nested tuples in a frozen set": b"\x80\x04(" + _tower(60) + b"\x91.",
    "nested tuples as text": b"\x80\x02cbuiltins\nstr\n" + _tower(60) + b"\x85R.",
    "nested tuples, many times": b"\x80\x02}" + _tower(18) + b"q\x000" + b"h\x00K\x01s" * 100 + b".",
    "shared lists": b"\x80\x02]q\x00" + _LISTS + b".",
    "a list of itself": b"\x80\x02]q\x00(h\x00h\x00e.",
    "deep tuples as a key": b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s.",
    "memo index": b"\x80\x02]r\x00\x00\x00\x08.",
    "memo index as text": b"(lp134217728\n.",
    "length of bytes": b"\x80\x04\x8e\x00\x00\x00\x00\x10\x00\x00\x00.",
    "length of a frame": b"\x80\x04\x95\x00\x00\x00\x00\x10\x00\x00\x00].",
    "no operand": b"\x80\x02\x86.",
    "no mark": b"\x80\x02e.",
    "memo of nothing": b"\x80\x02h\x05.",
}


@pytest.mark.parametrize("kind", TINY)
def test_tiny_pickles_do_not_ask_for_hours(kind, tmp_path):
    path = tmp_path / "tiny.pkl"
    path.write_bytes(TINY[kind])
    start = time.perf_counter()
    with pytest.raises(LacunaError, match=r"tiny\.pkl"):
        read_pickle(path)
    assert time.perf_counter() - start < 2


@settings(max_examples=60, deadline=None)
@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner) | st.sets(st.text()),
        max_leaves=30,
    ),
    protocol=st.integers(0, 5),
)
def test_the_scan_ends_where_a_genuine_pickle_does(content, protocol):
    data = pickle.dumps((content, content), protocol)
    assert check_work(data + b"more") == len(data)
