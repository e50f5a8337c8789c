"""The corpus of wrist sensors: its conductance obeys the equation of the loss, and splits are by person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import lacuna
from lacuna.corpus import Corpus, check
from lacuna.errors import ConfigError
from lacuna.pipelines.ingest.nodes import read_source
from lacuna.pipelines.parameters import Features, Ingest
from lacuna.pipelines.record import decisive
from lacuna.synthetic.wrist import Conductance, Wrist, generate, person, preset
from lacuna.training.losses.physics import residual

STEP = 1e-4  # seconds of the difference quotient
EDA = {"rise": st.floats(0.2, 1.5), "decay": st.floats(2.0, 10.0), "rate": st.floats(0.0, 0.5), "seed": st.integers(0, 10**6)}


def same(left: Corpus, right: Corpus) -> bool:
    equal = left.ids == right.ids and np.array_equal(left.utterances.split, right.utterances.split)
    equal &= all(x.tobytes() == right.utterances.labels[name].tobytes() for name, x in left.utterances.labels.items())
    frames = [(f, right.frames[name]) for name, f in left.frames.items()]
    return equal and all(f.values.tobytes() == g.values.tobytes() and np.array_equal(f.count, g.count) for f, g in frames)


@settings(max_examples=10, deadline=None)
@given(**EDA)
def test_the_noise_free_conductance_obeys_the_equation_of_the_loss(rise: float, decay: float, rate: float, seed: int) -> None:
    course = person(Wrist(rise=rise, decay=decay, rate=rate, seed=seed), 0).conductance
    time = np.linspace(STEP, 300, 499)
    time = time[(np.abs(time[:, None] - course.onset) > 2 * STEP).all(axis=1)]  # a response begins with a jump of the slope
    level, drive = course.value(time), course.drive(time)
    slope = (course.value(time + STEP) - course.value(time - STEP)) / (2 * STEP)
    one, decay_rate = torch.tensor(1.0), torch.tensor(1 / decay)
    wrong = residual(torch.tensor(level), torch.tensor(slope), torch.tensor(drive), decay_rate, one)
    assert float(wrong.abs().max()) < 1e-5
    off = residual(torch.tensor(level), torch.tensor(slope), torch.tensor(drive), 1.1 * decay_rate, one)
    assert float(off.abs().min()) > 1e-3


def test_a_response_is_the_convolution_of_two_exponential_functions() -> None:
    course = Conductance(2.0, 0.0, 600.0, 0.0, np.array([5.0]), np.array([0.4]), rise=0.75, decay=2.5)
    fine = np.arange(0, 20, 0.002)
    response = np.convolve(np.exp(-fine / 0.75), np.exp(-fine / 2.5))[: len(fine)] * 0.002
    np.testing.assert_allclose(course.value(5 + fine[::500]), 2 + 0.4 * response[::500], atol=2e-3)
    assert (course.value(np.array([0.0, 4.99])) == 2).all()


def test_the_recorded_conductance_is_the_noise_free_one_plus_noise() -> None:
    quiet, noisy = (person(preset("tiny", noise=noise), 3) for noise in (0.0, 0.02))
    time = np.arange(quiet.frames["eda"].shape[0] * 64) / 2
    np.testing.assert_allclose(quiet.frames["eda"][..., 0].ravel(), quiet.conductance.value(time))
    error = noisy.frames["eda"][..., 0].ravel() - noisy.conductance.value(time)
    assert 0.015 < error.std() < 0.025


def test_people_do_not_cross_splits() -> None:
    corpus = check(generate(preset("demo")))
    people = {s: {corpus.ids[i][:7] for i in np.flatnonzero(corpus.utterances.split == s)} for s in (0, 1, 2)}
    assert [len(people[s]) for s in (0, 1, 2)] == [9, 3, 3]
    assert len(set.union(*people.values())) == 15
    assert np.array_equal(corpus.utterances.speaker, corpus.utterances.dialogue)


def test_equal_settings_give_equal_bits_and_a_person_does_not_depend_on_the_others() -> None:
    corpus = generate(preset("tiny"))
    assert same(corpus, generate(preset("tiny")))
    assert not same(corpus, generate(preset("tiny", seed=1)))
    more = generate(preset("tiny", people=7))
    assert more.ids[: len(corpus)] == corpus.ids
    for name, frames in corpus.frames.items():
        assert frames.values.tobytes() == more.frames[name].values[: len(frames.values)].tobytes()


def test_emotion_decides_how_often_the_skin_responds_and_what_people_report() -> None:
    def means(reactivity: float) -> tuple[list[float], list[float]]:
        people = [person(preset("demo", reactivity=reactivity), number) for number in range(40)]
        state = np.concatenate([one.state for one in people])
        activity = np.concatenate(
            [np.abs(one.frames["eda"][..., 1]).mean(axis=1) / one.conductance.amplitude.mean() for one in people]
        )
        arousal = np.concatenate([one.arousal for one in people])
        return [activity[state == s].mean() for s in range(3)], [arousal[state == s].mean() for s in range(3)]

    (baseline, stress, amusement), reported = means(1.0)
    assert baseline < amusement < stress
    assert reported[0] < reported[2] < reported[1]
    (baseline, stress, amusement), _ = means(0.0)  # the skin does not respond to emotion
    assert max(baseline, stress, amusement) < 1.1 * min(baseline, stress, amusement)


def test_sensors_are_lost_but_never_all_of_a_window() -> None:
    corpus = generate(preset("demo", loss=0.5))
    recorded = np.stack([frames.count > 0 for frames in corpus.frames.values()])
    assert recorded.any(axis=0).all()
    assert 0.4 < 1 - recorded.mean() < 0.5  # half of them, less one of each window that would have lost all


def test_it_is_loaded_by_its_name() -> None:
    corpus = lacuna.load_corpus("wrist", preset="tiny", options={"seed": 4})
    assert same(corpus, generate(preset("tiny", seed=4)))


def test_a_folder_with_its_name_is_not_taken_for_it_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    lacuna.load_corpus("wrist", preset="tiny")
    assert "./wrist" not in caplog.text
    (tmp_path / "wrist").mkdir()
    lacuna.load_corpus("wrist", preset="tiny")
    assert "'wrist' is the generated corpus, not the file or folder here; that one is ./wrist" in caplog.text


def test_the_parameters_of_a_run_choose_it_and_its_settings_decide_the_results() -> None:
    ingest = Ingest.model_validate({"name": "wrist", "wrist": {"preset": "tiny", "changes": {"seed": 4}}})
    assert same(read_source(ingest, Features(), []), generate(preset("tiny", seed=4)))
    assert decisive(ingest)["wrist"] == {"preset": "tiny", "changes": {"seed": 4}}
    assert not {"duet", "options"} & decisive(ingest).keys()
    assert "wrist" not in decisive(Ingest(name="duet"))  # as before there was another generated corpus
    with pytest.raises(ValidationError, match="no preset 'big' of wrist"):
        Ingest.model_validate({"name": "wrist", "wrist": {"preset": "big"}})


@pytest.mark.parametrize("changes", [{"reactivity": 10.0, "spread": 2.0}, {"seconds": 3600, "rate": 1.0}])
def test_more_responses_than_fit_in_memory_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"would have about .* skin responses(.|\n)*do: lower 'rate'"):
        generate(preset("tiny", **changes))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"windows": (3, 9)}, "'windows' must be two whole numbers"),
        ({"decay": 0.5}, r"'decay' must be above 'rise' \(0.75\)"),
        ({"loss": 1.0}, "'loss' must be a number from 0.0 to 0.99"),
        ({"people": 1.5}, "'people' must be a whole number"),
        ({"persons": 3}, "has no setting 'persons'"),
    ],
)
def test_settings_out_of_bounds_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        preset("tiny", **wrong)
    with pytest.raises(ConfigError, match="no preset 'big'"):
        preset("big")
