"""The server of the page: answers, switched modalities, and what it refuses."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

import lacuna
from lacuna.cli import main
from lacuna.errors import ConfigError
from lacuna.serve import UploadLimits, create_app
from lacuna.serve.app import is_loopback
from media_recordings import glide, wav_bytes

WAV = wav_bytes(glide(2))
TEXT = "I am so happy for you"


@pytest.fixture(scope="module")
def client(model: lacuna.Model) -> Iterator[TestClient]:
    app = create_app(model, UploadLimits(megabytes=0.5, seconds=10, characters=100, kept=2), hosts=["testserver"])
    with TestClient(app) as opened:
        yield opened


def send(client: TestClient, content: bytes = WAV, **query: str) -> Any:
    return client.post("/api/recordings", params={"name": "clip.wav", **query}, content=content)


def error_of(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    assert "Traceback" not in response.text
    assert tempfile.gettempdir() not in response.text
    return str(response.json()["error"])


def test_the_answer_has_what_predict_says_and_what_is_absent(client: TestClient, model: lacuna.Model, tmp_path: Path) -> None:
    answer = send(client).json()
    (turn,) = answer["turns"]
    (tmp_path / "clip.wav").write_bytes(WAV)
    expected = model.predict(tmp_path / "clip.wav", options={"cache": tmp_path / "cache"}).iloc[0]
    assert turn["predicted"] == expected["predicted"]
    assert turn["probabilities"] == {name: pytest.approx(expected[f"p_{name}"]) for name in turn["probabilities"]}
    assert turn["sure"] is (expected["sureness"] == "sure enough")
    assert turn["absent"] == {"text": "there is no transcript"}
    assert turn["without"] == {}  # nothing is left without sound
    assert answer["seconds"] == pytest.approx(2)


def test_a_switched_off_modality_changes_the_answer_as_announced(client: TestClient, model: lacuna.Model, tmp_path: Path) -> None:
    first = send(client, text=TEXT).json()
    second = client.get(f"/api/recordings/{first['key']}", params={"drop": "text"}).json()
    before, after = first["turns"][0], second["turns"][0]
    assert before["absent"] == {}
    assert after["absent"] == {"text": "switched off"}
    assert after["probabilities"] != before["probabilities"]
    assert after["probabilities"] == before["without"]["text"]["probabilities"]
    (tmp_path / "clip.wav").write_bytes(WAV)
    (tmp_path / "clip.txt").write_text(TEXT)
    table = model.predict(tmp_path / "clip.wav", drop="text", options={"cache": tmp_path / "cache"})
    assert {name[2:]: value for name, value in table.iloc[0].items() if name.startswith("p_")} == after["probabilities"]
    assert "no modality left" in error_of(client.get(f"/api/recordings/{first['key']}?drop=text&drop=audio"), 422)
    assert "did you mean 'text'" in error_of(client.get(f"/api/recordings/{first['key']}?drop=txt"), 422)


def test_turns_are_found_and_a_transcript_alone_is_enough(client: TestClient) -> None:
    pause = np.zeros(16_000, np.float32)
    turns = send(client, wav_bytes(np.concatenate([glide(1.5), pause, glide(1.5)])), turns="energy").json()["turns"]
    assert len(turns) == 2
    assert 0 <= turns[0]["start"] < turns[0]["end"] < turns[1]["start"]
    (turn,) = send(client, b"", name="", text=TEXT).json()["turns"]
    assert "audio" in turn["absent"]
    assert turn["predicted"]


def test_a_model_of_values_answers_with_an_interval(regressor: lacuna.Model) -> None:
    with TestClient(create_app(regressor, hosts=["testserver"])) as client:
        (turn,) = send(client, text=TEXT).json()["turns"]
    assert turn["predicted"] is None
    assert turn["low"] < turn["value"] < turn["high"]
    assert turn["without"]["text"]["value"] != turn["value"]


def test_the_evidence_of_the_parts_sums_to_the_log_odds_of_the_answer(weigher: lacuna.Model, client: TestClient) -> None:
    with TestClient(create_app(weigher, hosts=["testserver"])) as opened:
        first = send(opened, text=TEXT).json()
        second = opened.get(f"/api/recordings/{first['key']}", params={"drop": "text"}).json()
    for answer, names in ((first, {"text", "audio"}), (second, {"audio"})):
        (turn,) = answer["turns"]
        evidence, p = turn["evidence"], turn["probabilities"]
        assert {"text", "audio"} & set(evidence["parts"]) == names
        assert set(evidence["parts"]) <= {"prior", "interaction", *names}  # one turn has no context
        assert sum(evidence["parts"].values()) == pytest.approx(np.log(p[turn["predicted"]] / p[evidence["against"]]), abs=1e-4)
        assert evidence["against"] != turn["predicted"]
    assert send(client).json()["turns"][0]["evidence"] is None  # logistic regression of all modalities has no such parts


@pytest.mark.parametrize(
    ("content", "query", "status", "message"),
    [
        (b"", {}, 422, "empty"),
        (b"", {"name": ""}, 422, "empty"),
        (WAV, {"name": ""}, 422, "name of the recording is missing"),
        (b"no recording" * 50, {}, 422, "no recording that can be read"),
        (WAV[:44], {}, 422, "no modality that can be used"),
        (WAV, {"name": "clip.exe"}, 422, r"ends in .*\.wav"),
        (WAV, {"name": "../../etc/passwd"}, 422, "found: ''"),
        (WAV, {"name": "a" * 501 + ".wav"}, 422, "name"),
        (WAV, {"turns": "magic"}, 422, "there are: energy, silero"),
        (WAV, {"text": "a" * 101}, 413, "at most 100 characters"),
        (WAV + bytes(500_000), {}, 413, "at most 0.5 MB"),
        (wav_bytes(glide(11)), {}, 422, "found: 11 s"),
        (wav_bytes(glide(1, level=0)), {}, 422, "silence"),
    ],
)
def test_what_cannot_be_used_is_refused(
    client: TestClient, content: bytes, query: dict[str, str], status: int, message: str
) -> None:
    assert re.search(message, error_of(send(client, content, **query), status))


def test_an_upload_of_unknown_size_is_cut_off(client: TestClient) -> None:
    response = client.post("/api/recordings?name=a.wav", content=(bytes(50_000) for _ in range(40)))
    assert "too large" in error_of(response, 413)


NAMES = ("../../clip.wav", "/etc/clip.wav", "..\\clip.wav", "<img src=x onerror=alert(1)>.wav", "a\0b.wav")


@pytest.mark.parametrize("name", NAMES)
def test_names_are_never_paths_and_nothing_is_kept(
    client: TestClient, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    response = send(client, name=name)
    assert response.status_code == 200
    assert name not in response.text
    assert [path.name for path in tmp_path.rglob("*")] == ["scratch"]


def test_only_the_last_recordings_can_be_asked_again(client: TestClient) -> None:
    first = send(client).json()["key"]
    assert client.get(f"/api/recordings/{first}").status_code == 200
    send(client)
    send(client)
    assert "send the recording again" in error_of(client.get(f"/api/recordings/{first}"), 404)


def test_other_pages_and_other_names_of_the_host_are_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    error_of(client.post("/api/recordings?name=a.wav", content=WAV, headers={"sec-fetch-site": "cross-site"}), 403)
    for address in ("/docs", "/openapi.json", "/../app.py", "/%2e%2e/app.py"):
        error_of(client.get(address), 404)
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "access-control-allow-origin" not in page.headers
    assert "http" not in page.text.replace("http-equiv", "")


def test_other_addresses_than_this_machine_are_known() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.0.2", "example.org")] == [False] * 4


def test_a_model_of_other_features_is_refused() -> None:
    other = lacuna.create_model("prior").fit(lacuna.load_corpus("duet", preset="tiny"), epochs=1)
    with pytest.raises(ConfigError, match="cannot read recordings"):
        create_app(other)


def test_the_command_warns_and_names_a_port_in_use(model: lacuna.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model.save(tmp_path / "model")
    calls = {}
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: calls.update(address=sockets[0].getsockname()))
    runner = CliRunner()
    result = runner.invoke(main, ["serve", str(tmp_path / "model"), "--port", "0"])
    assert result.exit_code == 0, result.output
    assert calls["address"][0] == "127.0.0.1"
    assert f"http://127.0.0.1:{calls['address'][1]}/" in result.output
    assert "warning" not in result.output
    result = runner.invoke(main, ["serve", str(tmp_path / "model"), "--port", "0", "--host", "0.0.0.0"])
    assert "warning: 0.0.0.0 can be reached from other machines" in result.output
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = runner.invoke(main, ["serve", str(tmp_path / "model"), "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "choose another --port" in result.output


def test_predict_drops_modalities_of_any_source(model: lacuna.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = lacuna.load_corpus("duet", preset="tiny")
    ridge = lacuna.create_model("prior").fit(corpus, epochs=1)
    names = [m.name for m in corpus.modalities]
    assert set(ridge.predict(corpus, drop=names[0])["absent"].str.split("+").str[0]) == {names[0]}
    with pytest.raises(ConfigError, match="no modality left"):
        ridge.predict(corpus, drop=names)
    with pytest.raises(ConfigError, match="cannot drop the modality 'smell'"):
        ridge.predict(corpus, drop=["smell"])
    model.save(tmp_path / "model")
    (tmp_path / "clip.wav").write_bytes(WAV)
    (tmp_path / "clip.txt").write_text(TEXT)
    monkeypatch.setenv("LACUNA_CACHE", str(tmp_path / "cache"))
    out = str(tmp_path / "out.csv")
    command = ["predict", str(tmp_path / "model"), str(tmp_path / "clip.wav"), "--drop", "text", "--out", out]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert pd.read_csv(out)["absent"].tolist() == ["text"]
