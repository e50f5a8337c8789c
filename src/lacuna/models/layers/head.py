"""From a vector an utterance to the answer: a linear map, or one that adjusts for the class-related confounder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.schema import Schema, Target
from lacuna.models.config import Config, Maci

ENCODED = 32  # width of an encoded prototype, a modality
BINS = 3  # strata of a regression target: low, middle and high scores


def strata_count(target: Target) -> int:
    """How many values the confounder has: one a class, or low, middle and high scores."""
    return BINS if target.task == "regression" else target.width


def classifier(schema: Schema, width: int, config: Config, zero: bool = False) -> nn.Module:
    """The last layer of a model: (U, width) -> (U, C), or (U, 1) for regression.

    Args:
        schema: what the model is built for.
        width: of the vector that it reads.
        config: the model's settings; ``maci`` with its ``backdoor`` switched on makes it a :class:`BackdoorHead`.
        zero: start from no opinion.
    """
    if config.maci is not None and config.maci.backdoor:
        return BackdoorHead(schema, width, config.maci, zero)
    head = nn.Linear(width, schema.target.width)
    if zero:
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    return head


class BackdoorHead(nn.Module):
    """Back-door adjustment over a label-related confounder (CIDer's MCM, arXiv 2506.10452).

    ``p(y | do(X)) = sum_c pi_c softmax(W_c [h; e_c] + b_c)``, one classifier a value c of the confounder, which is the class (or
    the third of the scores) whose typical features z_c are encoded as e_c. For regression the sum is over the values themselves.

    Args:
        schema: modalities, and the target that the strata come from.
        width: of h.
        maci: settings.
        zero: start from no opinion.
    """

    prototypes: Tensor
    priors: Tensor

    def __init__(self, schema: Schema, width: int, maci: Maci, zero: bool = False) -> None:
        super().__init__()
        self.target, self.keeps_classes = schema.target, maci.inference == "classes"
        self.sizes = list(schema.dims.values())
        strata, inputs = strata_count(schema.target), width + ENCODED * len(self.sizes)
        self.encoders = nn.ModuleList(
            nn.Sequential(
                *(nn.Linear(size, ENCODED), nn.ReLU(), nn.Linear(ENCODED, ENCODED), nn.ReLU()),
                *(nn.Linear(ENCODED, ENCODED), nn.ReLU()),
            )
            for size in self.sizes
        )
        # All classifiers start alike, each as nn.Linear would. In a mixture one that is soon sure of a wrong class gets no more
        # gradient; of four that started apart one stayed lost for good.
        bound = 0.0 if zero else inputs**-0.5
        start = torch.empty(schema.target.width, inputs + 1).uniform_(-bound, bound).repeat(strata, 1, 1)
        self.weight, self.bias = nn.Parameter(start[..., :-1].clone()), nn.Parameter(start[..., -1].clone())
        self.register_buffer("prototypes", torch.zeros(strata, sum(self.sizes)))
        self.register_buffer("priors", torch.full((strata,), 1 / strata))

    def adjust(self, prototypes: Tensor, priors: Tensor) -> None:
        """Set what the confounder looks like.

        Args:
            prototypes: (S, sum of d_m) typical features of each stratum of the training split.
            priors: (S,) how often it occurs there.
        """
        self.prototypes.copy_(prototypes)
        self.priors.copy_(priors)

    def forward(self, h: Tensor) -> Tensor:
        """Log-probabilities (U, C), or expected values (U, 1), from h (U, width)."""
        width = h.shape[-1]
        prototypes, priors = self.prototypes, self.priors
        if not (self.training or self.keeps_classes):
            prototypes = prototypes.mean(dim=0, keepdim=True).expand_as(prototypes)
            there = (priors > 0).to(priors)  # nobody ever trained the classifier of a class that training does not hold
            priors = there / there.sum()
        own = torch.einsum("uh,skh->usk", h, self.weight[..., :width])
        typical = torch.einsum("se,ske->sk", self.encode(prototypes), self.weight[..., width:])
        answers = (own + typical + self.bias).float()  # (U, S, C)
        if self.target.task == "regression":
            return (priors.unsqueeze(-1) * answers).sum(dim=1)
        # Mixed in log space: probabilities that underflow would be -inf, or NaN in the gradient.
        return torch.logsumexp(functional.log_softmax(answers, dim=-1) + priors.log().unsqueeze(-1), dim=1)

    def encode(self, prototypes: Tensor) -> Tensor:
        """Prototypes (S, sum of d_m) -> (S, ENCODED * M): once a pass, as they are the same for every utterance."""
        parts = torch.split(prototypes, self.sizes, dim=1)
        return torch.cat([encoder(part) for encoder, part in zip(self.encoders, parts, strict=True)], dim=1)
