"""Models are trained side by side, in processes or on machines of their own; they are scored together."""

from __future__ import annotations

import pandas as pd

from lacuna.errors import DataError
from lacuna.pipelines.checks import check_same_corpus
from lacuna.pipelines.parameters import Gather
from lacuna.training import TrainedRecognizer, load_recognizers


def gather_parts(gather: Gather) -> tuple[list[TrainedRecognizer], pd.DataFrame]:
    """Join what ``kedro run --pipelines train --params part=/parts/NAME`` left, for each name.

    Args:
        gather: names of the parts and the folders that they lie in; a name that is said twice counts once.

    Returns:
        The recognisers of all parts, in the order of the names, and their rows of learning curves.

    Raises:
        DataError: a part is not there, or was trained on another state of the corpus than the first.
    """
    trained: list[TrainedRecognizer] = []
    histories = []
    for part in dict.fromkeys(gather.parts):
        trained += load_recognizers(gather.recognizers / part / "recognizers")
        path = gather.histories / part / "history.parquet"
        if not path.is_file():
            hint = f"train it: kedro run --pipelines train --params train.models={part},part=/parts/{part}"
            raise DataError(f"there are no learning curves of part '{part}'", expected=path, hint=hint)
        histories.append(pd.read_parquet(path))
    check_same_corpus(trained, trained[0].data, trained[0].corpus)
    return trained, pd.concat(histories, ignore_index=True)
