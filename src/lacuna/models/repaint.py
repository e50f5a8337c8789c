"""RePaint: an unconditional diffusion fills missing modalities by inpainting; a classifier reads the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import Prediction, Recognizer, Stage, register
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.diffusion import LEVELS, Noising, betas
from lacuna.models.layers.dit import Denoiser
from lacuna.models.layers.head import classifier
from lacuna.models.layers.noise import normals
from lacuna.models.layers.pooling import fill_frames, full_precision, pooled
from lacuna.models.layers.whitening import Whitening
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class RePaintConfig(Config):
    """Settings of :class:`RePaint`.

    Attributes:
        code: largest number of principal directions of a modality that are recovered.
        hidden: units of the denoiser.
        blocks: blocks of the denoiser.
        classifier: units of the classifier.
        dropout: dropout rate of the classifier.
        steps: number of noise levels between noise and utterance.
        jump: number of levels in one jump back to higher noise.
        rounds: number of times that the same levels are denoised; 1 = no jumps.
        noise_seed: seed of the noise that a prediction starts from.
        diffusion: weight of the loss of the denoiser in sums over stages; the denoiser has a stage of its own.
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


def repaint(
    denoise: Callable[[Tensor, int], Tensor],
    clean: Tensor,
    observed: Tensor,
    fresh: Callable[[int], Tensor],
    *,
    noising: Noising,
    steps: int,
    jump: int,
    rounds: int,
) -> Tensor:
    """Return the input with missing entries filled (Lugmayr et al., CVPR 2022, algorithm 1), with the scheduler of diffusers.

    Differences from the pipeline of diffusers: noise comes from ``fresh``, because the numbers of a generator would depend on the
    position in the batch; levels are the last of each interval, so the first step starts from pure noise; and a jump to higher
    noise adds the noise between its two levels, not that of one interval further.

    Args:
        denoise: function of a noisy tensor and its level that returns the clean tensor.
        clean: (U, W), values of the observed entries.
        observed: (U, W) bool, entries that are observed.
        fresh: returns standard normal numbers (U, W), independent for each number from 0 on.
        noising: noise schedule.
        steps: number of levels.
        jump: number of levels in one jump.
        rounds: number of times that the same levels are denoised; 1 = no jumps.

    Returns:
        (U, W), observed entries unchanged.
    """
    from diffusers.schedulers.scheduling_repaint import (
        RePaintScheduler,
    )  # the import takes seconds, so it waits for the first use

    scheduler: Any = RePaintScheduler(
        num_train_timesteps=LEVELS, trained_betas=np.asarray(betas().tolist(), np.float32), clip_sample=False, eta=0.0
    )
    scheduler.set_timesteps(steps, jump_length=jump, jump_n_sample=rounds)
    stride = LEVELS // steps
    unused_generator = torch.Generator()  # the scheduler draws numbers in every step; they are not used
    current, previous, n_drawn = stride * steps - 1, LEVELS, 0
    state = fresh(n_drawn)
    for timestep in scheduler.timesteps.tolist():
        level = timestep + stride - 1
        if level < previous:  # less noise
            state = torch.where(observed, noised(noising, clean, fresh(n_drawn), current), state)
            n_drawn += 1
            noise = (state - noising.signal[level] * denoise(state, level)) / noising.noise[level]
            state = scheduler.step(noise, level, state, clean, torch.zeros_like(clean), unused_generator).prev_sample
            current = level - stride
        else:  # jump to more noise
            state = raised(noising, state, fresh(n_drawn), current, current + stride)
            n_drawn, current = n_drawn + 1, current + stride
        previous = level
    return torch.where(observed, clean, state)


def noised(noising: Noising, clean: Tensor, noise: Tensor, level: int) -> Tensor:
    """Return a clean tensor with the noise of a level added."""
    return noising.signal[level] * clean + noising.noise[level] * noise


