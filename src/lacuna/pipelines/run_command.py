"""``kedro run`` of this project: Kedro's own command, whose ``--params`` takes lists and which knows the names of pipelines."""

from __future__ import annotations

import copy
import sys
from functools import wraps
from typing import Any

import click
from kedro.framework.cli.project import run
from kedro.framework.project import settings
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lacuna.errors import KEPT, LacunaError
from lacuna.hooks import RunHooks
from lacuna.parallel import terminated_as_interrupted
from lacuna.pipelines.validation import check_pipelines


def kedro_run() -> click.Command:
    """Return Kedro's ``run`` with options that read lists and check the names of pipelines."""
    command: click.Command = copy.copy(run)
    command.params = [copy.copy(option) for option in run.params]
    for option in command.params:
        if option.name == "params":
            option.callback = lambda ctx, param, value: value if isinstance(value, dict) else parse_parameters(value)
        elif option.name in ("pipelines", "pipeline"):
            option.callback = _checking_pipelines(option.callback)
    command.callback = _interruptible(run.callback)
    return command


def _interruptible(function: Any) -> Any:
    """Return a command that says after Ctrl-C and SIGTERM what was kept and how to continue."""

    @wraps(function)
    def run_interruptible(**options: Any) -> Any:
        try:
            with terminated_as_interrupted():
                return function(**options)
        except KeyboardInterrupt:
            kept = next((hooks.kept() for hooks in settings.HOOKS if isinstance(hooks, RunHooks)), KEPT)
            click.echo(f"\ninterrupted; {kept}", err=True)
            sys.exit(130)

    return run_interruptible


def _checking_pipelines(parse: Any) -> Any:
    def checked(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        value = parse(ctx, param, value) if parse else value
        try:
            check_pipelines([value] if isinstance(value, str) else value or [])
        except LacunaError as error:
            raise click.ClickException(str(error)) from None
        return value

    return checked


def parse_parameters(text: str) -> dict[str, Any]:
    """Return the value of ``--params`` as nested parameters.

    Args:
        text: ``key=value`` pairs with commas between them. A list is ``[a,b]``, ``a,b`` or ``a+b``, and ``[]`` is the empty list.

    Raises:
        click.BadParameter: a pair has no name, or a value cannot be read.

    >>> parse_parameters("train.models=[linear,mlp],train.seeds=0,1,run=new,evaluate.recovery_rates=[]")
    {'train': {'models': ['linear', 'mlp'], 'seeds': [0, 1]}, 'run': 'new', 'evaluate': {'recovery_rates': []}}
    >>> parse_parameters("predict.path=a corpus")
    {'predict': {'path': 'a corpus'}}
    """
    pairs: list[str] = []
    for part in _split(text):
        if "=" in part or not pairs:
            pairs.append(part)
        else:
            pairs[-1] += f",{part}"
    for number, pair in enumerate(pairs):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--params")
        if "," in value and not value.startswith(("[", "{")):
            value = f"[{value}]"
        pairs[number] = f"{name.strip()}={value}"
    try:
        parameters: dict[str, Any] = OmegaConf.to_container(OmegaConf.from_dotlist(pairs))  # type: ignore[assignment]
    except (OmegaConfBaseException, ValueError) as error:
        raise click.BadParameter(f"{text!r} cannot be read: {error}", param_hint="--params") from None
    return parameters


def _split(text: str) -> list[str]:
    """Return the parts of a text between the commas that are outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
