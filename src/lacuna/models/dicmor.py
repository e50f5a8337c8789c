"""DiCMoR: distribution-consistent modal recovering by normalising flows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.base import register
from lacuna.models.config import check_bounds
from lacuna.models.layers.head import BINS, strata_count
from lacuna.models.layers.token_recognizer import TokenConfig, TokenRecognizer
from lacuna.models.layers.tokens import TokenBatch, hidden_error
from lacuna.models.space import Space, Span

_JITTER = 0.05  # noise on the training codes of the flows, because the likelihood of single points has no upper bound
_MOST = 2.0  # largest absolute log scale of a step, which changes a number at most by a factor of 7


@dataclass(frozen=True)
class DiCMoRConfig(TokenConfig):
    """Settings of :class:`DiCMoR`, in addition to those of :class:`TokenConfig`.

    Attributes:
        hidden: units of the networks of the couplings.
        couplings: number of couplings of each flow; the paper has 32.
        recovery: weight of the losses of flows and reconstructors; the task loss has weight 1.
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


class Coupling(nn.Module):
    """Step of a flow: scale and shift of each channel, a permutation, then an affine coupling.

    Half of the channels are scaled and shifted by a function of the other half, as in Glow (Kingma and Dhariwal, NeurIPS 2018),
    here with a fixed permutation. The published code of DiCMoR creates permutations but does not apply them, so half of the
    channels pass all couplings unchanged.

    Args:
        width: W, number of channels, at least 2.
        hidden: units of the inner network.
        seed: seed of the permutation.
    """

    order: Tensor
    back: Tensor

    def __init__(self, width: int, hidden: int, seed: int) -> None:
        super().__init__()
        self.kept = width // 2
        self.scale, self.shift = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        order = torch.randperm(width, generator=torch.Generator().manual_seed(seed))
        # Channels that the previous coupling changed come first, so two couplings change every channel.
        order = torch.cat([order[order >= self.kept], order[order < self.kept]])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)
        self.tell = nn.Sequential(nn.Linear(self.kept, hidden), nn.GELU(), nn.Linear(hidden, 2 * (width - self.kept)))
        nn.init.zeros_(self.tell[-1].weight)  # type: ignore[arg-type] # starts as the identity
        nn.init.zeros_(self.tell[-1].bias)  # type: ignore[arg-type]

    def conditioned(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Return log scale and shift of the changed half, given the kept half."""
        scale, shift = self.tell(kept).float().chunk(2, dim=-1)
        return _MOST * torch.tanh(scale / _MOST), shift

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (..., W) and the log determinant (...,) from (..., W)."""
        scale = _MOST * torch.tanh(self.scale / _MOST)
        x = (x * scale.exp() + self.shift)[..., self.order]
        kept, moved = x[..., : self.kept], x[..., self.kept :]
        log_scale, shift = self.conditioned(kept)
        return torch.cat([kept, moved * log_scale.exp() + shift], dim=-1), log_scale.sum(dim=-1) + scale.sum()

    def inverse(self, z: Tensor) -> Tensor:
        """Return the inverse (..., W) of (..., W)."""
        kept, moved = z[..., : self.kept], z[..., self.kept :]
        log_scale, shift = self.conditioned(kept)
        x = torch.cat([kept, (moved - shift) * (-log_scale).exp()], dim=-1)[..., self.back]
        return (x - self.shift) * (-_MOST * torch.tanh(self.scale / _MOST)).exp()


class Flow(nn.Module):
    """Normalising flow: a sequence of couplings.

    Args:
        width: W, number of channels, at least 2.
        hidden: units of the network of each coupling.
        couplings: number of couplings.
    """

    def __init__(self, width: int, hidden: int, couplings: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(width, hidden, seed) for seed in range(couplings))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (..., W) and the log determinant (...,) from (..., W)."""
        total = x.new_zeros(x.shape[:-1])
        for coupling in self.couplings:
            x, log_determinant = coupling(x)
            total = total + log_determinant
        return x, total

    def inverse(self, z: Tensor) -> Tensor:
        """Return the inverse (..., W) of (..., W)."""
        for coupling in reversed(self.couplings):
            z = coupling.inverse(z)  # type: ignore[operator]
        return z


@register(
    "dicmor",
    title="Distribution-Consistent Modal Recovering for Incomplete Multimodal Learning",
    task="generation",
    modalities=("text", "audio", "vision"),
    paper=(
        "https://openaccess.thecvf.com/content/ICCV2023/html/"
        "Wang_Distribution-Consistent_Modal_Recovering_for_Incomplete_Multimodal_Learning_ICCV_2023_paper.html"
    ),
    year=2023,
    venue="ICCV",
)
class DiCMoR(TokenRecognizer):
    r"""Distribution-consistent modal recovering of Wang, Cui and Li (ICCV 2023, https://github.com/mdswyz/DiCMoR).

    A normalising flow :math:`F_m` maps each modality to one latent space, :math:`z_m = F_m(x_m)`, with a Gaussian whose mean and
    standard deviation depend on the class. A missing modality is :math:`F_m^{-1}` of a latent vector that is predicted from the
    observed modalities, refined by residual channel attention.

    .. math:: L = L_{task} + 0.1 (L_{likelihood} + L_{reconstruction})

    Differences from the published code: channels are permuted; the target is a fixed whitened code; modalities with fewer
    channels than the widest one are padded with noise (augmented flows, Huang et al., 2020); classes are needed in training only;
    for regression the classes are the thirds of the training scores.
    """

    Config = DiCMoRConfig
    config: DiCMoRConfig
    tiny: ClassVar[Mapping[str, Any]] = {**TokenRecognizer.tiny, "hidden": 32, "couplings": 2}
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
        self.add_fusion()
        self.add_head()
        self.register_buffer("cuts", torch.zeros(BINS - 1))
        nn.init.zeros_(self.mix.weight)  # starts as the mean of the observed latents
        nn.init.zeros_(self.mix.bias)

    def prepare(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Set tokens and code, and for regression the limits of the thirds of the scores."""
        super().prepare(batches)
        if self.schema.target.task == "regression":
            scores = torch.cat([b.label[b.labelled].cpu() for b in batches()])
            if len(scores):
                self.cuts.copy_(torch.quantile(scores.float(), torch.arange(1, BINS) / BINS))

    def strata(self, label: Tensor) -> Tensor:
        """Return (U,) int64: class, most likely class, or third of the score; arbitrary for unlabelled utterances."""
        if self.schema.target.task == "classification":
            return label.clamp_min(0)
        if self.schema.target.task == "soft":
            return torch.nan_to_num(label).argmax(dim=1)
        return torch.bucketize(torch.nan_to_num(label), self.cuts)

    def latent(self, seen: TokenBatch, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return latents of all tokens (U, M, L, F) and log determinants (U, M, L).

        Args:
            seen: observed tokens.
            noise: one (U, L, F) for each modality; only the channels that the modality lacks are used.
        """
        mapped = [
            flow(torch.cat([x, n[..., x.shape[2] :]], dim=2)) for flow, x, n in zip(self.flows, seen.coded, noise, strict=True)
        ]
        return torch.stack([z for z, _ in mapped], dim=1), torch.stack([d for _, d in mapped], dim=1)

    def recovered(self, seen: TokenBatch) -> list[Tensor]:
        """Return codes (U, L, w_m) of all modalities for a prediction."""
        padding = [  # noise depends on seed and utterance only; (U, L, F - w) -> (U, L, F)
            functional.pad(seen.noise(self.space - w, self.config.noise_seed, "dicmor", name), (w, 0))
            for w, name in zip(self.tokens.widths, self.schema.dims, strict=True)
        ]
        return self.mapped(seen, padding)

    def mapped(self, seen: TokenBatch, noise: Sequence[Tensor]) -> list[Tensor]:
        """Return codes (U, L, w_m) of all modalities: observed ones unchanged, missing ones from the latents of the others."""
        observed = seen.observed.unsqueeze(3)  # (U, M, L, 1)
        z = self.latent(seen, noise)[0] * observed
        mean = z.sum(dim=1) / observed.sum(dim=1).clamp_min(1)  # (U, L, F)
        latents = z.transpose(1, 2).flatten(2)  # (U, M, L, F) -> (U, L, M F)
        inputs = torch.cat([latents, seen.observed.transpose(1, 2).to(z)], dim=2)  # (U, L, M F + M)
        common = mean + self.mix(inputs).float()
        drafts = [flow.inverse(common)[..., :w] for flow, w in zip(self.flows, self.tokens.widths, strict=True)]  # type: ignore[operator]
        coded: list[Tensor] = self.refine(seen, drafts)
        return coded

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of task, flows and reconstructors."""
        c, seen, truth = self.config, self.tokens(observed), self.tokens(complete)
        noise = [torch.randn(*seen.observed.shape[::2], self.space, device=seen.observed.device) for _ in self.tokens.widths]
        coded = self.mapped(seen, noise)
        logits = self.answer(self.fused(seen, self.tokens.decode(seen, coded)))
        return {
            "task": self.task_loss(logits, observed.label),
            "likelihood": c.recovery * self.negative_log_likelihood(truth, noise, complete),
            "recovery": c.recovery * hidden_error(coded, truth, seen),
        }

    def negative_log_likelihood(self, truth: TokenBatch, noise: Sequence[Tensor], complete: Batch) -> Tensor:
        """Return the mean negative log-likelihood of a channel of the tokens of labelled utterances, up to a constant."""
        jittered = TokenBatch(
            truth.key, truth.raw, [x + _JITTER * torch.randn_like(x) for x in truth.coded], truth.observed, truth.missing
        )
        z, log_determinant = self.latent(jittered, noise)
        stratum = self.strata(complete.label)
        centre, spread = (p[stratum][:, None, None] for p in (self.centre, self.spread))  # (U, 1, 1, F)
        errors = (0.5 * ((z - centre) * (-spread).exp()).square() + spread).mean(
            dim=3
        ) - log_determinant / self.space  # (U, M, L)
        counts = truth.observed & complete.labelled[:, None, None]
        return (errors * counts).sum() / counts.sum().clamp_min(1)
