"""A project of seconds: a tiny corpus, small settings, and the commands that are interrupted in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from preloaded import Preloaded

ROOT = Path(__file__).resolve().parents[2]
MODELS = ["prior", "linear", "mlp", "ridge"]
RATES = [0.0, 0.5, 1.0]
ENVIRONMENT: dict[str, Any] = {
    "ingest": {"name": "duet", "duet": {"preset": "tiny"}},
    "train": {"models": MODELS, "seeds": [0], "workers": 1, "training": {"epochs": 6, "patience": 0, "checkpoint_seconds": 0}},
    "evaluate": {"patterns": ["rmm"], "rates": RATES, "mask_seeds": [0], "replicates": 100},
    "tune": {"trials": 6, "workers": 1, "startup": 2, "warmup": 0, "rates": [0.0, 0.5], "mask_seeds": [0], "heartbeat": 1}
    | {"compared": [], "final_seeds": [0]},
}
ENCODE = {"text": "hashing", "audio": "functionals", "vision": None}
SAVE = """
import lacuna
model = lacuna.load_model("data/06_models/tiny/recognizers", variant="mlp")
for number in range(40):
    model.save(f"saved/{number % 4}")
"""


@dataclass(frozen=True)
class Command:
    """A command of the battery.

    Attributes:
        name: of the command.
        arguments: after ``python``, run in the folder of the project.
        after: name of the command that makes its input; empty = an untouched project.
        results: patterns of the files whose content is compared.
        study: database of a study whose finished trials must be kept, instead of equal files.
    """

    name: str
    arguments: tuple[str, ...]
    after: str = ""
    results: tuple[str, ...] = ()
    study: str = ""


def _kedro(*pipelines: str) -> tuple[str, ...]:
    return ("-m", "kedro", "run", "--env", "tiny", "--pipelines", ",".join(pipelines))


_COMMANDS = (
    Command("features", ("-m", "kedro", "run", "--env", "heard", "--pipelines", "features"), "", ("data/04_feature/**/*",)),
    Command("ingest", _kedro("ingest"), "", ("data/02_intermediate/**/*",)),
    Command("train", _kedro("preprocess", "mask", "train"), "ingest", ("data/0[4567]*/**/*",)),
    Command("evaluate", _kedro("recover", "evaluate"), "train", ("data/07*/**/*",)),
    Command("report", _kedro("report"), "evaluate", ("data/08*/**/*",)),
    Command("save", ("save.py",), "train", ("saved/**/*",)),
    Command("bench", ("-m", "lacuna", "bench", "tiny", "--workers", "1"), "", ("data/09_bench/leaderboard/**/*",)),
    Command("tune", _kedro("tune"), "train", study="data/06_models/tiny/studies/mlp.db"),
    Command("dvc", ("-m", "dvc", "repro"), "", ("data/0[24578]*/**/*", "data/06*/**/best-*")),
)
COMMANDS = {command.name: command for command in _COMMANDS}


def make_project(folder: Path) -> None:
    """Write an untouched project with the environment ``tiny`` into a new folder."""
    shutil.copytree(ROOT / "conf" / "base", folder / "conf" / "base")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", ".telemetry", "dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n", "utf-8")
    stages = (folder / "dvc.yaml").read_text("utf-8")
    duet = "duet: conf/base/parameters_duet.yml"
    assert stages.count(duet) == 1
    (folder / "dvc.yaml").write_text(stages.replace(duet, "tiny: conf/tiny/parameters.yml"), "utf-8")
    (folder / "conf" / "local").mkdir()
    (folder / "conf" / "tiny").mkdir()
    features = {"path": "recordings", "encode": ENCODE, "workers": 1, "cache": "cache"}
    (folder / "conf" / "tiny" / "parameters.yml").write_text(yaml.safe_dump(ENVIRONMENT), "utf-8")
    (folder / "conf" / "heard").mkdir()
    heard = {"ingest": {"name": "heard"}, "features": features}
    (folder / "conf" / "heard" / "parameters.yml").write_text(yaml.safe_dump(heard), "utf-8")
    (folder / "data" / "01_raw").mkdir(parents=True)
    (folder / "save.py").write_text(SAVE, "utf-8")
    _write_recordings(folder / "recordings")


def _write_recordings(folder: Path) -> None:
    """Write twelve tones of half a second and their table."""
    folder.mkdir()
    rows = ["id,file,text,dialogue,split,emotion"]
    for number in range(12):
        label, split = ("calm", "loud")[number % 2], ("train", "train", "valid", "test")[number // 2 % 4]
        time = np.arange(8000) / 16000
        samples = (32767 * (0.02, 0.5)[number % 2] * np.sin(2 * np.pi * (150 + 20 * number) * time)).astype("<i2")
        with wave.open(str(folder / f"c{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        rows.append(f"c{number},c{number}.wav,I feel {label},d{number // 2},{split},{label}")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n", "utf-8")


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment variables of a command: this source, one thread, temporary files and caches in the project."""
    own = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "tmp"), "COLUMNS": "200"}
    own |= {"LACUNA_CACHE": str(folder / "cache"), "DO_NOT_TRACK": "1", "DVC_NO_ANALYTICS": "1"}
    own |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return {**os.environ, **own}


@dataclass(frozen=True)
class Place:
    """Where the battery works.

    Attributes:
        root: folder of all projects and of the journal.
        preloaded: process that starts commands, or ``None``: each one starts a new Python.
    """

    root: Path
    preloaded: Preloaded | None = None

    @property
    def run(self) -> Path:
        """Folder in which every command runs, because results hold paths."""
        return self.root / "run"

    @property
    def output(self) -> Path:
        """File with the output of the latest command; it lies outside of the project, whose disk may be full."""
        return self.root / "run.out"

    def said(self) -> str:
        """Return the output of the latest command."""
        return self.output.read_text("utf-8", errors="replace")

    def start(self, command: Command, **options: Any) -> Any:
        """Start a command in a process group of its own.

        Args:
            command: any.
            options: of :class:`subprocess.Popen`; with any, a new Python is started.
        """
        (self.run / "tmp").mkdir(exist_ok=True)
        if self.preloaded is not None and not options:
            return self.preloaded.start(command.arguments, self.run, self.output)
        program = [sys.executable, *command.arguments]
        with self.output.open("w", encoding="utf-8") as file:
            return subprocess.Popen(
                program,
                cwd=self.run,
                env=environment_of(self.run),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                **options,
            )
