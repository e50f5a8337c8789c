"""On a cluster: a machine is lost while its tasks run, and no cell is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lacuna.bench import Cell, GridProgress, Job, Outcome, gather, on_ray, plan, run_grid
from lacuna.errors import ConfigError

pytestmark = pytest.mark.cluster

Make = Callable[..., Cell]


def test_without_ray_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"--ray needs the extra `cluster`: python -m pip install -e '\.\[cluster\]'"):
        list(on_ray("auto")([]))


def patiently(start: Callable[..., Any], **settings: Any) -> Any:
    """Start a part of the cluster; Ray itself gives up after 30 s, which a busy machine may need."""
    for _ in range(4):
        try:
            return start(**settings)
        except Exception as error:  # Ray raises just this
            if "timed out during startup" not in str(error):
                raise
            reason = str(error)
    return pytest.skip(f"this machine is too busy to start Ray: {reason}")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that runs nothing, and no other machine yet."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[cluster]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_register_timeout_seconds", "240")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else tasks wait for everything else on a busy machine
    monkeypatch.setenv("PYTHONPATH", ":".join(p for p in sys.path if p))
    import ray
    from ray.cluster_utils import Cluster

    whole = Cluster(initialize_head=False)
    try:
        patiently(whole.add_node, num_cpus=0, include_dashboard=False, object_store_memory=80 << 20)
        yield whole
    finally:
        ray.shutdown()
        whole.shutdown()


@pytest.mark.timeout(900)  # half a minute on a core of one's own; starting a cluster is most of it
def test_a_machine_that_is_killed_loses_no_cell(cluster: Any, make_cell: Make, tmp_path: Path) -> None:
    patiently(cluster.add_node, num_cpus=1, object_store_memory=80 << 20)
    doomed = patiently(cluster.add_node, num_cpus=1, object_store_memory=80 << 20)
    contest = plan("tiny", [make_cell(seed=seed) for seed in range(6)])
    jobs, ended = contest.jobs(tmp_path / "cells"), list[str]()

    def tell(job: Job, outcome: Outcome, progress: GridProgress) -> None:
        ended.append(outcome.state)
        if len(ended) == 1:  # both machines are at work: there are more cells than processors
            cluster.remove_node(doomed, allow_graceful=False)

    progress = run_grid(jobs, on_ray(cluster.address), tell)
    assert progress.complete, progress.failed
    assert ended == ["done"] * len(jobs)
    assert len(gather(contest, tmp_path / "cells").recognizers) == 6
