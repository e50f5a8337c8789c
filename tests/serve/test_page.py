"""The page in a real browser: upload, read the answer, switch a modality off, and read another."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Response
from starlette.routing import Route

import lacuna
from lacuna.serve import UploadLimits, create_app
from lacuna.serve.app import PAGE
from media_recordings import glide, movie_bytes, wav_bytes

pytestmark = pytest.mark.browser

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium; on Debian: apt-get install chromium")
NAME = '"><img src=x onerror="window.hacked=1">.mp4'
TEXT = "</textarea><script>window.hacked=2</script> this is wonderful news"
# The probe is a script of the page's own host, because the page allows no other.
PROBE = """
(async () => {
  const root = document.documentElement, wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const until = async (check) => { for (let i = 0; i < 600 && !check(); i++) await wait(50); };
  const shown = (id) => document.getElementById(id);
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
  const bars = () => all("#list li:first-child .bars > span:nth-child(3n)", (e) => e.textContent);
  const widths = () => all("#list li:first-child .bar i", (e) => e.offsetWidth / e.parentNode.offsetWidth);
  const facts = () => all("#list li:first-child dt", (e) => `${e.textContent}: ${e.nextSibling.textContent}`);
  const give = async (address, name) => {
    const files = new DataTransfer();
    files.items.add(new File([await (await fetch(address)).blob()], name, { type: "video/mp4" }));
    shown("file").files = files.files;
    shown("file").dispatchEvent(new Event("change"));
    shown("send").click();
  };
  const seen = {};
  await until(() => root.dataset.ready === "true");
  ACTIONS
  Object.assign(seen, {
    requests: performance.getEntriesByType("resource").map((e) => e.name),
    hacked: window.hacked || 0,
    wide: document.scrollingElement.scrollWidth - innerWidth,
    width: innerWidth,
  });
  const out = document.createElement("script");
  out.type = "application/json"; out.id = "seen";
  out.textContent = JSON.stringify(seen).replaceAll("<", "\\\\u003c");
  document.body.append(out);
})();
"""
SEND = """
  shown("text").value = TEXT;
  await give("/clip.mp4", NAME);
  await until(() => root.dataset.answer === "1");
  seen.title = shown("title").textContent;
  seen.before = [bars(), facts()];
  seen.widths = widths();
"""
SWITCH = """
  const box = document.querySelector('#switches input[name="text"]');
  box.click();
  await until(() => root.dataset.answer === "2");
  seen.after = [bars(), facts()];
  document.querySelector('#switches input[name="audio"]').click();
  seen.nothing = shown("error").textContent;
  document.querySelector('#switches input[name="audio"]').click();
  box.click();
  await until(() => root.dataset.answer === "5");
  seen.again = [bars(), facts()];
"""
REFUSED = """
  await give("/clip.mp4", "notes.pdf");
  await until(() => !shown("error").hidden);
  seen.wrong = shown("error").textContent;
  await give("/large.wav", "large.wav");
  await until(() => shown("error").textContent.includes("large"));
  seen.large = shown("error").textContent;
"""
TURNS = """
  shown("turns").value = "energy";
  await give("/turns.wav", "turns.wav");
  await until(() => root.dataset.answer === "1");
  seen.turns = all("#strip button", (e) => [e.style.left, e.style.width, e.title]);
