"""One pass over a corpus under a mask: additive sums of recovered against true values, for every model and reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacuna.corpus.batch import Batch
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.statistics import Statistics
from lacuna.errors import ConfigError
from lacuna.evaluation.conditions import FIXED, Condition, condition_of
from lacuna.evaluation.predict import inference, loader_of, observe
from lacuna.evaluation.recovery.measures import PairSums
from lacuna.evaluation.recovery.pairs import Pairs, Place, pairs_of
from lacuna.evaluation.sweep import MOST_GROUPS, groups_of
from lacuna.metrics.recovery.draws import Ranks
from lacuna.metrics.recovery.mmd import Sample
from lacuna.metrics.recovery.moments import Moments
from lacuna.missing import Layout, Mask, MaskPlan, derive_seed
from lacuna.missing.hashing import bits, stream_of
from lacuna.models import Sampler
from lacuna.synthetic.duet import Oracle, settings_of
from lacuna.training.loader import Loader
from lacuna.training.trained import TrainedRecognizer

Cells = dict[Place, PairSums]
Recover = Callable[[Batch, NDArray[np.int64]], dict[str, Tensor]]  # observed batch and corpus rows -> recovered frames


@dataclass(frozen=True)
class RecoveryConfig:
    """Settings of recovery quality.

    The defaults bound the cost, so that measuring recovered values is cheaper than scoring predictions.

    Attributes:
        samples: draws of each utterance by models that are samplers; 9 draws have central intervals of exactly .4, .6 and .8.
        coverage: nominal levels of the central intervals, between 0 and 1.
        utterances: at most this many utterances are compared, a fixed random choice spread over all dialogues.
        draw_utterances: at most this many of them are drawn by samplers.
        draw_subsets: whether samplers draw under the pattern ``fixed`` too.
        vectors: at most this many pairs are compared by MMD, a fixed random choice.
        permutations: of the null of MMD.
        replicates: of the bootstrap over dialogues.
        level: of the intervals and of the band of the null, between 0 and 1.
        groups: more dialogues than this are pooled into this many groups, which bounds memory.
        seed: determines all random draws.
        batch_size: utterances in a forward pass; half of it when drawing.

    Raises:
        ConfigError: a value is out of bounds.
    """

    samples: int = 9
    coverage: tuple[float, ...] = (0.4, 0.6, 0.8)
    utterances: int = 512
    draw_utterances: int = 128
    draw_subsets: bool = False
    vectors: int = 512
    permutations: int = 100
    replicates: int = 500
    level: float = 0.95
    groups: int = MOST_GROUPS
    seed: int = 0
    batch_size: int = 256

    def __post_init__(self) -> None:
        least = {"samples": 2, "utterances": 1, "draw_utterances": 1, "vectors": 2, "permutations": 1, "replicates": 2}
        for name, bound in (least | {"groups": 2, "seed": 0, "batch_size": 1}).items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < bound:
                raise ConfigError(f"recovery: {name} must be a whole number of at least {bound}, found {value!r}")
        if not all(0 < x < 1 for x in (self.level, *self.coverage)):
            raise ConfigError(f"recovery: levels lie between 0 and 1, found {self.level} and {list(self.coverage)}")


@dataclass(frozen=True, eq=False)
class ModelSums:
    """Sums of one model and training seed.

    Attributes:
        model: variant of the recogniser.
        seed: its training seed.
        filled: of the values that it fills in.
        drawn: of its draws; empty for models that are no samplers.
    """

    model: str
    seed: int
    filled: Cells
    drawn: Cells


@dataclass(frozen=True, eq=False)
class PlanSums:
    """Sums of all models and references under one mask.

    Attributes:
        condition: the mask in words.
        mean_fill: sums of the training mean; empty where nothing is missing.
        oracle: sums of the exact conditional mean; ``None`` if the corpus is not generated.
        models: in the order of the recognisers.
    """

    condition: Condition
    mean_fill: Cells
    oracle: Cells | None
    models: list[ModelSums]


@dataclass(frozen=True, eq=False)
class _View:
    """The utterances that a pass reads.

    Attributes:
        loader: of these utterances.
        rows: (n,) int64 their rows in the corpus.
        judged: (N,) bool, which utterances of the corpus are compared.
    """

    loader: Loader
    rows: NDArray[np.int64]
    judged: NDArray[np.bool_]


class Collector:
    """Read a corpus under masks and sum up recovered against true values.

    Args:
        recognizers: that recover, trained with the same statistics; no model and seed twice.
        corpus: a view on whole dialogues of the split to score, at least one utterance.
        config: settings.
        device: where to compute.

    Attributes:
        groups: number of groups of dialogues G.

    Raises:
        ConfigError: a recogniser does not recover or is given twice, or their statistics differ.
        DataError: the corpus does not fit, or shares a dialogue with training.
    """

    def __init__(
        self, recognizers: Sequence[TrainedRecognizer], corpus: Corpus, config: RecoveryConfig, device: torch.device | str
    ) -> None:
        check_recognizers(recognizers, corpus)
        self.recognizers, self.corpus, self.config, self.device = recognizers, corpus, config, device
        self.layout = Layout.of(corpus)
        self.group, self.groups = groups_of(corpus, None, config.groups)
        self._oracle = Oracle.of(corpus) if settings_of(corpus) is not None else None
        self._views: dict[tuple[bool, int, int], _View] = {}

    def collect(self, plan: MaskPlan, draws: bool = True) -> PlanSums:
        """Return the sums of all models and references under one mask.

        Args:
            plan: the mask.
            draws: whether samplers draw too.
        """
        mask = plan.over(self.layout)
        condition = condition_of(plan, mask.measured())
        view = self._view(self.recognizers[0], self.config.utterances, self.config.batch_size)
        mean_fill = self._sums(view, mask, lambda observed, _: observed.features)  # absent frames are zeros
        if not mean_fill:
            return PlanSums(condition, {}, None, [])
        oracle = None if self._oracle is None else self._sums(view, mask, self._conditional_mean(self._oracle, view, mask))
        draws = draws and (self.config.draw_subsets or condition.pattern != FIXED)
        return PlanSums(condition, mean_fill, oracle, [self._model(trained, mask, draws) for trained in self.recognizers])

    def _model(self, trained: TrainedRecognizer, mask: Mask, draws: bool) -> ModelSums:
        model, config = trained.model, self.config
        view = self._view(trained, config.utterances, config.batch_size)
        drawn: Cells = {}
        with inference(model, self.device):
            filled = self._sums(view, mask, lambda observed, _: model(observed).recovered)
            if model.samples and draws:
                sampler, seed = cast(Sampler, model), derive_seed(config.seed, "samples")
                most = min(config.draw_utterances, config.utterances)
                view = self._view(trained, most, max(1, config.batch_size // 2))
                drawn = self._sums(view, mask, lambda observed, _: sampler.sample(observed, config.samples, seed), config.samples)
        return ModelSums(trained.variant, trained.seed, filled, drawn)

    def _view(self, trained: TrainedRecognizer, most: int, batch_size: int) -> _View:
        """Return the utterances that are compared, with the rest of their dialogues for a model that reads dialogues."""
        key = trained.model.needs_dialogue, most, batch_size
        if key not in self._views:
            order = np.argsort(bits(self.corpus.keys, stream_of(0, "recovery", "utterances")), kind="stable")
            judged = np.zeros(len(self.corpus), np.bool_)
            judged[order[:most]] = True
            dialogue = self.corpus.utterances.dialogue
            rows = np.flatnonzero(np.isin(dialogue, dialogue[judged]) if trained.model.needs_dialogue else judged)
            loader = loader_of(trained, self.corpus.take(rows), batch_size, self.device)
            self._views[key] = _View(loader, rows, judged)
        return self._views[key]

    def _sums(self, view: _View, mask: Mask, recover: Recover, samples: int = 0) -> Cells:
        """Return the sums of what ``recover`` fills in, or of ``samples`` draws; of draws the first one stands for one vector."""
        cells: Cells = {}
        for place, pairs in self._pairs(view, mask, recover):
            if place not in cells:
                width = pairs.truth.shape[1]
                ranks = Ranks(self.groups, samples) if samples else None
                cells[place] = PairSums(Moments(self.groups, width), Sample(self.config.vectors, width), ranks)
            cell, group = cells[place], self.group[pairs.rows]
            guess = pairs.guess[0] if samples else pairs.guess
            cell.moments.add(guess, pairs.truth, group)
            cell.sample.add(pairs.keys, guess, pairs.truth, group)
            if cell.ranks is not None:
                cell.ranks.add(pairs.guess, pairs.truth, group)
        return cells

    @staticmethod
    def _pairs(view: _View, mask: Mask, recover: Recover) -> Iterator[tuple[Place, Pairs]]:
        """Yield the pairs of every batch from which the mask removes something."""
        for batch_rows in view.loader.rows():
            rows = view.rows[batch_rows]
            complete = view.loader.read(batch_rows)
            observed = observe(complete, mask.present(rows))
            if any((complete.present[m] & ~p).any() for m, p in observed.present.items()):
                yield from pairs_of(complete, observed, recover(observed, rows), rows, view.judged[rows])

    def _conditional_mean(self, oracle: Oracle, view: _View, mask: Mask) -> Recover:
        """Return a function that fills in the exact conditional mean of a generated corpus, standardised."""
        dialogue = self.corpus.utterances.dialogue
        needed = np.isin(dialogue, dialogue[view.judged])  # whole dialogues
        judged = np.flatnonzero(view.judged[needed])  # rows of the needed utterances
        counts = {m: frames.count for m, frames in self.corpus.frames.items()}
        present = {m: ~gone[np.repeat(needed, counts[m])] for m, gone in mask.missing_flat().items()}
        position = np.cumsum(view.judged) - 1  # (N,) row of the corpus -> row of what the oracle recovers
        statistics = self.recognizers[0].statistics
        means = {
            m: ((known.mean - statistics.mean[m]) / statistics.scale[m]).astype(np.float32)
            for m, known in oracle.recover(self.corpus.take(np.flatnonzero(needed)), present, rows=judged).items()
            if m in statistics.mean
        }

        def recover(observed: Batch, rows: NDArray[np.int64]) -> dict[str, Tensor]:
            result = {}
            for m, x in observed.features.items():
                filling = torch.from_numpy(means[m][position[rows]]).to(x).unsqueeze(1)  # (U, 1, d)
                result[m] = torch.where(observed.present[m].unsqueeze(-1), x, filling)
            return result

        return recover


def check_recognizers(recognizers: Sequence[TrainedRecognizer], corpus: Corpus) -> None:
    """Refuse recognisers whose recovered values cannot be compared.

    Raises:
        ConfigError: one recovers nothing or is given twice, or their statistics differ.
        DataError: the corpus does not fit, or shares a dialogue with training.
    """
    seen = set()
    for trained in recognizers:
        trained.check_unseen(corpus)
        if not trained.model.recovers:
            raise ConfigError(f"model '{trained.variant}' recovers nothing; leave it out")
        if (trained.variant, trained.seed) in seen:
            raise ConfigError(f"model '{trained.variant}' with seed {trained.seed} is given twice; give one of them another name")
        seen.add((trained.variant, trained.seed))
        first = recognizers[0]
        if not _equal(trained.statistics, first.statistics) or trained.schema.modalities != first.schema.modalities:
            raise ConfigError(
                f"'{trained.variant}' and '{first.variant}' have other feature statistics or modalities: score them separately"
            )


def _equal(a: Statistics, b: Statistics) -> bool:
    first, second = a.to_tensors(), b.to_tensors()
    return first.keys() == second.keys() and all(np.array_equal(v, second[k]) for k, v in first.items())
