"""RoHyDR: robust hybrid diffusion recovery of missing modalities and of their fusion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Stage, register
from lacuna.models.config import check_bounds, check_choices, check_multiples
from lacuna.models.layers.adversary import Discriminator, mean_over
from lacuna.models.layers.channel_attention import Reconstructors
from lacuna.models.layers.diffusion import ANY_SOLVERS, HIGHEST, AnySolver, Noising, random_levels, sample
from lacuna.models.layers.dit import Conditioning, Denoiser
from lacuna.models.layers.gaussian import JointGaussian
from lacuna.models.layers.per_batch import PerBatch
from lacuna.models.layers.token_recognizer import Residual, TokenConfig, TokenRecognizer
from lacuna.models.layers.tokens import TokenBatch, hidden_error, mean_square
from lacuna.models.space import Space, Span

_COMPLETE, _UNIMODAL, _JUDGE, _FUSION, _TASK = "complete", "unimodal", "discriminator", "fusion", "task"
Generator = Literal["diffusion", "regression", "ridge", "mean"]
GENERATORS: tuple[Generator, ...] = ("diffusion", "regression", "ridge", "mean")
Schedule = Literal["interleaved", "alternating", "sequential"]
SCHEDULES: tuple[Schedule, ...] = ("interleaved", "alternating", "sequential")


@dataclass(frozen=True)
class RoHyDRConfig(TokenConfig):
    """Settings of :class:`RoHyDR`, in addition to those of :class:`TokenConfig`.

    Attributes:
        hidden: units of the denoisers.
        blocks: blocks of each denoiser; with one token they have no attention.
        pure: share of training utterances with pure noise, which a prediction starts from, 0 to 1.
        solver: ``ddim``, ``dpm++`` or ``ddpm``.
        steps: solver steps of a prediction; 1 = the conditional mean, which the classifier also sees in training.
        draw_steps: solver steps of :meth:`RoHyDR.sample`.
        draws: number of draws; their mean is the recovered code.
        refinement: weight of the error of the unimodal reconstructor; the error of the denoiser has weight 1.
        adversarial: share of the adversarial loss in the loss of the recovered fusion, 0 to 1; the rest is the distance.
        recovered: share of the recovered view in the task loss, 0 to 1; the rest is the complete view.
        schedule: ``interleaved`` = all stages in every batch; ``alternating`` = by turns of epochs; ``sequential`` = one after
            the other.
        phase: epochs of each stage but the last one, if ``sequential``.
        warmup: epochs of the task on complete data before all stages.
        staged: train in stages; otherwise one step on the sum of all losses.
        sampled: run the solver in training too, as published.
        through: with ``sampled``: gradients flow through all solver steps, and later stages update the denoisers too, as in the
            second version of the public code.
        generator: ``diffusion``; ``regression`` = the same network, one call without noise; ``ridge`` = ridge regression on the
            observed codes of the same token; ``mean`` = mean of training.
        penalty: penalty of the ridge regression.
        unimodal: use the unimodal reconstructors.
        multimodal: use the multimodal reconstructor and its discriminator.
        adversary: use the discriminator.
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
    """Fused vectors of the complete and the recovered input, and the utterances in which they are compared.

    Attributes:
        complete: (U, F) fusion of everything that the corpus holds.
        recovered: (U, F) fusion of observed and recovered tokens; reconstructed where tokens were missing.
        whole: (U,) bool: the corpus holds all modalities, so ``complete`` is the fusion of complete data.
        hidden: (U,) bool: ``whole``, and the mask hides tokens.
    """

    complete: Tensor
    recovered: Tensor
    whole: Tensor
    hidden: Tensor


def _gradients(on: bool) -> torch.set_grad_enabled:
    """Return a context with or without gradients; without them if the caller has disabled them."""
    return torch.set_grad_enabled(on and torch.is_grad_enabled())


def scheduled(phases: Sequence[Sequence[Stage]], schedule: Schedule, first: int, length: int) -> tuple[Stage, ...]:
    """Return the stages of all phases with their epochs.

    Args:
        phases: for each phase, stages that run in the same epochs.
        schedule: see :class:`RoHyDRConfig`.
        first: first epoch of the first phase.
        length: epochs of each phase but the last one, if ``sequential``; the last one has no end.
    """
    scheduled_stages = []
    for number, phase in enumerate(phases):
        begin, last = first + number * length, number == len(phases) - 1
        for stage in phase:
            if schedule == "alternating":
                scheduled_stages.append(replace(stage, first=first, every=len(phases), turn=number))
            elif schedule == "sequential":
                scheduled_stages.append(replace(stage, first=begin, end=None if last else begin + length))
            else:
                scheduled_stages.append(replace(stage, first=first))
    return tuple(scheduled_stages)


