"""Last layer of the models: a linear map, or one with back-door adjustment, or with a dialogue encoder before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema, Target
from lacuna.models.config import Config, Maci
from lacuna.models.layers.dialogue import Dialogues
from lacuna.models.layers.dialogue_context import DialogueContext

ENCODED = 32  # units of the encoded prototype of each modality
BINS = 3  # strata of a regression target: low, middle and high scores
CONTEXT_DROPOUT = 0.3  # of the dialogue encoder


def strata_count(target: Target) -> int:
    """Return the number of values of the confounder: the number of classes, or 3 (low, middle, high) for regression."""
    return BINS if target.task == "regression" else target.width


def classifier(schema: Schema, width: int, config: Config, zero: bool = False) -> nn.Module:
    """Return the last layer of a model, from (U, width) to (U, C), or to (U, 1) for regression.

    Args:
        schema: modalities and target.
        width: units of the input.
        config: settings of the model; with ``maci.backdoor`` the layer is a :class:`BackdoorHead`, with ``dialogue`` a
            :class:`DialogueHead` before either.
        zero: initialise the weights with 0.
    """
    head: nn.Module
    if config.maci is not None and config.maci.backdoor:
        head = BackdoorHead(schema, width, config.maci, zero)
    else:
        head = nn.Linear(width, schema.target.width)
        if zero:
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
    return DialogueHead(head, width, config.dialogue) if config.dialogue else head


class DialogueHead(nn.Module):
    """Last layer that reads the utterance vectors of the other turns: head(h + context), where context starts at 0.

    Args:
        head: last layer without dialogues.
        width: units of h.
        hidden: units of each direction of the dialogue encoder.

    Attributes:
        turns: of the batch that is being read; set by :class:`lacuna.models.wrappers.in_dialogue.InDialogue`.
    """

    def __init__(self, head: nn.Module, width: int, hidden: int) -> None:
        super().__init__()
        self.context = DialogueContext(width, hidden, width, CONTEXT_DROPOUT)
        self.head = head
        self.turns: tuple[Dialogues, Tensor, Tensor] | None = None

    @staticmethod
    def turns_of(batch: Batch) -> tuple[Dialogues, Tensor, Tensor]:
        """Return the dialogues of a batch, its speakers (D, L) int64, and (D, L) bool: there is a turn."""
        dialogues = Dialogues.of(batch)
        speaker = dialogues.pad(batch.speaker.unsqueeze(1)).squeeze(-1)  # (U, 1) -> (D, L)
        return dialogues, speaker, dialogues.inside(speaker.shape[1])

    def forward(self, h: Tensor) -> Tensor:
        """Return logits (U, C) or values (U, 1) from h (U, width) of all turns of the batch."""
        assert self.turns is not None, "the model is wrapped by InDialogue"
        dialogues, speaker, inside = self.turns
        context: Tensor = dialogues.flat(self.context(dialogues.pad(h), speaker, inside))  # (D, L, width) -> (U, width)
        logits: Tensor = self.head(h + context)
        return logits


class BackdoorHead(nn.Module):
    r"""Classifier with back-door adjustment for a class-related confounder (MCM of CIDer, arXiv 2506.10452).

    .. math:: p(y | do(X)) = \sum_c \pi_c \, \mathrm{softmax}(W_c [h; e_c] + b_c)

    There is one classifier for each value c of the confounder, which is the class (for regression, the third of the scores). Its
    prototype, the mean features of the class in training, is encoded as e_c. For regression the sum is over predicted values.

    Args:
        schema: modalities and target.
        width: units of h.
        maci: settings.
        zero: initialise the weights with 0.
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
        # All classifiers start with the same weights, initialised as in nn.Linear. In a mixture, a classifier that is sure of
        # a wrong class early gets no gradient; of four with different initial weights, one never recovered.
        bound = 0.0 if zero else inputs**-0.5
        start = torch.empty(schema.target.width, inputs + 1).uniform_(-bound, bound).repeat(strata, 1, 1)
        self.weight, self.bias = nn.Parameter(start[..., :-1].clone()), nn.Parameter(start[..., -1].clone())
        self.register_buffer("prototypes", torch.zeros(strata, sum(self.sizes)))
        self.register_buffer("priors", torch.full((strata,), 1 / strata))

    def adjust(self, prototypes: Tensor, priors: Tensor) -> None:
        """Set prototypes and priors of the confounder.

        Args:
            prototypes: (S, sum of d_m) mean features of each stratum of the training split.
            priors: (S,) share of each stratum in the training split.
        """
        self.prototypes.copy_(prototypes)
        self.priors.copy_(priors)

    def forward(self, h: Tensor) -> Tensor:
        """Return log-probabilities (U, C), or expected values (U, 1), from h (U, width)."""
        width = h.shape[-1]
        prototypes, priors = self.prototypes, self.priors
        if not (self.training or self.keeps_classes):
            prototypes = prototypes.mean(dim=0, keepdim=True).expand_as(prototypes)
            occurs = (priors > 0).to(priors)  # the classifier of a class without training examples was never trained
            priors = occurs / occurs.sum()
        from_input = torch.einsum("uh,skh->usk", h, self.weight[..., :width])
        from_prototype = torch.einsum("se,ske->sk", self.encode(prototypes), self.weight[..., width:])
        outputs = (from_input + from_prototype + self.bias).float()  # (U, S, C)
        if self.target.task == "regression":
            return (priors.unsqueeze(-1) * outputs).sum(dim=1)
        # Mixed in log space: probabilities that underflow would be -inf, or NaN in the gradient.
        return torch.logsumexp(functional.log_softmax(outputs, dim=-1) + priors.log().unsqueeze(-1), dim=1)

    def encode(self, prototypes: Tensor) -> Tensor:
        """Return encoded prototypes (S, ENCODED M) from prototypes (S, sum of d_m), once for all utterances."""
        parts = torch.split(prototypes, self.sizes, dim=1)
        return torch.cat([encoder(part) for encoder, part in zip(self.encoders, parts, strict=True)], dim=1)
