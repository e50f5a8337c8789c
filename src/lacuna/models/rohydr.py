"""RoHyDR: robust hybrid diffusion recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer, Stage, register, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.adversary import Discriminator, mean_over
from lacuna.models.layers.channel_attention import ChannelReconstructor
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.diffusion import ANY_SOLVERS, HIGHEST, AnySolver, Noising, random_levels, sample
from lacuna.models.layers.dit import Condition, Denoiser
from lacuna.models.layers.head import classifier
from lacuna.models.layers.tokens import Seen, Tokens, mean_square
from lacuna.models.space import Space, Span

_COMPLETE, _UNIMODAL, _JUDGE, _FUSION, _TASK = "complete", "unimodal", "discriminator", "fusion", "task"
_CHOICES = {
    "solver": ANY_SOLVERS,
    "generator": ("diffusion", "regression", "mean"),
    "schedule": ("interleaved", "alternating", "sequential"),
}


@dataclass(frozen=True)
class RoHyDRConfig(Config):
    """Settings of :class:`RoHyDR`.

    Attributes:
        tokens: at most so many an utterance; 1 = one vector each. The paper has 48.
        code: most directions of a modality that are recovered.
        hidden: width of the denoisers.
        blocks: of each denoiser.
        heads: of their attention, which sequences alone have, and of the fusion.
        channels: of the unimodal reconstructors.
        channel_blocks: of each of them; the paper has 20.
        width: of a modality's tokens in the fusion.
        cross: layers that read another modality.
        memory: layers that read themselves.
        dropout: share of units dropped in training.
        pure: share of training utterances that are denoised from pure noise, as all are when it answers.
        solver: ``ddim``, ``dpm++`` or ``ddpm``.
        steps: of the solver.
        draws: what is recovered is the mean of so many.
        noise_seed: of the noise that answers start from.
        refinement: weight of the unimodal reconstructor's error beside the denoiser's.
        adversarial: share of the discriminator's verdict in the loss of the recovered fusion; the rest is the distance.
        recovered: share of the recovered view in the loss of the task; the rest is the complete view.
        schedule: of the stages: all in every batch, or by turns of epochs, or one after the other.
        phase: epochs of a stage that others follow, if ``sequential``.
        warmup: epochs of the task on complete data before everything else.
        staged: without, one step on the sum of all losses.
        sampled: stages run the solver in training too, as published.
        generator: ``diffusion``; the same network once, from nothing (``regression``); or the ``mean`` of training.
        unimodal: with the unimodal reconstructors.
        multimodal: with the multimodal reconstructor and its discriminator.
        adversary: with the discriminator.
    """

    tokens: int = 1
    code: int = 48
    hidden: int = 64
    blocks: int = 3
    heads: int = 4
    channels: int = 32
    channel_blocks: int = 2
    width: int = 32
    cross: int = 1
    memory: int = 1
    dropout: float = 0.2
    pure: float = 0.5
    solver: AnySolver = "ddim"
    steps: int = 10
    draws: int = 1
    noise_seed: int = 0
    refinement: float = 1.0
    adversarial: float = 0.5
    recovered: float = 0.4
    schedule: Literal["interleaved", "alternating", "sequential"] = "interleaved"
    phase: int = 5
    warmup: int = 0
    staged: bool = True
    sampled: bool = False
    generator: Literal["diffusion", "regression", "mean"] = "diffusion"
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
        check_bounds("rohydr", self, tokens=(1, 4096), code=(1, 8192), hidden=(1, 8192), blocks=(1, 64), heads=(1, 1024))
        check_bounds("rohydr", self, channels=(1, 8192), channel_blocks=(1, 64), width=(1, 8192), cross=(1, 64), memory=(1, 64))
        check_bounds("rohydr", self, dropout=(0.0, 1.0), pure=(0.0, 1.0), steps=(1, 1000), draws=(1, 1024))
        check_bounds("rohydr", self, noise_seed=(0, 2**63 - 1), refinement=(0.0, 1e6), adversarial=(0.0, 1.0))
        check_bounds(
            "rohydr", self, recovered=(0.0, 1.0), phase=(1, 10**6), warmup=(0, 10**6), staged=(False, True), sampled=(False, True)
        )
        check_bounds("rohydr", self, unimodal=(False, True), multimodal=(False, True), adversary=(False, True))
        for name, known in _CHOICES.items():
            if (found := getattr(self, name)) not in known:
                raise ConfigError(f"model 'rohydr': setting '{name}' must be {' or '.join(known)}; found {found!r}")
        for name in ("hidden", "width"):
            if getattr(self, name) % self.heads:
                found = getattr(self, name)
                raise ConfigError(f"model 'rohydr': setting '{name}' must be a multiple of heads ({self.heads}); found {found}")


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


@register("rohydr")
class RoHyDR(Recognizer):
    """Robust hybrid diffusion recovery (arXiv 2505.17501); what we changed is in ``docs/models/rohydr.md``.

    Missing modalities are recovered twice. *Unimodal*: a conditional diffusion of each modality's tokens, refined by residual
    channel attention. *Multimodal*: the fusion of what was observed and recovered is mapped to what the fusion of complete data
    looks like, by distance and against a discriminator. The losses differ in size, so each has a stage with its own optimiser:
    first the unimodal recovery, then the discriminator, then the fusion against it, then the task.
    """

    Config = RoHyDRConfig
    config: RoHyDRConfig
    recovers = True
    samples = True

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, dims = self.config, list(schema.dims.values())
        self.tokens = Tokens(schema, c.code, c.tokens)
        self.noising = Noising()
        widths, sequence = self.tokens.widths, c.tokens > 1
        self.denoisers, self.condition = nn.ModuleList(), None
        if c.generator != "mean":
            self.denoisers.extend(Denoiser(w, c.hidden, c.blocks, c.heads if sequence else 0) for w in widths)
            self.condition = Condition(widths, c.hidden)
        self.unimodal = nn.ModuleList()
        if c.unimodal:
            kernel = 3 if sequence else 1
            self.unimodal.extend(ChannelReconstructor(w, c.channels, c.channel_blocks, kernel) for w in widths)
        self.fusion = CrossModalFusion(dims, c.width, c.heads, c.cross, c.memory, c.dropout)
        fused = self.fusion.width
        self.multimodal = self.discriminator = None
        if c.multimodal:
            inside = max(8, fused // 2)
            self.multimodal = nn.Sequential(
                *(nn.Linear(fused, inside), nn.LeakyReLU(0.2), nn.Dropout(c.dropout), nn.Linear(inside, fused))
            )
            self.discriminator = Discriminator(fused) if c.adversary else None
        self.residual = nn.Sequential(nn.Linear(fused, fused), nn.ReLU(), nn.Dropout(c.dropout), nn.Linear(fused, fused))
        self.head = classifier(schema, fused, c)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Unimodal recovery, discriminator, fusion, task, as far as there is something to step; or one for all."""
        c = self.config
        after = ("unimodal.", "fusion.", "multimodal.")
        answer = ("fusion.", "residual.", "head.")
        warmup = (Stage(_COMPLETE, answer, end=c.warmup),) if c.warmup else ()
        if not c.staged:
            return *warmup, Stage(_TASK, first=c.warmup)
        phases = []
        if self.denoisers or self.unimodal:
            phases.append([Stage(_UNIMODAL, ("denoisers.", "condition.", "unimodal."))])
        if self.multimodal is not None:
            judge = [Stage(_JUDGE, ("discriminator.",))] if self.discriminator is not None else []
            phases.append([*judge, Stage(_FUSION, after)])
        phases.append([Stage(_TASK, (*after, "residual.", "head."))])
        return *warmup, *(self._timed(stage, number, len(phases)) for number, p in enumerate(phases) for stage in p)

    def _timed(self, stage: Stage, number: int, phases: int) -> Stage:
        """A stage of the phase of that number in the epochs that are its own."""
        c = self.config
        if c.schedule == "alternating":
            return replace(stage, first=c.warmup, every=phases, turn=number)
        if c.schedule == "sequential":
            first = c.warmup + number * c.phase
            return replace(stage, first=first, end=None if number == phases - 1 else first + c.phase)
        return replace(stage, first=c.warmup)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The grid of tokens and their code."""
        self.tokens.fit(batches)

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        c, seen = self.config, self.tokens(batch)
        draws = [self.solved(seen, c.noise_seed, f"draw {draw}") for draw in range(c.draws)]
        coded = self.refined(seen, [torch.stack(of).mean(dim=0) for of in zip(*draws, strict=True)])
        fused = self.fused(seen, coded)
        return Prediction(self.answer(fused), self.tokens.fill(batch, self.tokens.decode(seen, coded)))

    @torch.no_grad()
    def sample(self, batch: Batch, number: int, seed: int) -> dict[str, Tensor]:
        """Draws of the recovered frames, (S, U, T_m, d_m) by modality."""
        seen, draws = self.tokens(batch), []
        for draw in range(number):
            coded = self.refined(seen, self.solved(seen, seed, f"draw {draw}"))
            draws.append(self.tokens.fill(batch, self.tokens.decode(seen, coded)))
        return {m: torch.stack([d[m] for d in draws]) for m in batch.features}

    def denoise(self, m: int, seen: Seen, noisy: Tensor, told: Tensor, level: Tensor) -> Tensor:
        """Clean tokens (U, L, w_m) of one modality; what is observed goes in as it is."""
        here, asked = seen.here[:, m], seen.asked[:, m]
        entering = torch.where(here.unsqueeze(2), seen.coded[m], noisy * asked.unsqueeze(2))
        clean: Tensor = self.denoisers[m](entering, here, here | asked, told, level)
        return clean.float()

    @torch.no_grad()
    def solved(self, seen: Seen, seed: int, *names: str) -> list[Tensor]:
        """What the solver makes of noise: one (U, L, w_m) a modality."""
        c = self.config
        if c.generator != "diffusion":
            return self.drafted(seen, seen)[0]
        assert self.condition is not None
        told, solved = self.condition(seen.coded, seen.here), []
        for m, name in enumerate(self.schema.dims):
            rows = torch.nonzero(seen.asked[:, m].any(dim=1)).squeeze(1)
            part, mine = seen.take(rows), told[rows]

            def step(state: Tensor, level: int, m: int = m, part: Seen = part, mine: Tensor = mine) -> Tensor:
                return self.denoise(m, part, state, mine, torch.full_like(part.key, level))

            def fresh(level: int, m: int = m, part: Seen = part, name: str = name) -> Tensor:
                return part.noise(self.tokens.widths[m], seed, "rohydr", name, *names, str(level))

            found = torch.zeros_like(seen.coded[m])
            if len(rows):
                noise = part.noise(self.tokens.widths[m], seed, "rohydr", name, *names)
                found[rows] = sample(step, noise, steps=c.steps, solver=c.solver, fresh=fresh)
            solved.append(found)
        return solved

    def drafted(self, truth: Seen, seen: Seen) -> tuple[list[Tensor], Tensor]:
        """What one call of each denoiser makes of what is missing, and its error where the corpus knows better.

        Args:
            truth: what the corpus holds.
            seen: what is observed of it.
        """
        c, error = self.config, truth.coded[0].new_zeros(())
        if self.condition is None:
            return [torch.zeros_like(x) for x in seen.coded], error
        told, drafts = self.condition(seen.coded, seen.here), []
        for m, clean in enumerate(truth.coded):
            known = truth.here[:, m] & seen.asked[:, m]  # (U, L)
            draft, level = torch.zeros_like(clean), torch.full_like(seen.key, HIGHEST)
            noisy = torch.zeros_like(clean)
            if c.generator == "diffusion":
                level = torch.where(known.any(dim=1), random_levels(len(level), level.device, c.pure), level)
                noisy = self.noising(clean, torch.randn_like(clean), level)
            rows = torch.nonzero(seen.asked[:, m].any(dim=1)).squeeze(1)
            if len(rows):
                found = self.denoise(m, seen.take(rows), noisy[rows], told[rows], level[rows])
                draft = draft.index_copy(0, rows, found)
            drafts.append(draft)
            error = error + mean_square(draft, clean, known)
        return drafts, error

    def refined(self, seen: Seen, draft: Sequence[Tensor]) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities: what was observed, and the reconstructed drafts of the rest."""
        filled = seen.filled(draft)
        if not self.unimodal:
            return filled
        keys = seen.here | seen.asked
        return seen.filled([refine(x, keys[:, m]) for m, (refine, x) in enumerate(zip(self.unimodal, filled, strict=True))])

    def fused(self, seen: Seen, coded: Sequence[Tensor]) -> Tensor:
        """(U, F) of recovered tokens; reconstructed where something was missing."""
        fused: Tensor = self.fusion(self.tokens.decode(seen, coded), seen.here | seen.asked)
        if self.multimodal is None:
            return fused
        return torch.where(seen.missing.unsqueeze(1), fused + self.multimodal(fused), fused)

    def answer(self, fused: Tensor) -> Tensor:
        """(U, F) -> logits (U, C)."""
        logits: Tensor = self.head(fused + self.residual(fused))
        return logits

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of one stage, or of all together."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        if stage == _COMPLETE:
            whole = self.fusion(truth.raw, truth.here)
            return {"task": task_loss(self.schema.target, self.answer(whole), complete.label)}
        together = not c.staged
        with torch.set_grad_enabled(torch.is_grad_enabled() and (together or stage == _UNIMODAL)):
            draft, denoising = self.drafted(truth, seen)
        if c.sampled and c.generator == "diffusion":
            draft = self.solved(seen, int(torch.randint(2**31, ())))
        coded = self.refined(seen, draft)
        losses: dict[str, Tensor] = {}
        if stage == _UNIMODAL or together:
            losses |= self._unimodal(truth, seen, coded, denoising)
        if stage == _UNIMODAL:
            return losses
        views = Views(
            true=self.fusion(truth.raw, truth.here),
            found=self.fused(seen, coded),
            whole=(whole := truth.here.any(dim=2).all(dim=1)),
            hidden=whole & seen.missing,
        )
        if self.discriminator is not None and (stage == _JUDGE or together):
            losses["discriminator"] = self.discriminator.verdict(views.true, views.whole, views.found, views.hidden)
        if self.multimodal is not None and (stage == _FUSION or together):
            losses |= self._fusion(views)
        if stage == _TASK:
            target, label = self.schema.target, observed.label
            losses["complete"] = (1 - c.recovered) * task_loss(target, self.answer(views.true), label)
            losses["task"] = c.recovered * task_loss(target, self.answer(views.found), label)
        return losses

    def _unimodal(self, truth: Seen, seen: Seen, coded: Sequence[Tensor], denoising: Tensor) -> dict[str, Tensor]:
        """Stage 1, (L_diff + lambda L_rec) / (1 + lambda)."""
        weight = self.config.refinement if self.unimodal else 0.0
        losses = {"denoising": denoising / (1 + weight)}
        if self.unimodal:
            known = truth.here & seen.asked
            errors = [mean_square(x, y, known[:, m]) for m, (x, y) in enumerate(zip(coded, truth.coded, strict=True))]
            losses["refinement"] = torch.stack(errors).sum() * weight / (1 + weight)
        return losses

    def _fusion(self, views: Views) -> dict[str, Tensor]:
        """Stage 2b, the distance from the fusion of complete data and what the discriminator, held fixed, says of it."""
        share = self.config.adversarial if self.discriminator is not None else 0.0
        losses = {"distance": (1 - share) * mean_over((views.found - views.true.detach()).abs(), views.hidden)}
        if self.discriminator is not None:
            losses["adversarial"] = share * self.discriminator.doubt(views.found, views.hidden)
        return losses
