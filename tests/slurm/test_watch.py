"""A sweep that is larger than the queue takes, tended by a small job on the cluster itself."""

import time

import pytest
from support.dev_cluster import DevCluster
from support.pool_bench import until
from support.site import Site

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

MOST = 5
"""Jobs of this user that may be in the queue: three of the sweep, the tender, and its successor."""
GRID = [{"model.registers": [0, 1, 2, 3], "optim.lr": [1e-3, 3e-3]}]
SHORT = {"train": {"epochs": 1}}


def test_a_controller_feeds_a_sweep_that_is_larger_than_the_queue(
    site: Site, dev_cluster: DevCluster
) -> None:
    profile = site.profile(max_submit=MOST)
    options = ("--cluster", str(profile), "--controller", "--every", "5")
    said = site.launch(*options, grid=GRID, set=SHORT, max_parallel=2)
    assert "3 of 8 jobs submitted" in said
    assert "5 more are due than the place takes now" in said
    assert "tends it every 5 s" in said
    again = site.launch(*options, grid=GRID, set=SHORT, max_parallel=2)
    assert "tends it already" in again

    queued, running, killed = 0, 0, False
    deadline = time.monotonic() + 480
    while {row["state"] for row in site.rows()} != {"DONE"}:
        rows = dev_cluster.run("squeue", "-h", "--array", "-o", "%j|%T|%A").splitlines()
        jobs = [row for row in rows if not row.startswith("o-watch-")]
        queued = max(queued, len(rows))
        running = max(running, sum("|RUNNING|" in row for row in jobs))
        tender = next((r for r in rows if r.startswith("o-watch-") and "|RUNNING|" in r), None)
        if tender and not killed and len(jobs) < 3:  # its successor takes over
            dev_cluster.run("scancel", tender.rpartition("|")[2])
            killed = True
        assert time.monotonic() < deadline, site.orchestrate("status")
        time.sleep(0.5)

    assert queued == MOST
    assert running <= 2
    assert killed
    assert all(row["attempts"] == 1 for row in site.rows())
    until(lambda: not dev_cluster.run("squeue", "-h"), 240)


def test_watching_once_tells_whether_there_is_more_to_come(site: Site) -> None:
    site.launch(set=SHORT)
    first = site.orchestrate("watch", "--once", code=4)
    assert "s: 1 QUEUED" in first or "s: 1 RUNNING" in first
    site.await_state("DONE")

    assert "s: 1 DONE" in site.orchestrate("watch", "--once", code=0)
