"""The masks of the test split as a file that others can use."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lacuna.corpus import Corpus
from lacuna.missing import MaskFile, masks_of
from lacuna.pipelines.parameters import Evaluate
from lacuna.reporting.masks import mask_figure, mask_table


def write_test_masks(corpus: Corpus, evaluate: Evaluate) -> tuple[MaskFile, pd.DataFrame, go.Figure]:
    """Return the masks that recognisers are scored under.

    ``evaluate`` computes the same masks again, because a mask is a pure function of the plan and the utterance ids.

    Args:
        corpus: the test split.
        evaluate: patterns, rates and mask seeds.

    Returns:
        The masks, a table with their measured rates, and a picture of some of them.
    """
    file = masks_of(corpus, evaluate.config().plans([m.name for m in corpus.modalities]))
    return file, mask_table(file), mask_figure(file)
