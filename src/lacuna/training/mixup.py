"""Mixup of utterances, in the input or in the hidden vectors, that respects which modalities are available."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.models import Recognizer
from lacuna.models.layers.dialogue import Dialogues

_STREAM = 0x317  # of the draws of mixup, apart from those of the loader


@dataclass(frozen=True)
class Mixup:
    r"""Mix each utterance i of a batch with a partner j, :math:`\lambda x_i + (1 - \lambda) x_j`, as in manifold mixup.

    :math:`\lambda' \sim \mathrm{Beta}(a, a)` once for a batch, the same for all modalities, and
    :math:`\lambda = \max(\lambda', 1 - \lambda')`, so that speaker, turn and tokens of the larger part describe the mixture. The
    loss is :math:`\lambda L(\cdot, y_i) + (1 - \lambda) L(\cdot, y_j)`, which equals mixed labels for cross-entropy and works for
    every model and loss; it takes two forward passes.

    Decided here: partners have the same set of available modalities, and in the input at least one common frame in each of them,
    of which the common frames are mixed and the others dropped. So an absent modality is never mixed into a present one, and no
    modality is lost. An utterance without such a partner is not mixed. For models that read dialogues the partner of a turn is
    the turn at the same position of another dialogue.

    Source: Zhang et al., mixup, ICLR 2018; Verma et al., Manifold Mixup, ICML 2019; for emotion: MEDUSA, arXiv 2506.09556.

    Attributes:
        alpha: a, above 0.
        layer: ``input``, ``hidden``, or ``random`` = one of the two in each update.
        seed: of all draws.
    """

    alpha: float
    layer: str
    seed: tuple[int, ...]

    def over(self, model: Recognizer) -> MixedLosses:
        """Return the losses of a model on mixed utterances."""
        return MixedLosses(self, model)


class Mixture(NamedTuple):
    """A batch pair with the draw that mixes it: mixed already, or to be mixed in the hidden vectors."""

    own: tuple[Batch, Batch]
    of_partner: tuple[Batch, Batch]
    partner: Tensor
    share: float
    hidden: bool


@dataclass
class MixedLosses:
    """Stands for a model in one update; all stages see the same mixtures.

    Attributes:
        mixup: how utterances are mixed.
        model: whose losses are taken.
    """

    mixup: Mixup
    model: Recognizer
    _mixtures: dict[int, Mixture] = field(default_factory=dict)

    def losses(self, complete: Batch, observed: Batch, stage: str) -> dict[str, Tensor]:
        """Return the losses of mixed utterances by name, as :meth:`lacuna.models.Recognizer.losses`."""
        if id(observed) not in self._mixtures:
            self._mixtures[id(observed)] = self._mixture(complete, observed)
        mixture = self._mixtures[id(observed)]
        with mixing(self.model, mixture.partner, mixture.share) if mixture.hidden else nullcontext():
            own = self.model.losses(*mixture.own, stage)
            of_partner = self.model.losses(*mixture.of_partner, stage)
        return {name: mixture.share * value + (1 - mixture.share) * of_partner[name] for name, value in own.items()}

    def _mixture(self, complete: Batch, observed: Batch) -> Mixture:
        generator = np.random.default_rng([*self.mixup.seed, _STREAM])
        drawn = float(generator.beta(self.mixup.alpha, self.mixup.alpha))
        share = max(drawn, 1 - drawn)
        hidden = self.mixup.layer == "hidden" or (self.mixup.layer == "random" and bool(generator.integers(2)))
        partner = partners(observed, self.model.needs_dialogue, generator, share_frames=not hidden)
        if not hidden:
            complete, observed = mixed(complete, partner, share), mixed(observed, partner, share)
        of_partner = _relabelled(complete, partner), _relabelled(observed, partner)
        return Mixture((complete, observed), of_partner, partner, share, hidden)


def _relabelled(batch: Batch, partner: Tensor) -> Batch:
    return replace(batch, label=batch.label[partner], others={name: x[partner] for name, x in batch.others.items()})


def partners(observed: Batch, by_dialogue: bool, generator: np.random.Generator, share_frames: bool = True) -> Tensor:
    """Return the partner of each utterance, (U,) int64 rows of the batch; an utterance that has none is its own.

    Args:
        observed: utterances under the training mask.
        by_dialogue: the partner is the turn at the same position of another dialogue.
        generator: of the draw.
        share_frames: partners have a common frame in each available modality.
    """
    available = observed.available()
    device = available.device
    rows = torch.arange(len(observed), device=device)
    if by_dialogue:
        dialogues = Dialogues.of(observed)
        number = len(dialogues.lengths)
        following = torch.from_numpy(_cycle(generator.permutation(number))).to(device)  # (D,) another dialogue
        table = dialogues.pad(rows.unsqueeze(1) + 1).squeeze(2)  # (U, 1) -> (D, L), 0 = no turn
        candidate = table[following[dialogues.row], dialogues.column] - 1
        candidate = torch.where(candidate >= 0, candidate, rows)
    else:
        sets = np.unique(available.cpu().numpy(), axis=0, return_inverse=True)[1].reshape(-1)  # (U,) code of the set
        candidate_rows = np.arange(len(observed))
        for code in range(int(sets.max(initial=-1)) + 1):
            alike = np.flatnonzero(sets == code)
            candidate_rows[alike] = alike[_cycle(generator.permutation(len(alike)))]
        candidate = torch.from_numpy(candidate_rows).to(device)
    fits = (available[candidate] == available).all(dim=1)
    if share_frames:
        common = torch.stack([(p & p[candidate]).any(dim=1) for p in observed.present.values()], dim=1)  # (U, M)
        fits &= (common == available).all(dim=1)
    return torch.where(fits, candidate, rows)


def _cycle(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (N,) int64: what follows each number in a cyclic order."""
    following = np.empty_like(order)
    following[order] = np.roll(order, -1)
    return following


def mixed(batch: Batch, partner: Tensor, share: float) -> Batch:
    """Return the batch with each utterance mixed with its partner where both have a frame; other frames are dropped.

    Args:
        batch: complete or observed utterances.
        partner: (U,) int64 rows; an utterance that is its own partner stays as it is.
        share: of the utterance itself, 0 to 1.
    """
    together = {m: p & p[partner] for m, p in batch.present.items()}
    features = {m: torch.lerp(x[partner], x, share) for m, x in batch.features.items()}
    return replace(batch, features=features).observe(together)


@contextmanager
def mixing(model: Recognizer, partner: Tensor, share: float) -> Iterator[None]:
    """Mix what the last layer and the auxiliary heads of a model read, while the context is open."""

    def mix(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden: Tensor = inputs[0]
        return (torch.lerp(hidden[partner], hidden, share), *inputs[1:])

    parts = [part for part in model.modules() if isinstance(part, Recognizer) and part.gives_hidden and hasattr(part, "head")]
    heads = [head for part in parts for head in (part.head, *part.auxiliary_heads)]
    hooks = [head.register_forward_pre_hook(mix) for head in heads if isinstance(head, nn.Module)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
