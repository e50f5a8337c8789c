"""What every run does beside its nodes: tell how long each one took and where the results are, and keep errors short."""

from __future__ import annotations

import logging
import os
import sys
import time
from types import TracebackType
from typing import Any

from kedro.framework.hooks import hook_impl

logger = logging.getLogger(__name__)
RESULTS = ("report", "predictions", "study", "tuned_environment", "ood.report")


class RunHooks:
    """Log nodes and results; show an error that was made for people without the frames that led to it."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """From here on errors are short; ``LACUNA_TRACEBACK=1`` shows everything."""
        if not os.environ.get("LACUNA_TRACEBACK"):
            sys.excepthook = _short

    @hook_impl
    def before_pipeline_run(self, run_params: Any, pipeline: Any, catalog: Any) -> None:
        """Check what Kedro cannot: each parameter is valid by itself by now, but labels are used by one and made by another."""
        if {"params:train", "params:models"} <= pipeline.inputs():
            from lacuna.pipelines.parameters import check_variants

            check_variants(catalog.load("params:train"), catalog.load("params:models"))
        if "params:tune" in pipeline.inputs():
            from lacuna.pipelines.tune.parameters import study_config

            study_config(*(catalog.load(f"params:{name}") for name in ("tune", "train", "models")))

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        """Note when a node starts."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Any) -> None:
        """Log a node's time."""
        logger.info("%s took %.1f s", node.name, time.perf_counter() - self._started.pop(node.name, time.perf_counter()))

    @hook_impl
    def after_pipeline_run(self, run_params: Any, run_result: Any, pipeline: Any, catalog: Any) -> None:
        """Tell where the results are."""
        for name in RESULTS:
            if name in pipeline.all_outputs():
                dataset = catalog.get(name)
                logger.info("%s: %s", name, getattr(dataset, "entry", None) or dataset._describe()["filepath"])


def _short(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error of this project or a wrong setting by its message alone, anything else in full."""
    from kedro.io import DatasetError
    from kedro.validation import ParameterValidationError

    from lacuna.errors import LacunaError

    chain, seen = [error], error
    while (cause := seen.__cause__ or seen.__context__) is not None:
        chain.append(cause)
        seen = cause
    ours: BaseException | None = next((e for e in chain if isinstance(e, LacunaError)), None)
    if ours is None and isinstance(error, DatasetError | ParameterValidationError):
        ours = error
    if ours is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write(f"\nerror: {ours}\n\n(LACUNA_TRACEBACK=1 shows where in the code)\n")
