"""DiCMoR: distribution-consistent modality recovering, by normalising flows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.errors import ConfigError
from lacuna.models.base import Prediction, Recognizer, register, task_loss
from lacuna.models.config import Config, check_bounds
from lacuna.models.layers.channel_attention import ChannelReconstructor
from lacuna.models.layers.crossmodal import CrossModalFusion
from lacuna.models.layers.flow import Flow
from lacuna.models.layers.head import BINS, classifier, strata_count
from lacuna.models.layers.tokens import Seen, Tokens, mean_square
from lacuna.models.space import Space, Span

_JITTER = 0.05  # noise on what flows learn from: the likelihood of points, or of fewer dimensions than channels, has no bound


@dataclass(frozen=True)
class DiCMoRConfig(Config):
    """Settings of :class:`DiCMoR`.

    Attributes:
        tokens: at most so many an utterance; 1 = one vector each. The paper has 48.
        code: most directions of a modality that are recovered.
        hidden: units of the couplings' networks.
        couplings: of each flow; the paper has 32.
        channels: of the reconstructors.
        channel_blocks: of each of them; the paper has 20.
        width: of a modality's tokens in the fusion.
        heads: of the fusion.
        cross: layers that read another modality.
        memory: layers that read themselves.
        dropout: share of units dropped in training.
        noise_seed: of the channels that a narrow modality lacks.
        recovery: weight of the flows' and the reconstructors' losses beside the task.
    """

    tokens: int = 1
    code: int = 48
    hidden: int = 64
    couplings: int = 6
    channels: int = 32
    channel_blocks: int = 2
    width: int = 32
    heads: int = 4
    cross: int = 1
    memory: int = 1
    dropout: float = 0.2
    noise_seed: int = 0
    recovery: float = 0.1
    space: ClassVar[Space] = {
        "code": Span(16, 96, log=True),
        "hidden": Span(32, 256, log=True),
        "couplings": Span(2, 12),
        "width": Span(16, 64, step=8),
        "dropout": Span(0.0, 0.6),
        "recovery": Span(0.01, 1.0, log=True),
    }

    def __post_init__(self) -> None:
        check_bounds("dicmor", self, tokens=(1, 4096), code=(1, 8192), hidden=(1, 8192), couplings=(1, 1024), heads=(1, 1024))
        check_bounds("dicmor", self, channels=(1, 8192), channel_blocks=(1, 64), width=(1, 8192), cross=(1, 64), memory=(1, 64))
        check_bounds("dicmor", self, dropout=(0.0, 1.0), noise_seed=(0, 2**63 - 1), recovery=(0.0, 1e6))
        if self.width % self.heads:
            raise ConfigError(f"model 'dicmor': setting 'width' must be a multiple of heads ({self.heads}); found {self.width}")


@register("dicmor")
class DiCMoR(Recognizer):
    """Wang, Cui and Li, ICCV 2023: each modality has an invertible map to one space; what is missing is mapped back from there.

    z_m = F_m(x_m) follows a Gaussian whose mean and spread depend on the class; a missing modality is F_m^-1 of what the others
    say of z, refined by residual channel attention. The loss is the task's, plus 0.1 times the flows' negative log-likelihood and
    the reconstruction. Different from the published code: channels are permuted; the target is a fixed whitened code; modalities
    of fewer channels than the widest have noise in the rest (augmented flows, Huang et al., 2020); classes are asked for in
    training only, and are low, middle and high scores (thirds of training) for a regression target.
    """

    Config = DiCMoRConfig
    config: DiCMoRConfig
    recovers = True
    cuts: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c = self.config
        self.tokens = Tokens(schema, c.code, c.tokens)
        widths, kernel, m = self.tokens.widths, 3 if c.tokens > 1 else 1, len(schema.dims)
        self.space = max(2, *widths)
        self.flows = nn.ModuleList(Flow(self.space, c.hidden, c.couplings) for _ in widths)
        strata = strata_count(schema.target)
        self.centre, self.spread = (nn.Parameter(torch.zeros(strata, self.space)) for _ in range(2))
        self.mix = nn.Linear(m * self.space + m, self.space)
        self.refine = nn.ModuleList(ChannelReconstructor(w, c.channels, c.channel_blocks, kernel) for w in widths)
        self.fusion = CrossModalFusion(list(schema.dims.values()), c.width, c.heads, c.cross, c.memory, c.dropout)
        fused = self.fusion.width
        self.residual = nn.Sequential(nn.Linear(fused, fused), nn.ReLU(), nn.Dropout(c.dropout), nn.Linear(fused, fused))
        self.head = classifier(schema, fused, c)
        self.register_buffer("cuts", torch.zeros(BINS - 1))
        nn.init.zeros_(self.mix.weight)  # at first the mean of what the others say
        nn.init.zeros_(self.mix.bias)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The tokens, and the thirds of the scores."""
        self.tokens.fit(batches)
        if self.schema.target.task == "regression":
            scores = torch.cat([b.label[b.labelled].cpu() for b in batches()])
            if len(scores):
                self.cuts.copy_(torch.quantile(scores.float(), torch.arange(1, BINS) / BINS))

    def strata(self, label: Tensor) -> Tensor:
        """(U,) int64: class, likeliest class, or third of the score; anything where there is no label."""
        if self.schema.target.task == "classification":
            return label.clamp_min(0)
        if self.schema.target.task == "soft":
            return torch.nan_to_num(label).argmax(dim=1)
        return torch.bucketize(torch.nan_to_num(label), self.cuts)

    def latent(self, seen: Seen, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Tokens of all modalities in the common space (U, M, L, F), and logarithms of determinants (U, M, L).

        Args:
            seen: what is observed.
            noise: one (U, L, F) a modality, for the channels that it lacks.
        """
        found = [
            flow(torch.cat([x, n[..., x.shape[2] :]], dim=2)) for flow, x, n in zip(self.flows, seen.coded, noise, strict=True)
        ]
        return torch.stack([z for z, _ in found], dim=1), torch.stack([d for _, d in found], dim=1)

    def recovered(self, seen: Seen, noise: Sequence[Tensor]) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities: what was observed, and what the others say of the rest."""
        here = seen.here.unsqueeze(3)  # (U, M, L, 1)
        z = self.latent(seen, noise)[0] * here
        mean = z.sum(dim=1) / here.sum(dim=1).clamp_min(1)  # (U, L, F)
        told = torch.cat([z.transpose(1, 2).flatten(2), seen.here.transpose(1, 2).to(z)], dim=2)  # (U, L, M F + M)
        common = mean + self.mix(told).float()
        drafts = [flow.inverse(common)[..., :w] for flow, w in zip(self.flows, self.tokens.widths, strict=True)]  # type: ignore[operator]
        filled, keys = seen.filled(drafts), seen.here | seen.asked
        return seen.filled([refine(x, keys[:, m]) for m, (refine, x) in enumerate(zip(self.refine, filled, strict=True))])

    def noise(self, seen: Seen) -> list[Tensor]:
        """Numbers for the channels that a modality lacks, a function of seed and utterance: one (U, L, F) each."""
        return [
            functional.pad(seen.noise(self.space - w, self.config.noise_seed, "dicmor", name), (w, 0))
            for w, name in zip(self.tokens.widths, self.schema.dims, strict=True)
        ]

    def answer(self, seen: Seen, coded: Sequence[Tensor]) -> Tensor:
        """Logits (U, C)."""
        fused = self.fusion(self.tokens.decode(seen, coded), seen.here | seen.asked)
        logits: Tensor = self.head(fused + self.residual(fused))
        return logits

    def forward(self, batch: Batch) -> Prediction:
        """Logits (U, C) and recovered frames."""
        seen = self.tokens(batch)
        coded = self.recovered(seen, self.noise(seen))
        return Prediction(self.answer(seen, coded), self.tokens.fill(batch, self.tokens.decode(seen, coded)))

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of the task, of the flows and of the reconstructors."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        noise = [torch.randn(*seen.here.shape[::2], self.space, device=seen.here.device) for _ in self.tokens.widths]
        coded = self.recovered(seen, noise)
        known = truth.here & seen.asked
        errors = [mean_square(x, y, known[:, m]) for m, (x, y) in enumerate(zip(coded, truth.coded, strict=True))]
        return {
            "task": task_loss(self.schema.target, self.answer(seen, coded), observed.label),
            "likelihood": c.recovery * self.unlikely(truth, noise, complete),
            "recovery": c.recovery * torch.stack(errors).sum(),
        }

    def unlikely(self, truth: Seen, noise: Sequence[Tensor], complete: Batch) -> Tensor:
        """Negative log-likelihood a channel of the labelled utterances' tokens, but for a constant."""
        jittered = Seen(truth.key, truth.raw, [x + _JITTER * torch.randn_like(x) for x in truth.coded], truth.here, truth.asked)
        z, stretched = self.latent(jittered, noise)
        stratum = self.strata(complete.label)
        centre, spread = (p[stratum][:, None, None] for p in (self.centre, self.spread))  # (U, 1, 1, F)
        each = (0.5 * ((z - centre) * (-spread).exp()).square() + spread).mean(dim=3) - stretched / self.space  # (U, M, L)
        counts = truth.here & complete.labelled[:, None, None]
        return (each * counts).sum() / counts.sum().clamp_min(1)
