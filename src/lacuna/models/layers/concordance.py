"""Loss from the concordance correlation coefficient (CCC)."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 1e-8  # of the denominator


def concordance_loss(values: Tensor, label: Tensor) -> Tensor:
    r"""Return 1 - CCC of the labelled utterances (Lin, Biometrics 1989), a scalar from 0 to 2; 0 if none is labelled.

    .. math:: CCC = \frac{2 s_{xy}}{s_x^2 + s_y^2 + (\mu_x - \mu_y)^2}

    with moments of the batch (variances divided by the number of utterances). Where predictions or labels do not vary, as with a
    single utterance, the CCC is 0 and a common shift of all predictions has no gradient.

    Args:
        values: (U,) float predictions.
        label: (U,) float; NaN = unlabelled.

    >>> round(float(concordance_loss(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 2.0, 3.0]))), 4)
    0.1429
    """
    labelled = torch.isfinite(label)
    count = labelled.sum().clamp_min(1)
    x, y = (value.float().where(labelled, 0.0) for value in (values, label))
    mean_x, mean_y = x.sum() / count, y.sum() / count
    x, y = ((value - mean) * labelled for value, mean in ((x, mean_x), (y, mean_y)))
    denominator = (x.square().sum() + y.square().sum()) / count + (mean_x - mean_y).square()
    ccc = 2 * (x * y).sum() / count / denominator.clamp_min(_LEAST)
    return (1 - ccc) * labelled.any()
