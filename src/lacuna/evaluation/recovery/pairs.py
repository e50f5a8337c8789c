"""What of a recovery is judged against what.

In standardised units:

* ``utterance``: a slot (utterance and modality) of which the mask took everything. The mean of its true frames is compared with
  the mean of those recovered in their places: many models recover one vector an utterance, and where nothing of a recording
  was seen, frame by frame would mostly measure how the frames vary about it. Means vary less than frames do, so read their
  errors beside those of the mean fill.
* ``frame``: a single frame that the mask took out of a slot of which something else was observed. Frame against frame.

What was originally absent has no truth and is never judged.
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


class Judged(NamedTuple):
    """Pairs of one batch, modality and unit.

    Attributes:
        guess: (R, d) float64, or (S, R, d) draws.
        truth: (R, d) float64.
        rows: (R,) int64 rows of the corpus.
        keys: (R,) uint64, a stable number for each pair.
    """

    guess: Array
    truth: Array
    rows: NDArray[np.int64]
    keys: NDArray[np.uint64]


def pairs_of(
    complete: Batch, observed: Batch, guesses: dict[str, Tensor], rows: NDArray[np.int64]
) -> Iterator[tuple[Place, Judged]]:
    """What of a batch can be judged.

    Args:
        complete: all that the corpus holds.
        observed: the same utterances through a mask.
        guesses: by modality (U, T_m, d_m), or (S, U, T_m, d_m) draws.
        rows: (U,) int64 rows of the corpus.

    Yields:
        (modality, unit) and its pairs; nothing where there are none.

    Raises:
        DataError: a guess is not finite.
    """
    keys = complete.key.cpu().numpy().view(np.uint64)
    for name, guess in guesses.items():
        left = observed.present[name]
        lost = complete.present[name] & ~left  # (U, T)
        partly = left.any(dim=1)
        if not torch.isfinite(guess[..., lost, :]).all():
            raise DataError("a recovery is not finite", modality=name, hint="train again with a smaller learning rate")
        stream = stream_of(0, "recovery", name)
        gone = torch.nonzero(lost.any(dim=1) & ~partly).squeeze(1)  # (R, 1) -> (R,)
        if len(gone):
            where = gone.cpu().numpy()
            means, true = (_means(x[..., gone, :, :], lost[gone]) for x in (guess, complete.features[name]))
            yield (name, "utterance"), Judged(means, true, rows[where], bits(keys[where], stream))
        u, t = torch.nonzero(lost & partly[:, None], as_tuple=True)
        if len(u):
            where, frame = u.cpu().numpy(), t.cpu().numpy().astype(np.uint64)
            frames, true = (_numbers(x[..., u, t, :]) for x in (guess, complete.features[name]))
            yield (name, "frame"), Judged(frames, true, rows[where], bits(bits(keys[where], stream) + frame * _GOLDEN, stream))


def _means(frames: Tensor, lost: Tensor) -> Array:
    """Mean of the frames that were lost: (..., R, T, d) and (R, T) -> (..., R, d)."""
    chosen = torch.where(lost.unsqueeze(-1), frames, torch.zeros_like(frames)).double()
    return _numbers(chosen.sum(dim=-2) / lost.sum(dim=1).unsqueeze(-1))


def _numbers(x: Tensor) -> Array:
    return np.asarray(x.double().cpu().numpy())
