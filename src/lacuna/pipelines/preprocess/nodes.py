"""Train-only statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus import Corpus
from lacuna.corpus.statistics import fit_statistics


def take_statistics(corpus: Corpus) -> dict[str, NDArray[np.float32]]:
    """Return mean and scale of every column over the training split, by flat tensor names."""
    return fit_statistics(corpus).to_tensors()
