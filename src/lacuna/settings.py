"""Kedro settings. Nothing heavy is imported here: ``kedro --help`` reads this file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader

from lacuna.errors import ConfigError, suggestion
from lacuna.hooks import RunHooks, show_errors_short

BASE, LOCAL = "base", "local"
DEFAULT_RUN = "duet"  # name of the run of `kedro run` without an environment
QUICK = "_quick"  # added to the name of a quick run


class ConfigLoader(OmegaConfigLoader):
    """Kedro's loader, with ``${globals:run}``, ``${globals:predictions}`` and the quick mode.

    ``run`` is the name of the run, under which all its results are stored: the name of the environment, or ``duet`` without one.
    ``--params run=NAME`` chooses another name, and so does ``run`` in a ``globals.yml`` of the environment. ``--env duet`` is the
    same as no environment. ``predictions`` is the file that ``predict`` writes: ``predict.out``, or one in the folder of the run.

    ``--params quick=true`` replaces parameters by those of ``quick.yml``, except where ``--params`` says something else, and adds
    ``_quick`` to the name of the run, so that a quick run never replaces a full one.

    Raises:
        ConfigError: there is no such environment.
    """

    def __init__(
        self, conf_source: str | Path, env: str | None = None, runtime_params: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        show_errors_short()
        run = DEFAULT_RUN if env in (None, BASE, LOCAL) else env
        if run == DEFAULT_RUN and not Path(conf_source, env or LOCAL).is_dir():
            env = BASE
        _check_environment(Path(conf_source), env)
        super().__init__(conf_source, env, dict(runtime_params or {}), **options)
        chosen = {"run": run, **self["globals"]}
        if self.runtime_params.get("quick") is True:
            chosen["run"] += QUICK
            self.runtime_params = merged(self["quick"], self.runtime_params)
        chosen |= {name: value for name, value in self.runtime_params.items() if name == "run"}
        self["globals"] = chosen
        try:
            out = (self["parameters"].get("predict") or {}).get("out")
        except MissingConfigException:
            out = None
        self._globals_oc = None  # Kedro keeps the globals that it has resolved first
        self["globals"] = {**chosen, "predictions": out or f"data/07_model_output/{chosen['run']}/predictions.csv"}


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return two nested mappings as one; where both have a value, the second one counts.

    >>> merged({"train": {"seeds": [0], "models": ["mlp"]}}, {"train": {"seeds": [1]}, "run": "new"})
    {'train': {'seeds': [1], 'models': ['mlp']}, 'run': 'new'}
    """
    result = dict(first)
    for key, value in second.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def environments(conf: Path) -> list[str]:
    """Return the names of all environments; the first one is plain ``kedro run``."""
    names = {path.parent.name for path in conf.glob("*/parameters*.yml")}
    return [DEFAULT_RUN, *sorted(names - {DEFAULT_RUN, BASE, LOCAL})]


def _check_environment(conf: Path, env: str | None) -> None:
    if env in (None, BASE, LOCAL) or (conf / str(env)).is_dir():
        return
    known = environments(conf)
    raise ConfigError(f"there is no environment '{env}' in conf/{suggestion(str(env), known)}; there are: {', '.join(known)}")


def data_root() -> str:
    """Return the folder of the user's own corpora: ``LACUNA_SHARED_DATA``, or a folder beside the project."""
    return os.environ.get("LACUNA_SHARED_DATA", "../shared/data")


HOOKS = (RunHooks(),)
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": BASE,
    "default_run_env": LOCAL,
    "config_patterns": {"quick": ["quick*"]},
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
    "custom_resolvers": {"data_root": data_root},
}
