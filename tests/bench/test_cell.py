"""The key of a cell is a hash of what decides its result, of all of it and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lacuna.bench import Cell, cell, plan, run_grid, run_job
from lacuna.bench.cell import key_of
from lacuna.bench.store import DONE, load_result
from lacuna.corpus import save_corpus
from lacuna.errors import ConfigError, DataError
from lacuna.evaluation import CEILINGS, PatternSpec
from lacuna.synthetic.duet import generate, preset
from lacuna.training import TrainingConfig

Make = Callable[..., Cell]
CHANGES = {
    "seed": lambda c: replace(c, seed=c.seed + 1),
    "model": lambda c: replace(c, model="linear"),
    "setting": lambda c: replace(c, settings={"hidden": 7}),
    "epochs": lambda c: replace(c, training=replace(c.training, epochs=2)),
    "training pattern": lambda c: replace(c, training=replace(c.training, pattern="outage")),
    "rates": lambda c: replace(c, protocol=_with(c, rates=(0.0, 0.4))),
    "patterns": lambda c: replace(c, protocol=_with(c, patterns=(PatternSpec("outage"),))),
    "setting of a pattern": lambda c: replace(c, protocol=_with(c, patterns=(PatternSpec("outage", {"burst": 2.0}),))),
    "mask seeds": lambda c: replace(c, protocol=_with(c, mask_seeds=(1,))),
    "past only": lambda c: replace(c, protocol=_with(c, past_only=True)),
    "replicates": lambda c: replace(c, protocol=_with(c, replicates=101)),
    "budget": lambda c: replace(c, budget=2),
    "recovery": lambda c: replace(c, protocol=replace(c.protocol, recovery_rates=(0.5,))),
}


def _with(one: Cell, **changes: object):
    return replace(one.protocol, evaluation=replace(one.protocol.evaluation, **changes))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(first=st.sets(st.sampled_from(sorted(CHANGES))), second=st.sets(st.sampled_from(sorted(CHANGES))))
def test_cells_have_one_key_if_and_only_if_their_settings_are_equal(make_cell: Make, first: set[str], second: set[str]) -> None:
    assume(not any({"patterns", "setting of a pattern"} <= names for names in (first, second)))  # one overwrites the other
    assume(not ("model" in first | second and "setting" in first | second))  # linear has no such setting
    cells = []
    for names in (first, second):
        one = make_cell()
        for name in sorted(names):
            one = CHANGES[name](one)
        cells.append(one)
    assert (cells[0].key() == cells[1].key()) == (first == second)


def test_label_place_and_threads_are_no_part_of_a_key(make_cell: Make, tmp_path: Path) -> None:
    one = make_cell()
    threads = replace(one.protocol, threads=2)
    other = replace(one, variant="mlp_again", checkpoints=tmp_path / "elsewhere", protocol=threads)
    other = replace(other, training=replace(one.training, threads=2, checkpoint_seconds=9.0))
    assert other.key() == one.key()


def test_a_corpus_that_changed_has_other_cells(make_cell: Make, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    save_corpus(generate(preset("tiny")), folder)
    same = make_cell(corpus=folder)
    assert same.key() == make_cell().key()
    save_corpus(generate(preset("tiny", seed=1)), folder)
    assert same.key() != make_cell().key()


def test_a_key_covers_the_code_of_the_scores(make_cell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_cell().key()
    monkeypatch.setattr(cell, "scoring_digest", lambda: "other")
    assert make_cell().key() != before


def test_versions_that_decide_bits_are_part_of_a_key(make_cell: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one, before = make_cell(), make_cell().identity()
    assert {"made.torch", "made.numpy"} <= before["run"].keys()
    monkeypatch.setattr("numpy.__version__", "0.0")
    after = one.identity()
    assert (after["numpy"], after["run"]["made.numpy"]) == ("0.0", "0.0")
    assert key_of(after) != key_of(before)


def test_order_changes_no_key_and_equal_settings_are_one_cell(make_cell: Make) -> None:
    cells = [make_cell(seed=s, variant=variant) for s in (0, 1) for variant in ("mlp", "mlp_again")]
    there, back = plan("tiny", cells), plan("tiny", cells[::-1])
    assert there.keys[:4] == back.keys[:4][::-1]
    assert there.keys[-1] == back.keys[-1]  # the ceiling comes last, for duet has one
    assert [c.variant for c in there.cells][-1] == "oracle"
    assert len(there.jobs(Path())) == 3


def test_a_contest_says_what_makes_none(make_cell: Make) -> None:
    with pytest.raises(ConfigError, match="names no model and seed"):
        plan("empty", [])
    with pytest.raises(ConfigError, match="names mlp with seed 0 twice"):
        plan("twice", [make_cell(), make_cell()])


def test_a_result_is_read_back_as_it_was_written(make_cell: Make, tmp_path: Path) -> None:
    contest = plan("tiny", [make_cell(variant="small", settings={"hidden": 4})])
    for job in contest.jobs(tmp_path / "cells"):
        assert run_job(job).state == "done"
    own, ceiling = (load_result(tmp_path / "cells" / key) for key in contest.keys)
    assert [s.model for s in ceiling.sweeps] == list(CEILINGS)
    assert ceiling.trained is None
    assert own.sweeps[0].counts.shape[0] == 2  # conditions
    assert own.trained is not None
    named = own.named("small")
    assert {named.sweeps[0].model, named.trained.variant, *named.history["model"]} == {"small"}
    assert len(named.history) == 1
    assert run_job(contest.jobs(tmp_path / "cells")[0]).seconds == 0  # it does not run again


def test_a_damaged_result_is_refused(make_cell: Make, tmp_path: Path) -> None:
    contest = plan("tiny", [make_cell(model="prior", variant="prior")])
    run_job(contest.jobs(tmp_path)[0])
    place = tmp_path / contest.keys[0]
    next(place.glob("sweeps-*")).write_bytes(b"half")
    with pytest.raises(DataError, match="is not what was written"):
        load_result(place)
    (place / DONE).unlink()
    with pytest.raises(DataError, match="the cell is not finished"):
        load_result(place)


def test_a_worker_with_other_code_refuses(make_cell: Make, tmp_path: Path) -> None:
    (job, *_) = plan("tiny", [make_cell(training=TrainingConfig(epochs=1, threads=1))]).jobs(tmp_path)
    outcome = run_job(job._replace(key="0" * 16))
    assert outcome.state == "failed"
    assert "another corpus, code or device" in outcome.reason
    assert run_grid([job], lambda jobs: map(run_job, jobs)).complete
