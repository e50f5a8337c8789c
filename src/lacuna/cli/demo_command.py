"""The command ``demo-media``."""

from __future__ import annotations

from pathlib import Path

import click

from lacuna.cli.options import parse_options, show


@click.command(name="demo-media")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. dialogues=10; may be repeated.")
@click.option("--overwrite", is_flag=True, help="Replace the recordings that FOLDER holds.")
def demo_media(folder: Path, changes: tuple[str, ...], overwrite: bool) -> None:
    """Write generated recordings into FOLDER.

    Drawn faces speak short dialogues with four emotions: MP4 files and recordings.csv, about 6 MB. In some of them the camera
    or the microphone is off.
    """
    from lacuna.errors import ConfigError, suggestion
    from lacuna.media.generated import Settings, generate

    if (folder / "recordings.csv").exists() and not overwrite:
        raise click.ClickException(f"{folder} holds recordings already: name another folder, or add --overwrite")
    settings = parse_options(changes)
    known = list(Settings.__dataclass_fields__)
    if unknown := next((key for key in settings if key not in known), None):
        raise ConfigError(f"there is no setting '{unknown}'{suggestion(unknown, known)}; there are: {', '.join(known)}")
    generate(folder, Settings(**settings))
    show(f"written: {folder}\nnext: lacuna features {folder} --out demo_corpus")