"""


def clips() -> dict[str, bytes]:
    pause = np.zeros(16_000, np.float32)
    two = np.concatenate([glide(1.5), pause, glide(1.5, level=0.05)])
    return {"/clip.mp4": movie_bytes(), "/large.wav": bytes(600_000), "/turns.wav": wav_bytes(two)}


@contextmanager
def served(model: lacuna.Model, actions: str) -> Iterator[str]:
    """The page with the probe in it, under an address of this machine."""
    app: FastAPI = create_app(model, UploadLimits(megabytes=0.5))
    script = PROBE.replace("ACTIONS", actions).replace("NAME", json.dumps(NAME)).replace("TEXT", json.dumps(TEXT))
    page = (PAGE / "index.html").read_text("utf-8").replace("</body>", '<script src="probe.js"></script></body>')
    files = {"/probe.html": (page, "text/html"), "/probe.js": (script, "text/javascript")}
    files |= {address: (content, "application/octet-stream") for address, content in clips().items()}
    for address, (content, kind) in files.items():
        app.router.routes.insert(0, Route(address, lambda _, c=content, k=kind: Response(c, media_type=k)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/probe.html"
        finally:
            server.should_exit = True
            thread.join(timeout=20)


def browse(address: str, folder: Path, *flags: str, width: int = 1280) -> tuple[dict[str, Any], list[str]]:
    """What the probe saw, and the lines of the browser's console."""
    names = "headless no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync no-first-run"
    command = [str(CHROMIUM), *(f"--{name}" for name in names.split()), f"--user-data-dir={folder / 'profile'}", *flags]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr", "--v=0"]
    command += ["--virtual-time-budget=60000", f"--window-size={width},900", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    found = re.search(r'<script type="application/json" id="seen">(.*?)</script>', done.stdout, re.DOTALL)
    assert found, f"the page did not finish: {done.stderr[-2000:]}"
    return json.loads(found[1]), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def check(seen: dict[str, Any], address: str) -> None:
    host = address.rpartition("/")[0]
    assert seen["requests"]
    assert [name for name in seen["requests"] if not name.startswith((f"{host}/", f"blob:{host}/", "data:"))] == []
    assert seen["hacked"] == 0
    assert seen["wide"] <= 0  # no sideways scrolling


@browser
def test_an_upload_is_answered_and_a_modality_switched_off(model: lacuna.Model, tmp_path: Path) -> None:
    with served(model, SEND + SWITCH) as address:
        seen, console = browse(address, tmp_path)
    check(seen, address)
    assert console == []
    assert seen["title"] == NAME
    (bars, facts), (bars_after, facts_after) = seen["before"], seen["after"]
    assert len(bars) == 2
    assert bars != bars_after
    assert seen["widths"] == pytest.approx([int(bar.split()[0]) / 100 for bar in bars], abs=0.01)
    assert any(fact.startswith("Without text: ") for fact in facts)
    assert "text absent: switched off" in facts_after
    assert any(fact.startswith("With all: ") for fact in facts_after)
    assert "nothing is left" in seen["nothing"]
    assert seen["again"] == seen["before"]


@browser
def test_the_evidence_of_each_modality_is_shown(weigher: lacuna.Model, tmp_path: Path) -> None:
    seen_parts = "seen.parts = all('.evidence .bars > span:nth-child(3n + 1)', (e) => e.textContent);"
    seen_sum = "seen.sum = all('.evidence p', (e) => e.textContent);"
    values = "seen.values = all('.evidence .bars > span:nth-child(3n)', (e) => e.textContent);"
    with served(weigher, SEND + seen_parts + seen_sum + values) as address:
        seen, console = browse(address, tmp_path)
    check(seen, address)
    assert console == []
    assert {"text", "audio"} <= set(seen["parts"])
    match = re.fullmatch(r"Evidence for (joy|sadness) against (joy|sadness): sum \+(\d+\.\d\d) nats", seen["sum"][0])
    assert match
    numbers = [0.0 if value == "\u00b10" else float(value.replace("\u2212", "-")) for value in seen["values"]]
    assert sum(numbers) == pytest.approx(float(match[3]), abs=0.01 * len(numbers))


@browser
def test_refused_files_are_explained(model: lacuna.Model, tmp_path: Path) -> None:
    with served(model, REFUSED) as address:
        seen, console = browse(address, tmp_path, width=390)
    check(seen, address)
    assert "no recording" in seen["wrong"]
    assert "at most 0.5 MB" in seen["large"]
    assert all("422" in line for line in console)  # the browser itself notes the refusal


@browser
def test_turns_stand_where_they_are_in_the_recording(model: lacuna.Model, tmp_path: Path) -> None:
    with served(model, TURNS) as address:
        seen, console = browse(address, tmp_path)
    check(seen, address)
    assert console == []
    (left, width, _), (second, _, title) = seen["turns"]
    assert float(left[:-1]) + float(width[:-1]) < float(second[:-1])
    assert title.startswith("0:02.")


@browser
def test_a_value_is_shown_with_its_interval(regressor: lacuna.Model, tmp_path: Path) -> None:
    actions = SEND + "seen.head = all('#list li:first-child .head strong', (e) => e.textContent);"
    with served(regressor, actions) as address:
        seen, console = browse(address, tmp_path)
    check(seen, address)
    assert console == []
    assert re.fullmatch(r"-?\d+\.\d\d", seen["head"][0])
    _, facts = seen["before"]
    assert any(re.fullmatch(r"Interval: -?\d+\.\d\d to -?\d+\.\d\d", fact) for fact in facts)
    assert any(fact.startswith("Without audio: ") for fact in facts)
