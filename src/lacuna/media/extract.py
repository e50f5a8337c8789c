"""From a folder of recordings to a corpus."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacuna.atomic import write_text
from lacuna.corpus.corpus import Corpus
from lacuna.corpus.importers.base import slug
from lacuna.corpus.importers.table import TableOptions
from lacuna.corpus.schema import Modality
from lacuna.errors import ConfigError, suggestion
from lacuna.media.assets import cache_folder
from lacuna.media.clips import Clip, Clips, clips_of
from lacuna.media.collect import used_encoders, utterances_of, with_features
from lacuna.media.damage import Damage, damage_text, damages_of
from lacuna.media.decode import Limits
from lacuna.media.encode import ClipJob, ClipResult, encode_clip
from lacuna.media.encoders import FeatureEncoder, create_encoder
from lacuna.media.encoders.base import MODALITIES, setting_of
from lacuna.media.quarantine import FILE, MAX_FAILED, check_share, quarantine_table
from lacuna.parallel import n_workers, run_on_ray, run_parallel
from lacuna.text import csv_text

if TYPE_CHECKING:
    import pandas as pd

DEFAULTS: Mapping[str, str] = {"text": "minilm", "audio": "logmel", "vision": "blendshapes"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extraction:
    """The result of :func:`extract`.

    Attributes:
        corpus: in memory, or opened from the folder it was written to.
        quarantine: what was wrong, see :func:`lacuna.media.quarantine.quarantine_table`.
        clips: all clips of the source, those in quarantine too.
    """

    corpus: Corpus
    quarantine: pd.DataFrame
    clips: Sequence[Clip] = ()


def extract(
    source: str | Path,
    encode: Mapping[str, str | Mapping[str, Any] | None] | None = None,
    *,
    name: str | None = None,
    table: TableOptions | None = None,
    turns: str | None = None,
    cache: str | Path | None = None,
    workers: int | None = 1,
    ray: str | None = None,
    limits: Limits | None = None,
    max_failed: float = MAX_FAILED,
    damage: Sequence[str | Damage] = (),
    out: str | Path | None = None,
) -> Extraction:
    """Compute the features of recordings.

    Every clip and encoder is cached, so that an interrupted run continues, and a clip is encoded again only if the
    recording, its part, the encoder or its settings have changed. Results do not depend on the number of workers.

    Args:
        source: a recording, or a folder of recordings, with or without a table of clips.
        encode: by modality, the name of an encoder, or its settings with its ``name``, or ``None`` to leave the modality out;
            modalities that are not named get :data:`DEFAULTS`.
        name: of the corpus; default: the last part of the path.
        table: how label columns of the table are read.
        turns: cut recordings without a table into turns; ``energy`` or ``silero``, see :func:`lacuna.media.turns.activity`.
        cache: folder of the cache; default: the cache folder of the user.
        workers: processes; ``None`` = one for each physical core.
        ray: address of a Ray cluster whose machines encode the clips instead, see :func:`lacuna.parallel.run_on_ray`. They see
            the recordings and the cache at the same paths.
        limits: bounds of decoding.
        max_failed: the share of clips without any usable modality above which the run fails, in [0, 1].
        damage: done to the recordings before they are encoded, in this order, e.g. ``["noise:10", "words-lost:0.3"]``; see
            :func:`lacuna.media.damage.list_damages`.
        out: folder to write the corpus and ``quarantine.csv`` to, a block of dialogues at a time, so that the features need not
            fit in memory; what was there is replaced. ``None`` = nothing is written, and the corpus is in memory.

    Returns:
        The corpus and the quarantine table. Clips without any usable modality are in the table only.

    Raises:
        ConfigError: an encoder, a damage or a setting is unknown, or weights are missing.
        DataError: the source has no clips, the table is malformed, or too many clips failed.
    """
    source = Path(source)
    corpus_name = name or slug(source.resolve().stem)
    damages = damages_of(damage)
    clips = _damaged(clips_of(source, table, turns), damages)
    encoders = needed_encoders(encoders_of(encode or {}), clips.clips)
    for encoder in encoders:
        encoder.prepare()
    folder = Path(cache) if cache is not None else cache_folder() / "features"
    jobs = [ClipJob(clip, encoders, folder, limits or Limits(), damages) for clip in clips.clips]
    results = _encoded(jobs, workers, ray, corpus_name)
    quarantine = quarantine_table(clips.clips, results)
    check_share(corpus_name, clips.clips, results, max_failed)
    for row in quarantine[quarantine["outcome"] == "quarantined"].itertuples():
        _log.warning("%s: %s is not in the corpus: %s (%s)", corpus_name, row.id, row.reason, row.modality)
    utterances = utterances_of(corpus_name, source, clips, encoders, results=results, quarantine=quarantine)
    by_id = {clip.id: done for clip, done in zip(clips.clips, results, strict=True)}
    in_order = [by_id[clip] for clip in utterances.ids]
    corpus = with_features(utterances, in_order, used_encoders(encoders, results), out=None if out is None else Path(out))
    if out is not None:
        write_text(Path(out) / FILE, csv_text(quarantine))
    return Extraction(corpus, quarantine, clips.clips)


def _encoded(jobs: Sequence[ClipJob], workers: int | None, ray: str | None, name: str) -> list[ClipResult]:
    """Return the result of each job, in their order."""
    ended: Iterable[tuple[int, ClipResult | Exception]]
    if ray is None:
        ended = enumerate(run_parallel(encode_clip, jobs, n_workers(workers, len(jobs)), ahead=4))
    else:
        ended = run_on_ray(encode_clip, [_absolute(job) for job in jobs], ray)
    results: dict[int, ClipResult] = {}
    for number, result in ended:
        if isinstance(result, Exception):
            raise result
        results[number] = result
        if len(results) % 100 == 0:
            _log.info("%s: %d of %d clips", name, len(results), len(jobs))
    return [results[number] for number in range(len(jobs))]


def _absolute(job: ClipJob) -> ClipJob:
    """Return a job that can be done in another working folder."""
    path = job.clip.path
    return replace(job, clip=replace(job.clip, path=None if path is None else path.absolute()), cache=job.cache.absolute())


def _damaged(clips: Clips, damages: tuple[Damage, ...]) -> Clips:
    """Return the clips with damaged transcripts, and a note on all damages."""
    if not damages:
        return clips
    note = f"damaged before the features were computed: {', '.join(damage.describe() for damage in damages)}"
    changed = [replace(clip, text=damage_text(damages, clip.text, clip.id)) for clip in clips.clips]
    return replace(clips, clips=changed, notes=[*clips.notes, note])


def encoders_of(encode: Mapping[str, str | Mapping[str, Any] | None]) -> tuple[FeatureEncoder, ...]:
    """Return the encoders of a setting ``encode``, see :func:`extract`.

    Raises:
        ConfigError: a modality, an encoder or a setting is unknown.
    """
    if unknown := [modality for modality in encode if modality not in MODALITIES]:
        hint = f"known: {', '.join(MODALITIES)}\n  do: correct the name in the setting encode"
        raise ConfigError(f"unknown modality {unknown[0]!r}{suggestion(unknown[0], MODALITIES)}; {hint}")
    encoders = []
    for modality in MODALITIES:
        chosen = encode.get(modality, DEFAULTS[modality])
        if isinstance(chosen, str):
            chosen = {"name": chosen}
        if chosen is not None:
            settings = dict(chosen)
            encoders.append(create_encoder(modality, settings.pop("name", DEFAULTS[modality]), settings))
    if not encoders:
        raise ConfigError("every modality is left out\n  do: name an encoder for at least one of text, audio and vision")
    return tuple(encoders)


def encoders_of_modalities(modalities: Iterable[Modality]) -> dict[str, dict[str, Any] | None]:
    """Return the setting ``encode`` that made the features of a corpus, so that new recordings get the same ones.

    Args:
        modalities: of the corpus or of a model's schema. A log message names those that no encoder of this version makes.

    Raises:
        ConfigError: the features of none of them were made by an encoder of Lacuna, or by another version of it.
    """
    encode: dict[str, dict[str, Any] | None] = dict.fromkeys(MODALITIES)
    modalities = list(modalities)
    encode |= {modality.name: setting_of(modality.extractor) for modality in modalities if modality.name in MODALITIES}
    if not any(encode.values()):
        raise ConfigError(
            "the model cannot read recordings: no encoder of this version of Lacuna made the features that it was trained on\n"
            "  do: train it on a corpus of `lacuna features`"
        )
    for modality in modalities:
        if not encode.get(modality.name):
            _log.warning(
                "recordings are read without the modality '%s' of the model: no encoder of this version of Lacuna makes its "
                "features (%s)\n  do: train the model on a corpus of `lacuna features`, if the modality matters",
                modality.name,
                modality.extractor,
            )
    return encode


def needed_encoders(encoders: Iterable[FeatureEncoder], clips: Sequence[Clip]) -> tuple[FeatureEncoder, ...]:
    """Return the encoders without that of text if no clip has a transcript, and without the others if none has a recording."""
    has_text, has_file = any(clip.text for clip in clips), any(clip.path is not None for clip in clips)
    return tuple(encoder for encoder in encoders if (has_text if encoder.modality == "text" else has_file))


def encode_texts(
    corpus: Corpus,
    encoder: str | Mapping[str, Any] = "minilm",
    *,
    cache: str | Path | None = None,
    workers: int | None = 1,
    ray: str | None = None,
    out: str | Path | None = None,
) -> Corpus:
    """Return a corpus whose text features are made from its transcripts; they replace those that it has.

    Args:
        corpus: with transcripts; utterances without one have no text.
        encoder: name of a text encoder, or its settings with its ``name``.
        cache: folder of the cache; default: the cache folder of the user.
        workers: processes; ``None`` = one for each physical core.
        ray: address of a Ray cluster that encodes instead, as for :func:`extract`.
        out: folder to write the corpus to, as for :func:`extract`.

    Raises:
        ConfigError: the encoder is unknown, its weights are missing, or the corpus has no transcripts.
    """
    texts = corpus.transcripts
    if not any(texts):
        raise ConfigError(
            f"corpus '{corpus.name}' has no transcripts to encode\n  do: give its utterances a text, or leave text out"
        )
    encoders = encoders_of({"text": encoder, "audio": None, "vision": None})
    encoders[0].prepare()
    folder = Path(cache) if cache is not None else cache_folder() / "features"
    jobs = [
        ClipJob(Clip(utterance, None, text=text), encoders, folder, Limits())
        for utterance, text in zip(corpus.ids, texts, strict=True)
    ]
    results = _encoded(jobs, workers, ray, corpus.name)
    note = f"text: {encoders[0].describe()} ({encoders[0].source}), from the transcripts"
    noted = replace(corpus, provenance=corpus.provenance.noting(note))
    return with_features(noted, results, encoders, clock=False, out=None if out is None else Path(out))
