"""Whatever a cluster does to a job, it ends with the numbers of one that was left alone."""

import os
import shutil
from pathlib import Path
from signal import SIGKILL

import pytest
from support.dev_cluster import DevCluster
from support.pool_bench import until
from support.shown import plant_store, statuses
from support.site import EARLY, SWEEP, Site, one_after_the_other
from support.soak import some

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.processes import Process

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

FAULTS = Path(__file__).parents[1] / "support" / "faults"
Metrics = dict[str, object]


@pytest.mark.soak
def test_two_ranks_measure_what_two_ranks_measure_on_this_machine(
    site: Site, uninterrupted: Metrics
) -> None:
    site.launch("--wait", "--every", "1", resources={"gpus_per_node": 2}, placement=AUTO)

    assert site.metrics() == uninterrupted
    (attempt,) = site.attempts()
    assert attempt.start.facts["variables"]["CUDA_VISIBLE_DEVICES"] in ("0,1", "2,3")
    assert attempt.start.facts["handle"] == f"{site.handle().split('_')[0]}@dev"


@pytest.mark.soak
def test_ranks_on_two_nodes_measure_the_same(site: Site, uninterrupted: Metrics) -> None:
    site.launch("--wait", "--every", "1", resources={"nodes": 2})

    assert site.metrics() == uninterrupted
    (attempt,) = site.attempts()
    assert attempt.start.facts["variables"]["SLURM_JOB_NODELIST"] == "node[1-2]"


def test_a_preempted_job_starts_again_and_ends_as_if_nothing_had_happened(
    site: Site, dev_cluster: DevCluster, uninterrupted: Metrics
) -> None:
    site.launch(resources={"partition": "spare"})
    site.await_step()
    urgent = dev_cluster.run(
        *("sbatch", "--parsable", "--partition=main", "--exclusive", "--nodes=2"),
        *("--output=/dev/null", "--wrap=sleep 5"),
    )
    until(lambda: "PREEMPTED" in past(dev_cluster, site.handle()), 240)
    waiting = site.await_state("QUEUED")
    assert (waiting["attempts"], "start 2" in waiting["reason"]) == (1, True)
    until(lambda: urgent not in dev_cluster.run("squeue", "-h", "-o", "%A"), 240)
    site.finish(site.watch())

    assert site.metrics() == uninterrupted
    first, second = site.attempts()
    assert (first.ending, second.ending) == (Ending.STOPPED, Ending.FINISHED)
    assert (first.start.token, second.start.restart) == (second.start.token, 1)
    assert second.from_step is not None
    assert second.from_step >= EARLY
    assert one_after_the_other(site.job())


def test_a_job_that_nears_its_time_limit_asks_for_another_start(
    site: Site, uninterrupted: Metrics
) -> None:
    profile = site.profile(stop_before_end_s=100, setup=[WAITS])
    site.launch("--cluster", str(profile), resources={"time": "3m"})
    site.finish(site.watch(), seconds=600)

    assert site.metrics() == uninterrupted
    first, *_, last = site.attempts()
    assert (first.ending, last.ending) == (Ending.STOPPED, Ending.FINISHED)
    assert last.start.restart == len(site.attempts()) - 1
    assert one_after_the_other(site.job())


