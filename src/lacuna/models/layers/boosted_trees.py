"""Gradient-boosted trees as arrays: fitted by scikit-learn, stored and evaluated without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class BoostedTrees(nn.Module):
    """Trees of fixed size in tensors, so that they are saved like weights.

    Args:
        rounds: R boosting rounds.
        outputs: K trees in each round.
        leaves: most leaves of a tree.
    """

    feature: Tensor
    threshold: Tensor
    child: Tensor
    value: Tensor
    missing_left: Tensor
    baseline: Tensor
    depth: Tensor

    def __init__(self, rounds: int, outputs: int, leaves: int) -> None:
        super().__init__()
        shape = (rounds, outputs, 2 * leaves - 1)
        self.register_buffer("feature", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("child", torch.zeros((*shape, 2), dtype=torch.int64))  # left and right; a leaf is its own child
        self.register_buffer("value", torch.zeros(shape, dtype=torch.float64))  # 0 in inner nodes
        self.register_buffer("missing_left", torch.zeros(shape, dtype=torch.bool))
        self.register_buffer("baseline", torch.zeros(outputs, dtype=torch.float64))
        self.register_buffer("depth", torch.zeros((), dtype=torch.int64))  # of the deepest tree

    def copy_from(self, estimator: Any, outputs: NDArray[np.int64]) -> None:
        """Take the trees of a fitted histogram gradient boosting of scikit-learn.

        Args:
            estimator: ``HistGradientBoostingClassifier`` or ``HistGradientBoostingRegressor``.
            outputs: which output each of its trees of a round is of.
        """
        self.baseline[outputs] = torch.from_numpy(
            np.asarray(estimator._baseline_prediction, np.float64).reshape(-1)
        )  # (1, k) -> (k,)
        for number, trees in enumerate(estimator._predictors):
            for output, tree in zip(outputs, trees, strict=True):
                nodes, count = tree.nodes, len(tree.nodes)
                own, leaf = np.arange(count), nodes["is_leaf"].astype(bool)
                place = (number, int(output), slice(count))
                self.feature[place] = torch.from_numpy(nodes["feature_idx"].astype(np.int64))
                self.threshold[place] = torch.from_numpy(nodes["num_threshold"].astype(np.float64))
                for side, name in enumerate(("left", "right")):
                    self.child[*place, side] = torch.from_numpy(np.where(leaf, own, nodes[name].astype(np.int64)))
                self.value[place] = torch.from_numpy(np.where(leaf, nodes["value"], 0.0))
                self.missing_left[place] = torch.from_numpy(nodes["missing_go_to_left"].astype(bool))
                self.depth.fill_(max(int(self.depth), int(nodes["depth"].max())))

    def forward(self, x: Tensor, rounds: int) -> Tensor:
        """Sum of the first trees.

        Args:
            x: (U, d), NaN = missing.
            rounds: how many rounds count.

        Returns:
            (U, K) float32.
        """
        shape = (len(x), rounds * self.feature.shape[1])
        tables = [t[:rounds].flatten(0, 1) for t in (self.feature, self.threshold, self.missing_left, self.child, self.value)]
        feature, threshold, missing_left, child, value = tables  # (rounds * K, nodes) each, child (rounds * K, nodes, 2)
        tree = torch.arange(shape[1], device=x.device)
        node = torch.zeros(shape, dtype=torch.int64, device=x.device)  # (U, rounds * K)
        for _ in range(int(self.depth)):
            seen = x.gather(1, feature[tree, node]).double()
            left = torch.where(torch.isnan(seen), missing_left[tree, node], seen <= threshold[tree, node])
            node = child[tree, node, (~left).long()]
        found = value[tree, node].reshape(len(x), rounds, -1).sum(dim=1)  # (U, rounds * K) -> (U, rounds, K) -> (U, K)
        return (found + self.baseline).float()
