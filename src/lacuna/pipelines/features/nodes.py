"""From recordings to features."""

from __future__ import annotations

import atexit
import logging
import shutil

import pandas as pd

from lacuna.atomic import make_scratch
from lacuna.corpus import Corpus
from lacuna.corpus.importers.table import TableOptions
from lacuna.errors import DataError
from lacuna.pipelines.parameters import Features

logger = logging.getLogger(__name__)


def extract_features(features: Features) -> tuple[list[Corpus], pd.DataFrame]:
    """Encode the recordings that the parameters name.

    Args:
        features: the recordings and their encoders.

    Returns:
        The corpus of the recordings, without splits unless their table has them; empty if no recordings are named. And the
        table of what is wrong with clips, see :func:`lacuna.media.quarantine.quarantine_table`. The corpus is in a temporary
        folder, which is deleted when the process ends; so the features need not fit in memory.
    """
    from lacuna.media import extract
    from lacuna.media.quarantine import notes_of, quarantine_table

    if features.path is None:
        return [], quarantine_table([], [])
    if not features.path.exists():
        raise DataError(f"there is no file or folder {features.path}", hint="features.path names the recordings")
    folder = make_scratch()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # the dataset copies the corpus from it
    extraction = extract(
        features.path,
        features.encode,
        table=TableOptions(targets=tuple(features.targets)) if features.targets else None,
        turns=features.turns,
        cache=features.cache,
        workers=features.workers,
        max_failed=features.max_failed,
        damage=features.damage,
        out=folder,
    )
    for line in notes_of(extraction.quarantine):
        logger.info("%s", line)
    return [extraction.corpus], extraction.quarantine
