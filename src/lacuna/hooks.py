"""What every run does besides its nodes: check settings, protect earlier results, log times and results, shorten errors."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from lacuna.errors import KEPT

if TYPE_CHECKING:
    from lacuna.pipelines.record import Record

logger = logging.getLogger(__name__)
RESULTS = ("report", "predictions", "study", "tuned_environment", "ood.report")


class RunHooks:
    """Refuse wrong settings and the loss of earlier results before the first node; log nodes and results."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._record: Record | None = None
        self._source: object = None  # of the corpus, for messages
        self._finished: list[str] = []  # names of nodes

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Check every parameter, whether a node reads it or not."""
        from lacuna.pipelines.validation import check_parameters

        loader = context.config_loader
        parameters = loader["parameters"]
        check_parameters(parameters)
        from lacuna.pipelines.record import Record  # imports torch: after the check

        self._source = parameters["ingest"].get("path") or parameters["ingest"].get("name") if "ingest" in parameters else None
        names = loader["globals"]
        self._record = Record(Path(context.project_path), names["run"], loader.env or "", replace=bool(parameters.get("replace")))

    @hook_impl
    def before_pipeline_run(self, run_params: Any, pipeline: Any, catalog: Any) -> None:
        """Refuse to replace results of other settings, and check the settings of a study."""
        if "params:tune" in pipeline.inputs():
            from lacuna.pipelines.tune.parameters import study_config

            study_config(*(catalog.load(f"params:{name}") for name in ("tune", "train", "models")))
        if self._record is not None:
            self._record.check(pipeline, catalog)

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        """Note when a node starts."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Refuse another corpus than the one that the results of the run were made from."""
        if dataset_name == "corpus@all" and self._record is not None:
            self._record.check_corpus(data, self._source)

    @hook_impl
    def after_node_run(self, node: Any, catalog: Any, outputs: dict[str, Any]) -> None:
        """Log the time of a node, and record the settings of its results."""
        logger.info("%s took %.1f s", node.name, time.perf_counter() - self._started.pop(node.name, time.perf_counter()))
        self._finished.append(node.name)
        if self._record is not None:
            self._record.note([node], catalog, outputs)

    def kept(self) -> str:
        """Return what an interrupted run has finished and how to continue, in words."""
        nodes = f"finished: {', '.join(self._finished)}" if self._finished else "no node is finished"
        running = list(self._started)
        start = f"\n  do: the same command, or add --from-nodes {running[-1]}" if running and self._finished else ""
        return f"{nodes}; {KEPT}{start}"

    @hook_impl
    def after_pipeline_run(self, run_params: Any, run_result: Any, pipeline: Any, catalog: Any) -> None:
        """Log where the results are."""
        if self._record is not None:
            self._record.note(pipeline.nodes, catalog, {})  # a parallel runner calls no hooks of nodes
        for name in RESULTS:
            if name in pipeline.all_outputs():
                dataset = catalog.get(name)
                logger.info("%s: %s", name, getattr(dataset, "entry", None) or dataset._describe()["filepath"])


def show_errors_short() -> None:
    """Show errors of this project and wrong settings by their message alone; ``LACUNA_TRACEBACK=1`` shows everything."""
    if not os.environ.get("LACUNA_TRACEBACK"):
        sys.excepthook = _short


def _short(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error of this project or a wrong setting by its message alone, anything else in full."""
    from kedro.io import DatasetError
    from kedro.validation import ParameterValidationError

    from lacuna.errors import LacunaError, causes, exhausted

    short: object = next((cause for cause in causes(error) if isinstance(cause, LacunaError)), None) or exhausted(error)
    if short is None and (isinstance(error, DatasetError | ParameterValidationError) or _refused_by_kedro(error, trace)):
        short = error
    if short is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write(f"\nerror: {short}\n\n(LACUNA_TRACEBACK=1 shows where in the code)\n")


def _refused_by_kedro(error: BaseException, trace: TracebackType | None) -> bool:
    """Return whether Kedro itself raised the error because of what was typed, e.g. an unknown node."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return isinstance(error, ValueError) and where.startswith("kedro.")