@register(
    "rohydr",
    title="RoHyDR: Robust Hybrid Diffusion Recovery for Incomplete Multimodal Emotion Recognition",
    task="generation",
    modalities=("text", "audio", "vision"),
    paper="https://arxiv.org/abs/2505.17501",
    year=2025,
)
class RoHyDR(TokenRecognizer):
    r"""Robust Hybrid Diffusion Recovery of Jin et al. (https://arxiv.org/abs/2505.17501).

    Missing modalities are recovered twice. Unimodal recovery: a conditional diffusion of the tokens of each modality, refined by
    residual channel attention. Multimodal recovery: the fusion of observed and recovered tokens is mapped to the fusion of
    complete data, by a distance and an adversarial loss. The losses differ in size, so each has a stage with its own optimiser:
    unimodal recovery, discriminator, fusion, task.

    .. math::
        L_{uni} = (L_{diff} + \lambda L_{rec}) / (1 + \lambda), \quad
        L_{multi} = (1 - a) L_{distance} + a L_{adversarial}, \quad
        L_{task} = (1 - r) L_{complete} + r L_{recovered}

    ``docs/models/rohydr.md`` lists the differences from the public code.
    """

    Config = RoHyDRConfig
    config: RoHyDRConfig
    training_defaults: ClassVar[Mapping[str, Any]] = {"ema": 0.98}  # chosen by experiments/defaults/small.py
    samples = True
    tiny: ClassVar[Mapping[str, Any]] = {**TokenRecognizer.tiny, "hidden": 32, "blocks": 1}

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
        self.add_fusion()
        fused = self.fusion.width
        self.multimodal = self.discriminator = None
        self._drafts: PerBatch[list[Tensor]] = PerBatch()  # drafts of the current update
        if c.multimodal:
            self.multimodal = Residual(fused, max(8, fused // 2), nn.LeakyReLU(0.2), c.dropout)
            self.discriminator = Discriminator(fused) if c.adversary else None
        self.add_head()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages of unimodal recovery, discriminator, fusion and task that have parameters; or one stage for all."""
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
        """Set tokens and code, and for ``ridge`` their covariance; without covariance the mean is filled in."""
        super().prepare(batches)
        if self.gaussian is not None and self.config.generator == "ridge":
            self.gaussian.fit(self.tokens(batch).rows() for batch in batches())

    def recovered(self, seen: TokenBatch) -> list[Tensor]:
        """Return codes (U, L, w_m) of all modalities: observed ones unchanged, the refined mean of draws of missing ones."""
        c = self.config
        with torch.no_grad():
            draws = [self.generate(seen, c.steps, c.noise_seed, f"draw {draw}") for draw in range(c.draws)]
        coded: list[Tensor] = self.unimodal(seen, [torch.stack(of).mean(dim=0) for of in zip(*draws, strict=True)])
        return coded

    @torch.no_grad()
    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Return draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        steps = self.config.draw_steps
        return self.tokens.draws(
            batch, number, lambda seen, n: self.unimodal(seen, self.generate(seen, steps, seed, f"draw {n}"))
        )

    def denoise(self, m: int, seen: TokenBatch, noisy: Tensor, condition: Tensor, level: Tensor) -> Tensor:
        """Return clean tokens (U, L, w_m) of modality m; observed tokens enter without noise."""
        here, asked = seen.observed[:, m], seen.missing[:, m]
        entering = torch.where(here.unsqueeze(2), seen.coded[m], noisy * asked.unsqueeze(2))
        clean: Tensor = self.denoisers[m](entering, here, here | asked, condition, level)
        return clean.float()

    def generate(self, seen: TokenBatch, steps: int, seed: int, *names: str) -> list[Tensor]:
        """Return codes generated from noise by the solver, one (U, L, w_m) for each modality."""
        c = self.config
        if c.generator != "diffusion":
            return self.estimate(seen, seen)[0]
        assert self.condition is not None
        condition, generated = self.condition(seen.coded, seen.observed), []
        for m, (name, width) in enumerate(zip(self.schema.dims, self.tokens.widths, strict=True)):

            def solve(part: TokenBatch, rows: Tensor, m: int = m, name: str = name, width: int = width) -> Tensor:
                part_condition = condition[rows]

                def step(state: Tensor, level: int) -> Tensor:
                    return self.denoise(m, part, state, part_condition, torch.full_like(part.key, level))

                def fresh(level: int) -> Tensor:
                    return part.noise(width, seed, "rohydr", name, *names, str(level))

                noise = part.noise(width, seed, "rohydr", name, *names)
                return sample(step, noise, steps=steps, solver=c.solver, fresh=fresh)

            generated.append(seen.where_missing(m, solve))
        return generated

    def estimate(self, truth: TokenBatch, seen: TokenBatch) -> tuple[list[Tensor], Tensor]:
        """Return estimates of missing codes from one call of each denoiser (or ridge regression), and the error of hidden ones.

        Args:
            truth: tokens of the complete batch.
            seen: tokens of the observed batch.

        Returns:
            One (U, L, w_m) for each modality, and a scalar.
        """
        c, error = self.config, truth.coded[0].new_zeros(())
        if self.gaussian is not None:
            filled = self.gaussian(*seen.rows()).view(*seen.observed.shape[::2], -1)  # (U L, W) -> (U, L, W)
            return list(torch.split(filled, self.tokens.widths, dim=2)), error
        assert self.condition is not None
        condition, estimates = self.condition(seen.coded, seen.observed), []
        for m, clean in enumerate(truth.coded):
            known = truth.observed[:, m] & seen.missing[:, m]  # (U, L)
            noisy, level = torch.zeros_like(clean), torch.full_like(seen.key, HIGHEST)
            if c.generator == "diffusion":
                level = torch.where(known.any(dim=1), random_levels(len(level), level.device, c.pure), level)
                noisy = self.noising(clean, torch.randn_like(clean), level)

            def estimate(part: TokenBatch, rows: Tensor, m: int = m, noisy: Tensor = noisy, level: Tensor = level) -> Tensor:
                return self.denoise(m, part, noisy[rows], condition[rows], level[rows])

            estimates.append(seen.where_missing(m, estimate))
            error = error + mean_square(estimates[-1], clean, known)
        return estimates, error

    def fused(self, seen: TokenBatch, raw: Sequence[Tensor]) -> Tensor:
        """Return the fused vector (U, F) of completed tokens, reconstructed where tokens were missing."""
        fused = super().fused(seen, raw)
        return fused if self.multimodal is None else torch.where(seen.incomplete.unsqueeze(1), self.multimodal(fused), fused)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of one stage, or of all stages together."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        if stage == _COMPLETE:
            fused = self.fusion(truth.raw, truth.observed.unbind(1))
            return {"task": self.task_loss(self.answer(fused), complete.label)}
        one_step = not c.staged
        # A stage computes gradients only for the parameters that it updates.
        draft, denoising = self._draft(truth, seen, observed, stage)
        with _gradients(one_step or stage != _JUDGE):
            coded = self.unimodal(seen, draft)
        losses = {} if denoising is None else self._unimodal(truth, seen, coded, denoising)
        if stage == _UNIMODAL:
            return losses
        with _gradients(one_step or stage == _TASK):
            complete_fusion = self.fusion(truth.raw, truth.observed.unbind(1))
        with _gradients(one_step or stage != _JUDGE):
            recovered_fusion = self.fused(seen, self.tokens.decode(seen, coded))
        has_all = truth.observed.any(dim=2).all(dim=1)
        views = Views(complete_fusion, recovered_fusion, has_all, has_all & seen.incomplete)
        if self.discriminator is not None and (stage == _JUDGE or one_step):
            losses["discriminator"] = self.discriminator.discriminator_loss(
                views.complete, views.whole, views.recovered, views.hidden
            )
        if self.multimodal is not None and (stage == _FUSION or one_step):
            losses |= self._fusion(views)
        if stage == _TASK:
            label = observed.label
            losses["complete"] = (1 - c.recovered) * self.task_loss(self.answer(views.complete), label)
            losses["task"] = c.recovered * self.task_loss(self.answer(views.recovered), label)
        return losses

    def _draft(self, truth: TokenBatch, seen: TokenBatch, observed: Batch, stage: str) -> tuple[list[Tensor], Tensor | None]:
        """Return drafts of missing codes for a stage, and the error of the denoisers in the stage that trains them.

        Each denoiser is called once in an update, in the stage that trains it. Later stages reuse its output; a stage in an epoch
        of its own calls the denoisers itself.
        """
        c, learning = self.config, stage == _UNIMODAL or not self.config.staged
        draft, error = None if learning else self._drafts.take(observed, last=stage == _TASK), None
        if learning or (draft is None and not c.sampled):
            with _gradients(learning):
                draft, error = self.estimate(truth, seen)
        if draft is None or c.sampled:
            with _gradients(c.through and stage != _JUDGE):
                draft = self.generate(seen, c.draw_steps, int(torch.randint(2**31, ())))
        elif c.staged and stage != _TASK:
            self._drafts.keep(observed, [x.detach() for x in draft])
        return draft, error if learning else None

    def _unimodal(self, truth: TokenBatch, seen: TokenBatch, coded: Sequence[Tensor], denoising: Tensor) -> dict[str, Tensor]:
        """Return the losses of unimodal recovery, (L_diff + lambda L_rec) / (1 + lambda)."""
        weight = self.config.refinement if self.unimodal else 0.0
        losses = {"denoising": denoising / (1 + weight)}
        if self.unimodal:
            losses["refinement"] = hidden_error(coded, truth, seen) * weight / (1 + weight)
        return losses

    def _fusion(self, views: Views) -> dict[str, Tensor]:
        """Return the distance from the fusion of complete data, and the adversarial loss with a fixed discriminator."""
        share = self.config.adversarial if self.discriminator is not None else 0.0
        losses = {"distance": (1 - share) * mean_over((views.recovered - views.complete.detach()).abs(), views.hidden)}
        if self.discriminator is not None:
            losses["adversarial"] = share * self.discriminator.generator_loss(views.recovered, views.hidden)
        return losses
