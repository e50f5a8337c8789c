"""A loop in an exported graph, where the number of steps is not known."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def loop(step: Callable[..., tuple[Tensor, Tensor]], state: Tensor, *inputs: Tensor) -> Tensor:
    """Apply a step to a state once for each row of the inputs; in an exported graph it is one operation.

    Args:
        step: from a state and a row of each input to the next state and an output, which are different tensors.
        state: the first.
        inputs: (N, ...) each; N >= 1.

    Returns:
        The N outputs, stacked.
    """
    from torch._higher_order_ops import scan

    def together(state: Tensor, rows: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        state, output = step(state, *rows)
        return state.contiguous(), output.contiguous()

    outputs: Tensor = scan(together, state.contiguous(), inputs)[1]
    return outputs
