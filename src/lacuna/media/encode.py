"""Encode one clip: look into the cache, decode, encode, write into the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from lacuna.atomic import atomic_path, sha256
from lacuna.media.clips import Clip
from lacuna.media.damage import Damage, damage_sound
from lacuna.media.damage.picture import DamagedVideo
from lacuna.media.decode import Audio, Limits, Video, inspect, read_audio
from lacuna.media.encoders import AudioEncoder, Encoded, FeatureEncoder, TextEncoder, VideoEncoder
from lacuna.media.problems import MediaError, Problem
from lacuna.media.turns import TurnRule, activity, speech

_FORMAT = 1  # of a cached file: raise it when it changes
_DECODING = 3  # raise it when sound and picture are decoded in another way, or more of them is cached
_SILENCE = -60.0  # dB relative to full scale
_CLIPPED = 0.01  # share of samples at full scale
_FASTEST = 8.0  # words a second
_NO_RECORDING = Problem("no_file", "the row names no recording", fatal=True)


@dataclass(frozen=True)
class ClipJob:
    """The work on one clip.

    Attributes:
        clip: what is encoded.
        encoders: at most one a modality.
        cache: folder of the cache.
        limits: bounds of decoding.
        damages: of sound and picture, before they are encoded; those of the transcript are in the clip already.
    """

    clip: Clip
    encoders: tuple[FeatureEncoder, ...]
    cache: Path
    limits: Limits
    damages: tuple[Damage, ...] = ()


@dataclass(frozen=True)
class ClipResult:
    """The result of a job: the features are in the cache.

    Attributes:
        files: cached file by modality.
        problems: by modality.
        digest: SHA-256 of the recording, empty without one.
        speech: start and end of each part with speech in seconds of the clip, if it has a transcript and sound.
    """

    files: dict[str, Path]
    problems: dict[str, tuple[Problem, ...]]
    digest: str
    speech: tuple[tuple[float, float], ...] = ()


def encode_clip(job: ClipJob) -> ClipResult:
    """Encode a clip in every modality that it has; what is wrong with it is returned, not raised."""
    clip = job.clip
    files: dict[str, Path] = {}
    problems: dict[str, tuple[Problem, ...]] = {}
    digest = ""
    if clip.path is not None and clip.path.is_file():
        digest = _digest(clip.path, clip.path.stat().st_mtime_ns, clip.path.stat().st_size)
    with _one_thread():
        for encoder in job.encoders:
            if clip.path is None and not isinstance(encoder, TextEncoder):
                problems[encoder.modality] = (_NO_RECORDING,)
                continue
            path = job.cache / encoder.name / f"{_key(job, encoder, digest)}.safetensors"
            encoded = read_encoded(path) if path.is_file() else None
            if encoded is None:
                _load(job.encoders)
                encoded = encode_uncached(clip, encoder, job.limits, job.damages)
                if not any(problem.kind in ("too_slow", "no_file") for problem in encoded.problems):
                    write_encoded(path, encoded)
            problems[encoder.modality] = encoded.problems
            if encoded.values is not None:
                files[encoder.modality] = path
        speaks = _speech(job, digest) if digest and "text" in files else ()
    return ClipResult(files, problems, digest, speaks)


@lru_cache(maxsize=1)
def _load(encoders: tuple[FeatureEncoder, ...]) -> None:
    """Load all networks with the first clip that is encoded; a parallel process whose memory grows later is restarted."""
    for encoder in encoders:
        encoder.load()


def _speech(job: ClipJob, digest: str) -> tuple[tuple[float, float], ...]:
    """Return where somebody speaks, from the cache or from the sound; empty without sound."""
    clip = job.clip
    assert clip.path is not None
    content = json.dumps([_DECODING, "energy", digest, clip.start, clip.end, asdict(job.limits), *_damage_key(job, "audio")])
    path = job.cache / "speech" / f"{hashlib.sha256(content.encode()).hexdigest()[:40]}.safetensors"
    cached = read_encoded(path) if path.is_file() else None
    if cached is None:
        try:
            audio = damage_sound(job.damages, read_audio(clip.path, clip.start, clip.end, job.limits), clip.id)
            turns = speech(activity(audio), TurnRule(margin=0.0))
        except MediaError:
            turns = []
        cached = Encoded(np.array(turns, np.float32).reshape(-1, 2))  # (K, 2)
        write_encoded(path, cached)
    assert cached.values is not None
    return tuple((start, end) for start, end in cached.values.tolist())


def encode_uncached(clip: Clip, encoder: FeatureEncoder, limits: Limits, damages: tuple[Damage, ...] = ()) -> Encoded:
    """Decode and encode a clip in one modality; what is wrong with it is returned, not raised.

    Args:
        clip: what is encoded.
        encoder: of the modality.
        limits: bounds of decoding.
        damages: of sound and picture, before they are encoded.
    """
    try:
        if isinstance(encoder, TextEncoder):
            if not (clip.text or "").strip():
                raise MediaError("no_text", "there is no transcript")
            return encoder.encode(clip.text or "")
        if clip.path is None:
            return Encoded(None, problems=(_NO_RECORDING,))
        if isinstance(encoder, AudioEncoder):
            audio = damage_sound(damages, read_audio(clip.path, clip.start, clip.end, limits), clip.id)
            problems = (*audio.problems, *_sound_problems(clip, audio))
            if any(problem.fatal for problem in problems):
                return Encoded(None, problems=problems)
            encoded = encoder.encode(audio)
        elif isinstance(encoder, VideoEncoder):
            video = Video(clip.path, clip.start, clip.end, rate=encoder.rate, limits=limits)
            if any(damage.modality == "vision" for damage in damages):
                video = DamagedVideo(video, damages, clip.id, _seconds(clip))
            encoded = encoder.encode(video)
            problems = tuple(video.problems)
            if encoded.values is None and not (problems or encoded.problems):
                problems = (Problem("no_samples", "no picture of the track lies in the clip", fatal=True),)
        else:
            raise TypeError(f"encoder '{encoder.name}' is of no known modality")
    except MediaError as error:
        return Encoded(None, problems=(error.problem,))
    return replace(encoded, problems=problems + encoded.problems)


def _seconds(clip: Clip) -> float:
    """Return the duration of a clip, as far as it is known; a recording of unknown duration counts as endless."""
    assert clip.path is not None
    promised = inspect(clip.path).duration
    end = promised if clip.end is None else clip.end if promised is None else min(clip.end, promised)
    return np.inf if end is None else end - clip.start


def _sound_problems(clip: Clip, audio: Audio) -> Iterator[Problem]:
    heard = audio.samples[audio.observed]
    level = 10 * np.log10(float(np.mean(heard.astype(np.float64) ** 2)) + 1e-12)
    if level < _SILENCE:
        yield Problem("silent", f"the level is {level:.0f} dB; silence is below {_SILENCE:.0f} dB", fatal=True)
    if (share := float((np.abs(heard) > 0.999).mean())) > _CLIPPED:
        yield Problem("clipped", f"{share:.1%} of the samples are at full scale")
    assert clip.path is not None
    rate = inspect(clip.path).sampling_rate
    if rate is not None and rate < 8000:
        yield Problem("sampling", f"the sampling rate is {rate} Hz")
    n_words = len((clip.text or "").split())
    if n_words > 3 and n_words / audio.seconds > _FASTEST:
        yield Problem("text_speed", f"{n_words} words in {audio.seconds:.1f} s")


def _key(job: ClipJob, encoder: FeatureEncoder, digest: str) -> str:
    """Return the name of the cached file: a hash of all that decides the features."""
    clip = job.clip
    content = (
        [clip.text]
        if isinstance(encoder, TextEncoder)
        else [_DECODING, digest, clip.start, clip.end, clip.text, asdict(job.limits), *_damage_key(job, encoder.modality)]
    )
    return hashlib.sha256(json.dumps([_FORMAT, encoder.describe(), *content]).encode()).hexdigest()[:40]


def _damage_key(job: ClipJob, modality: str) -> list[str]:
    """Return what the damages of a modality depend on; empty without damage, so that its cached files stay valid."""
    described = [damage.describe() for damage in job.damages if damage.modality == modality]
    return [job.clip.id, *described] if described else []


def write_encoded(path: Path, encoded: Encoded) -> None:
    """Write the features of a clip, or its problems alone, into a safetensors file, atomically."""
    from safetensors.numpy import save_file

    tensors = {}
    if encoded.values is not None:
        observed = encoded.observed if encoded.observed is not None else np.ones(len(encoded.values), np.bool_)
        tensors = {"values": np.ascontiguousarray(encoded.values), "observed": observed}
        if encoded.times is not None:
            tensors["times"] = encoded.times
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"problems": json.dumps([asdict(problem) for problem in encoded.problems])})


def read_encoded(path: Path) -> Encoded | None:
    """Return the features of a cached file, or ``None`` if it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            problems = tuple(Problem(**problem) for problem in json.loads(file.metadata()["problems"]))
            if "values" not in file.keys():  # noqa: SIM118 - the file is no mapping
                return Encoded(None, problems=problems)
            times = file.get_tensor("times") if "times" in file.keys() else None  # noqa: SIM118
            return Encoded(file.get_tensor("values"), file.get_tensor("observed"), problems, times)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


@lru_cache(maxsize=64)
def _digest(path: Path, _changed: int, _size: int) -> str:
    return sha256(path)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, as in a worker, so that the number of workers does not change a bit of the result."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
