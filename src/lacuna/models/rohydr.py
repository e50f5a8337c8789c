"""RoHyDR: robust hybrid diffusion recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Stage, register, task_loss
from lacuna.models.config import check_bounds, check_choices, check_multiples
from lacuna.models.layers.adversary import Discriminator, mean_over
from lacuna.models.layers.channel_attention import Reconstructors
from lacuna.models.layers.diffusion import ANY_SOLVERS, HIGHEST, AnySolver, Noising, random_levels, sample
from lacuna.models.layers.dit import Conditioning, Denoiser
from lacuna.models.layers.gaussian import JointGaussian
from lacuna.models.layers.head import classifier
from lacuna.models.layers.per_batch import PerBatch
from lacuna.models.layers.phases import SCHEDULES, Schedule, scheduled
from lacuna.models.layers.residual import Residual
from lacuna.models.layers.token_recognizer import TokenConfig, TokenRecognizer
from lacuna.models.layers.tokens import Seen, hidden_error, mean_square
from lacuna.models.space import Space, Span

_COMPLETE, _UNIMODAL, _JUDGE, _FUSION, _TASK = "complete", "unimodal", "discriminator", "fusion", "task"
Generator = Literal["diffusion", "regression", "ridge", "mean"]
GENERATORS: tuple[Generator, ...] = ("diffusion", "regression", "ridge", "mean")


@dataclass(frozen=True)
class RoHyDRConfig(TokenConfig):
    """Settings of :class:`RoHyDR`, beside those of :class:`TokenConfig`.

    Attributes:
        hidden: width of the denoisers.
        blocks: of each denoiser; with one token they have no attention.
        pure: share of training utterances that are denoised from pure noise, as all are when it answers.
        solver: ``ddim``, ``dpm++`` or ``ddpm``.
        steps: of the solver when it answers; 1 = the mean of what is missing, which is also what training shows the classifier.
        draw_steps: of the solver when draws are asked for.
        draws: what is recovered is the mean of so many.
        refinement: weight of the unimodal reconstructor's error beside the denoiser's.
        adversarial: share of the discriminator's verdict in the loss of the recovered fusion; the rest is the distance.
        recovered: share of the recovered view in the loss of the task; the rest is the complete view.
        schedule: of the stages: all in every batch, or by turns of epochs, or one after the other.
        phase: epochs of a stage that others follow, if ``sequential``.
        warmup: epochs of the task on complete data before everything else.
        staged: without, one step on the sum of all losses.
        sampled: stages run the solver in training too, as published.
        through: with ``sampled``, gradients flow back through all steps of the solver, and every stage after the first steps the
            denoisers too, as in the published second generation.
        generator: ``diffusion``; the same network once, from nothing (``regression``); ``ridge`` regression on what is there of
            the same token; or the ``mean`` of training.
        penalty: of the ridge regression.
        unimodal: with the unimodal reconstructors.
        multimodal: with the multimodal reconstructor and its discriminator.
        adversary: with the discriminator.
    """

    hidden: int = 64
    blocks: int = 3
    pure: float = 0.5
    solver: AnySolver = "ddim"
    steps: int = 1
    draw_steps: int = 10
    draws: int = 1
    refinement: float = 1.0
    adversarial: float = 0.5
    recovered: float = 0.4
    schedule: Schedule = "interleaved"
    phase: int = 5
    warmup: int = 0
    staged: bool = True
    sampled: bool = False
    through: bool = False
    generator: Generator = "diffusion"
    penalty: float = 0.3
    unimodal: bool = True
    multimodal: bool = True
    adversary: bool = True
    space: ClassVar[Space] = {
        "code": Span(16, 96, log=True),
        "hidden": Span(32, 128, step=16),
        "blocks": Span(1, 5),
        "width": Span(16, 64, step=8),
        "dropout": Span(0.0, 0.6),
        "pure": Span(0.0, 1.0),
        "refinement": Span(0.1, 10.0, log=True),
        "adversarial": Span(0.0, 0.9),
        "recovered": Span(0.1, 0.9),
    }

    def __post_init__(self) -> None:
        self.check("rohydr")
        check_bounds("rohydr", self, hidden=(1, 8192), blocks=(1, 64), pure=(0.0, 1.0), steps=(1, 1000), draw_steps=(1, 1000))
        check_bounds("rohydr", self, draws=(1, 1024), penalty=(1e-4, 1e6))
        check_bounds("rohydr", self, refinement=(0.0, 1e6), adversarial=(0.0, 1.0), recovered=(0.0, 1.0))
        check_bounds("rohydr", self, phase=(1, 10**6), warmup=(0, 10**6), staged=(False, True))
        check_bounds("rohydr", self, sampled=(False, True), through=(False, True))
        check_bounds("rohydr", self, unimodal=(False, True), multimodal=(False, True), adversary=(False, True))
        check_choices("rohydr", self, solver=ANY_SOLVERS, generator=GENERATORS, schedule=SCHEDULES)
        check_multiples("rohydr", self, "heads", "hidden")
        if (self.sampled and self.generator != "diffusion") or (self.through and not self.sampled):
            found = f"generator {self.generator}, sampled {self.sampled}, through {self.through}"
            raise ConfigError(
                f"model 'rohydr': 'sampled' needs generator diffusion, and 'through' needs 'sampled'; found {found}"
            )


@dataclass(frozen=True, eq=False)
class Views:
    """Both sides of the fusion, and who can be compared.

    Attributes:
        true: (U, F) fusion of all that the corpus holds.
        found: (U, F) fusion of what is observed and recovered; reconstructed where something was missing.
        whole: (U,) bool: the corpus holds all modalities, so that ``true`` is what the fusion of everything looks like.
        hidden: (U,) bool: ``whole``, and the mask took something.
    """

    true: Tensor
    found: Tensor
    whole: Tensor
    hidden: Tensor


def _gradients(on: bool) -> torch.set_grad_enabled:
    """A context with gradients, unless the caller has switched them off."""
    return torch.set_grad_enabled(on and torch.is_grad_enabled())


@register(
    "rohydr",
    title="RoHyDR: Robust Hybrid Diffusion Recovery for Incomplete Multimodal Emotion Recognition",
    task="generation",
    paper="https://arxiv.org/abs/2505.17501",
    year=2025,
)
class RoHyDR(TokenRecognizer):
    """Robust hybrid diffusion recovery (arXiv 2505.17501); what we changed is in ``docs/models/rohydr.md``.

    Missing modalities are recovered twice. *Unimodal*: a conditional diffusion of each modality's tokens, refined by residual
    channel attention. *Multimodal*: the fusion of what was observed and recovered is mapped to what the fusion of complete data
    looks like, by distance and against a discriminator. The losses differ in size, so each has a stage with its own optimiser:
    first the unimodal recovery, then the discriminator, then the fusion against it, then the task.
    """

    Config = RoHyDRConfig
    config: RoHyDRConfig
    samples = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, widths = self.config, self.tokens.widths
        self.noising = Noising()
        self.denoisers, self.condition, self.gaussian = nn.ModuleList(), None, None
        if c.generator in ("mean", "ridge"):
            self.gaussian = JointGaussian(widths, c.penalty)
        else:
            self.denoisers.extend(Denoiser(w, c.hidden, c.blocks, c.heads if c.tokens > 1 else 0) for w in widths)
            self.condition = Conditioning(widths, c.hidden)
        self.unimodal = self.reconstructors() if c.unimodal else Reconstructors([], 0, 0, 1)
        self.fusion = self.crossmodal()
        fused = self.fusion.width
        self.multimodal = self.discriminator = None
        self._drafts: PerBatch[list[Tensor]] = PerBatch()  # of the update that is being made
        if c.multimodal:
            self.multimodal = Residual(fused, max(8, fused // 2), nn.LeakyReLU(0.2), c.dropout)
            self.discriminator = Discriminator(fused) if c.adversary else None
        self.residual = Residual(fused, fused, nn.ReLU(), c.dropout)
        self.head = classifier(schema, fused, c)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Unimodal recovery, discriminator, fusion, task, as far as there is something to step; or one for all."""
        c = self.config
        recovery = ("denoisers.", "condition.", "unimodal.")
        after = (*(recovery if c.through else recovery[2:]), "fusion.", "multimodal.")
        warmup = (Stage(_COMPLETE, ("fusion.", "residual.", "head."), end=c.warmup),) if c.warmup else ()
        if not c.staged:
            return *warmup, Stage(_TASK, first=c.warmup)
        phases = []
        if self.denoisers or self.unimodal:
            phases.append([Stage(_UNIMODAL, recovery)])
        if self.multimodal is not None:
            judge = [Stage(_JUDGE, ("discriminator.",))] if self.discriminator is not None else []
            phases.append([*judge, Stage(_FUSION, after)])
        phases.append([Stage(_TASK, (*after, "residual.", "head."))])
        return *warmup, *scheduled(phases, c.schedule, c.warmup, c.phase)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The grid of tokens and their code; and for ``ridge`` their covariance, without which the mean is filled in."""
        super().prepare(batches)
        if self.gaussian is not None and self.config.generator == "ridge":
            self.gaussian.fit(self.tokens(batch).rows() for batch in batches())

    def recovered(self, seen: Seen) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities: the reconstructed mean of draws where something was missing."""
        c = self.config
        with torch.no_grad():
            draws = [self.solved(seen, c.steps, c.noise_seed, f"draw {draw}") for draw in range(c.draws)]
        found: list[Tensor] = self.unimodal(seen, [torch.stack(of).mean(dim=0) for of in zip(*draws, strict=True)])
        return found

    @torch.no_grad()
    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        steps = self.config.draw_steps
        return self.tokens.draws(batch, number, lambda seen, n: self.unimodal(seen, self.solved(seen, steps, seed, f"draw {n}")))

    def denoise(self, m: int, seen: Seen, noisy: Tensor, told: Tensor, level: Tensor) -> Tensor:
        """Clean tokens (U, L, w_m) of one modality; what is observed goes in as it is."""
        here, asked = seen.here[:, m], seen.asked[:, m]
        entering = torch.where(here.unsqueeze(2), seen.coded[m], noisy * asked.unsqueeze(2))
        clean: Tensor = self.denoisers[m](entering, here, here | asked, told, level)
        return clean.float()

    def solved(self, seen: Seen, steps: int, seed: int, *names: str) -> list[Tensor]:
        """What the solver makes of noise in so many steps: one (U, L, w_m) a modality."""
        c = self.config
        if c.generator != "diffusion":
            return self.drafted(seen, seen)[0]
        assert self.condition is not None
        told, solved = self.condition(seen.coded, seen.here), []
        for m, (name, width) in enumerate(zip(self.schema.dims, self.tokens.widths, strict=True)):

            def solve(part: Seen, rows: Tensor, m: int = m, name: str = name, width: int = width) -> Tensor:
                mine = told[rows]

                def step(state: Tensor, level: int) -> Tensor:
                    return self.denoise(m, part, state, mine, torch.full_like(part.key, level))

                def fresh(level: int) -> Tensor:
                    return part.noise(width, seed, "rohydr", name, *names, str(level))

                noise = part.noise(width, seed, "rohydr", name, *names)
                return sample(step, noise, steps=steps, solver=c.solver, fresh=fresh)

            solved.append(seen.where_asked(m, solve))
        return solved

    def drafted(self, truth: Seen, seen: Seen) -> tuple[list[Tensor], Tensor]:
        """What one call of each denoiser makes of what is missing, and its error where the corpus knows better; or a plain fill.

        Args:
            truth: what the corpus holds.
            seen: what is observed of it.
        """
        c, error = self.config, truth.coded[0].new_zeros(())
        if self.gaussian is not None:
            filled = self.gaussian(*seen.rows()).view(*seen.here.shape[::2], -1)  # (U L, W) -> (U, L, W)
            return list(torch.split(filled, self.tokens.widths, dim=2)), error
        assert self.condition is not None
        told, drafts = self.condition(seen.coded, seen.here), []
        for m, clean in enumerate(truth.coded):
            known = truth.here[:, m] & seen.asked[:, m]  # (U, L)
            noisy, level = torch.zeros_like(clean), torch.full_like(seen.key, HIGHEST)
            if c.generator == "diffusion":
                level = torch.where(known.any(dim=1), random_levels(len(level), level.device, c.pure), level)
                noisy = self.noising(clean, torch.randn_like(clean), level)

            def guess(part: Seen, rows: Tensor, m: int = m, noisy: Tensor = noisy, level: Tensor = level) -> Tensor:
                return self.denoise(m, part, noisy[rows], told[rows], level[rows])

            drafts.append(seen.where_asked(m, guess))
            error = error + mean_square(drafts[-1], clean, known)
        return drafts, error

    def fused(self, seen: Seen, raw: Sequence[Tensor]) -> Tensor:
        """(U, F) of tokens without holes; reconstructed where something was missing."""
        fused = super().fused(seen, raw)
        return fused if self.multimodal is None else torch.where(seen.missing.unsqueeze(1), self.multimodal(fused), fused)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of one stage, or of all together."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        if stage == _COMPLETE:
            whole = self.fusion(truth.raw, truth.here)
            return {"task": task_loss(self.schema.target, self.answer(whole), complete.label)}
        together = not c.staged
        # A stage makes gradients of what it steps and of nothing else.
        draft, denoising = self._draft(truth, seen, observed, stage)
        with _gradients(together or stage != _JUDGE):
            coded = self.unimodal(seen, draft)
        losses = {} if denoising is None else self._unimodal(truth, seen, coded, denoising)
        if stage == _UNIMODAL:
            return losses
        with _gradients(together or stage == _TASK):
            true = self.fusion(truth.raw, truth.here)
        with _gradients(together or stage != _JUDGE):
            found = self.fused(seen, self.tokens.decode(seen, coded))
        whole = truth.here.any(dim=2).all(dim=1)
        views = Views(true, found, whole, whole & seen.missing)
        if self.discriminator is not None and (stage == _JUDGE or together):
            losses["discriminator"] = self.discriminator.verdict(views.true, views.whole, views.found, views.hidden)
        if self.multimodal is not None and (stage == _FUSION or together):
            losses |= self._fusion(views)
        if stage == _TASK:
            target, label = self.schema.target, observed.label
            losses["complete"] = (1 - c.recovered) * task_loss(target, self.answer(views.true), label)
            losses["task"] = c.recovered * task_loss(target, self.answer(views.found), label)
        return losses

    def _draft(self, truth: Seen, seen: Seen, observed: Batch, stage: str) -> tuple[list[Tensor], Tensor | None]:
        """What stands for what is missing in a stage; and where the denoisers learn, their error.

        Each denoiser is called once an update: by the stage in which it learns. The later stages take what came out as it is; one
        that has an epoch of its own makes the call itself.
        """
        c, learning = self.config, stage == _UNIMODAL or not self.config.staged
        draft, error = None if learning else self._drafts.take(observed, last=stage == _TASK), None
        if learning or (draft is None and not c.sampled):
            with _gradients(learning):
                draft, error = self.drafted(truth, seen)
        if draft is None or c.sampled:
            with _gradients(c.through and stage != _JUDGE):
                draft = self.solved(seen, c.draw_steps, int(torch.randint(2**31, ())))
        elif c.staged and stage != _TASK:
            self._drafts.keep(observed, [x.detach() for x in draft])
        return draft, error if learning else None

    def _unimodal(self, truth: Seen, seen: Seen, coded: Sequence[Tensor], denoising: Tensor) -> dict[str, Tensor]:
        """Stage 1, (L_diff + lambda L_rec) / (1 + lambda)."""
        weight = self.config.refinement if self.unimodal else 0.0
        losses = {"denoising": denoising / (1 + weight)}
        if self.unimodal:
            losses["refinement"] = hidden_error(coded, truth, seen) * weight / (1 + weight)
        return losses

    def _fusion(self, views: Views) -> dict[str, Tensor]:
        """Stage 2b, the distance from the fusion of complete data and what the discriminator, held fixed, says of it."""
        share = self.config.adversarial if self.discriminator is not None else 0.0
        losses = {"distance": (1 - share) * mean_over((views.found - views.true.detach()).abs(), views.hidden)}
        if self.discriminator is not None:
            losses["adversarial"] = share * self.discriminator.doubt(views.found, views.hidden)
        return losses
