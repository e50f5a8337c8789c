"""IMDer: incomplete multimodality-diffused emotion recognition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer, register, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.channel_attention import ChannelReconstructor
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.head import classifier
from lacuna.models.layers.score import LEAST_TIME, ScoreNetwork, flow_back, spread_at
from lacuna.models.layers.tokens import Seen, Tokens, mean_square
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class IMDerConfig(Config):
    """Settings of :class:`IMDer`.

    Attributes:
        tokens: at most so many an utterance; 1 = one vector each. The paper has 48.
        code: most directions of a modality that are recovered.
        hidden: width of the score networks.
        blocks: of each of them.
        heads: of all attention.
        channels: of the reconstructors.
        channel_blocks: of each of them; the paper has 20.
        width: of a modality's tokens in the fusion.
        cross: layers that read another modality.
        memory: layers that read themselves.
        dropout: share of units dropped in training.
        pure: share of training utterances that are denoised from the most noise, as all are when it answers.
        steps: of the solver.
        noise_seed: of the noise that answers start from.
        recovery: weight of the scores' and the reconstructors' errors beside the task.
        sampled: run the solver in training too, as published.
    """

    tokens: int = 1
    code: int = 48
    hidden: int = 64
    blocks: int = 2
    heads: int = 4
    channels: int = 32
    channel_blocks: int = 2
    width: int = 32
    cross: int = 1
    memory: int = 1
    dropout: float = 0.2
    pure: float = 0.5
    steps: int = 10
    noise_seed: int = 0
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
        check_bounds("imder", self, tokens=(1, 4096), code=(1, 8192), hidden=(2, 8192), blocks=(1, 64), heads=(1, 1024))
        check_bounds("imder", self, channels=(1, 8192), channel_blocks=(1, 64), width=(1, 8192), cross=(1, 64), memory=(1, 64))
        check_bounds("imder", self, dropout=(0.0, 1.0), pure=(0.0, 1.0), steps=(1, 1000), noise_seed=(0, 2**63 - 1))
        check_bounds("imder", self, recovery=(0.0, 1e6), sampled=(False, True))
        for name in ("hidden", "width"):
            if (found := getattr(self, name)) % self.heads:
                raise ConfigError(f"model 'imder': setting '{name}' must be a multiple of heads ({self.heads}); found {found}")


@register("imder")
class IMDer(Recognizer):
    """Wang, Li and Cui, NeurIPS 2023: score-based diffusion of each missing modality, conditioned by attention on the others.

    Task, scores and reconstruction are one sum, L_task + 0.1 (L_score + L_rec). Different from the published code: missingness is
    per utterance and not per batch; the target is a fixed whitened code, which needs no encoders trained beforehand; what is
    observed is not noised with the target's own noise; and training calls a network once instead of running its solver.
    """

    Config = IMDerConfig
    config: IMDerConfig
    recovers = True
    samples = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c = self.config
        self.tokens = Tokens(schema, c.code, c.tokens)
        widths, kernel = self.tokens.widths, 3 if c.tokens > 1 else 1
        self.scores = nn.ModuleList(
            ScoreNetwork(w, [*widths[:m], *widths[m + 1 :]], c.hidden, c.blocks, c.heads) for m, w in enumerate(widths)
        )
        self.refine = nn.ModuleList(ChannelReconstructor(w, c.channels, c.channel_blocks, kernel) for w in widths)
        self.fusion = CrossModalFusion(list(schema.dims.values()), c.width, c.heads, c.cross, c.memory, c.dropout)
        fused = self.fusion.width
        self.residual = nn.Sequential(nn.Linear(fused, fused), nn.ReLU(), nn.Dropout(c.dropout), nn.Linear(fused, fused))
        self.head = classifier(schema, fused, c)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The grid of tokens and their code."""
        self.tokens.fit(batches)

    def denoise(self, m: int, seen: Seen, noisy: Tensor, spread: Tensor) -> Tensor:
        """Clean tokens (U, L, w_m) of one modality from noisy ones, spread (U,)."""
        clean: Tensor = self.scores[m](noisy, seen, m, spread)
        return clean

    @torch.no_grad()
    def solved(self, seen: Seen, seed: int, *names: str) -> list[Tensor]:
        """What the probability flow makes of noise: one (U, L, w_m) a modality."""
        solved = []
        for m, name in enumerate(self.schema.dims):
            rows = torch.nonzero(seen.asked[:, m].any(dim=1)).squeeze(1)
            part, found = seen.take(rows), torch.zeros_like(seen.coded[m])

            def step(state: Tensor, spread: Tensor, m: int = m, part: Seen = part) -> Tensor:
                return self.denoise(m, part, state, spread.expand(len(part.key)))

            if len(rows):
                found[rows] = flow_back(step, part.noise(self.tokens.widths[m], seed, "imder", name, *names), self.config.steps)
            solved.append(found)
        return solved

    def drafted(self, truth: Seen, seen: Seen) -> tuple[list[Tensor], Tensor]:
        """What one call of each network makes of what is missing, and the loss of its score where the corpus knows better."""
        error, drafts = truth.coded[0].new_zeros(()), []
        for m, clean in enumerate(truth.coded):
            known = truth.here[:, m] & seen.asked[:, m]  # (U, L)
            time, pure = torch.rand(len(clean), 2, device=clean.device).unbind(1)
            time = torch.where((pure < self.config.pure) | ~known.any(dim=1), 1.0, time.clamp_min(LEAST_TIME))
            spread = spread_at(time)
            noisy, draft = clean + spread[:, None, None] * torch.randn_like(clean), torch.zeros_like(clean)
            rows = torch.nonzero(seen.asked[:, m].any(dim=1)).squeeze(1)
            if len(rows):
                draft = draft.index_copy(0, rows, self.denoise(m, seen.take(rows), noisy[rows], spread[rows]))
            drafts.append(draft)
            weight = (1 + spread.square()) / spread.square()  # the network's own output counts alike at every spread
            error = error + mean_square(weight.sqrt()[:, None, None] * draft, weight.sqrt()[:, None, None] * clean, known)
        return drafts, error

    def refined(self, seen: Seen, draft: Sequence[Tensor]) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities: what was observed, and the reconstructed drafts of the rest."""
        filled, keys = seen.filled(draft), seen.here | seen.asked
        return seen.filled([refine(x, keys[:, m]) for m, (refine, x) in enumerate(zip(self.refine, filled, strict=True))])

    def answer(self, seen: Seen, coded: Sequence[Tensor]) -> Tensor:
        """Logits (U, C)."""
        fused = self.fusion(self.tokens.decode(seen, coded), seen.here | seen.asked)
        logits: Tensor = self.head(fused + self.residual(fused))
        return logits

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        seen = self.tokens(batch)
        coded = self.refined(seen, self.solved(seen, self.config.noise_seed))
        return Prediction(self.answer(seen, coded), self.tokens.fill(batch, self.tokens.decode(seen, coded)))

    @torch.no_grad()
    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        seen, draws = self.tokens(batch), []
        for draw in range(number):
            coded = self.refined(seen, self.solved(seen, seed, f"draw {draw}"))
            draws.append(self.tokens.fill(batch, self.tokens.decode(seen, coded)))
        return {m: torch.stack([d[m] for d in draws]) for m in batch.features}

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of the task, of the scores and of the reconstructors."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        draft, error = self.drafted(truth, seen)
        if c.sampled:
            draft = self.solved(seen, int(torch.randint(2**31, ())))
        # The task steps the reconstructors, not the scores: their target is the data alone.
        coded = self.refined(seen, [x.detach() for x in draft])
        known = truth.here & seen.asked
        errors = [mean_square(x, y, known[:, m]) for m, (x, y) in enumerate(zip(coded, truth.coded, strict=True))]
        return {
            "task": task_loss(self.schema.target, self.answer(seen, coded), observed.label),
            "score": c.recovery * error,
            "recovery": c.recovery * torch.stack(errors).sum(),
        }
