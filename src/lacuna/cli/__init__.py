"""The ``lacuna`` command. What is heavy is imported inside the commands, so that ``--help`` is immediate."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from lacuna.cli import (
    corpora_command,
    corpus_commands,
    demo_command,
    features_command,
    grid_commands,
    run_commands,
    score_commands,
    serve_command,
)
from lacuna.errors import KEPT, LacunaError, exhausted, naming_extras
from lacuna.parallel import terminated_as_interrupted
from lacuna.text import visible


class _Commands(click.Group):
    """Shows errors of Lacuna as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with naming_extras("this command"), terminated_as_interrupted():
                return super().invoke(ctx)
        except LacunaError as error:
            raise click.ClickException(visible(str(error))) from None
        except KeyboardInterrupt as interruption:
            click.echo(f"\ninterrupted; {str(interruption) or KEPT}", err=True)
            sys.exit(130)
        except Exception as error:
            if (message := exhausted(error)) is None:
                raise
            raise click.ClickException(message) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lacuna")
def main() -> None:
    """Train, compare and use emotion recognisers on data with missing modalities.

    Most commands work on a path and need no project: doctor, train, evaluate, report, predict, runs.
    """
    _log_to_stderr()


def _log_to_stderr() -> None:
    """Write the messages of Lacuna to stderr: progress where there is no terminal, and warnings.

    Only the command does this. A program that imports the library sets up logging itself.
    """
    logger = logging.getLogger("lacuna")
    if not logger.handlers:
        handler = _Stderr()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


class _Stderr(logging.Handler):
    """Writes to the stderr of the moment, which tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


class _ProjectCommands(click.Group):
    """Commands that Kedro adds to its own: `run` replaces that of Kedro. It is imported when Kedro asks for it, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["run"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "run":
            return None
        from lacuna.pipelines.run_command import kedro_run

        return kedro_run()


cli = _ProjectCommands()  # Kedro looks for `<package>.cli.cli`

for _command in (
    corpus_commands.doctor,
    corpus_commands.duet,
    corpora_command.table,
    corpora_command.corpora,
    demo_command.demo_media,
    features_command.features,
    features_command.assets,
    run_commands.train,
    run_commands.evaluate,
    run_commands.report,
    run_commands.predict,
    run_commands.export,
    serve_command.serve,
    run_commands.runs,
    score_commands.score,
    score_commands.prompts,
    score_commands.answers,
    grid_commands.bench,
    grid_commands.study,
):
    main.add_command(_command)
