"""How much the loss falls when a modality is added to those that were observed, measured on validation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.schema import Target
from lacuna.models.layers.temperature import pattern_code

MOST = 4  # modalities; with more, too many sets would have to be tried
LEAST = 10  # dialogues; with fewer, a mean says nothing
SURE = 1.96  # standard errors of a two-sided 95 % interval


class AddedModality(nn.Module):
    """Mean fall of the validation loss when modality m is added to a set S of modalities: a table, fitted once after training.

    The loss is the log loss in nats (classes, soft labels) or the absolute error (values). Each mean is over the labelled
    utterances that have S and m; both losses are of the same utterances, so what makes an utterance hard cancels. The standard
    error is that of a mean of clusters, which are the dialogues.

    Args:
        modalities: M.

    Attributes:
        gain: (P, M) float64, P = 2 ** M sets by :func:`~lacuna.models.layers.temperature.pattern_code`; P = 0 above :data:`MOST`.
        error: (P, M) float64 standard error of the gain; inf = not measured, or m is in S.
    """

    gain: Tensor
    error: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.modalities = modalities
        shape = 2**modalities if modalities <= MOST else 0, modalities
        self.register_buffer("gain", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("error", torch.full(shape, torch.inf, dtype=torch.float64))

    def fit(self, losses: Tensor, had: Tensor, dialogue: Tensor) -> None:
        """Measure all gains.

        Args:
            losses: (N, P) loss of each labelled validation utterance if every utterance keeps the modalities of set p alone.
            had: (N, M) bool, modalities that the utterance has in the data.
            dialogue: (N,) int64 codes.
        """
        losses, had, dialogue = losses.double().cpu(), had.cpu(), dialogue.cpu()
        code = pattern_code(had)
        for before in range(len(self.gain)):
            for m in range(self.modalities):
                after = before | 1 << m
                rows = (code & after) == after
                if after != before and len(set(dialogue[rows].tolist())) >= LEAST:
                    gains = losses[rows, before] - losses[rows, after]
                    self.gain[before, m] = gains.mean()
                    self.error[before, m] = clustered_error(gains, dialogue[rows])

    def best(self, available: Tensor) -> Tensor:
        """Return the absent modality with the largest gain: (U, M) bool -> (U,) int64; -1 = none is surely above 0."""
        if not len(self.gain):
            return torch.full(available.shape[:1], -1)
        sure = self.gain > SURE * self.error  # (P, M)
        chosen = torch.where(sure, self.gain, -torch.inf).argmax(dim=1).where(sure.any(dim=1), -1)  # (P,)
        return chosen[pattern_code(available)]


def clustered_error(values: Tensor, cluster: Tensor) -> Tensor:
    """Return the standard error of a mean of values (N,) that are dependent inside of clusters (N,).

    >>> float(clustered_error(torch.tensor([1.0, 1.0, -1.0, -1.0]), torch.tensor([0, 0, 1, 1])))  # two clusters: two numbers
    1.0
    """
    _, place = cluster.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    sums = torch.zeros(int(place.max()) + 1, dtype=values.dtype).index_add_(0, place, values - values.mean())
    clusters = len(sums)
    return (sums.square().sum() * clusters / (clusters - 1)).sqrt() / len(values)


def losses_of(target: Target, logits: Tensor, label: Tensor) -> Tensor:
    """Return the loss of each labelled utterance: (N, C) logits or (N, 1) values, (N, ...) labels -> (N,)."""
    if target.task == "regression":
        return (logits.squeeze(-1) - label).abs()
    return functional.cross_entropy(logits, label, reduction="none")
