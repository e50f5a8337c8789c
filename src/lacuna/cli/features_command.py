"""Commands about recordings: ``features`` and ``assets``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lacuna.cli.options import Items, parse_options, show

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("source", metavar="FOLDER", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Folder of the corpus to write.")
@click.option("--overwrite", is_flag=True, help="Replace the corpus that the folder holds.")
@click.option("--text", default="minilm", show_default=True, help="Encoder of transcripts, or none.")
@click.option("--audio", default="logmel", show_default=True, help="Encoder of the sound, or none.")
@click.option("--vision", default="blendshapes", show_default=True, help="Encoder of the picture, or none.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting, e.g. vision.rate=10; may be repeated.")
@click.option("--targets", type=Items(), help="Label columns of the table, the default target first.  [default: all]")
@click.option("--turns", type=click.Choice(["energy", "silero"]), help="Cut recordings without a table into turns at pauses.")
@click.option("--damage", multiple=True, metavar="NAME:VALUE", help="Damage done first, e.g. noise:10; may be repeated.")
@click.option("--damage-seed", type=int, default=0, show_default=True, help="Decides what a damage draws.")
@click.option("--name", help="Of the corpus. [default: the last part of FOLDER]")
@click.option("--workers", type=click.IntRange(1), help="Processes on this machine. [default: one a core]")
@click.option("--ray", metavar="ADDRESS", help="Encode on this Ray cluster (extra `cluster`): auto, host:port, local.")
@click.option("--cache", type=_PATH, help="Folder of the cache. [default: the cache folder of the user]")
@click.option("--max-failed", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Share of clips that may fail.")
def features(source: Path, out: Path, *, overwrite: bool, settings: tuple[str, ...], **how: Any) -> None:
    """Compute the features of recordings into a corpus.

    FOLDER holds recordings (.wav, .mp4, ...), and maybe recordings.csv with the columns id, file, start, end, text, dialogue,
    turn, speaker, split and labels. Without it each file is one utterance. If FOLDER is a corpus with transcripts instead,
    its text features are made from them. FOLDER may also be a public corpus as downloaded: `lacuna corpora` lists them.

    --damage changes the recordings before they are encoded: sound-lost:SECONDS, sound-silent:SECONDS, telephone, noise:DECIBELS,
    picture-lost:SECONDS, picture-black:SECONDS, words-lost:SHARE.

    The command may be interrupted; the same command continues. What is wrong with a clip is in OUT/quarantine.csv.
    """
    from lacuna.corpus.importers.table import TableOptions
    from lacuna.corpus.storage.writer import MANIFEST
    from lacuna.media import encode_texts, extract, is_recordings
    from lacuna.media.damage import damages_of
    from lacuna.media.quarantine import notes_of

    if (out / MANIFEST).exists() and not overwrite:
        raise click.ClickException(f"{out} holds a corpus already: name another folder, or say --overwrite")
    encode, damages = _encode(how, settings), damages_of(how["damage"], how["damage_seed"])
    if not is_recordings(source):
        from lacuna.loading import load_corpus

        if damages:
            raise click.ClickException(f"{source} has no recordings: --damage has nothing to damage")
        if encode["text"] is None:
            raise click.ClickException(f"{source} has no recordings, and --text none leaves nothing to encode")
        own = load_corpus(source, name=how["name"], split="given")
        corpus = encode_texts(own, encode["text"], **{key: how[key] for key in ("cache", "workers", "ray")}, out=out)
        show(f"{len(corpus)} utterances with text features -> {out}")
        return
    table = TableOptions(targets=tuple(how["targets"])) if how["targets"] else None
    chosen = {key: how[key] for key in ("name", "turns", "workers", "ray", "cache", "max_failed")}
    extraction = extract(source, encode, table=table, damage=damages, **chosen, out=out)
    dims = ", ".join(f"{m.name} {m.dim}" for m in extraction.corpus.modalities)
    problems = notes_of(extraction.quarantine)
    show("\n".join([f"{len(extraction.corpus)} utterances ({dims}) -> {out}", *problems, f"next: lacuna train {out}"]))


def _encode(how: dict[str, Any], settings: tuple[str, ...]) -> dict[str, dict[str, Any] | None]:
    """Return the setting ``encode`` of :func:`lacuna.media.extract.extract`."""
    encode: dict[str, dict[str, Any] | None] = {}
    for modality in ("text", "audio", "vision"):
        encode[modality] = None if how[modality] == "none" else {"name": how[modality]}
    for key, value in parse_options(settings).items():
        modality, dot, field = key.partition(".")
        chosen = encode.get(modality)
        if not dot or chosen is None:
            raise click.BadParameter(f"{key!r} is no MODALITY.FIELD of a modality that is encoded", param_hint="--set")
        chosen[field] = value
    return encode


@click.group(invoke_without_command=True)
@click.pass_context
def assets(context: click.Context) -> None:
    """List or fetch the weights of encoders.

    Without a command, list them.
    """
    from lacuna.media.assets import ASSETS, find

    if context.invoked_subcommand is None:
        for name, entry in ASSETS.items():
            state = "here" if find(name) else "missing"
            size, digest = f"{entry.bytes / 1e6:.1f} MB", entry.sha256[:12]
            show(f"{name:<18} {state:<8} {size:>8}  {entry.licence:<11} sha256 {digest}  {entry.summary}")


@assets.command()
@click.argument("names", nargs=-1)
@click.option("--from", "source", type=click.Choice(["url", "package"]), default="url", show_default=True, help="Where from.")
def fetch(names: tuple[str, ...], source: str) -> None:
    """Download assets into the cache and verify them; by default all of them."""
    from lacuna.media.assets import ASSETS
    from lacuna.media.assets import fetch as fetch_asset

    for name in names or ASSETS:
        show(f"{name}: {fetch_asset(name, source)}")
