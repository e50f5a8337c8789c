"""What training does on a CUDA device, next to one thread of the CPU; prints Markdown. Needs the device.

``models``   every registered model on the generated corpus (preset ``demo``): seconds of an epoch on the CPU, on the device in
             float32 and in bfloat16; whether runs of either that were stopped and went on there end in the same bits as those
             that were not; how far answers of the same weights are from those of the CPU; the validation score of each; memory
``sequences``  RoHyDR and IMDer at their published sizes, 48 tokens an utterance: utterances trained a second
``memory``   a batch that does not fit, by how the error reads
Usage: ``python benchmarks/cuda.py {models,sequences,memory} [--models gcnet rohydr] [--epochs 3]``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from diffusion import SIZES, made_up
from lacuna.corpus import Corpus
from lacuna.corpus.batch import collate
from lacuna.corpus.statistics import fit_statistics
from lacuna.errors import TrainingError
from lacuna.models import list_models
from lacuna.synthetic.duet import generate, preset
from lacuna.training import Fitted, Recipe, TrainingConfig, fit
from lacuna.training.device import autocast
from lacuna.training.state import Row

DEVICE = torch.device("cuda")
Precision = Literal["float32", "bfloat16"]
BOTH: tuple[Precision, Precision] = ("float32", "bfloat16")


class StoppedError(Exception):
    """The end of a run that is to be gone on from."""


@dataclass(frozen=True)
class Job:
    """A model on a corpus."""

    model: str
    corpus: Corpus
    epochs: int
    batch_size: int = 256
    settings: tuple[tuple[str, Any], ...] = ()

    def run(self, device: str, precision: Precision, folder: Path | None = None, stop: int | None = None) -> Fitted:
        """Train it; ``stop`` ends the run with :class:`StoppedError` after so many epochs."""
        config = TrainingConfig(
            epochs=self.epochs,
            patience=0,
            batch_size=self.batch_size,
            learning_rate=0.004,  # as in conf/base
            device=device,
            precision=precision,
            threads=1,
            checkpoint_seconds=0,
        )

        def watch(row: Row) -> None:
            if stop is not None and row["epoch"] + 1 >= stop:
                raise StoppedError

        parts = self.corpus.only("train"), self.corpus.only("valid"), fit_statistics(self.corpus)
        return fit(Recipe(self.model, self.corpus.schema(), *parts, config, self.settings), folder, watch=watch)

    def stopped_and_gone_on(self, precision: Precision) -> Fitted:
        """The same run in two pieces, the second from the checkpoint of the first."""
        with tempfile.TemporaryDirectory() as folder:
            with contextlib.suppress(StoppedError):
                self.run("cuda", precision, Path(folder), stop=max(1, self.epochs // 2))
            return self.run("cuda", precision, Path(folder))


def seconds(fitted: Fitted) -> float:
    """Median of an epoch after the first, which pays for warming up."""
    return float(np.median([row["seconds"] for row in fitted.history[1:] or fitted.history]))


def same(a: Fitted, b: Fitted) -> bool:
    """Whether two runs ended in the same weights, bit for bit."""
    x, y = a.trained.model.state_dict(), b.trained.model.state_dict()
    return all(torch.equal(x[name], y[name]) for name in x)


def answers(fitted: Fitted, corpus: Corpus, device: torch.device, precision: str) -> Tensor:
    """(U, C) float32 probabilities of the same weights on the first 128 utterances of validation."""
    valid, model = corpus.only("valid"), fitted.trained.model.to(device)
    batch = collate(valid, np.arange(min(128, len(valid))), corpus.schema(), fitted.trained.statistics).to(device)
    with torch.no_grad(), autocast(precision, device):
        found = model(batch).logits.float().softmax(dim=-1).cpu()
    model.cpu()
    return found


def repeated(job: Job, whole: Fitted, precision: Precision) -> str:
    """Whether it ends in the same bits when it is stopped and goes on."""
    if same(whole, job.stopped_and_gone_on(precision)):
        return "yes"
    return "not if stopped" if same(whole, job.run("cuda", precision)) else "no"


def model_row(job: Job) -> str:
    """One line of the table of models."""
    on_cpu = job.run("cpu", "float32")
    torch.cuda.reset_peak_memory_stats()
    exact, half = job.run("cuda", "float32"), job.run("cuda", "bfloat16")
    memory = torch.cuda.max_memory_allocated() / 2**20
    bits = ", ".join(repeated(job, whole, precision) for whole, precision in zip((exact, half), BOTH, strict=True))
    reference = answers(exact, job.corpus, torch.device("cpu"), "float32")
    apart = [float((answers(exact, job.corpus, DEVICE, p) - reference).abs().max()) for p in ("float32", "bfloat16")]
    times = " | ".join(f"{seconds(run):.2f}" for run in (on_cpu, exact, half))
    scores = " ".join(f"{run.trained.selection.value:.3f}" for run in (on_cpu, exact, half))
    return f"| {job.model} | {times} | {bits} | {apart[0]:.0e} | {apart[1]:.0e} | {scores} | {memory:.0f} |"


def models(given: argparse.Namespace) -> None:
    """The table of models, a line as soon as it is known, and what PyTorch warned of."""
    corpus = generate(preset("demo"))
    print("| model | CPU, s an epoch | float32 | bfloat16 | same bits | off, float32 | off, bfloat16 | validation | MiB |")
    print("|---|---|---|---|---|---|---|---|---|")
    told: set[str] = set()
    for name in given.models or list_models():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                print(model_row(Job(name, corpus, given.epochs)), flush=True)
            except (TrainingError, RuntimeError) as error:  # one model that fails is a finding, and not the end of the table
                print(f"| {name} | failed: {str(error).splitlines()[0]} |", flush=True)
        told |= {f"{name}: {str(w.message).splitlines()[0]}" for w in caught if "determin" in str(w.message)}
    print("\nOperations of which PyTorch says that they are not deterministic on the device: " + ("none." if not told else ""))
    print("\n".join(f"- {each}" for each in sorted(told)))


def sequences(given: argparse.Namespace) -> None:
    """Utterances trained a second at published sizes."""
    print("| model | batch | CPU | float32 | bfloat16 |\n|---|---|---|---|---|")
    for name in ("imder", "rohydr"):
        settings = tuple(SIZES["published"][name].items())
        few, many = (made_up(n, SIZES["published"][name]["tokens"]) for n in (64, 1024))
        slow = 64 / seconds(Job(name, few, 2, 64, settings).run("cpu", "float32"))
        for batch in (64, 256):
            job = Job(name, many, given.epochs, batch, settings)
            fast = [1024 / seconds(job.run("cuda", precision)) for precision in BOTH]
            shown = f"{slow:.0f}" if batch == 64 else ""
            print(f"| {name} | {batch} | {shown} | {fast[0]:.0f} | {fast[1]:.0f} |", flush=True)


def memory(_: argparse.Namespace) -> None:
    """What a person reads when a batch does not fit; the device is not filled, the process is held to a share of it."""
    torch.cuda.set_per_process_memory_fraction(0.002)
    job = Job("rohydr", made_up(512, 48), 1, 512, tuple(SIZES["published"]["rohydr"].items()))
    try:
        job.run("cuda", "float32")
    except TrainingError as error:
        print(f"```\n{error}\n```")
    else:
        print("It fitted after all: nothing was tested.")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["models", "sequences", "memory"])
    parser.add_argument("--models", nargs="+", help="instead of all that are registered")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(2, f"torch {torch.__version__} sees no CUDA device: this benchmark needs one\n")
    name, asked = torch.cuda.get_device_name(), " ".join(sys.argv[1:])
    print(
        f"`python benchmarks/cuda.py {asked}`; {name}, {os.cpu_count()} cores, 1 thread, torch {torch.__version__}.\n", flush=True
    )
    {"models": models, "sequences": sequences, "memory": memory}[given.what](given)


if __name__ == "__main__":
    main()
