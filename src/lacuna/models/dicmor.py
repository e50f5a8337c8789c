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
from lacuna.models.base import register, task_loss
from lacuna.models.config import check_bounds
from lacuna.models.layers.flow import Flow
from lacuna.models.layers.head import BINS, classifier, strata_count
from lacuna.models.layers.residual import Residual
from lacuna.models.layers.token_recognizer import TokenConfig, TokenRecognizer
from lacuna.models.layers.tokens import Seen, hidden_error
from lacuna.models.space import Space, Span

_JITTER = 0.05  # noise on what flows learn from: the likelihood of points, or of fewer dimensions than channels, has no bound


@dataclass(frozen=True)
class DiCMoRConfig(TokenConfig):
    """Settings of :class:`DiCMoR`, beside those of :class:`TokenConfig`, whose noise is that of channels that a modality lacks.

    Attributes:
        hidden: units of the couplings' networks.
        couplings: of each flow; the paper has 32.
        recovery: weight of the flows' and the reconstructors' losses beside the task.
    """

    hidden: int = 64
    couplings: int = 6
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
        self.check("dicmor")
        check_bounds("dicmor", self, hidden=(1, 8192), couplings=(1, 1024), recovery=(0.0, 1e6))


@register(
    "dicmor",
    title="Distribution-Consistent Modal Recovering for Incomplete Multimodal Learning",
    task="generation",
    paper=(
        "https://openaccess.thecvf.com/content/ICCV2023/html/"
        "Wang_Distribution-Consistent_Modal_Recovering_for_Incomplete_Multimodal_Learning_ICCV_2023_paper.html"
    ),
    year=2023,
    venue="ICCV",
)
class DiCMoR(TokenRecognizer):
    """Wang, Cui and Li, ICCV 2023: each modality has an invertible map to one space; what is missing is mapped back from there.

    z_m = F_m(x_m) follows a Gaussian whose mean and spread depend on the class; a missing modality is F_m^-1 of what the others
    say of z, refined by residual channel attention. The loss is the task's, plus 0.1 times the flows' negative log-likelihood and
    the reconstruction. Different from the published code: channels are permuted; the target is a fixed whitened code; modalities
    of fewer channels than the widest have noise in the rest (augmented flows, Huang et al., 2020); classes are asked for in
    training only, and are low, middle and high scores (thirds of training) for a regression target.
    """

    Config = DiCMoRConfig
    config: DiCMoRConfig
    cuts: Tensor

    def __init__(self, schema: Schema, config: Any = None) -> None:
        super().__init__(schema, config)
        c, widths, m = self.config, self.tokens.widths, len(schema.dims)
        self.space = max(2, *widths)
        self.flows = nn.ModuleList(Flow(self.space, c.hidden, c.couplings) for _ in widths)
        strata = strata_count(schema.target)
        self.centre, self.spread = (nn.Parameter(torch.zeros(strata, self.space)) for _ in range(2))
        self.mix = nn.Linear(m * self.space + m, self.space)
        self.refine = self.reconstructors()
        self.fusion = self.crossmodal()
        self.residual = Residual(self.fusion.width, self.fusion.width, nn.ReLU(), c.dropout)
        self.head = classifier(schema, self.fusion.width, c)
        self.register_buffer("cuts", torch.zeros(BINS - 1))
        nn.init.zeros_(self.mix.weight)  # at first the mean of what the others say
        nn.init.zeros_(self.mix.bias)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The tokens, and the thirds of the scores."""
        super().prepare(batches)
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

    def recovered(self, seen: Seen) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities when it answers."""
        lacking = [  # a function of seed and utterance, for the channels that a modality lacks
            functional.pad(seen.noise(self.space - w, self.config.noise_seed, "dicmor", name), (w, 0))
            for w, name in zip(self.tokens.widths, self.schema.dims, strict=True)
        ]
        return self.mapped(seen, lacking)

    def mapped(self, seen: Seen, noise: Sequence[Tensor]) -> list[Tensor]:
        """Codes (U, L, w_m) of all modalities: what was observed, and what the others say of the rest."""
        here = seen.here.unsqueeze(3)  # (U, M, L, 1)
        z = self.latent(seen, noise)[0] * here
        mean = z.sum(dim=1) / here.sum(dim=1).clamp_min(1)  # (U, L, F)
        told = torch.cat([z.transpose(1, 2).flatten(2), seen.here.transpose(1, 2).to(z)], dim=2)  # (U, L, M F + M)
        common = mean + self.mix(told).float()
        drafts = [flow.inverse(common)[..., :w] for flow, w in zip(self.flows, self.tokens.widths, strict=True)]  # type: ignore[operator]
        coded: list[Tensor] = self.refine(seen, drafts)
        return coded

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Of the task, of the flows and of the reconstructors."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        noise = [torch.randn(*seen.here.shape[::2], self.space, device=seen.here.device) for _ in self.tokens.widths]
        coded = self.mapped(seen, noise)
        logits = self.answer(self.fused(seen, self.tokens.decode(seen, coded)))
        return {
            "task": task_loss(self.schema.target, logits, observed.label),
            "likelihood": c.recovery * self.unlikely(truth, noise, complete),
            "recovery": c.recovery * hidden_error(coded, truth, seen),
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
