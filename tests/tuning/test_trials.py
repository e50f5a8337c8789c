"""As many trials are brought to an end as were asked for, none of them twice, whoever dies when."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from lacuna.errors import ConfigError
from lacuna.tuning import Place, StudyConfig, states, trials_table
from lacuna.tuning.owners import Owner, claiming, lives, living, owning
from lacuna.tuning.study import WARM, open_study
from lacuna.tuning.trials import ATTEMPTS, OWNER, REASON, RETRY_OF, Count, bury, failed, root_of, take

DEAD = Owner("here", "worker-0-dead.lock")


def taken(study: optuna.Study, config: StudyConfig, place: Place, owner: Owner) -> optuna.Trial:
    with claiming(place.folder):
        trial = take(study, config, place, owner)
    assert trial is not None
    return trial


def test_the_first_trial_is_the_labels_own_settings(make: Any, place: Place) -> None:
    config = make()
    study = open_study(config, place, {})
    with owning(place.folder, whole=False) as owner:
        trial = taken(study, config, place, owner)
        assert trial.number == 0
        assert trial.params == config.start
        assert WARM in trial.user_attrs
        assert trial.user_attrs[OWNER]["lock"] == owner.lock
        assert set(taken(study, config, place, owner).params) == set(config.space)
    open_study(config, place, {})
    assert sum(WARM in t.user_attrs for t in study.get_trials()) == 1


def test_a_trial_of_a_dead_worker_fails_with_a_reason_and_its_parameters_are_queued_once(make: Any, place: Place) -> None:
    config = make(trials=9)
    study = open_study(config, place, {})
    with owning(place.folder, whole=False) as owner:
        alive, dead = taken(study, config, place, owner), taken(study, config, place, DEAD)
        with claiming(place.folder):
            assert bury(study, place) == 1
            assert bury(study, place) == 0
        trials = study.get_trials()
        assert trials[alive.number].state == TrialState.RUNNING
        assert trials[dead.number].state == TrialState.FAIL
        assert trials[dead.number].user_attrs[REASON] == "the worker died (worker-0-dead on here)"
        assert [t.user_attrs.get(RETRY_OF) for t in trials if t.state == TrialState.WAITING] == [dead.number]
        again = taken(study, config, place, owner)
        assert again.params == dead.params
        assert root_of(again) == dead.number


def test_who_is_killed_while_burying_leaves_what_the_next_one_finishes(make: Any, place: Place, monkeypatch: Any) -> None:
    """At each write in turn."""
    config = make(trials=9)
    for event in range(1, 6):
        study = open_study(config, Place(place.folder, f"s{event}"), {})
        dead = taken(study, config, place, DEAD)
        write, count = type(study._storage)._write_log, 0

        def dying(self: Any, *arguments: Any, write: Any = write, event: int = event) -> None:
            nonlocal count
            count += 1
            if count == event:
                raise KeyboardInterrupt
            write(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(type(study._storage), "_write_log", dying)
            with suppress(KeyboardInterrupt):
                bury(study, place)
        bury(study, place)
        trials = study.get_trials()
        assert trials[dead.number].state == TrialState.FAIL
        copies = [t.system_attrs["fixed_params"] for t in trials if t.user_attrs.get(RETRY_OF) == dead.number]
        assert copies == [dead.params]


def test_parameters_that_kill_every_worker_are_given_up(make: Any, place: Place) -> None:
    config = make(trials=9)
    study = open_study(config, place, {})
    for _ in range(ATTEMPTS):
        taken(study, config, place, DEAD)
        bury(study, place)
    table = trials_table(study)
    assert (table["root"] == 0).all()
    assert table["state"].tolist() == ["fail"] * ATTEMPTS
    assert "so they are given up" in table["reason"].iloc[-1]


def test_an_owner_lives_as_long_as_its_lock(tmp_path: Path) -> None:
    with owning(tmp_path, whole=False) as owner:
        assert lives(tmp_path, owner.to_json())
        assert len(living(tmp_path)) == 1
    assert not lives(tmp_path, owner.to_json())
    (tmp_path / "worker-1-left.lock").touch()
    assert not lives(tmp_path, {"lock": "worker-1-left.lock"})
    assert not list(tmp_path.glob("worker-*"))


def test_trials_judged_otherwise_are_not_mixed(make: Any, place: Place) -> None:
    open_study(make(), place, {"train": "a"})
    open_study(make(trials=100, workers=1, failures=3), place, {"train": "a"})  # only how many, and how
    for changed, digests, told in (
        (make(rates=(0.0, 0.9)), {"train": "a"}, r"rates: \[0.0, 0.5\] there, \[0.0, 0.9\] here"),
        (make(training={"epochs": 5}), {"train": "a"}, "training.epochs: 2 there, 5 here"),
        (make(), {"train": "b"}, "data.train: 'a' there, 'b' here"),
    ):
        with pytest.raises(ConfigError, match=rf"judges its trials otherwise(.|\n)*{told}(.|\n)*tune.name=..."):
            open_study(changed, place, digests)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), trials=st.integers(1, 6), workers=st.integers(1, 3))
def test_whatever_happens_the_count_is_exact_and_nothing_is_finished_twice(
    make: Any, seed: int, trials: int, workers: int
) -> None:
    """Workers take, finish, prune, raise and die in any order."""
    rng, config = random.Random(seed), make(trials=trials, failures=100)
    folder = Path(tempfile.mkdtemp())
    place = Place(folder / "study", "study")
    lost = 0
    try:
        study = open_study(config, place, {})
        with ExitStack() as stack:
            slots: list[tuple[ExitStack, Owner, optuna.Trial | None]] = []
            for _ in range(workers):
                own = stack.enter_context(ExitStack())
                slots.append((own, own.enter_context(owning(place.folder, whole=False)), None))
            while not Count.of(study).over(config):
                at = rng.randrange(workers)
                own, owner, trial = slots[at]
                what = rng.random()
                if trial is None:
                    with claiming(place.folder):
                        slots[at] = own, owner, take(study, config, place, owner)
                elif what < 0.35:  # it is killed, and another one is started
                    lost += 1
                    own.close()
                    own = stack.enter_context(ExitStack())
                    slots[at] = own, own.enter_context(owning(place.folder, whole=False)), None
                elif what < 0.45:
                    failed(study, trial, ValueError("so it is"))
                    slots[at] = own, owner, None
                else:
                    trial.report(0.5, 0)
                    state = TrialState.PRUNED if what < 0.6 else TrialState.COMPLETE
                    study.tell(trial, rng.random() if state == TrialState.COMPLETE else None, state=state)
                    slots[at] = own, owner, None
        with claiming(place.folder):
            bury(study, place)
        table, count = trials_table(study), states(study)
        done = table[table["state"].isin(["complete", "pruned"])]
        assert len(done) == trials
        assert max(Counter(done["root"]).values()) == 1
        assert count["running"] == 0
        died = table[table["kind"] == "died"]
        assert len(died) <= lost + workers  # an attempt that died before it was named is none
        given_up = died["attempt"] >= ATTEMPTS
        assert set(died.loc[~given_up, "number"]) == set(table["retry_of"].dropna().astype(int))
        assert (table.loc[table["state"] == "fail", "reason"] != "").all()
    finally:
        shutil.rmtree(folder)
