"""Tokens: each utterance is divided into a few segments on a common time grid, each described by a fixed whitened code."""

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
class TokenBatch:
    """A batch as tokens (segments of frames).

    Attributes:
        key: (U,) int64, keys of the utterances.
        raw: one (U, L, d_m) for each modality: frame means of each token, zeros where not observed.
        coded: one (U, L, w_m) for each modality: their whitened codes.
        here: (U, M, L) bool: a frame of the token is observed.
        missing: (U, M, L) bool: the token is to be recovered.
    """

    key: Tensor
    raw: list[Tensor]
    coded: list[Tensor]
    observed: Tensor
    missing: Tensor

    @property
    def incomplete(self) -> Tensor:
        """Return (U,) bool: at least one token is to be recovered."""
        return self.missing.flatten(1).any(dim=1)

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return one row for each token: codes of all modalities (U L, sum of w_m), and whether they are observed (U L, M)."""
        vectors = torch.cat(self.coded, dim=2).flatten(0, 1)  # (U, L, W) -> (U L, W)
        return vectors, self.observed.transpose(1, 2).flatten(0, 1)  # (U, M, L) -> (U L, M)

    def take(self, rows: Tensor) -> TokenBatch:
        """Return the utterances at ``rows`` ((R,) int64)."""
        raw, coded = [x[rows] for x in self.raw], [x[rows] for x in self.coded]
        return TokenBatch(self.key[rows], raw, coded, self.observed[rows], self.missing[rows])

    def where_missing(self, m: int, estimate: Callable[[TokenBatch, Tensor], Tensor]) -> Tensor:
        """Return estimates (U, L, w_m) of one modality; zeros for utterances without missing tokens of it.

        Args:
            m: index of the modality.
            estimate: function of the utterances with missing tokens and of their rows ((R,) int64); returns (R, L, w_m) float32.
                It is not called if there are none.
        """
        rows = torch.nonzero(self.missing[:, m].any(dim=1)).squeeze(1)
        nothing = torch.zeros_like(self.coded[m])
        return nothing.index_copy(0, rows, estimate(self.take(rows), rows)) if len(rows) else nothing

    def filled(self, estimate: Sequence[Tensor]) -> list[Tensor]:
        """Return observed codes, and estimates of missing ones; one (U, L, w_m) for each modality."""
        pairs = zip(self.coded, estimate, strict=True)
        return [torch.where(self.missing[:, m, :, None], g.float(), x) for m, (x, g) in enumerate(pairs)]

    def noise(self, width: int, seed: int, *names: str) -> Tensor:
        """Return standard normal numbers (U, L, width) that depend only on seed, utterance and names."""
        length = self.observed.shape[2]
        return normals(self.key, length * width, seed, *names).view(len(self.key), length, width)  # (U, L w) -> (U, L, w)


class Tokens(nn.Module):
    """Divide every recording into at most ``most`` tokens; the frames in a token follow from the longest training recording.

    The grid is in absolute time, not in shares of a recording, because the length of a missing recording is unknown and the
    padding of a batch must not matter. Tokens are whitened (:class:`~lacuna.models.layers.whitening.Whitening`).

    Args:
        schema: modalities.
        width: largest number of principal directions of a modality in the code.
        most: largest number L of tokens; 1 = one vector for each utterance.

    Attributes:
        stride: (M,) int64, frames in a token.
        number: () int64, L.
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
        """Set the grid, then the code, from the complete training batches."""
        longest = torch.ones(len(self.dims), dtype=torch.int64)
        for batch in batches():
            for m, present in enumerate(batch.present.values()):
                places = torch.arange(1, present.shape[1] + 1, device=present.device)
                longest[m] = max(int(longest[m]), int((present * places).max()))
        number = min(self.most, int(longest.max()))
        self.number.fill_(number)
        self.stride.copy_(-(-longest // number))
        self.code.fit(lambda: (self._cut(batch)[0] for batch in batches()))

    def forward(self, batch: Batch) -> TokenBatch:
        """Return the tokens of a batch.

        Missing tokens are the gaps before the last observed token of a modality. A modality without observed frames lacks as many
        tokens as the longest other modality has, or all L if nothing is observed.
        """
        with full_precision(batch.key):
            token_means, observed = self._cut(batch)
            n_utterances, n_tokens = len(batch), observed.shape[2]
            raw = [
                frames.view(n_utterances, n_tokens, -1) for frames in token_means.features.values()
            ]  # (U L, 1, d) -> (U, L, d)
            coded = torch.split(
                self.code(token_means).view(n_utterances, n_tokens, -1), self.widths, dim=2
            )  # (U L, W) -> (U, L, W)
        positions = torch.arange(1, n_tokens + 1, device=observed.device)
        reach = (observed * positions).amax(dim=2)  # (U, M) position of the last observed token of each modality
        longest_other = reach.amax(dim=1, keepdim=True)
        n_needed = torch.where(reach > 0, reach, torch.where(longest_other > 0, longest_other, n_tokens))
        return TokenBatch(batch.key, raw, list(coded), observed, ~observed & (positions <= n_needed.unsqueeze(2)))

    def decode(self, seen: TokenBatch, coded: Sequence[Tensor]) -> list[Tensor]:
        """Return one (U, L, d_m) for each modality: observed tokens unchanged, missing ones decoded, zeros elsewhere."""
        with full_precision(seen.key):
            flat = torch.cat(list(coded), dim=2).float()  # (U, L, sum of w_m)
            decoded = self.code.back(flat.flatten(0, 1)).view(*flat.shape[:2], -1)  # (U, L, W) -> (U L, W) -> (U, L, sum of d_m)
            parts = torch.split(decoded, self.dims, dim=2)
        return [
            torch.where(seen.missing[:, m, :, None], part, x) for m, (x, part) in enumerate(zip(seen.raw, parts, strict=True))
        ]

    def fill(self, batch: Batch, raw: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return (U, T_m, d_m) by modality: observed frames unchanged, missing frames equal to the mean of their token."""
        filled = {}
        for m, (name, frames) in enumerate(batch.features.items()):
            token_of_frame = self._of(m, frames.shape[1])
            filled[name] = torch.where(batch.present[name].unsqueeze(-1), frames, raw[m][:, token_of_frame].to(frames.dtype))
        return filled

    def draws(self, batch: Batch, number: int, draw: Callable[[TokenBatch, int], Sequence[Tensor]]) -> dict[str, Tensor]:
        """Return several recoveries of a batch, (S, U, T_m, d_m) by modality.

        Args:
            batch: observed utterances.
            number: S.
            draw: function of the tokens and the number of the draw that returns codes, one (U, L, w_m) for each modality.
        """
        seen = self(batch)
        drawn = [self.fill(batch, self.decode(seen, draw(seen, each))) for each in range(number)]
        return {m: torch.stack([d[m] for d in drawn]) for m in batch.features}

    def _of(self, modality: int, frames: int) -> Tensor:
        """Return (T,) int64, the token of each frame; frames beyond the longest training recording belong to the last token."""
        place = torch.arange(frames, device=self.stride.device) // self.stride[modality]
        return torch.minimum(place, self.number - 1)

    def _cut(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return a batch in which each token is an utterance of one frame (U L rows), and which are observed, (U, M, L) bool."""
        features, present, observed = {}, {}, []
        length = int(self.number)
        for m, (name, frames) in enumerate(batch.features.items()):
            frame_present = batch.present[name]
            assignment = self._of(m, frames.shape[1]).unsqueeze(0) == torch.arange(length, device=frame_present.device).unsqueeze(
                1
            )  # (L, T)
            counted = (assignment & frame_present.unsqueeze(1)).to(frames.dtype)  # (U, L, T)
            count = counted.sum(dim=2, keepdim=True)
            mean = counted @ frames / count.clamp_min(1)  # (U, L, d)
            observed.append(count.squeeze(2) > 0)
            features[name] = mean.flatten(0, 1).unsqueeze(1)  # (U, L, d) -> (U L, 1, d)
            present[name] = observed[-1].flatten().unsqueeze(1)  # (U, L) -> (U L, 1)
        return replace(batch, features=features, present=present), torch.stack(observed, dim=1)


def mean_square(estimate: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Return the squared error of codes (U, L, w), averaged over the known tokens (U, L); 0 with zero gradient if none is."""
    errors = (estimate.float() - true).square().mean(dim=2)
    return (errors * known).sum() / known.sum().clamp_min(1)


def hidden_error(coded: Sequence[Tensor], truth: TokenBatch, seen: TokenBatch) -> Tensor:
    """Return the squared error of recovered codes of hidden tokens, summed over modalities.

    Args:
        coded: one (U, L, w_m) for each modality.
        truth: tokens of the complete batch.
        seen: tokens of the observed batch.
    """
    known = truth.observed & seen.missing
    return torch.stack([mean_square(x, y, known[:, m]) for m, (x, y) in enumerate(zip(coded, truth.coded, strict=True))]).sum()
