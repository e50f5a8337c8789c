"""Kedro settings. Nothing heavy is imported here: ``kedro --help`` reads this file."""

import os

from kedro.config import OmegaConfigLoader

from lacuna.hooks import RunHooks


def data_root() -> str:
    """Where a person's own corpora lie: ``LACUNA_SHARED_DATA``, or a folder beside the project."""
    return os.environ.get("LACUNA_SHARED_DATA", "../shared/data")


HOOKS = (RunHooks(),)
CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
    "custom_resolvers": {"data_root": data_root},
}
