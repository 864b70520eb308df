"""Limits that a site keeps in SLURM's accounting and that nobody wrote into the profile."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import pytest
from support.dev_cluster import DevCluster
from support.pool_bench import until
from support.site import Site

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
MOST = 5
GRID = [{"model.registers": [0, 1, 2, 3], "optim.lr": [1e-3, 2e-3, 3e-3]}]
SHORT = {"train": {"epochs": 1}}


@pytest.fixture
def limited(tmp_path: Path, digits: Path, dev_cluster: DevCluster) -> Iterator[Site]:
    """A site whose cluster lets a user have so many jobs in the queue."""
    cluster = DevCluster(Path(f"{dev_cluster.folder}-limited"), dev_cluster.port + 50)
    cluster.down()
    cluster.up("--nodes", "2")
    with (cluster.folder / "slurm.conf").open("a") as conf:
        conf.write("AccountingStorageEnforce=limits\n")
    os.kill(cluster.pids()["slurmctld"], SIGTERM)  # only a new one enforces them
    until(lambda: "slurmctld" in cluster.dead())
    cluster.up()
    cluster.run("sacctmgr", "-i", "modify", "user", "root", "set", f"maxsubmitjobs={MOST}")
    made = Site(tmp_path, digits, cluster)
    yield made
    made.tear_down()
    cluster.down()


@pytest.mark.soak
def test_a_sweep_larger_than_a_users_limit_is_fed_to_its_end_without_an_error(
    limited: Site,
) -> None:
    cluster = limited.cluster
    assert cluster is not None
    said = limited.launch(grid=GRID, set=SHORT, placement={"ranks": 1})
    assert f"{MOST} of 12 jobs submitted" in said
    assert "7 more are due than the place takes now (the cluster takes no more jobs" in said
    assert "AssocMaxSubmitJobLimit" in said
    watch = limited.watch()
    most, deadline = 0, time.monotonic() + 600
    while watch.poll() is None:
        most = max(most, len(cluster.run("squeue", "-h", "--array", "-o", "%i").splitlines()))
        assert time.monotonic() < deadline, limited.orchestrate("status")
        time.sleep(0.5)

    log = (limited.folder / "watch.log").read_text()
    assert watch.returncode == 0, log
    assert most == MOST
    assert "note: the cluster takes no more jobs of yours now (AssocMaxSubmitJobLimit)" in log
    assert "error" not in log
    assert [row["attempts"] for row in limited.rows()] == [1] * 12


def test_a_user_who_may_submit_nothing_is_told_so(limited: Site) -> None:
    assert limited.cluster is not None
    limited.cluster.run("sacctmgr", "-i", "modify", "user", "root", "set", "maxsubmitjobs=0")

    said = limited.launch(grid=GRID, set=SHORT, code=1)

    assert "none of your jobs are in its queue" in said
    assert "sacctmgr show assoc" in said
