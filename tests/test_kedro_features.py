"""The Kedro pipeline `features`: from recordings to a corpus, and text features of any corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.session import KedroSession

from lacuna.corpus import Corpus
from lacuna.errors import ConfigError, DataError
from media_recordings import glide, wav_bytes

ENCODE = {"text": "hashing", "audio": "functionals", "vision": None}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Twelve recordings, one of them broken, and their table."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    rows = ["id,file,text,dialogue,split,emotion"]
    for index in range(12):
        label = ("calm", "loud")[index % 2]
        (folder / f"c{index}.wav").write_bytes(wav_bytes(glide(0.5, level=(0.02, 0.5)[index % 2])))
        rows.append(
            f"c{index},c{index}.wav,I feel {label},d{index // 2},{('train', 'train', 'valid', 'test')[index // 2 % 4]},{label}"
        )
    (folder / "c11.wav").write_bytes(b"nothing")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n")
    return folder


def run(project: Path, names: list[str], **parameters: Any) -> Corpus:
    with KedroSession.create(project, env="base", runtime_params=parameters) as session:
        session.run(pipeline_names=names)
    with KedroSession.create(project, env="base") as session:
        corpus: Corpus = session.load_context().catalog.load("corpus@all")
    return corpus


def features(project: Path, recordings: Path) -> dict[str, Any]:
    return {"path": str(recordings), "encode": ENCODE, "workers": 1, "cache": str(project / "cache")}


def test_recordings_become_the_corpus_of_the_run(project: Path, recordings: Path) -> None:
    ingest = {"name": "mine"}
    corpus = run(project, ["features", "ingest"], features=features(project, recordings), ingest=ingest)
    assert corpus.name == "mine"
    assert corpus.schema().dims == {"text": 512, "audio": 211}
    assert len(corpus) == 12  # the broken recording has a transcript
    quarantine = pd.read_csv(project / "data/04_feature/duet/quarantine.csv")
    assert quarantine["kind"].tolist() == ["unreadable"]
    again = run(project, ["ingest"], features=features(project, recordings), ingest=ingest)
    assert again.digest == corpus.digest


def test_ingest_needs_the_features_that_are_named(project: Path, recordings: Path) -> None:
    with pytest.raises(DataError, match=r"recordings are not encoded yet(.|\n)*run the pipeline `features`"):
        run(project, ["ingest"], features=features(project, recordings))
    with pytest.raises(ConfigError, match=r"two sources, features.path and ingest.path"):
        run(project, ["ingest"], features=features(project, recordings), ingest={"path": "elsewhere"})


def test_without_recordings_the_features_are_empty(project: Path) -> None:
    corpus = run(project, ["features", "ingest"], ingest={"duet": {"preset": "tiny"}})
    assert corpus.name == "duet"
    assert pd.read_csv(project / "data/04_feature/duet/quarantine.csv").empty


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        ({"audio": "logmell"}, r"features: .*unknown encoder 'logmell' \(did you mean 'logmel'"),
        ({"sound": "logmel"}, "features: unknown modality 'sound'"),
    ],
)
def test_wrong_encoders_stop_the_run_before_its_first_node(project: Path, encode: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(project, ["features"], features={"encode": encode})


def test_any_corpus_gets_text_features_and_loses_a_modality(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACUNA_CACHE", str(project / "cache"))
    corpus = run(
        project, ["ingest"], ingest={"duet": {"preset": "tiny"}, "encode": {"text": {"name": "hashing"}, "vision": None}}
    )
    assert corpus.schema().dims == {"text": 512, "audio": 32}
