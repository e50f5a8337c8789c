"""For each importer, the same data in several arrangements; ``test_equivalent_files.py`` compares what is read from them.

``ARRANGEMENTS[importer]`` maps the name of an arrangement to a function that writes it into an empty folder and returns the path.
The first one is the reference. A new importer needs an entry of at least three.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.io

Write = Callable[[Path], Path]
N = 6
IDS = [f"clip{i}" for i in range(N)]
RNG = np.random.default_rng(0)
TEXT, AUDIO = (RNG.integers(1, 9, size=(N, d)).astype(np.float64) for d in (3, 2))  # whole numbers: exact in every dtype
LENGTHS = [2, 4, 1, 3, 2, 4]
SEQUENCES = [RNG.integers(1, 9, size=(t, 2)).astype(np.float64) for t in LENGTHS]
MOODS = ["joy", "anger", "joy", "fear", "anger", "joy"]
CODES = [MOODS.index(m) for m in MOODS]
ORDER = [3, 0, 5, 2, 4, 1]


def dumped(content: Any, protocol: int = 4, name: str = "file.pkl") -> Write:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(pickle.dumps(content, protocol=protocol))
        return folder / name

    return write


def reordered(columns: dict[str, Any], order: list[int]) -> dict[str, Any]:
    return {k: [v[i] for i in order] for k, v in columns.items()}


def shuffled(mapping: dict[str, Any], seed: int = 1) -> dict[str, Any]:
    keys = list(mapping)
    return {keys[i]: mapping[keys[i]] for i in np.random.default_rng(seed).permutation(len(keys))}


# Arrow tables and datasets of Hugging Face
COLUMNS: dict[str, Any] = {
    "id": IDS,
    "dialogue": ["d1", "d1", "d2", "d2", "d10", "d10"],
    "turn": [0, 1, 0, 1, 0, 1],
    "text_features": TEXT.tolist(),
    "audio": [s.tolist() for s in SEQUENCES],
    "emotion": MOODS,
}


def table_file(columns: dict[str, Any], name: str, **types: Any) -> Write:
    def write(folder: Path) -> Path:
        table = pa.table({k: pa.array(v, types.get(k)) for k, v in columns.items()})
        if name.endswith(".parquet"):
            import pyarrow.parquet as pq

            pq.write_table(table, folder / name)
            return folder / name
        new = pa.ipc.new_stream if name == "stream.arrow" else pa.ipc.new_file
        with new(str(folder / name), table.schema) as sink:
            sink.write_table(table, max_chunksize=4)
        return folder / name

    return write


HALF = pa.list_(pa.float16())
ARROW = {
    "feather": table_file(COLUMNS, "a.feather"),
    "parquet": table_file(COLUMNS, "a.parquet"),
    "a stream": table_file(COLUMNS, "stream.arrow"),
    "columns in another order": table_file(shuffled(COLUMNS), "a.arrow"),
    "rows in another order": table_file(reordered(COLUMNS, ORDER), "a.feather"),
    "single precision": table_file(COLUMNS, "a.feather", text_features=pa.list_(pa.float32())),
    "integers": table_file({**COLUMNS, "text_features": TEXT.astype(int).tolist()}, "a.feather"),
    "lists of fixed size": table_file(COLUMNS, "a.parquet", text_features=pa.list_(pa.float64(), 3)),
    "large lists": table_file(COLUMNS, "a.feather", audio=pa.large_list(pa.large_list(pa.float32()))),
    "frames of one": table_file({**COLUMNS, "text_features": [[t] for t in TEXT.tolist()]}, "a.feather"),
    "words as a dictionary": table_file(COLUMNS, "a.feather", emotion=pa.dictionary(pa.int8(), pa.string())),
    "other names of roles": table_file(
        {{"id": "utterance_id", "dialogue": "video_id", "turn": "turn_id"}.get(k, k): v for k, v in COLUMNS.items()}, "a.feather"
    ),
    "names of MFN": table_file(
        {{"audio": "acoustic", "text_features": "language"}.get(k, k): v for k, v in COLUMNS.items()}, "a.feather"
    ),
}

NAMES = ["anger", "fear", "joy"]
HF_SPLITS = {"train": [0, 1], "validation": [2, 3], "test": [4, 5]}


def dataset(*, codes: bool = False, suffix: str = ".arrow", state: bool = True, shards: int = 1, seed: int = 0) -> Write:
    def write(folder: Path) -> Path:
        (folder / "data").mkdir()
        (folder / "data" / "dataset_dict.json").write_text(json.dumps({"splits": list(HF_SPLITS)}))
        for split, rows in HF_SPLITS.items():
            place = folder / "data" / split
            place.mkdir()
            part = reordered(shuffled(COLUMNS, seed) if seed else COLUMNS, rows)
            features = {"emotion": {"_type": "Value", "dtype": "string"}}
            if codes:
                part["emotion"] = [NAMES.index(m) for m in part["emotion"]]
                features = {"emotion": {"_type": "ClassLabel", "names": NAMES}}
            names = [f"data-{i:05d}-of-{shards:05d}{suffix}" for i in range(shards)]
            for index, name in enumerate(names):
                piece = part if shards == 1 else {k: [v[index]] for k, v in part.items()}
                table = pa.table(piece)
                if suffix == ".parquet":
                    import pyarrow.parquet as pq

                    pq.write_table(table, place / name)
                else:
                    with pa.ipc.new_stream(str(place / name), table.schema) as sink:
                        sink.write_table(table)
            (place / "dataset_info.json").write_text(json.dumps({"features": features}))
            if state:
                (place / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names]}))
        return folder / "data"

    return write


HF = {
    "saved to disk": dataset(),
    "class labels": dataset(codes=True),
    "parquet": dataset(suffix=".parquet", state=False),
    "without state.json": dataset(state=False),
    "two files a split": dataset(shards=2),
    "columns in another order": dataset(seed=3),
}

# MATLAB
CELL = np.empty((N, 1), object)
CELL[:, 0] = SEQUENCES
WORDS, NAMED = np.empty((1, N), object), np.empty((N, 1), object)
WORDS[0, :], NAMED[:, 0] = MOODS, IDS
MAT_VARIABLES: dict[str, Any] = {"audio": CELL, "emotion": WORDS, "id": NAMED, "text": TEXT}


def mat(variables: dict[str, Any], **how: Any) -> Write:
    def write(folder: Path) -> Path:
        scipy.io.savemat(str(folder / "a.mat"), variables, **how)
        return folder / "a.mat"

    return write


def mat73(variables: dict[str, Any]) -> Write:
    """Version 7.3 as MATLAB writes it: axes in reverse, cell arrays of references, texts of uint16."""

    def write(folder: Path) -> Path:
        with h5py.File(folder / "a.mat", "w", userblock_size=512) as file:
            for key, value in variables.items():
                if value.dtype.kind != "O":
                    file[key] = value.T
                    continue
                references = np.empty(value.T.shape, h5py.ref_dtype)
                for index, item in np.ndenumerate(value.T):
                    name = f"#refs#/{key}{'_'.join(map(str, index))}"
                    if isinstance(item, str):
                        file[name] = np.array([[ord(c)] for c in item], np.uint16)
                        file[name].attrs["MATLAB_class"] = np.bytes_("char")
                    else:
                        file[name] = item.T
                    references[index] = file[name].ref
                file.create_dataset(key, data=references, dtype=h5py.ref_dtype)
        return folder / "a.mat"

    return write


def padded() -> Any:
    whole = np.zeros((N, 6, 2))
    for row, sequence in enumerate(SEQUENCES):
        whole[row, 1 : 1 + len(sequence)] = sequence
    return whole


MAT = {
    "cells": mat(MAT_VARIABLES),
    "version 7.3": mat73(MAT_VARIABLES),
    "compressed": mat(MAT_VARIABLES, do_compression=True),
    "variables in another order": mat(shuffled(MAT_VARIABLES)),
    "one struct": mat({"data": MAT_VARIABLES}),
    "single precision": mat({**MAT_VARIABLES, "text": TEXT.astype(np.float32)}),
    "integers": mat({**MAT_VARIABLES, "text": TEXT.astype(np.int16)}),
    "padded array": mat({**MAT_VARIABLES, "audio": padded()}),
    "samples last": mat({**MAT_VARIABLES, "text": TEXT.T}),
    "cells in a row": mat({**MAT_VARIABLES, "audio": CELL.T}),
    "rows in another order": mat({k: v.reshape(N, -1)[ORDER] if k != "text" else v[ORDER] for k, v in MAT_VARIABLES.items()}),
    "names of MFN": mat({{"audio": "acoustic", "text": "language"}.get(k, k): v for k, v in MAT_VARIABLES.items()}),
}

# CMU-MultimodalSDK: two videos, label intervals [0, 1) and [1, 2), frames every quarter of a second
VIDEOS = {"v2": 1, "v10": 5}


def csd(*, aligned: bool = False, one_file: bool = False, kind: Any = np.float64, backwards: bool = False) -> Write:
    def sequences() -> dict[str, dict[str, tuple[Any, Any]]]:
        result: dict[str, dict[str, tuple[Any, Any]]] = {"COVAREP": {}, "glove_vectors": {}, "Opinion Segment Labels": {}}
        for video, seed in VIDEOS.items():
            edges = np.arange(0, 2, 0.25)
            intervals = np.stack([edges, edges + 0.25], axis=1)
            labels = np.array([[0.0, 1.0], [1.0, 2.0]]), np.array([[-1.0], [seed / 2]])
            for name, width in (("COVAREP", 3), ("glove_vectors", 2)):
                frames = (np.arange(8 * width).reshape(8, width) + seed).astype(kind)
                if not aligned:
                    result[name][video] = frames, intervals
                    continue
                for number in range(2):
                    result[name][f"{video}[{number}]"] = frames[4 * number :][:4], intervals[4 * number :][:4]
            for number in range(2):
                if aligned:
                    result["Opinion Segment Labels"][f"{video}[{number}]"] = labels[1][[number]], labels[0][[number]]
            if not aligned:
                order = [1, 0] if backwards else [0, 1]
                result["Opinion Segment Labels"][video] = labels[1][order], labels[0][order]
        return result

    def write(folder: Path) -> Path:
        (folder / "data").mkdir()
        for number, (name, data) in enumerate(sequences().items()):
            place = folder / "data" / ("all.csd" if one_file else f"{number}.csd")
            with h5py.File(place, "a") as file:
                for key in reversed(data) if backwards else data:
                    features, intervals = data[key]
                    file[f"{name}/data/{key}/features"], file[f"{name}/data/{key}/intervals"] = features, intervals
                file[f"{name}/metadata/root name"] = name
        return folder / "data"

    return write


CSD = {
    "by video": csd(),
    "aligned to the labels": csd(aligned=True),
    "one file": csd(one_file=True),
    "single precision": csd(kind=np.float32),
    "integers": csd(kind=np.int32),
    "intervals and videos in another order": csd(backwards=True),
}

# MMSA-FET, one video
FET_CONTENT: dict[str, Any] = {
    "audio": SEQUENCES[1],
    "vision": np.concatenate([SEQUENCES[1], SEQUENCES[3]]),
    "text": np.arange(1.0, 13).reshape(4, 3),
    "text_bert": np.array([[101, 5, 7, 102], [1, 1, 1, 1], [0, 0, 0, 0]]),
    "config": {"audio": {"tool": "librosa"}},
}
FET = {
    "one file": dumped(FET_CONTENT, name="v.pkl"),
    **{f"protocol {p}": dumped(FET_CONTENT, p, name="v.pkl") for p in range(6)},
    "keys in another order": dumped(shuffled(FET_CONTENT), name="v.pkl"),
    "single precision": dumped({**FET_CONTENT, "audio": SEQUENCES[1].astype(np.float32)}, name="v.pkl"),
    "with an axis of one": dumped({**FET_CONTENT, "audio": SEQUENCES[1][None]}, name="v.pkl"),
    "nested lists": dumped({**FET_CONTENT, "text": FET_CONTENT["text"].tolist()}, name="v.pkl"),
    "tokens in columns": dumped({**FET_CONTENT, "text_bert": FET_CONTENT["text_bert"].T}, name="v.pkl"),
    "video for vision": dumped({{"vision": "video"}.get(k, k): v for k, v in FET_CONTENT.items()}, name="v.pkl"),
}

# one's own table
ROWS = {"id": IDS, "dialogue": COLUMNS["dialogue"], "turn": COLUMNS["turn"], "emotion": MOODS}


def own(
    order: list[int] | None = None, audio: str = "npz", kind: Any = np.float64, columns: int = 0, separator: str = ","
) -> Write:
    def write(folder: Path) -> Path:
        place = folder / "mine"
        place.mkdir()
        rows = order or list(range(N))
        table = pd.DataFrame(reordered(shuffled(ROWS, columns) if columns else ROWS, rows))
        table.to_parquet(place / "utterances.parquet") if separator == "parquet" else table.to_csv(
            place / "utterances.csv", index=False, sep=separator
        )
        np.save(place / "text.npy", TEXT[rows].astype(kind))
        if audio == "folder":
            (place / "audio").mkdir()
            for i in rows:
                np.save(place / "audio" / f"{IDS[i]}.npy", SEQUENCES[i][None])
        elif audio == "ragged":
            np.savez(place / "audio.npz", frames=np.concatenate([SEQUENCES[i] for i in rows]), lengths=[LENGTHS[i] for i in rows])
        else:
            np.savez(place / "audio.npz", **{IDS[i]: SEQUENCES[i].astype(kind) for i in rows})
        return place

    return write


TABLE = {
    "csv": own(),
    "parquet": own(separator="parquet"),
    "semicolons": own(separator=";"),
    "tabs": own(separator="\t"),
    "columns in another order": own(columns=2),
    "turns in another order": own(order=[1, 0, 3, 2, 5, 4]),
    "single precision": own(kind=np.float32),
    "integers": own(kind=np.int16),
    "frames and lengths": own(audio="ragged"),
    "a folder of .npy": own(audio="folder"),
}

# vectors
VECTORS_CONTENT = {"language": TEXT, "acoustic": AUDIO, "labels": np.array(CODES)}


def npz(content: dict[str, Any], name: str = "train_data.npz") -> Write:
    def write(folder: Path) -> Path:
        np.savez(folder / name, **content)
        return folder / name

    return write


VECTORS = {
    "pickle": dumped(VECTORS_CONTENT, name="train_data.pkl"),
    **{f"protocol {p}": dumped(VECTORS_CONTENT, p, name="train_data.pkl") for p in range(6)},
    "npz": npz(VECTORS_CONTENT),
    "keys in another order": dumped(shuffled(VECTORS_CONTENT), name="train_data.pkl"),
    "single precision": npz({**VECTORS_CONTENT, "language": TEXT.astype(np.float32)}),
    "integers": npz({**VECTORS_CONTENT, "acoustic": AUDIO.astype(np.int16)}),
    "labels (N, 1)": npz({**VECTORS_CONTENT, "labels": np.array(CODES)[:, None]}),
    "labels of bytes": npz({**VECTORS_CONTENT, "labels": np.array(CODES, np.uint8)}),
    "nested lists": dumped({**VECTORS_CONTENT, "language": TEXT.tolist()}, name="train_data.pkl"),
    "other names": dumped({"text": TEXT, "audio": AUDIO, "labels": np.array(CODES)}, name="train_data.pkl"),
}

# GCNet
TURNS = {"Ses01F_impro1": 2, "Ses01F_impro10": 1, "Ses02M_script2": 3}
GCNET_IDS = {d: [f"{d}_{t}" for t in range(n)] for d, n in TURNS.items()}
GCNET_CONTENT: list[Any] = [
    GCNET_IDS,
    {d: [(t + n) % 6 for t in range(n)] for d, n in TURNS.items()},
    {d: ["FM"[t % 2] for t in range(n)] for d, n in TURNS.items()},
    {d: [f"turn number {t}" for t in range(n)] for d, n in TURNS.items()},
    {"Ses01F_impro1", "Ses01F_impro10"},
    {"Ses02M_script2"},
]


def gcnet(content: Any, *, protocol: int = 4, kind: Any = np.float64, shelf: str = "features", shape: str = "(d,)") -> Write:
    def write(folder: Path) -> Path:
        place = folder / "gcnet"
        place.mkdir()
        dumped(content, protocol, "labels.pkl")(place)
        for number, utterance in enumerate(u for us in GCNET_IDS.values() for u in us):
            for modality, width in (("wav", 2), ("text", 3)):
                target = place / shelf / modality
                target.mkdir(parents=True, exist_ok=True)
                vector = np.full(width, number + 1, kind)
                if shape == "a file a frame":
                    (target / utterance).mkdir()
                    np.save(target / utterance / "0.npy", vector)
                else:
                    np.save(
                        target / f"{utterance}.npy",
                        {"(d,)": vector, "(1, d)": vector[None], "(1, 1, d)": vector[None, None]}[shape],
                    )
        return place

    return write


GCNET = {
    "features": gcnet(GCNET_CONTENT),
    **{f"protocol {p}": gcnet(GCNET_CONTENT, protocol=p) for p in range(6)},
    "next to the pickle": gcnet(GCNET_CONTENT, shelf="."),
    "keys in another order": gcnet([shuffled(e) if isinstance(e, dict) else e for e in GCNET_CONTENT]),
    "a tuple": gcnet(tuple(GCNET_CONTENT)),
    "sets as lists": gcnet([*GCNET_CONTENT[:4], sorted(GCNET_CONTENT[4]), sorted(GCNET_CONTENT[5])]),
    "labels as arrays": gcnet([GCNET_IDS, {d: np.array(v, np.int16) for d, v in GCNET_CONTENT[1].items()}, *GCNET_CONTENT[2:]]),
    "single precision": gcnet(GCNET_CONTENT, kind=np.float32),
    "an axis of one": gcnet(GCNET_CONTENT, shape="(1, d)"),
    "two axes of one": gcnet(GCNET_CONTENT, shape="(1, 1, d)"),
    "a file a frame": gcnet(GCNET_CONTENT, shape="a file a frame"),
}

# MELD's and MOSI's CSVs
MELD_HEADER = ["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"]
MELD_ROWS = [
    [i, f"Hello {i}, you", f"Ann {i % 2}", ("neutral", "joy")[i % 2], ("neutral", "positive")[i % 2], i // 2, i % 2]
    for i in range(8)
]


def meld(
    *, columns: list[int] | None = None, encoding: str = "utf-8", end: str = "\n", quote: int = 0, upper: bool = False
) -> Write:
    def write(folder: Path) -> Path:
        import csv

        for split, rows in {"train": MELD_ROWS[:4], "dev": MELD_ROWS[4:6], "test": MELD_ROWS[6:]}.items():
            with (folder / f"{split}_sent_emo.csv").open("w", encoding=encoding, newline="") as handle:
                writer = csv.writer(handle, lineterminator=end, quoting=quote)
                for row in [MELD_HEADER, *rows]:
                    cells = [c.upper() if upper and i in (3, 4) and row is not MELD_HEADER else c for i, c in enumerate(row)]
                    writer.writerow([cells[i] for i in columns or range(7)])
        return folder

    return write


MELD = {
    "csv": meld(),
    "columns in another order": meld(columns=[3, 2, 1, 0, 6, 5, 4]),
    "windows lines": meld(end="\r\n"),
    "a byte order mark": meld(encoding="utf-8-sig"),
    "everything quoted": meld(quote=1),
    "labels in capitals": meld(upper=True),
}


def mosi(*, end: str = "\n", number: Callable[[float], str] = repr, bom: bool = False) -> Write:
    def write(folder: Path) -> Path:
        ids, label = ["v_1", "v_10", "v_2", "w_1"], [1, 0, 1, 0]
        files = {"transcripts.csv": [f"{i},say it,3,{y}" for i, y in zip(ids, label, strict=True)]}
        for split, rows in (("train", [0, 1, 2]), ("test", [3])):
            files[f"text_{split}.csv"] = [f"{number(float(r))},1.5" for r in rows]
            for stem in ("text", "audio", "video"):
                files[f"{stem}_{split}0.csv"] = [f"{number(r + 0.5)},{number(1.5)},{label[r]}" for r in rows]
        for name, lines in files.items():
            (folder / name).write_bytes((("\ufeff" if bom else "") + end.join(lines) + end).encode())
        return folder

    return write


MOSI = {
    "csv": mosi(),
    "windows lines": mosi(end="\r\n"),
    "numbers in scientific form": mosi(number=lambda x: f"{x:.6e}"),
    "a byte order mark": mosi(bom=True),
}

ARRANGEMENTS: dict[str, dict[str, Write]] = {
    "arrow": ARROW,
    "csd": CSD,
    "gcnet": GCNET,
    "hf-dataset": HF,
    "mat": MAT,
    "meld-csv": MELD,
    "mmsa-fet": FET,
    "mosi-csv": MOSI,
    "table": TABLE,
    "vectors": VECTORS,
}
ELSEWHERE = {"mmsa", "conversations", "mfn", "public"}  # in test_equivalent_files.py; public corpora in tests/corpus/adapters
