"""A few tokens an utterance in place of its frames: a grid that all modalities share, and a fixed code of what stands on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lacuna.corpus.batch import Batch
from lacuna.corpus.schema import Schema
from lacuna.models.layers.noise import normals
from lacuna.models.layers.pooling import full_precision
from lacuna.models.layers.whitening import Whitening


@dataclass(frozen=True, eq=False)
class Seen:
    """A batch as tokens.

    Attributes:
        key: (U,) int64, of the utterances.
        raw: one (U, L, d_m) a modality: standardised frame means, zeros where not there.
        coded: one (U, L, w_m) a modality: the same, whitened.
        here: (U, M, L) bool: a frame of the token was observed.
        asked: (U, M, L) bool: the token is to be recovered.
    """

    key: Tensor
    raw: list[Tensor]
    coded: list[Tensor]
    here: Tensor
    asked: Tensor

    @property
    def missing(self) -> Tensor:
        """(U,) bool: something is to be recovered."""
        return self.asked.flatten(1).any(dim=1)

    def rows(self) -> tuple[Tensor, Tensor]:
        """Each token as one vector, codes of all modalities side by side: (U L, sum of w_m), and (U L, M) bool what is there."""
        vectors = torch.cat(self.coded, dim=2).flatten(0, 1)  # (U, L, W) -> (U L, W)
        return vectors, self.here.transpose(1, 2).flatten(0, 1)  # (U, M, L) -> (U L, M)

    def take(self, rows: Tensor) -> Seen:
        """The utterances at ``rows`` ((R,) int64)."""
        raw, coded = [x[rows] for x in self.raw], [x[rows] for x in self.coded]
        return Seen(self.key[rows], raw, coded, self.here[rows], self.asked[rows])

    def where_asked(self, m: int, guess: Callable[[Seen, Tensor], Tensor]) -> Tensor:
        """What is guessed of one modality, (U, L, w_m), zeros where nothing of it is asked for.

        Args:
            m: the modality.
            guess: from the utterances of which it is asked for, and their rows ((R,) int64), to (R, L, w_m) float32; not called
                if there are none.
        """
        rows = torch.nonzero(self.asked[:, m].any(dim=1)).squeeze(1)
        nothing = torch.zeros_like(self.coded[m])
        return nothing.index_copy(0, rows, guess(self.take(rows), rows)) if len(rows) else nothing

    def filled(self, guess: Sequence[Tensor]) -> list[Tensor]:
        """What was observed, and a guess of what is asked for; one (U, L, w_m) a modality each."""
        pairs = zip(self.coded, guess, strict=True)
        return [torch.where(self.asked[:, m, :, None], g.float(), x) for m, (x, g) in enumerate(pairs)]

    def noise(self, width: int, seed: int, *names: str) -> Tensor:
        """(U, L, width) standard normal numbers, a function of the seed, the utterance and the names alone."""
        length = self.here.shape[2]
        return normals(self.key, length * width, seed, *names).view(len(self.key), length, width)  # (U, L w) -> (U, L, w)


class Tokens(nn.Module):
    """Cuts every recording into at most ``most`` tokens, as many frames in each as the longest of training needs.

    A grid on absolute time, and not a share of each recording: how long a recording is that is missing nobody knows, and how far
    a batch is padded must not matter. Tokens are whitened for the reasons that :class:`Whitening` has.

    Args:
        schema: its modalities.
        width: most directions of a modality that are kept in the code.
        most: L at most; 1 = one vector an utterance.
    """

    stride: Tensor
    number: Tensor

    def __init__(self, schema: Schema, width: int, most: int) -> None:
        super().__init__()
        self.dims, self.most = list(schema.dims.values()), most
        self.code = Whitening(schema, width)
        self.widths = self.code.widths
        self.register_buffer("stride", torch.ones(len(self.dims), dtype=torch.int64))
        self.register_buffer("number", torch.ones((), dtype=torch.int64))

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """The grid, then the code, from the complete training batches."""
        longest = torch.ones(len(self.dims), dtype=torch.int64)
        for batch in batches():
            for m, present in enumerate(batch.present.values()):
                places = torch.arange(1, present.shape[1] + 1, device=present.device)
                longest[m] = max(int(longest[m]), int((present * places).max()))
        number = min(self.most, int(longest.max()))
        self.number.fill_(number)
        self.stride.copy_(-(-longest // number))
        self.code.fit(lambda: (self._cut(batch)[0] for batch in batches()))

    def forward(self, batch: Batch) -> Seen:
        """Tokens of a batch, and which of them are to be recovered.

        Asked for are gaps before a modality's last observed token; and of a modality of which nothing was observed, as many
        tokens as the longest of the others has, or all if there is no other.
        """
        with full_precision(batch.key):
            cut, here = self._cut(batch)
            users, length = len(batch), here.shape[2]
            raw = [x.view(users, length, -1) for x in cut.features.values()]  # (U L, 1, d) -> (U, L, d)
            coded = torch.split(self.code(cut).view(users, length, -1), self.widths, dim=2)  # (U L, W) -> (U, L, W)
        places = torch.arange(1, length + 1, device=here.device)
        own = (here * places).amax(dim=2)  # (U, M) how far each modality reaches
        others = own.amax(dim=1, keepdim=True)
        reach = torch.where(own > 0, own, torch.where(others > 0, others, length))
        return Seen(batch.key, raw, list(coded), here, ~here & (places <= reach.unsqueeze(2)))

    def decode(self, seen: Seen, coded: Sequence[Tensor]) -> list[Tensor]:
        """One (U, L, d_m) a modality: observed tokens as they came, those asked for from their code, zeros elsewhere."""
        with full_precision(seen.key):
            flat = torch.cat(list(coded), dim=2).float()  # (U, L, W)
            back = torch.split(self.code.back(flat.flatten(0, 1)).view(*flat.shape[:2], -1), self.dims, dim=2)
        return [torch.where(seen.asked[:, m, :, None], b, x) for m, (x, b) in enumerate(zip(seen.raw, back, strict=True))]

    def fill(self, batch: Batch, raw: Sequence[Tensor]) -> dict[str, Tensor]:
        """By modality (U, T_m, d_m): observed frames bit for bit as they came, elsewhere the token that a frame belongs to."""
        filled = {}
        for m, (name, frames) in enumerate(batch.features.items()):
            of = self._of(m, frames.shape[1])
            filled[name] = torch.where(batch.present[name].unsqueeze(-1), frames, raw[m][:, of].to(frames.dtype))
        return filled

    def draws(self, batch: Batch, number: int, draw: Callable[[Seen, int], Sequence[Tensor]]) -> dict[str, Tensor]:
        """Several recoveries of a batch, by modality (S, U, T_m, d_m).

        Args:
            batch: what is observed.
            number: S.
            draw: from its tokens and the number of a draw to codes, one (U, L, w_m) a modality.
        """
        seen = self(batch)
        drawn = [self.fill(batch, self.decode(seen, draw(seen, each))) for each in range(number)]
        return {m: torch.stack([d[m] for d in drawn]) for m in batch.features}

    def _of(self, modality: int, frames: int) -> Tensor:
        """(T,) int64: the token that each frame belongs to; the last one takes all that is longer than in training."""
        place = torch.arange(frames, device=self.stride.device) // self.stride[modality]
        return torch.minimum(place, self.number - 1)

    def _cut(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Every token as an utterance of one frame, in rows of U L, and (U, M, L) bool."""
        features, present, here = {}, {}, []
        length = int(self.number)
        for m, (name, frames) in enumerate(batch.features.items()):
            there = batch.present[name]
            inside = self._of(m, frames.shape[1]).unsqueeze(0) == torch.arange(length, device=there.device).unsqueeze(1)  # (L, T)
            share = (inside & there.unsqueeze(1)).to(frames.dtype)  # (U, L, T)
            count = share.sum(dim=2, keepdim=True)
            mean = share @ frames / count.clamp_min(1)  # (U, L, d)
            here.append(count.squeeze(2) > 0)
            features[name] = mean.flatten(0, 1).unsqueeze(1)  # (U, L, d) -> (U L, 1, d)
            present[name] = here[-1].flatten().unsqueeze(1)  # (U, L) -> (U L, 1)
        return replace(batch, features=features, present=present), torch.stack(here, dim=1)


def mean_square(guess: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Squared error (U, L, w), averaged over the tokens (U, L) that are known; 0 with a gradient of 0 if none is."""
    each = (guess.float() - true).square().mean(dim=2)
    return (each * known).sum() / known.sum().clamp_min(1)


def hidden_error(coded: Sequence[Tensor], truth: Seen, seen: Seen) -> Tensor:
    """Squared error of recovered codes where the corpus knows better, summed over modalities.

    Args:
        coded: one (U, L, w_m) a modality.
        truth: what the corpus holds.
        seen: what is observed of it.
    """
    known = truth.here & seen.asked
    return torch.stack([mean_square(x, y, known[:, m]) for m, (x, y) in enumerate(zip(coded, truth.coded, strict=True))]).sum()
