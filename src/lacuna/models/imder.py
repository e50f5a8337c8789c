"""IMDer: incomplete multimodality-diffused emotion recognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import register, task_loss
from lacuna.models.config import check_bounds, check_multiples
from lacuna.models.layers.head import classifier
from lacuna.models.layers.residual import Residual
from lacuna.models.layers.score import LEAST_TIME, ScoreNetwork, flow_back, spread_at
from lacuna.models.layers.token_recognizer import TokenConfig, TokenRecognizer
from lacuna.models.layers.tokens import Seen, hidden_error, mean_square
from lacuna.models.space import Space, Span


@dataclass(frozen=True)
class IMDerConfig(TokenConfig):
    """Settings of :class:`IMDer`, beside those of :class:`TokenConfig`.

    Attributes:
        hidden: width of the score networks.
        blocks: of each of them.
        pure: share of training utterances that are denoised from the most noise, as all are when it answers.
        steps: of the solver when it answers; 1 = the mean of what is missing, which is also what training shows the classifier.
        draw_steps: of the solver when draws are asked for.
        recovery: weight of the scores' and the reconstructors' errors beside the task.
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


@register(
    "imder",
    title="Incomplete Multimodality-Diffused Emotion Recognition",
    task="generation",
    paper="https://papers.neurips.cc/paper_files/paper/2023/hash/372cb7805eaccb2b7eed641271a30eec-Abstract-Conference.html",
    year=2023,
    venue="NeurIPS",
)
class IMDer(TokenRecognizer):
    """Wang, Li and Cui, NeurIPS 2023: score-based diffusion of each missing modality, conditioned by attention on the others.

    Task, scores and reconstruction are one sum, L_task + 0.1 (L_score + L_rec). Different from the published code: missingness is
    per utterance and not per batch; the target is a fixed whitened code, which needs no encoders trained beforehand; what is
    observed is not noised with the target's own noise; and training calls a network once instead of running its solver.
    """

    Config = IMDerConfig
    config: IMDerConfig
    samples = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, widths = self.config, self.tokens.widths
        self.scores = nn.ModuleList(
            ScoreNetwork(w, [*widths[:m], *widths[m + 1 :]], c.hidden, c.blocks, c.heads) for m, w in enumerate(widths)
        )
        self.refine = self.reconstructors()
        self.fusion = self.crossmodal()
        self.residual = Residual(self.fusion.width, self.fusion.width, nn.ReLU(), c.dropout)
        self.head = classifier(schema, self.fusion.width, c)

    def recovered(self, seen: Seen) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities: what was observed, and one reconstructed draw of the rest."""
        found: list[Tensor] = self.refine(seen, self.solved(seen, self.config.steps, self.config.noise_seed))
        return found

    @torch.no_grad()
    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        steps = self.config.draw_steps
        return self.tokens.draws(batch, number, lambda seen, n: self.refine(seen, self.solved(seen, steps, seed, f"draw {n}")))

    def denoise(self, m: int, seen: Seen, noisy: Tensor, spread: Tensor) -> Tensor:
        """Clean tokens (U, L, w_m) of one modality from noisy ones, spread (U,)."""
        clean: Tensor = self.scores[m](noisy, seen, m, spread)
        return clean

    @torch.no_grad()
    def solved(self, seen: Seen, steps: int, seed: int, *names: str) -> list[Tensor]:
        """What the probability flow makes of noise in so many steps: one (U, L, w_m) a modality."""
        solved = []
        for m, (name, width) in enumerate(zip(self.schema.dims, self.tokens.widths, strict=True)):

            def solve(part: Seen, _: Tensor, m: int = m, name: str = name, width: int = width) -> Tensor:
                def step(state: Tensor, spread: Tensor) -> Tensor:
                    return self.denoise(m, part, state, spread.expand(len(part.key)))

                return flow_back(step, part.noise(width, seed, "imder", name, *names), steps)

            solved.append(seen.where_asked(m, solve))
        return solved

    def drafted(self, truth: Seen, seen: Seen) -> tuple[list[Tensor], Tensor]:
        """What one call of each network makes of what is missing, and the loss of its score where the corpus knows better."""
        error, drafts = truth.coded[0].new_zeros(()), []
        for m, clean in enumerate(truth.coded):
            known = truth.here[:, m] & seen.asked[:, m]  # (U, L)
            time, pure = torch.rand(len(clean), 2, device=clean.device).unbind(1)
            time = torch.where((pure < self.config.pure) | ~known.any(dim=1), 1.0, time.clamp_min(LEAST_TIME))
            spread = spread_at(time)
            noisy = clean + spread[:, None, None] * torch.randn_like(clean)

            def guess(part: Seen, rows: Tensor, m: int = m, noisy: Tensor = noisy, spread: Tensor = spread) -> Tensor:
                return self.denoise(m, part, noisy[rows], spread[rows])

            draft = seen.where_asked(m, guess)
            drafts.append(draft)
            weight = ((1 + spread.square()) / spread.square()).sqrt()[:, None, None]  # own outputs count alike at every spread
            error = error + mean_square(weight * draft, weight * clean, known)
        return drafts, error

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of the task, of the scores and of the reconstructors."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        draft, error = self.drafted(truth, seen)
        if c.sampled:
            draft = self.solved(seen, c.draw_steps, int(torch.randint(2**31, ())))
        # The task steps the reconstructors, not the scores: their target is the data alone.
        coded = self.refine(seen, [x.detach() for x in draft])
        logits = self.answer(self.fused(seen, self.tokens.decode(seen, coded)))
        return {
            "task": task_loss(self.schema.target, logits, observed.label),
            "score": c.recovery * error,
            "recovery": c.recovery * hidden_error(coded, truth, seen),
        }
