from __future__ import annotations

import pytest
import torch

from lacuna.errors import ConfigError
from lacuna.training.device import autocast, own_random_state, pick_device, random_state, reproducible, restore_random_state

CPU = torch.device("cpu")


def test_a_device_that_is_not_there() -> None:
    assert pick_device("cpu") == CPU
    with pytest.raises(ConfigError, match=r"'cuda:99' is not available: torch .+ sees \d+ CUDA device"):
        pick_device("cuda:99")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_auto_without_cuda_is_the_cpu() -> None:
    assert pick_device("auto") == CPU
    with pytest.raises(ConfigError, match="sees 0 CUDA"):
        pick_device("cuda")


def test_precision() -> None:
    with autocast("float32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with autocast("bfloat16", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_a_random_state_of_its_own() -> None:
    outside = torch.get_rng_state()
    with own_random_state(CPU, 3):
        first, kept, then = torch.rand(3), random_state(CPU), torch.rand(3)
        restore_random_state(CPU, kept)
        assert torch.equal(then, torch.rand(3))
    with own_random_state(CPU, 3):
        assert torch.equal(first, torch.rand(3))
    assert torch.equal(outside, torch.get_rng_state())


def _states() -> tuple[object, ...]:
    memory = torch.utils.deterministic
    return torch.get_num_threads(), torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory


def test_settings_come_back_after_an_error() -> None:
    before = _states()
    inside: list[tuple[object, ...]] = []

    def fail() -> None:
        with reproducible(torch.get_num_threads() + 1):
            inside.append(_states())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside == [(torch.get_num_threads() + 1, 1, False)]
    assert _states() == before
