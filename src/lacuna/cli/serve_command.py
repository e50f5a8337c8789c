"""``lacuna serve``: a local page that shows what a model answers for a recording."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--variant", help="Of a run with several models. [default: the best on validation]")
@click.option("--port", type=click.IntRange(0, 65535), default=8777, show_default=True, help="0 = any that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others can be reached from outside.")
@click.option("--max-mb", type=click.FloatRange(0, min_open=True), default=200, show_default=True, help="Largest recording.")
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), default=600, show_default=True, help="Longest recording.")
def serve(model: Path, variant: str | None, port: int, host: str, **limits: float) -> None:
    """Open a local page that predicts your recordings.

    MODEL is a saved model or the folder of a run, trained on features of recordings. Nothing leaves this machine, and no
    recording is kept.
    """
    from lacuna.api import load_model
    from lacuna.serve.app import is_loopback
    from lacuna.serve.app import serve as serve_page
    from lacuna.serve.reader import UploadLimits

    loaded = load_model(model, variant=variant)
    if not is_loopback(host):
        click.echo(f"warning: {host} can be reached from other machines: whoever does can send recordings", err=True)
    bounds = UploadLimits(megabytes=limits["max_mb"], seconds=limits["max_seconds"])
    serve_page(
        loaded, host=host, port=port, limits=bounds, ready=lambda url: click.echo(f"{loaded!r}\npage: {url}  (Ctrl+C ends it)")
    )
