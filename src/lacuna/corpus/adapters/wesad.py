"""WESAD: ``S2/S2.pkl`` and so on, read by the restricted unpickler; windows of one minute with frames of one second."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacuna.corpus.adapters.base import Adapter, Row, register_adapter
from lacuna.corpus.adapters.files import find
from lacuna.corpus.pickles import read_pickle
from lacuna.corpus.schema import Target
from lacuna.errors import DataError

_STATES = {1: "baseline", 2: "stress", 3: "amusement"}
_RATES = {  # samples a second, by device and sensor
    "chest": {"ACC": 700, "ECG": 700, "EMG": 700, "EDA": 700, "Temp": 700, "Resp": 700},
    "wrist": {"ACC": 32, "BVP": 64, "EDA": 4, "TEMP": 4},
}
_LABEL_RATE = 700
WINDOW = 60  # seconds of an utterance


@register_adapter("wesad")
class Wesad(Adapter):
    """Reads each sensor as a modality: per second and axis the mean, the standard deviation, the least and the largest value."""

    title = "WESAD"
    licence = "scientific, non-commercial use; cite the paper"
    where = "https://archive.ics.uci.edu/dataset/465/wesad+wearable+stress+and+affect+detection"
    paper = "Schmidt et al., Introducing WESAD, a Multimodal Dataset for Wearable Stress and Affect Detection, ICMI 2018"
    language = "German and English (no transcripts)"
    layout = "S2/S2.pkl to S17/S17.pkl"
    splits = "none official; a dialogue is a subject, so split=fold leaves subjects out (folds=15: one at a time)"
    published = "15 subjects"
    verified = "public descriptions of the pickles: keys, sensors, sampling rates, label codes"
    unverified = "the pickles themselves; questionnaires (PANAS, SAM) are not read"
    targets = (
        Target("state", "classification", tuple(_STATES.values())),
        Target("stress", "classification", ("no", "yes")),
    )
    label_files = ("S*/S*.pkl",)
    signals = True

    def rows(self, folder: Path, notes: list[str]) -> Iterable[Row]:
        """See the base class."""
        for file in find(folder, self.label_files[0]):
            content = read_pickle(file)
            subject = file.stem
            try:
                labels = np.asarray(content["label"])
                sensors = {
                    f"{device}-{sensor}".lower(): (np.asarray(content["signal"][device][sensor], np.float64), rate)
                    for device, rates in _RATES.items()
                    for sensor, rate in rates.items()
                    if sensor in content["signal"][device]
                }
            except (KeyError, TypeError) as error:
                raise DataError(
                    f"{file.name} is malformed", expected="label, signal.chest, signal.wrist", found=f"no {error}"
                ) from None
            for start in range(0, len(labels) // _LABEL_RATE - WINDOW + 1, WINDOW):
                window = labels[start * _LABEL_RATE : (start + WINDOW) * _LABEL_RATE]
                if (window != window[0]).any() or (state := _STATES.get(int(window[0]))) is None:
                    continue
                signals = {name: _frames(values, rate, start) for name, (values, rate) in sensors.items()}
                yield Row(
                    f"{subject}_{start:05d}",
                    subject,
                    start,
                    speaker=subject,
                    labels={"state": state, "stress": "yes" if state == "stress" else "no"},
                    signals={name: frames for name, frames in signals.items() if len(frames)},
                )
        notes.append(
            f"an utterance is {WINDOW} s in one state; windows with a change of state and all other conditions are left out"
        )
        notes.append("frames of 1 s: mean, standard deviation, least and largest value of each axis")


def _frames(values: NDArray[np.float64], rate: int, start: int) -> NDArray[np.float64]:
    """Return (seconds, 4 * axes) statistics of a window that begins at ``start`` seconds."""
    part = values.reshape(len(values), -1)[start * rate : (start + WINDOW) * rate]  # (samples, axes)
    seconds = part[: len(part) // rate * rate].reshape(-1, rate, part.shape[1])  # (seconds, samples of a second, axes)
    return np.concatenate([seconds.mean(1), seconds.std(1), seconds.min(1), seconds.max(1)], axis=1)
