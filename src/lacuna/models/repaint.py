"""RePaint: one diffusion of complete utterances fills any holes; a classifier of complete utterances reads the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, Stage, register, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.diffusion import LEVELS, Noising
from lacuna.models.layers.dit import Denoiser
from lacuna.models.layers.head import classifier
from lacuna.models.layers.noise import normals
from lacuna.models.layers.pooling import fill_frames, full_precision, pooled
from lacuna.models.layers.repaint import repaint
from lacuna.models.layers.whitening import Whitening
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class RePaintConfig(Config):
    """Settings of :class:`RePaint`.

    Attributes:
        code: most directions of a modality that are recovered.
        hidden: width of the denoiser.
        blocks: of the denoiser.
        classifier: units of the classifier.
        dropout: share of its units dropped in training.
        steps: levels of noise on the way from noise to an utterance.
        jump: levels that are gone up again at once.
        rounds: times that the same levels are gone down.
        noise_seed: of the noise that answers start from.
        diffusion: weight of the denoiser's loss; it has its own stage, where a weight is none, so it is for sums over stages.
    """

    code: int = 48
    hidden: int = 128
    blocks: int = 3
    classifier: int = 64
    dropout: float = 0.3
    steps: int = 10
    jump: int = 5
    rounds: int = 2
    noise_seed: int = 0
    diffusion: float = 0.1
    space: ClassVar[Space] = {
        "code": Span(16, 96, log=True),
        "hidden": Span(64, 256, log=True),
        "blocks": Span(1, 5),
        "classifier": Span(32, 256, log=True),
        "dropout": Span(0.0, 0.7),
    }

    def __post_init__(self) -> None:
        check_bounds("repaint", self, code=(1, 8192), hidden=(1, 8192), blocks=(1, 64), classifier=(1, 8192), dropout=(0.0, 1.0))
        check_bounds("repaint", self, steps=(1, LEVELS), jump=(1, LEVELS), rounds=(1, 1000), noise_seed=(0, 2**63 - 1))
        check_bounds("repaint", self, diffusion=(0.0, 1e6))


@register(
    "repaint",
    title="RePaint: Inpainting using Denoising Diffusion Probabilistic Models",
    task="generation",
    paper="https://arxiv.org/abs/2201.09865",
    year=2022,
    venue="CVPR",
)
class RePaint(Recognizer):
    """Impute, then predict: the reference for models that are trained for holes.

    An unconditional diffusion of the whitened frame means of all modalities side by side learns what utterances look like, and
    never sees a mask; RePaint (Lugmayr et al., CVPR 2022) then completes any pattern of absence. The classifier learns from what
    the corpus holds.
    """

    Config = RePaintConfig
    config: RePaintConfig
    recovers = True
    samples = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c = self.config
        self.code = Whitening(schema, c.code)
        self.noising = Noising()
        self.denoiser = Denoiser(len(self.code.owner), c.hidden, c.blocks, 0)
        self.classify = nn.Sequential(nn.Linear(sum(schema.dims.values()), c.classifier), nn.GELU(), nn.Dropout(c.dropout))
        self.head = classifier(schema, c.classifier, c)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Two that share nothing."""
        return Stage("diffusion", ("denoiser.",)), Stage("task", ("classify.", "head."))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The code."""
        self.code.fit(batches)

    def denoise(self, noisy: Tensor, level: Tensor) -> Tensor:
        """(U, W) and (U,) int64 -> clean (U, W)."""
        here = torch.zeros(len(noisy), 1, dtype=torch.bool, device=noisy.device)
        told = noisy.new_zeros(len(noisy), self.config.hidden)
        clean: Tensor = self.denoiser(noisy.unsqueeze(1), here, ~here, told, level).squeeze(1)  # (U, 1, W) -> (U, W)
        return clean.float()

    @torch.no_grad()
    def recover(self, batch: Batch, seed: int, *names: str) -> Tensor:
        """Frame means of all modalities (U, sum of d_m), those that are missing imagined."""
        c, available = self.config, batch.available()
        vectors = pooled(batch)
        rows = torch.nonzero(~available.all(dim=1)).squeeze(1)
        if not len(rows):
            return vectors
        with full_precision(vectors):
            clean, observed, keys = self.code(batch)[rows], self.code.columns(available)[rows], batch.key[rows]

        def fresh(number: int) -> Tensor:
            parts = zip(self.schema.dims, self.code.widths, strict=True)
            return torch.cat([normals(keys, w, seed, "repaint", m, *names, str(number)) for m, w in parts], dim=1)

        def step(state: Tensor, level: int) -> Tensor:
            return self.denoise(state, torch.full_like(keys, level))

        found = repaint(step, clean, observed, fresh, noising=self.noising, steps=c.steps, jump=c.jump, rounds=c.rounds)
        with full_precision(vectors):
            back = self.code.back(found)
        sizes = torch.tensor(list(self.schema.dims.values()), device=available.device)
        there = available[rows].repeat_interleave(sizes, dim=1)  # (R, sum of d_m)
        return vectors.index_copy(0, rows, torch.where(there, vectors[rows], back))

    def answer(self, vectors: Tensor) -> Tensor:
        """(U, sum of d_m) -> logits (U, C)."""
        logits: Tensor = self.head(self.classify(vectors))
        return logits

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        vectors = self.recover(batch, self.config.noise_seed)
        return Prediction(self.answer(vectors), fill_frames(batch, vectors))

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        draws = [fill_frames(batch, self.recover(batch, seed, f"draw {draw}")) for draw in range(number)]
        return {m: torch.stack([d[m] for d in draws]) for m in batch.features}

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of the denoiser on all that the corpus holds, or of the classifier on the same."""
        if stage == "task":
            return {"task": task_loss(self.schema.target, self.answer(pooled(complete.observe({}))), observed.label)}
        clean, there = self.code(complete), self.code.columns(complete.available())
        level = torch.randint(LEVELS, (len(complete),), device=clean.device)
        noise = torch.randn_like(clean)
        noisy = torch.where(there, self.noising(clean, noise, level), noise)  # what the corpus lacks tells nothing
        error = ((self.denoise(noisy, level) - clean).square() * there).sum() / there.sum().clamp_min(1)
        return {"denoising": self.config.diffusion * error}
