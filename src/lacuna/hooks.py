"""What every run does beside its nodes: tell how long each one took, and where the report is."""

from __future__ import annotations

import logging
import time
from typing import Any

from kedro.framework.hooks import hook_impl

logger = logging.getLogger(__name__)


class RunHooks:
    """Log the time of each node and where the report is."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        """Note when a node starts."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Any, catalog: Any, outputs: dict[str, Any]) -> None:
        """Log a node's time; after the report, where to open it."""
        logger.info("%s took %.1f s", node.name, time.perf_counter() - self._started.pop(node.name, time.perf_counter()))
        if "report" in outputs:
            logger.info("The report is at %s/report.html", catalog["report"]._describe()["filepath"])
