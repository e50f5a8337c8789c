"""IMDer: incomplete multimodality-diffused emotion recognition, a variance-exploding diffusion of each missing modality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import register
from lacuna.models.config import check_bounds, check_multiples
from lacuna.models.layers.crossmodal import CrossModalReading
from lacuna.models.layers.positions import sinusoids
from lacuna.models.layers.token_recognizer import TokenConfig, TokenRecognizer
from lacuna.models.layers.tokens import TokenBatch, hidden_error, mean_square
from lacuna.models.space import Space, Span

SIGMA = 25.0  # published value
LEAST_TIME = 1e-3  # smallest time of the diffusion; its largest is 1


@dataclass(frozen=True)
class IMDerConfig(TokenConfig):
    """Settings of :class:`IMDer`, in addition to those of :class:`TokenConfig`.

    Attributes:
        hidden: units of the score networks.
        blocks: number of blocks of each score network.
        pure: share of training utterances with the highest noise level, which a prediction starts from, 0 to 1.
        steps: solver steps of a prediction; 1 = the conditional mean, which the classifier also sees in training.
        draw_steps: solver steps of :meth:`IMDer.sample`.
        recovery: weight of the errors of scores and reconstructors; the task loss has weight 1.
        sampled: run the solver in training too, as published.
    """

    hidden: int = 64
    blocks: int = 2
    pure: float = 0.5
    steps: int = 1
    draw_steps: int = 10
    recovery: float = 0.1
    sampled: bool = False
    space: ClassVar[Space] = {
        "code": Span(16, 96, log=True),
        "hidden": Span(32, 128, step=16),
        "blocks": Span(1, 4),
        "width": Span(16, 64, step=8),
        "dropout": Span(0.0, 0.6),
        "pure": Span(0.0, 1.0),
        "recovery": Span(0.01, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        self.check("imder")
        check_bounds("imder", self, hidden=(2, 8192), blocks=(1, 64), pure=(0.0, 1.0), steps=(1, 1000), draw_steps=(1, 1000))
        check_bounds("imder", self, recovery=(0.0, 1e6), sampled=(False, True))
        check_multiples("imder", self, "heads", "hidden")


def spread_at(time: Tensor) -> Tensor:
    r"""Return the standard deviation of the noise of :math:`dx = \sigma^t dw` at times in (0, 1]: from almost 0 to about 10."""
    return (torch.expm1(2 * math.log(SIGMA) * time) / (2 * math.log(SIGMA))).sqrt()


class ScoreNetwork(nn.Module):
    """Denoiser of the tokens of one modality; every block attends to them and to the other modalities.

    It predicts E[x0 | x], which equals x plus the score times the variance of the noise. Inputs and outputs are scaled to unit
    variance at every noise level (Karras et al., NeurIPS 2022, table 1); the published network divides by the standard deviation
    only, which leaves inputs of size 10.

    Args:
        width: w, units of a token.
        widths: units of the tokens of each other modality.
        hidden: units of the blocks.
        blocks: number of blocks.
        heads: heads of their attention.
    """

    frequency: Tensor

    def __init__(self, width: int, widths: Sequence[int], hidden: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width + 1, hidden)
        self.others = nn.ModuleList(nn.Linear(width, hidden) for width in widths)
        self.register_buffer("frequency", torch.logspace(-0.5, 1.5, hidden // 2), persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * (hidden // 2), hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.blocks = nn.ModuleList(CrossModalReading(hidden, heads, 0.0) for _ in range(blocks))
        self.told = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(blocks))
        self.leave = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, width))

    def forward(self, noisy: Tensor, seen: TokenBatch, modality: int, spread: Tensor) -> Tensor:
        """Return clean tokens.

        Args:
            noisy: (R, L, w).
            seen: observed tokens of all modalities.
            modality: index of the denoised modality.
            spread: (R,) standard deviation of the noise.

        Returns:
            (R, L, w).
        """
        sigma, observed, missing = spread[:, None, None], seen.observed[:, modality], seen.missing[:, modality]
        total = (1 + sigma.square()).sqrt()  # standard deviation of signal and noise together
        x = torch.where(observed.unsqueeze(2), seen.coded[modality], noisy / total)
        angle = spread.log()[:, None] * self.frequency
        time_embedding = self.time(torch.cat([angle.sin(), angle.cos()], dim=1)).unsqueeze(1)  # (R, 1, hidden)
        positions = sinusoids(x.shape[1], time_embedding.shape[2], x.device).to(x)
        x = self.enter(torch.cat([x, observed.unsqueeze(2).to(x)], dim=2)) + positions
        others = [m for m in range(len(seen.coded)) if m != modality]
        pairs = zip(self.others, others, strict=True)
        other_tokens = [layer(seen.coded[m]) + positions for layer, m in pairs]  # (R, L, hidden) each
        keys = torch.cat([observed | missing, *(seen.observed[:, m] for m in others)], dim=1)  # (R, M L)
        for block, project_time in zip(self.blocks, self.told, strict=True):
            x = x + project_time(time_embedding)
            x = block(x, torch.cat([x, *other_tokens], dim=1), keys)
        clean: Tensor = noisy / total.square() + self.leave(x).float() * sigma / total
        return clean


def flow_back(denoise: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Solve the probability flow from pure noise (Song et al., ICLR 2021, eq. 13) with Euler steps.

    Args:
        denoise: function of a noisy tensor and the standard deviation of its noise (a scalar) that returns the clean tensor.
        noise: start, of unit variance.
        steps: number of calls of ``denoise``, at equidistant times from 1 down; the last one ends without noise.
    """
    spreads = spread_at(torch.linspace(1, LEAST_TIME, steps + 1, device=noise.device)[:-1])
    state = noise * spreads[0]
    for spread, low in zip(spreads, torch.cat([spreads[1:], spreads.new_zeros(1)]), strict=True):
        clean = denoise(state, spread)
        state = clean + low / spread * (state - clean)
    return state