@pytest.mark.soak
def test_where_a_node_has_no_scontrol_a_watch_submits_the_job_again(
    site: Site, uninterrupted: Metrics, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("srun", "sleep", "env", "bash", "sh"):
        (programs / name).symlink_to(str(shutil.which(name)))
    setup = [WAITS, f"export PATH={programs}"]
    profile = site.profile(stop_before_end_s=100, setup=setup)
    site.launch("--cluster", str(profile), resources={"time": "3m"})
    site.finish(site.watch(), seconds=600)

    assert site.metrics() == uninterrupted
    first, second, *_ = site.attempts()
    assert first.ending is Ending.STOPPED
    assert second.start.token != first.start.token
    assert one_after_the_other(site.job())


def test_a_job_whose_node_loses_power_goes_on_elsewhere(
    site: Site, dev_cluster: DevCluster, uninterrupted: Metrics
) -> None:
    site.launch()
    site.await_step()
    node = dev_cluster.run("squeue", "-h", "-o", "%N")
    dev_cluster.cut_power(node)
    until(lambda: "NODE_FAIL" in past(dev_cluster, site.handle()), 240)
    site.finish(site.watch())

    assert site.metrics() == uninterrupted
    first, second = site.attempts()
    assert (first.ending, second.ending) == (None, Ending.FINISHED)
    assert second.start.facts["variables"]["SLURM_JOB_NODELIST"] != node
    assert one_after_the_other(site.job())


def test_a_worker_on_a_node_that_only_lost_touch_gives_way_to_its_next_start(
    site: Site, dev_cluster: DevCluster, uninterrupted: Metrics
) -> None:
    site.launch()
    site.await_step()
    node = dev_cluster.run("squeue", "-h", "-o", "%N")
    first = site.attempts()[0]
    dev_cluster.freeze(node)
    until(lambda: "NODE_FAIL" in past(dev_cluster, site.handle()), 240)
    dev_cluster.hurry()
    site.await_step(EARLY, attempt=2)
    dev_cluster.thaw(node)
    site.finish(site.watch())

    assert site.metrics() == uninterrupted
    assert site.attempts()[0].ending in (None, Ending.STOPPED)
    assert Process.named(first.start.process).alive() is False


def test_a_rank_that_is_killed_is_named_and_the_job_goes_on(
    site: Site, uninterrupted: Metrics
) -> None:
    site.launch()
    site.await_step()
    os.kill(site.rank(1), SIGKILL)
    failed = site.await_state("FAILED", seconds=240)
    assert "killed with signal 9" in failed["reason"]
    assert "a watch tries it again by itself" in site.orchestrate("why", "s/base")
    site.finish(site.watch())

    assert site.metrics() == uninterrupted
    assert one_after_the_other(site.job())


@pytest.mark.soak
def test_a_job_that_an_administrator_puts_back_goes_on(
    site: Site, dev_cluster: DevCluster, uninterrupted: Metrics
) -> None:
    site.launch()
    site.await_step()
    dev_cluster.run("scontrol", "requeue", site.handle())
    waiting = site.await_state("QUEUED")
    assert "start 2" in waiting["reason"]
    site.finish(site.watch())

    assert site.metrics() == uninterrupted
    assert site.attempts()[-1].start.restart == 1
    assert one_after_the_other(site.job())


def test_a_job_that_is_cancelled_while_it_runs_stays_so_until_it_is_launched(
    site: Site, uninterrupted: Metrics
) -> None:
    site.launch()
    site.await_step()
    site.orchestrate("cancel", "s", "--yes")
    site.await_state("CANCELLED", seconds=240)
    watch = site.watch()
    site.finish(watch, code=3)
    assert site.row()["state"] == "CANCELLED"
    site.launch("--wait", "--every", "1")

    assert site.metrics() == uninterrupted
    first, second = site.attempts()
    assert (first.ending, second.start.token != first.start.token) == (Ending.STOPPED, True)
    assert one_after_the_other(site.job())


@pytest.mark.parametrize("when", some(["running", "waiting"], often=["running"]))
def test_a_job_that_scancel_ended_stays_cancelled_until_it_is_launched(
    site: Site, dev_cluster: DevCluster, uninterrupted: Metrics, empty_store: Path, when: str
) -> None:
    profile = site.profile(extra={"begin": "now+1hour"} if when == "waiting" else {})
    site.launch("--cluster", str(profile))
    if when == "running":
        site.await_step()
    dev_cluster.run("scancel", site.handle())
    site.await_state("CANCELLED", seconds=240)
    plant_store(site.root, empty_store)
    site.finish(site.watch(), code=3)
    assert "scancel" in site.row()["reason"]
    shown = statuses(site.root, SWEEP["name"])
    site.launch("--wait", "--every", "1")

    assert list(shown.values()) == (["KILLED"] if when == "running" else [])
    assert list(statuses(site.root, SWEEP["name"]).values()) == ["FINISHED"]
    assert site.metrics() == uninterrupted
    assert site.attempts()[-1].start.token != sorted_tokens(site)[0]
    assert one_after_the_other(site.job())


AUTO = {"device": "auto"}
WAITS = f"export PYTHONPATH={FAULTS} UNTIL_TOLD=1"
"""The first start is not over before its time limit is near, on any machine."""


def past(cluster: DevCluster, handle: str) -> str:
    """The states of every start of a member, as accounting has them."""
    options = ("--noheader", "--allocations", "--duplicates", "--parsable2", "--format=State")
    return cluster.run("sacct", *options, "--starttime=now-1hours", f"--jobs={handle}")


def sorted_tokens(site: Site) -> list[str]:
    folders = sorted(site.root.submissions(), key=lambda one: one.intent.stat().st_mtime)
    return [folder.token for folder in folders]
