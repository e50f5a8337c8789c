"""Device, precision, threads, and a random state that is separate from the global one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from lacuna.errors import ConfigError


def pick_device(wanted: str) -> torch.device:
    """Return the device of a name; ``auto`` takes the current CUDA device if there is one.

    Raises:
        ConfigError: the device is not there.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(wanted.partition(":")[2]) if ":" in wanted else None
    if n_devices <= (number or 0):
        hint = f"torch {torch.__version__} sees {n_devices} CUDA device(s); use auto or cpu"
        raise ConfigError(f"device '{wanted}' is not available: {hint}")
    return torch.device("cuda", torch.cuda.current_device() if number is None else number)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context of the forward passes: bfloat16 autocast or plain float32.

    Args:
        precision: ``float32`` or ``bfloat16``.
        device: where the passes run.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


@contextmanager
def own_random_state(device: torch.device, seed: int) -> Iterator[None]:
    """Make what torch draws globally inside a function of ``seed``; the state outside is restored afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
        if device.type == "cuda":
            torch.cuda.set_rng_state(torch.Generator(device).manual_seed(seed).get_state(), device)
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the states that dropout draws from, as tensors for a checkpoint."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_state(device: torch.device, states: dict[str, Tensor]) -> None:
    """Restore what :func:`random_state` returned; to be called inside :func:`own_random_state`."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def reproducible(threads: int | None) -> Iterator[None]:
    """Use deterministic kernels and a number of CPU threads; both are restored afterwards.

    On CUDA an operation without a deterministic kernel warns instead of failing.
    """
    memory: Any = torch.utils.deterministic
    mode, fill, before = torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory, torch.get_num_threads()
    try:
        torch.set_deterministic_debug_mode("warn")  # what use_deterministic_algorithms() does, but it imports the compiler
        memory.fill_uninitialized_memory = False  # a debugging aid that costs a pass over every new tensor
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = fill
        if threads is not None:
            torch.set_num_threads(before)
