"""Data-parallel training: several processes train one model, and each of them computes a part of every batch.

All processes draw the same batches and masks. A process takes some of the utterances of a batch (whole dialogues if the model
reads dialogues), and its losses are weighted by its share of the labelled utterances. So the sum of the gradients over the
processes is the gradient of the mean loss over the whole batch, as if one process had computed it. ``torch.distributed`` sums
(gloo on the CPU, NCCL on CUDA); it is imported only when it is used.

Equal up to rounding is a loss that is a mean over labelled utterances, without random numbers in the forward pass. Means over
frames or over unlabelled utterances, losses that compare the utterances of a batch (contrastive ones), batch normalisation and
dropout differ from those of one process: each process computes them on its part.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lacuna.errors import TrainingError
from lacuna.missing import derive_seed
from lacuna.progress import shown_by
from lacuna.training.device import own_random_state

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes that train one model together, as one of them sees them. A process alone is one of one.

    Attributes:
        rank: number of this process, from 0. Process 0 validates and writes checkpoints and logs.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> Processes:
        """Return the processes of the default group of ``torch.distributed``; without a group this process is alone."""
        dist: Any = sys.modules.get("torch.distributed")
        if dist is None or not dist.is_available() or not dist.is_initialized():
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Return whether this process is number 0."""
        return self.rank == 0

    def of_first(self, value: T) -> T:
        """Return the value that process 0 passes; the others wait for it."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        values: list[Any] = [value if self.first else None]
        with _connected():
            dist.broadcast_object_list(values, src=0)
        result: T = values[0]
        return result

    def gathered(self, value: T) -> list[T]:
        """Return what every process passes, in the order of their numbers."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        with _connected():
            dist.all_gather_object(values, value)
        return values

    def check_equal(self, identity: dict[str, Any]) -> None:
        """Check that all processes train the same model on the same data.

        Raises:
            TrainingError: two of them differ; raised in all of them.
        """
        first, *others = self.gathered(identity)
        for rank, other in enumerate(others, 1):
            if names := [name for name in first.keys() | other.keys() if first.get(name) != other.get(name)]:
                name = min(names)
                raise TrainingError(
                    "the processes of this run do not train the same model on the same data\n"
                    f"  where: {name}, and {len(names) - 1} more\n"
                    f"  expected: {first.get(name)!r} (process 0)\n"
                    f"  found: {other.get(name)!r} (process {rank})\n"
                    "  do: give every process the same command, code, versions and corpus folder"
                )

    def parts(
        self, batches: Sequence[NDArray[np.int64]], labelled: NDArray[np.bool_], dialogue: NDArray[Any] | None = None
    ) -> tuple[list[NDArray[np.int64]], list[float]]:
        """Return what this process computes of the batches of one update.

        Args:
            batches: rows (U,) of each batch, the same in every process.
            labelled: (N,) bool, of all rows of the split.
            dialogue: (N,) code of the dialogue of each row, to keep dialogues whole; ``None`` = utterances are independent.

        Returns:
            By batch, the rows of this process and their share of the update. The shares of all processes and batches sum to
            1. If a batch has fewer dialogues than there are processes, some processes repeat its first dialogue with share 0.
        """
        total = sum(map(len, batches))
        rows, shares = [], []
        for batch in batches:
            part, share = self._part(batch, labelled[batch], None if dialogue is None else dialogue[batch])
            rows.append(part)
            shares.append(share * len(batch) / total)
        return rows, shares

    def _part(
        self, rows: NDArray[np.int64], labelled: NDArray[np.bool_], dialogue: NDArray[Any] | None
    ) -> tuple[NDArray[np.int64], float]:
        starts = np.arange(len(rows)) if dialogue is None else np.flatnonzero(np.r_[True, dialogue[1:] != dialogue[:-1]])
        edges = np.append(starts, len(rows))
        low, high = edges[np.searchsorted(edges, [len(rows) * rank / self.size for rank in (self.rank, self.rank + 1)])]
        if low == high:
            return rows[: edges[1]], 0.0
        counted = labelled if labelled.any() else np.ones(len(rows), np.bool_)
        return rows[low:high], float(counted[low:high].sum() / counted.sum())

    def sum(self, parameters: Sequence[nn.Parameter], terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add up gradients, in place, and loss terms over all processes.

        Args:
            parameters: of one stage; a gradient that no process has stays ``None``.
            terms: scalars by name, weighted by the shares of this process.

        Returns:
            The sums of the terms that any process has.
        """
        if self.size == 1:
            return terms
        import torch.distributed as dist

        device = parameters[0].device
        names = list(dict.fromkeys(name for own in self.gathered(list(terms)) for name in own))
        zero = torch.zeros((), device=device)
        values = [terms.get(name, zero).to(device).reshape(1) for name in names]  # () -> (1,)
        has = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=device)
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([*(g.reshape(-1).float() for g in own), has, *values])  # (all elements + parameters + terms,)
        with _connected():
            dist.all_reduce(flat)
        sizes = [p.numel() for p in parameters]
        *pieces, has, sums = torch.split(flat, [*sizes, len(parameters), len(names)])
        for parameter, piece, number in zip(parameters, pieces, has.tolist(), strict=True):
            parameter.grad = piece.reshape(parameter.shape).to(parameter.dtype) if number else None  # (P,) -> its shape
        return dict(zip(names, sums.unbind(), strict=True))

    def copy_buffers(self, model: nn.Module) -> None:
        """Give the buffers of process 0 to all, e.g. running means that an update has moved."""
        if self.size == 1:
            return
        import torch.distributed as dist

        with _connected():
            for buffer in model.buffers():
                if buffer.numel():
                    dist.broadcast(buffer, src=0)

    def random_state(self, device: torch.device, seed: int, epoch: int, step: int) -> AbstractContextManager[None]:
        """Return the context of an update in which every process draws its own numbers, also after a restart.

        A process alone keeps the random state of the run.
        """
        if self.size == 1:
            return nullcontext()
        return own_random_state(device, derive_seed(seed, "update", epoch, step, self.rank))

    def shown(self) -> AbstractContextManager[None]:
        """Return a context in which only process 0 shows its progress."""
        return nullcontext() if self.first else shown_by(lambda share, note, line: None)


@contextmanager
def _connected() -> Iterator[None]:
    """Turn a lost connection to the other processes into a :class:`TrainingError`."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            "training stopped: another process of this run was lost, or does not answer\n"
            f"  found: {(str(error).splitlines() or [type(error).__name__])[0]}\n"
            "  do: read the messages of the other processes, then run the same command again; with a name (--name) it continues\n"
            "      from the last checkpoint"
        ) from error


@contextmanager
def process_group() -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started with this one; without ``torchrun`` this process is alone.

    On a machine with several GPUs each process takes the one of its local number.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Processes.current()
        return
    import torch.distributed as dist

    if (local_rank := int(os.environ["LOCAL_RANK"])) < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
    dist.init_process_group()
    yield Processes.current()
    dist.destroy_process_group()  # after an error the process ends without it: the others may not answer
