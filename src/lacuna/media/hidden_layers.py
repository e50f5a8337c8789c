"""Which hidden layers of a network an encoder reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lacuna.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

NAMED = ("last", "mean")


def check_layers(layers: str | list[int] | tuple[int, ...], network: str) -> str | tuple[int, ...]:
    """Return a setting of layers, a list as a tuple.

    Args:
        layers: ``last``; ``mean`` = the mean of all hidden layers; or numbers of hidden layers, e.g. ``[6, 9]``.
        network: its name, for the message.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(layers, list | tuple) and layers and all(type(n) is int for n in layers):
        return tuple(layers)
    if isinstance(layers, str) and layers in NAMED:
        return layers
    raise ConfigError(
        f"layers of '{network}' is 'last', 'mean' or a list of whole numbers, found {layers!r}\n  do: set e.g. layers: [3, 6]"
    )


def chosen_layers(hidden: tuple[Tensor, ...], layers: str | tuple[int, ...], network: str) -> Tensor:
    """Return the features of the chosen layers.

    Args:
        hidden: (1, T, d) of each layer, the input of the first one in front.
        layers: see :func:`check_layers`. 0 is the input of the first layer, -1 the last layer.
        network: its name, for the message.

    Returns:
        (T, d), or (T, n d) for n numbered layers, side by side.

    Raises:
        ConfigError: the network has no such layer.
    """
    import torch

    if layers == "last":
        return hidden[-1][0]
    if layers == "mean":
        return torch.stack(hidden[1:]).mean(dim=0)[0]
    numbers = [n for n in layers if isinstance(n, int)]
    if wrong := [n for n in numbers if not -len(hidden) <= n < len(hidden)]:
        raise ConfigError(f"'{network}' has the layers 0 to {len(hidden) - 1}; found layer {wrong[0]}\n  do: correct layers")
    return torch.cat([hidden[n][0] for n in numbers], dim=-1)
