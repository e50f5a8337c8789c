"""How good is what was recovered: errors, moments, MMD and calibration, beside the mean fill and the best possible recovery.

Which vectors are compared is said in :mod:`lacuna.evaluation.recovery.pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.statistics import Statistics
from lacuna.errors import ConfigError
from lacuna.evaluation.bootstrap import resampled
from lacuna.evaluation.conditions import Condition, condition_of
from lacuna.evaluation.predict import inference, loader_of, observe
from lacuna.evaluation.recovery.measures import Measuring, PairSums
from lacuna.evaluation.recovery.pairs import Judged, Place, pairs_of
from lacuna.evaluation.sweep import MOST_GROUPS, groups_of
from lacuna.evaluation.tables import CEILING
from lacuna.metrics.recovery.draws import Ranks
from lacuna.metrics.recovery.mmd import Sample
from lacuna.metrics.recovery.moments import Moments
from lacuna.missing import Layout, Mask, MaskPlan, derive_seed
from lacuna.models import Sampler
from lacuna.synthetic.duet import Oracle, settings_of
from lacuna.training.loader import Loader
from lacuna.training.trained import TrainedRecognizer

MEAN_FILL = "mean fill"  # zeros, in standardised units
COLUMNS = ["corpus", "model", "seed", "pattern", "setting", "rate", "mask_seed", "measured_rate", "modality", "unit", "measure"]
_NUMBERS = ["value", "low", "high", "n"]
Guesses = Callable[[Batch, NDArray[np.int64]], dict[str, Tensor]]
Row = dict[str, Any]


@dataclass(frozen=True)
class RecoveryConfig:
    """How recoveries are judged.

    Attributes:
        samples: draws of each utterance, of models that are samplers; 19 have central intervals of exactly .5, .8 and .9.
        coverage: levels of central intervals.
        vectors: at most so many pairs are compared by MMD, a fixed random choice.
        permutations: of the null of MMD.
        replicates: of the bootstrap over dialogues.
        level: of its intervals and of the null's band.
        groups: with more dialogues than this, whole dialogues are pooled into so many groups, which bounds memory.
        seed: everything random follows from it.
        batch_size: utterances in a forward pass; divided by ``samples`` when drawing.

    Raises:
        ConfigError: a value is out of bounds.
    """

    samples: int = 19
    coverage: tuple[float, ...] = (0.5, 0.8, 0.9)
    vectors: int = 512
    permutations: int = 200
    replicates: int = 500
    level: float = 0.95
    groups: int = MOST_GROUPS
    seed: int = 0
    batch_size: int = 256

    def __post_init__(self) -> None:
        least = {"samples": 2, "vectors": 2, "permutations": 1, "replicates": 2, "groups": 2, "seed": 0, "batch_size": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < bound:
                raise ConfigError(f"recovery: {name} must be a whole number of at least {bound}, found {value!r}")
        if not all(0 < x < 1 for x in (self.level, *self.coverage)):
            raise ConfigError(f"recovery: levels lie between 0 and 1, found {self.level} and {list(self.coverage)}")


def score_recovery(
    recognizers: Sequence[TrainedRecognizer],
    corpus: Corpus,
    plans: Sequence[MaskPlan],
    config: RecoveryConfig | None = None,
    *,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Judge what recognisers recover under every plan. Batches are streamed; what is held does not grow with the corpus.

    Args:
        recognizers: that recover, trained with the same statistics; no model and seed twice.
        corpus: a view on whole dialogues of the split to score.
        plans: pattern, rate and seed each.
        config: how to judge.
        device: where to compute.

    Returns:
        One row a measurement: corpus, model, seed, pattern, setting, rate, mask_seed, measured_rate, modality, unit,
        measure, value, low, high, n (pairs). Beside the recognisers there are ``mean fill`` and, on a generated corpus,
        ``oracle``. Intervals are over dialogues, NaN if a single one holds all pairs. No rows where nothing is missing.

        Measures are those of :meth:`Moments.measures`; ``mmd`` (squared, unbiased, so it may be negative), ``mmd_null``
        (low to high is where ``mmd`` lies if recovered and true vectors are of one distribution) and ``mmd_p``; for
        samplers those of :meth:`Ranks.measures`, and all of the former for one draw, as ``sample_mse`` and so on; ``gain``, the
        share of the mean fill's squared error that is gone: 1 - MSE / MSE of mean fill; and on a generated corpus
        ``share_of_oracle``: (MSE of mean fill - MSE) / (MSE of mean fill - MSE of the oracle), NaN where the
        oracle itself has no certain lead over the mean fill, or one of less than 2%.

    Raises:
        ConfigError: a recogniser does not recover or is there twice, or their statistics differ.
        DataError: the corpus does not fit or shares a dialogue with training, or a recovery is not finite.
    """
    config = config or RecoveryConfig()
    check_judged(recognizers, corpus)
    if not recognizers or not len(corpus):
        return pd.DataFrame(columns=COLUMNS + _NUMBERS)
    layout, oracle = Layout.of(corpus), Oracle.of(corpus) if settings_of(corpus) is not None else None
    run = Run(recognizers, corpus, config, device)
    rows: list[Row] = []
    for plan in plans:
        mask = plan.over(layout)
        rows += run.judge(mask, condition_of(plan, mask.measured()), oracle)
    return pd.DataFrame(rows, columns=COLUMNS + _NUMBERS)


