"""Kedro settings. Nothing heavy is imported here: ``kedro --help`` reads this file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

from lacuna.hooks import RunHooks

BASE, LOCAL = "base", "local"
DEFAULT_RUN = "duet"  # what `kedro run` without an environment is called


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with ``${globals:run}``: the name of the run, under which all its results are stored.

    It is the name of the environment, or ``duet`` without one. ``--params run=NAME`` chooses another name, and so does ``run`` in
    a ``globals.yml`` of the environment. ``--env duet`` is the same as no environment.
    """

    def __init__(
        self, conf_source: str | Path, env: str | None = None, runtime_params: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        run = DEFAULT_RUN if env in (None, BASE, LOCAL) else env
        if run == DEFAULT_RUN and not Path(conf_source, env or LOCAL).is_dir():
            env = BASE
        super().__init__(conf_source, env, dict(runtime_params or {}), **options)
        self["globals"] = {"run": run, **self["globals"], **{k: v for k, v in self.runtime_params.items() if k == "run"}}


def data_root() -> str:
    """Return the folder of a person's own corpora: ``LACUNA_SHARED_DATA``, or a folder beside the project."""
    return os.environ.get("LACUNA_SHARED_DATA", "../shared/data")


HOOKS = (RunHooks(),)
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": BASE,
    "default_run_env": LOCAL,
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
    "custom_resolvers": {"data_root": data_root},
}
