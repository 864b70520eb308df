"""Jobs that share an allocation of a real SLURM live, fall and go on each by itself."""

import os
from collections import Counter
from signal import SIGKILL

import pytest
from support.dev_cluster import DevCluster
from support.pool_bench import until
from support.site import Site, metrics_of

from orchestrator.executors.pool_log import read_pools
from orchestrator.jobs.facts import Attempt, Ending, read_attempts
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.processes import Process
from orchestrator.jobs.submissions import Submission, read_taken

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SHORT = {"train": {"epochs": 4}, "evaluation": {"every_epochs": 4}, "probe": {"every_epochs": 4}}


def jobs(site: Site) -> dict[str, JobFolder]:
    """The jobs by their names, ``seed=0`` and so on."""
    return {row["name"]: site.root.job(row["id"]) for row in site.rows()}


def states(site: Site) -> list[str]:
    return [row["state"] for row in site.rows()]


def last(job: JobFolder) -> Attempt:
    return read_attempts(job)[-1]


def await_saved(*folders: JobFolder) -> None:
    """Until each of them has a checkpoint to go on from."""
    until(lambda: all(job.saved_steps() for job in folders), 240)


def test_six_jobs_share_one_allocation_two_to_a_gpu(site: Site, dev_cluster: DevCluster) -> None:
    site.launch(
        *("--wait", "--every", "1"),
        set=SHORT,
        seeds=list(range(6)),
        placement={"ranks": 1, "device": "auto"},
        resources={"jobs_per_allocation": 4, "jobs_per_gpu": 2},
        max_parallel=4,
    )

    assert states(site) == ["DONE"] * 6
    (folder,) = site.root.submissions()
    array = {row["handle"] for row in site.rows()}
    starts = [last(job).start for job in jobs(site).values()]
    gpus = [start.facts["variables"]["CUDA_VISIBLE_DEVICES"] for start in starts]
    assert (Submission.read(folder).allocations, len(array)) == (1, 1)
    assert array.pop().endswith("_0@dev")
    assert len(Counter(gpus)) == 2
    assert min(Counter(gpus).values()) >= 2
    assert {start.facts["variables"]["SLURM_JOB_ID"] for start in starts} == {
        dev_cluster.run("sacct", "-nX", "--format=JobIDRaw", "--name", f"o-{folder.token}").strip()
    }


def test_one_that_is_killed_or_cancelled_leaves_its_siblings_alone(
    site: Site, uninterrupted: dict[str, object]
) -> None:
    profile = site.profile(reasons={"killed": {"back_off_s": 0}})
    packed = {"jobs_per_allocation": 3}
    site.launch("--cluster", str(profile), seeds=[0, 1, 2], resources=packed)
    ours = jobs(site)
    whole, killed, cancelled = (ours[f"seed={seed}"] for seed in range(3))
    await_saved(killed, cancelled)
    os.kill(Process.named(last(killed).start.process).pid, SIGKILL)
    site.orchestrate("cancel", "s/seed=2", "--yes")
    until(lambda: states(site)[1] == "FAILED", 240)
    assert "killed with signal 9" in site.rows()[1]["reason"]
    site.finish(site.watch(), code=3)

    assert states(site) == ["DONE", "DONE", "CANCELLED"]
    assert metrics_of(whole) == uninterrupted
    assert [len(read_attempts(job)) for job in (whole, killed, cancelled)] == [1, 2, 1]
    assert last(cancelled).ending is Ending.STOPPED
    assert last(killed).start.token != last(whole).start.token


@pytest.mark.soak
def test_all_jobs_of_a_preempted_allocation_go_on_in_its_next_start(
    site: Site, dev_cluster: DevCluster, uninterrupted: dict[str, object]
) -> None:
    resources = {"jobs_per_allocation": 2, "partition": "spare"}
    site.launch(seeds=[0, 1], resources=resources)
    first, second = jobs(site).values()
    await_saved(first, second)
    urgent = dev_cluster.run(
        *("sbatch", "--parsable", "--partition=main", "--exclusive", "--nodes=2"),
        *("--output=/dev/null", "--wrap=sleep 5"),
    )
    until(lambda: states(site) == ["QUEUED"] * 2, 240)
    assert "start 2" in site.rows()[0]["reason"]
    until(lambda: urgent not in dev_cluster.run("squeue", "-h", "-o", "%A"), 240)
    site.finish(site.watch())

    assert states(site) == ["DONE"] * 2
    assert metrics_of(first) == uninterrupted
    (folder,) = site.root.submissions()
    assert read_taken(folder) == {0: 0, 1: 0}
    assert read_pools(folder).started == {0: (0, 1), 1: (0, 1)}
    assert [one.ending for one in read_attempts(second)] == [Ending.STOPPED, Ending.FINISHED]
    assert [last(job).start.restart for job in (first, second)] == [1, 1]