@register(
    "imder",
    title="Incomplete Multimodality-Diffused Emotion Recognition",
    task="generation",
    modalities=("text", "audio", "vision"),
    paper="https://papers.neurips.cc/paper_files/paper/2023/hash/372cb7805eaccb2b7eed641271a30eec-Abstract-Conference.html",
    year=2023,
    venue="NeurIPS",
)
class IMDer(TokenRecognizer):
    """Incomplete Multimodality-Diffused Emotion Recognition of Wang, Li and Cui (NeurIPS 2023).

    A score-based diffusion generates each missing modality, conditioned on the observed ones by attention. A reconstructor
    refines the result, and a fusion of all modalities is classified.

    .. math:: L = L_{task} + 0.1 (L_{score} + L_{reconstruction})

    Differences from the published code (https://github.com/mdswyz/IMDer): missing modalities differ between utterances, not only
    between batches; the target is a fixed whitened code, which needs no pretrained encoders; the noise of the target is not added
    to observed modalities; and training calls each network once instead of running the solver.
    """

    Config = IMDerConfig
    config: IMDerConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}  # chosen by experiments/defaults/small.py
    samples = True
    tiny: ClassVar[Mapping[str, Any]] = {**TokenRecognizer.tiny, "hidden": 32, "blocks": 1}

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, widths = self.config, self.tokens.widths
        self.scores = nn.ModuleList(
            ScoreNetwork(w, [*widths[:m], *widths[m + 1 :]], c.hidden, c.blocks, c.heads) for m, w in enumerate(widths)
        )
        self.refine = self.reconstructors()
        self.add_fusion()
        self.add_head()

    def recovered(self, seen: TokenBatch) -> list[Tensor]:
        """Return codes (U, L, w_m) of all modalities: observed ones unchanged, one refined draw of the missing ones."""
        coded: list[Tensor] = self.refine(seen, self.generate(seen, self.config.steps, self.config.noise_seed))
        return coded

    @torch.no_grad()
    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Return draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        steps = self.config.draw_steps
        return self.tokens.draws(batch, number, lambda seen, n: self.refine(seen, self.generate(seen, steps, seed, f"draw {n}")))

    def denoise(self, m: int, seen: TokenBatch, noisy: Tensor, spread: Tensor) -> Tensor:
        """Return clean tokens (U, L, w_m) of modality m from noisy ones with noise of standard deviation ``spread`` (U,)."""
        clean: Tensor = self.scores[m](noisy, seen, m, spread)
        return clean

    @torch.no_grad()
    def generate(self, seen: TokenBatch, steps: int, seed: int, *names: str) -> list[Tensor]:
        """Return codes generated from noise by the probability flow, one (U, L, w_m) for each modality."""
        generated = []
        for m, (name, width) in enumerate(zip(self.schema.dims, self.tokens.widths, strict=True)):

            def solve(part: TokenBatch, _: Tensor, m: int = m, name: str = name, width: int = width) -> Tensor:
                def step(state: Tensor, spread: Tensor) -> Tensor:
                    return self.denoise(m, part, state, spread.expand(len(part.key)))

                return flow_back(step, part.noise(width, seed, "imder", name, *names), steps)

            generated.append(seen.where_missing(m, solve))
        return generated

    def estimate(self, truth: TokenBatch, seen: TokenBatch) -> tuple[list[Tensor], Tensor]:
        """Return estimates of missing codes from one call of each network, and the loss of hidden ones.

        Args:
            truth: tokens of the complete batch.
            seen: tokens of the observed batch.

        Returns:
            One (U, L, w_m) for each modality, and a scalar.
        """
        error, estimates = truth.coded[0].new_zeros(()), []
        for m, clean in enumerate(truth.coded):
            known = truth.observed[:, m] & seen.missing[:, m]  # (U, L)
            time, pure = torch.rand(len(clean), 2, device=clean.device).unbind(1)
            time = torch.where((pure < self.config.pure) | ~known.any(dim=1), 1.0, time.clamp_min(LEAST_TIME))
            spread = spread_at(time)
            noisy = clean + spread[:, None, None] * torch.randn_like(clean)

            def estimate(part: TokenBatch, rows: Tensor, m: int = m, noisy: Tensor = noisy, spread: Tensor = spread) -> Tensor:
                return self.denoise(m, part, noisy[rows], spread[rows])

            coded = seen.where_missing(m, estimate)
            estimates.append(coded)
            weight = ((1 + spread.square()) / spread.square()).sqrt()[:, None, None]  # equal weight at every noise level
            error = error + mean_square(weight * coded, weight * clean, known)
        return estimates, error

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of task, scores and reconstructors."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        drafts, error = self.estimate(truth, seen)
        if c.sampled:
            drafts = self.generate(seen, c.draw_steps, int(torch.randint(2**31, ())))
        # The gradient of the task reaches the reconstructors, not the score networks.
        coded = self.refine(seen, [x.detach() for x in drafts])
        logits = self.answer(self.fused(seen, self.tokens.decode(seen, coded)))
        return {
            "task": self.task_loss(logits, observed.label),
            "score": c.recovery * error,
            "recovery": c.recovery * hidden_error(coded, truth, seen),
        }
