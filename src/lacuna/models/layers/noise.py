"""Normal random numbers that are a pure function of (seed, key, purpose, position), as tensors.

Draws of a generative model must not depend on the batch, so there is no random generator. The bits of a key come from
:mod:`lacuna.missing.hashing`, positions are counted from them, and the Box-Muller transform gives normal numbers.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lacuna.missing.hashing import bits, stream_of

_GOLDEN = 0x9E3779B9
_LOW = 0xFFFFFFFF  # 32-bit arithmetic in int64: the low half of a product is correct even after overflow


def normals(keys: Tensor, count: int, seed: int, *names: str) -> Tensor:
    """Return standard normal numbers for each key.

    Args:
        keys: (N,) int64 stable keys, e.g. ``batch.key``.
        count: numbers for each key; a smaller count gives the first of them.
        seed: another seed gives independent numbers.
        names: purpose, modality, ...; other names give independent numbers.

    Returns:
        (N, count) float32 on the device of ``keys``.
    """
    hashed = bits(keys.detach().cpu().numpy().view(np.uint64), stream_of(seed, *names))  # (N,)
    halves = hashed & np.uint64(_LOW), hashed >> np.uint64(32)
    low, high = (torch.from_numpy(half.astype(np.int64)).to(keys.device) for half in halves)
    position = torch.arange(2 * count, device=keys.device) * _GOLDEN
    x = _mix((low[:, None] + position) & _LOW)  # (N, 2 count)
    x = _mix(x ^ high[:, None])
    uniform = (x.double() + 0.5) / 2.0**32  # in (0, 1): its logarithm is finite
    radius, angle = uniform[:, 0::2], uniform[:, 1::2]  # (N, count) each, the same for any count
    return ((-2 * radius.log()).sqrt() * (2 * math.pi * angle).cos()).float()


def _mix(x: Tensor) -> Tensor:
    """Return the lowbias32 hash of 32-bit numbers."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LOW
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LOW
    return x ^ (x >> 16)
