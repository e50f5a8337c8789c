"""Checks before training: test data, leakage between splits, empty or unlabelled splits."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.cautions import is_constant
from lacuna.corpus.corpus import has_label
from lacuna.corpus.schema import SPLITS
from lacuna.corpus.storage.tensors import blocks, gather
from lacuna.corpus.validate import one_class
from lacuna.errors import ConfigError, DataError
from lacuna.training.identity import Recipe

_log = logging.getLogger(__name__)


def check_splits(recipe: Recipe) -> None:
    """Check that the splits contain no test data, do not overlap, and have labels.

    Raises:
        ConfigError: an empty or unlabelled split, another target, a negative seed.
        DataError: a test utterance, an utterance in both splits, or a single class in training.
    """
    train, valid, schema, seed = recipe.train, recipe.valid, recipe.schema, recipe.seed
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"the training seed must be a whole number of at least 0; found {seed!r}")
    for role, split, hint in (("training", train, "set ingest.split"), ("validation", valid, "set ingest.valid_share")):
        parts = (low + np.flatnonzero(codes == SPLITS.index("test")) for low, (codes,) in blocks([split.utterances.split]))
        if len(leaked := np.concatenate([np.zeros(0, np.int64), *parts])):
            raise DataError(
                f"the {role} corpus holds test utterances",
                corpus=split.name,
                utterance=split.utterances.id[int(leaked[0])].as_py(),
                expected="no utterance of the test split",
                found=f"{len(leaked)} of {len(split)}",
                hint="pass corpus.only('train') and corpus.only('valid')",
            )
        if not len(split):
            raise ConfigError(f"corpus '{split.name}' has no {role} utterance; {hint}")
        split.require(schema)
        if split.target(schema.target.name) != schema.target:
            raise ConfigError(
                f"target '{schema.target.name}' of corpus '{split.name}' differs from the one the model is built for"
            )
        labels = split.utterances.labels[schema.target.name]
        if not any(has_label(schema.target, values).any() for _, (values,) in blocks([labels])):
            raise ConfigError(
                f"no {role} utterance of corpus '{split.name}' is labelled for target '{schema.target.name}'; {hint}"
            )
    if error := one_class(train, schema.target):
        raise error
    for modality in schema.dims:
        if modality in train.frames and is_constant(train, modality):
            _log.warning("corpus '%s': all training features of modality '%s' are equal", train.name, modality)
    both = _in_both(valid.keys, train.keys)
    if len(both):
        raise DataError(
            "utterances are in the training and in the validation corpus",
            corpus=valid.name,
            utterance=valid.utterances.id[int(both[0])].as_py(),
            found=f"{len(both)} of {len(valid)}",
            hint="split by dialogue, see lacuna.corpus.splits",
        )


def _in_both(few: NDArray[np.uint64], many: NDArray[np.uint64], block: int = 1 << 16) -> NDArray[np.int64]:
    """Return the positions (K,) int64 of keys of one split that also occur in another, which is read in blocks."""
    few = gather([few], np.arange(len(few)))[0]
    order = np.argsort(few)
    found = np.zeros(len(few), bool)
    for _, (part,) in blocks([many], block):
        place = np.minimum(np.searchsorted(few, part, sorter=order), len(few) - 1)
        found[order[place[few[order[place]] == part]]] = True
    return np.flatnonzero(found)
