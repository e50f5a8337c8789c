"""CIDer's costs; prints JSON.

``attention`` compares forward and backward of composite attention with the published form: seven masked softmaxes, seven
projections, three summaries and one projection more. ``epoch`` trains on 256/64/128 utterances of 50/50/50 frames (768, 5 and 20
columns; three layers, eight heads, batches of 128) and tells seconds an epoch and the process's peak memory.
Usage: ``python benchmarks/cider.py attention|epoch [--threads 1] [--repeats 7]``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from lacuna.corpus import Channel, Corpus, Target, assemble
from lacuna.corpus.statistics import fit_statistics
from lacuna.models.layers.attention import CompositeAttention, subsets
from lacuna.training import Recipe, TrainingConfig, fit

DIMS = {"text": 768, "audio": 5, "vision": 20}


class SevenSoftmaxes(nn.Module):
    """Composite attention as published, without its dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.sets = [s for k in (1, 2, 3) for s in combinations(range(3), k)]
        self.project = nn.ModuleList(nn.Linear(width, width) for _ in self.sets)
        self.summary = nn.ModuleList(nn.Linear(4 * width, width) for _ in range(3))
        self.last = nn.Linear(width, width)

    def forward(self, x: Tensor, present: Tensor, lengths: tuple[int, ...]) -> Tensor:
        """(B, N, d) -> (B, N, d)."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        logits = (q * (d // self.heads) ** -0.5) @ k.transpose(-1, -2)
        owner = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))
        read = {}
        for subset, project in zip(self.sets, self.project, strict=True):
            inside = torch.isin(owner, torch.tensor(subset))
            mask = (present & inside)[:, None, None, :] & inside[:, None]
            weights = logits.masked_fill(~mask, -1e9).softmax(dim=-1) * mask
            read[subset] = project((weights @ v).transpose(1, 2).flatten(2))  # (B, H, N, e) -> (B, N, d)
        ends = np.cumsum(lengths).tolist()
        parts = [
            self.summary[m](torch.cat([read[s][:, end - length : end] for s in subsets(m, 3)], dim=-1))
            for m, (length, end) in enumerate(zip(lengths, ends, strict=True))
        ]
        out: Tensor = self.last(torch.cat(parts, dim=1))
        return out


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def attention(repeats: int) -> dict[str, object]:
    """Ours against the published form: B = 32, 3 x 50 positions, width 32."""
    torch.manual_seed(0)
    x, present, lengths = torch.randn(32, 150, 32), torch.rand(32, 150) > 0.3, (50, 50, 50)
    found: dict[str, object] = {}
    for heads in (1, 4, 8):
        ours, theirs = CompositeAttention(32, heads, 3), SevenSoftmaxes(32, heads)

        def one(module: CompositeAttention = ours) -> None:
            module(x, present, lengths)[0].square().sum().backward()

        def seven(module: SevenSoftmaxes = theirs) -> None:
            module(x, present, lengths).square().sum().backward()

        fast, slow = best(one, repeats), best(seven, repeats)
        found[f"heads_{heads}"] = {
            "one_pass_s": round(fast, 4),
            "seven_softmaxes_s": round(slow, 4),
            "ratio": round(slow / fast, 2),
        }
    return found


def made_up() -> Corpus:
    """448 utterances of 50 frames in every modality."""
    rng, total = np.random.default_rng(0), 448
    return assemble(
        "made-up",
        ids=[f"u{i}" for i in range(total)],
        dialogues=[f"d{i // 8}" for i in range(total)],
        turns=[i % 8 for i in range(total)],
        channels={m: Channel(list(rng.normal(size=(total, 50, d)).astype(np.float32))) for m, d in DIMS.items()},
        targets=(Target("sentiment", "classification", ("negative", "neutral", "positive")),),
        labels={"sentiment": rng.integers(0, 3, total).astype(float)},
        splits=["train"] * 256 + ["valid"] * 64 + ["test"] * 128,
    )


def epoch(threads: int) -> dict[str, object]:
    """Train four epochs of the default model with three layers and eight heads, causal part included."""
    corpus = made_up()
    config = TrainingConfig(epochs=4, patience=0, batch_size=128, pattern="rmfm", threads=threads, device="cpu")
    settings = {"layers": 3, "heads": 8}
    parts = corpus.only("train"), corpus.only("valid"), fit_statistics(corpus)
    fitted = fit(Recipe("cider", corpus.schema(), *parts, config, settings))
    seconds = [round(row["seconds"], 2) for row in fitted.history]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"epoch_s": seconds, "peak_GiB": round(peak, 2)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["attention", "epoch"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = attention(given.repeats) if given.what == "attention" else epoch(given.threads)
    found |= {"what": given.what, "threads": given.threads, "cores": os.cpu_count(), "torch": torch.__version__}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