def raised(noising: Noising, state: Tensor, noise: Tensor, low: int, high: int) -> Tensor:
    """Return a draw of q(x_high | x_low) = N(r x_low, noise_high^2 - r^2 noise_low^2), r = signal_high / signal_low.

    Level -1 has no noise.
    """
    signal, spread = (
        (noising.signal[low], noising.noise[low]) if low >= 0 else (torch.ones(()).to(state), torch.zeros(()).to(state))
    )
    ratio = noising.signal[high] / signal
    return ratio * state + (noising.noise[high].square() - (ratio * spread).square()).clamp_min(0).sqrt() * noise


@register(
    "repaint",
    title="RePaint: Inpainting using Denoising Diffusion Probabilistic Models",
    task="generation",
    modalities=("image",),
    paper="https://arxiv.org/abs/2201.09865",
    year=2022,
    venue="CVPR",
)
class RePaint(Recognizer):
    """Imputation by RePaint (Lugmayr et al., CVPR 2022, https://arxiv.org/abs/2201.09865), then classification.

    An unconditional diffusion learns the distribution of the whitened frame means of all modalities, without masks. RePaint then
    fills any pattern of missing modalities. The classifier is trained on complete input. The model is a reference for models that
    are trained with missing modalities.
    """

    Config = RePaintConfig
    config: RePaintConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}  # chosen by experiments/defaults/small.py
    recovers = True
    samples = True
    tiny: ClassVar[Mapping[str, Any]] = {"hidden": 32, "blocks": 1, "steps": 2, "jump": 1}

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
        """Return the stages of denoiser and classifier, which share no parameters."""
        return Stage("diffusion", ("denoiser.",)), Stage("task", ("classify.", "head."))

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Fit the whitening code."""
        self.code.fit(batches)

    def denoise(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Return clean codes (U, W) from noisy codes (U, W) and levels (U,) int64."""
        observed = torch.zeros(len(noisy), 1, dtype=torch.bool, device=noisy.device)
        condition = noisy.new_zeros(len(noisy), self.config.hidden)
        clean: Tensor = self.denoiser(noisy.unsqueeze(1), observed, ~observed, condition, level).squeeze(1)  # (U, 1, W) -> (U, W)
        return clean.float()

    @torch.no_grad()
    def recover(self, batch: Batch, seed: int, *names: str) -> Tensor:
        """Return frame means of all modalities (U, sum of d_m), missing ones generated."""
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

        completed = repaint(step, clean, observed, fresh, noising=self.noising, steps=c.steps, jump=c.jump, rounds=c.rounds)
        with full_precision(vectors):
            decoded = self.code.back(completed)
        sizes = torch.tensor(list(self.schema.dims.values()), device=available.device)
        is_observed = available[rows].repeat_interleave(sizes, dim=1)  # (R, sum of d_m)
        return vectors.index_copy(0, rows, torch.where(is_observed, vectors[rows], decoded))

    def answer(self, vectors: Tensor) -> Tensor:
        """Return logits (U, C) from frame means (U, sum of d_m)."""
        logits: Tensor = self.head(self.classify(vectors))
        return logits

    def forward(self, batch: Batch) -> Prediction:
        """Return logits (U, C) and recovered frames."""
        vectors = self.recover(batch, self.config.noise_seed)
        return Prediction(self.answer(vectors), fill_frames(batch, vectors))

    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Return draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        draws = [fill_frames(batch, self.recover(batch, seed, f"draw {draw}")) for draw in range(number)]
        return {m: torch.stack([d[m] for d in draws]) for m in batch.features}

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the loss of the denoiser, or of the classifier, both on complete input."""
        if stage == "task":
            return {"task": self.task_loss(self.answer(pooled(complete.observe({}))), observed.label)}
        clean, is_present = self.code(complete), self.code.columns(complete.available())
        level = torch.randint(LEVELS, (len(complete),), device=clean.device)
        noise = torch.randn_like(clean)
        noisy = torch.where(
            is_present, self.noising(clean, noise, level), noise
        )  # modalities that the corpus lacks are pure noise
        error = ((self.denoise(noisy, level) - clean).square() * is_present).sum() / is_present.sum().clamp_min(1)
        return {"denoising": self.config.diffusion * error}
