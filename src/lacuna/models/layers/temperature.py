"""Temperatures of an answer: one for each set of available modalities, drawn towards a common one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacuna.corpus.schema import Target

LARGEST = 10  # modalities; with more, only their number is looked at
_GRID = torch.linspace(-2.0, 2.0, 161, dtype=torch.float64)  # of log temperatures


def n_patterns(modalities: int) -> int:
    """Return the number of sets of available modalities that are told from each other."""
    return 2**modalities if modalities <= LARGEST else modalities + 1


def pattern_code(available: Tensor) -> Tensor:
    """Return the code of a set of available modalities, bit m for modality m, or their number: (..., M) bool -> (...) int64."""
    modalities = available.shape[-1]
    ones = torch.ones(modalities, dtype=torch.int64, device=available.device)
    code = 2 ** torch.arange(modalities, device=available.device) if modalities <= LARGEST else ones
    return (available * code).sum(dim=-1)


class PatternTemperature(nn.Module):
    """Divides logits by a temperature that depends on which modalities were observed (Guo et al., ICML 2017, by pattern).

    Each temperature minimises the log loss on validation, with a penalty on its distance from the common one, so that patterns
    with few utterances stay near it. For regression the variance is multiplied instead; the answer itself stays.

    Args:
        modalities: M.
        shrinkage: the penalty is half of that times the squared difference of the log temperatures, against summed nats.
    """

    log_temperature: Tensor

    def __init__(self, modalities: int, shrinkage: float = 20.0) -> None:
        super().__init__()
        self.modalities, self.shrinkage = modalities, shrinkage
        self.register_buffer("log_temperature", torch.zeros(n_patterns(modalities)))

    def pattern(self, available: Tensor) -> Tensor:
        """(..., M) bool -> (...) int64 code of the pattern."""
        return pattern_code(available)

    def forward(self, available: Tensor) -> Tensor:
        """Temperature of each utterance: (..., M) bool -> (..., 1)."""
        return self.log_temperature[self.pattern(available)].exp().unsqueeze(-1)

    def fit(self, target: Target, logits: Tensor, label: Tensor, available: Tensor) -> None:
        """Choose the temperatures.

        Args:
            target: classes or soft labels.
            logits: (N, C) answers on validation at temperature 1, labelled utterances alone.
            label: (N,) int64 or (N, C) float32.
            available: (N, M) bool.
        """
        losses = torch.stack([cross_entropy(target, logits.double().cpu() / t, label.cpu()) for t in _GRID.exp()])  # (G, N)
        self._choose(losses, available)

    def fit_variance(self, squared: Tensor, variance: Tensor, available: Tensor) -> None:
        """Choose the factors of the variance.

        Args:
            squared: (N,) squared errors on validation.
            variance: (N,) as predicted with factor 1.
            available: (N, M) bool.
        """
        scaled = variance.double().cpu() * _GRID.exp()[:, None]  # (G, N)
        self._choose((scaled.log() + squared.double().cpu() / scaled) / 2, available)

    def _choose(self, losses: Tensor, available: Tensor) -> None:
        """Minimise the summed losses (G, N) by pattern."""
        if not losses.shape[1]:
            return
        common = _GRID[losses.sum(dim=1).argmin()]
        total = losses.new_zeros(len(_GRID), len(self.log_temperature))
        total.index_add_(1, self.pattern(available.cpu()), losses)
        total += self.shrinkage / 2 * (_GRID - common).square().unsqueeze(1)
        self.log_temperature.copy_(_GRID[total.argmin(dim=0)])


def cross_entropy(target: Target, logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of each labelled utterance: (N, C) and (N,) int64, or (N, C) for soft labels -> (N,)."""
    truth = label.to(logits.dtype) if target.task == "soft" else label
    return functional.cross_entropy(logits, truth, reduction="none")
