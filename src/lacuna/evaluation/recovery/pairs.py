"""Pairs of recovered and true vectors: what is compared with what, in standardised units.

* ``utterance``: a modality of an utterance that the mask removed completely. The mean of its true frames is compared with the
  mean of the recovered frames: many models recover one vector for an utterance, and without any observed frame, single frames
  would mostly measure how frames vary about their mean. Means vary less than frames, so compare these errors with the mean fill.
* ``frame``: a single frame that the mask removed while another frame of the same utterance and modality was observed.

What the corpus itself lacks has no true value and is never compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.errors import DataError
from lacuna.metrics.counts import Array
from lacuna.missing.hashing import bits, stream_of

Place = tuple[str, str]  # modality, unit
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Pairs(NamedTuple):
    """Pairs of one batch, modality and unit.

    Attributes:
        guess: (R, d) float64 recovered vectors, or (S, R, d) draws.
        truth: (R, d) float64 true vectors.
        rows: (R,) int64 rows of the corpus.
        keys: (R,) uint64 hash of each pair, independent of model and batch.
    """

    guess: Array
    truth: Array
    rows: NDArray[np.int64]
    keys: NDArray[np.uint64]


def pairs_of(
    complete: Batch, observed: Batch, recovered: dict[str, Tensor], rows: NDArray[np.int64], judged: NDArray[np.bool_]
) -> Iterator[tuple[Place, Pairs]]:
    """Yield the pairs of a batch, by modality and unit; units without a pair are left out.

    Args:
        complete: all that the corpus holds of U utterances.
        observed: the same utterances through a mask.
        recovered: by modality (U, T_m, d_m), or (S, U, T_m, d_m) draws.
        rows: (U,) int64 rows of the corpus.
        judged: (U,) bool, which utterances are compared; others are context.

    Raises:
        DataError: a recovered value is not finite.
    """
    keys = complete.key.cpu().numpy().view(np.uint64)
    compared = torch.from_numpy(judged).to(complete.key.device)
    for name, guess in recovered.items():
        present = observed.present[name]
        lost = complete.present[name] & ~present & compared[:, None]  # (U, T)
        partly = present.any(dim=1)
        if not torch.isfinite(guess[..., lost, :]).all():
            u = int(torch.nonzero(lost.any(dim=1))[0])
            raise DataError(
                "a recovered value is not finite",
                modality=name,
                expected="finite numbers",
                found=f"NaN or inf in the batch of utterance '{complete.ids[u]}'",
                hint="train again with a smaller learning rate",
            )
        stream = stream_of(0, "recovery", name)
        removed = torch.nonzero(lost.any(dim=1) & ~partly).squeeze(1)  # (R, 1) -> (R,)
        if len(removed):
            index = removed.cpu().numpy()
            means, truth = (_means(x[..., removed, :, :], lost[removed]) for x in (guess, complete.features[name]))
            yield (name, "utterance"), Pairs(means, truth, rows[index], bits(keys[index], stream))
        u_frame, t_frame = torch.nonzero(lost & partly[:, None], as_tuple=True)
        if len(u_frame):
            index, time = u_frame.cpu().numpy(), t_frame.cpu().numpy().astype(np.uint64)
            frames, truth = (_float64(x[..., u_frame, t_frame, :]) for x in (guess, complete.features[name]))
            yield (name, "frame"), Pairs(frames, truth, rows[index], bits(bits(keys[index], stream) + time * _GOLDEN, stream))


def _means(frames: Tensor, lost: Tensor) -> Array:
    """Return the mean of the lost frames: (..., R, T, d) and (R, T) -> (..., R, d)."""
    chosen = torch.where(lost.unsqueeze(-1), frames, torch.zeros_like(frames))
    return _float64(chosen.sum(dim=-2, dtype=torch.float64) / lost.sum(dim=1).unsqueeze(-1))


def _float64(x: Tensor) -> Array:
    return np.asarray(x.double().cpu().numpy())