def check_judged(recognizers: Sequence[TrainedRecognizer], corpus: Corpus) -> None:
    """Refuse recognisers whose recoveries cannot be judged together.

    Raises:
        ConfigError: one recovers nothing or is there twice, or their statistics differ.
        DataError: the corpus does not fit, or shares a dialogue with training.
    """
    seen = set()
    for trained in recognizers:
        trained.check_unseen(corpus)
        if not trained.model.recovers:
            raise ConfigError(f"model '{trained.variant}' recovers nothing that could be judged")
        if (trained.variant, trained.seed) in seen:
            raise ConfigError(f"model '{trained.variant}' with seed {trained.seed} is there twice")
        seen.add((trained.variant, trained.seed))
        if (
            not _alike(trained.statistics, recognizers[0].statistics)
            or trained.schema.modalities != recognizers[0].schema.modalities
        ):
            raise ConfigError(
                f"'{trained.variant}' and '{recognizers[0].variant}' see other units or modalities: score them apart"
            )


def _alike(a: Statistics, b: Statistics) -> bool:
    first, second = a.to_tensors(), b.to_tensors()
    return first.keys() == second.keys() and all(np.array_equal(v, second[k]) for k, v in first.items())


class Run:
    """What every plan needs: loaders, groups of dialogues, and their weights in the bootstrap."""

    def __init__(
        self, recognizers: Sequence[TrainedRecognizer], corpus: Corpus, config: RecoveryConfig, device: torch.device | str
    ) -> None:
        self.recognizers, self.corpus, self.config, self.device = recognizers, corpus, config, device
        by_dialogue = {trained.model.needs_dialogue: trained for trained in recognizers}
        self.loaders = {whole: loader_of(trained, corpus, config.batch_size, device) for whole, trained in by_dialogue.items()}
        self.loader = next(iter(self.loaders.values()))
        self.group, self.groups = groups_of(corpus, None, config.groups)
        weights = resampled([config.seed, 0], self.groups, config.replicates)  # (B, G)
        self.measuring = Measuring(weights, config.level, config.permutations, config.coverage, config.seed)

    def judge(self, mask: Mask, condition: Condition, oracle: Oracle | None) -> list[Row]:
        """Rows of one plan: the mean fill, the oracle, the recognisers."""
        floor = self.collect(self.loader, mask, lambda observed, _: observed.features)  # absent frames are zeros
        ceiling = self.collect(self.loader, mask, self.best(oracle, mask)) if oracle is not None and floor else None
        rows = self.rows(MEAN_FILL, 0, condition, floor, floor, ceiling)
        if ceiling is not None:
            rows += self.rows(CEILING, 0, condition, ceiling, floor, ceiling)
        for trained in self.recognizers:
            with inference(trained.model, self.device):
                rows += self.rows(trained.variant, trained.seed, condition, self.filled(trained, mask), floor, ceiling)
                if trained.model.samples:
                    rows += self.rows(trained.variant, trained.seed, condition, self.draw(trained, mask))
        return rows

    def filled(self, trained: TrainedRecognizer, mask: Mask) -> dict[Place, PairSums]:
        """What a recogniser fills in, inside :func:`inference`."""
        loader, model = self.loaders[trained.model.needs_dialogue], trained.model
        return self.collect(loader, mask, lambda observed, _: model(observed).recovered)

    def best(self, oracle: Oracle, mask: Mask) -> Guesses:
        """The oracle's recovery, standardised."""
        present = {m: ~gone for m, gone in mask.missing_flat().items()}
        statistics = self.recognizers[0].statistics
        found = {
            m: ((known.mean - statistics.mean[m]) / statistics.scale[m]).astype(np.float32)
            for m, known in oracle.recover(self.corpus, present).items()
            if m in statistics.mean
        }

        def guesses(observed: Batch, rows: NDArray[np.int64]) -> dict[str, Tensor]:
            result = {}
            for m, x in observed.features.items():
                filling = torch.from_numpy(found[m][rows]).to(x).unsqueeze(1)  # (U, 1, d)
                result[m] = torch.where(observed.present[m].unsqueeze(-1), x, filling)
            return result

        return guesses

    def collect(self, loader: Loader, mask: Mask, guesses: Guesses) -> dict[Place, PairSums]:
        """Sums over the split."""
        cells: dict[Place, PairSums] = {}
        for place, pairs in self.pairs(loader, mask, guesses):
            cell = cells.setdefault(place, PairSums(Moments(self.groups, pairs.truth.shape[1]), self._sample(pairs)))
            cell.moments.add(pairs.guess, pairs.truth, self.group[pairs.rows])
            cell.sample.add(pairs.keys, pairs.guess, pairs.truth, self.group[pairs.rows])
        return cells

    def draw(self, trained: TrainedRecognizer, mask: Mask) -> dict[Place, PairSums]:
        """Sums over draws of a sampler; the first draw is judged like a recovery too."""
        number, seed = self.config.samples, derive_seed(self.config.seed, "samples")
        sampler = cast(Sampler, trained.model)
        loader = loader_of(trained, self.corpus, max(1, self.config.batch_size // number), self.device)
        cells: dict[Place, PairSums] = {}
        for place, pairs in self.pairs(loader, mask, lambda observed, _: sampler.sample(observed, number, seed)):
            if place not in cells:
                moments = Moments(self.groups, pairs.truth.shape[1])
                cells[place] = PairSums(moments, self._sample(pairs), Ranks(self.groups, number))
            cell, group = cells[place], self.group[pairs.rows]
            assert cell.ranks is not None
            cell.ranks.add(pairs.guess, pairs.truth, group)
            cell.moments.add(pairs.guess[0], pairs.truth, group)
            cell.sample.add(pairs.keys, pairs.guess[0], pairs.truth, group)
        return cells

    def pairs(self, loader: Loader, mask: Mask, guesses: Guesses) -> Iterator[tuple[Place, Judged]]:
        """What is to be judged, batch by batch."""
        for rows in loader.rows():
            complete = loader.read(rows)
            observed = observe(complete, mask.present(rows))
            if any((complete.present[m] & ~p).any() for m, p in observed.present.items()):
                yield from pairs_of(complete, observed, guesses(observed, rows), rows)

    def _sample(self, pairs: Judged) -> Sample:
        return Sample(self.config.vectors, pairs.truth.shape[1])

    def rows(  # noqa: PLR0917 - who, where, what, beside what
        self,
        model: str,
        seed: int,
        condition: Condition,
        cells: dict[Place, PairSums],
        floor: dict[Place, PairSums] | None = None,
        ceiling: dict[Place, PairSums] | None = None,
    ) -> list[Row]:
        """The table's rows of some cells."""
        head = [self.corpus.name, model, seed, *condition.key, condition.measured]
        rows: list[Row] = []
        for place, cell in sorted(cells.items()):
            measured = self.measuring.measures(cell)
            if floor:
                measured["gain"] = self.measuring.gain(floor[place].moments, cell.moments)
            if floor and ceiling:
                measured["share_of_oracle"] = self.measuring.share(*(c[place].moments for c in (floor, cells, ceiling)))
            n = int(cell.moments.per_group.sum())
            for name, numbers in measured.items():
                rows.append(dict(zip(COLUMNS + _NUMBERS, [*head, *place, name, *map(float, numbers), n], strict=True)))
        return rows
