"""What is shown is what SLURM says; and where SLURM says nothing, that is shown."""

import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import pytest
from support.dev_cluster import DevCluster
from support.pool_bench import until
from support.site import Site, one_after_the_other

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.processes import Process

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@pytest.fixture
def bare(tmp_path: Path, digits: Path, dev_cluster: DevCluster) -> Iterator[Site]:
    """A site whose cluster keeps no accounts, and forgets what ended as soon as it can."""
    cluster = DevCluster(Path(f"{dev_cluster.folder}-bare"), dev_cluster.port + 50)
    cluster.down()
    cluster.up("--nodes", "2", "--no-accounting")
    with (cluster.folder / "slurm.conf").open("a") as conf:
        conf.write("MinJobAge=2\n")
    cluster.run("scontrol", "reconfigure")
    made = Site(tmp_path, digits, cluster)
    yield made
    made.tear_down()
    cluster.down()


@pytest.mark.soak
def test_without_accounting_an_end_that_slurm_forgot_is_inferred_and_the_job_goes_on(
    bare: Site, uninterrupted: dict[str, object]
) -> None:
    bare.launch()
    bare.await_step()
    assert bare.row()["state"] == "RUNNING"
    array = bare.handle().partition("_")[0]
    _end_without_a_word(bare)
    assert bare.cluster is not None
    cluster = bare.cluster
    until(lambda: array not in cluster.run("squeue", "-h", "-t", "all", "-o", "%F"), 150)
    gone = bare.row()
    assert (gone["state"], "does not know it" in gone["reason"]) == ("UNKNOWN", True)
    bare.finish(bare.watch())

    assert bare.metrics() == uninterrupted
    first, second = bare.attempts()
    assert (first.ending, second.ending) == (None, Ending.FINISHED)
    assert one_after_the_other(bare.job())


def test_without_accounting_an_end_that_slurm_remembers_is_told(bare: Site) -> None:
    bare.launch()
    bare.await_step()
    assert bare.cluster is not None
    bare.cluster.run("scancel", bare.handle())

    cancelled = bare.await_state("CANCELLED", seconds=240)

    assert "scancel" in cancelled["reason"]


def test_while_the_controller_is_away_heartbeats_speak_and_silence_is_shown(
    site: Site, dev_cluster: DevCluster
) -> None:
    grid = [{"cases": {"one": {}, "two": {"model.registers": 2}}}]
    site.launch(grid=grid, max_parallel=1, set={"train": {"epochs": 1000}})
    until(lambda: [row["state"] for row in site.rows()] == ["RUNNING", "QUEUED"], 240)
    until(lambda: site.rows()[0]["step"] > 0, 240)
    slurmctld = dev_cluster.pids()["slurmctld"]
    os.kill(slurmctld, SIGSTOP)
    try:
        shown = site.orchestrate("status")
        states = [row["state"] for row in site.rows()]
        refused = site.orchestrate("launch", "sweep.yaml", "--executor", "slurm", code=1)
        told = site.orchestrate("cancel", "s/two", "--yes", code=1)
    finally:
        os.kill(slurmctld, SIGCONT)

    assert states == ["RUNNING", "UNKNOWN"]
    assert "note: SLURM did not answer (scontrol" in shown
    assert "SLURM did not answer (scontrol" in refused
    assert "The order stands" in told
    watch = site.watch()  # it tells SLURM what SLURM did not hear
    until(lambda: [row["state"] for row in site.rows()] == ["RUNNING", "CANCELLED"], 240)
    site.orchestrate("cancel", "s/one", "--yes")
    site.finish(watch, code=3)


def test_while_accounting_is_away_the_queue_speaks(site: Site, dev_cluster: DevCluster) -> None:
    os.kill(dev_cluster.pids()["slurmdbd"], SIGKILL)
    try:
        site.launch("--wait", "--every", "1", set={"train": {"epochs": 2}})
        assert site.row()["state"] == "DONE"
    finally:
        dev_cluster.up()


def test_why_puts_slurms_reason_into_words(site: Site, dev_cluster: DevCluster) -> None:
    grid = [{"cases": {"one": {}, "two": {"model.registers": 2}}}]
    site.launch(grid=grid, max_parallel=1)
    until(lambda: [row["state"] for row in site.rows()] == ["RUNNING", "QUEUED"], 240)
    until(lambda: site.rows()[0]["attempts"] == 1, 240)

    limited = site.orchestrate("why", "s/two")
    running = site.orchestrate("why", "s/one")
    waiting = site.rows()[1]["handle"].partition("@")[0]
    dev_cluster.run("scontrol", "uhold", waiting)
    held = site.orchestrate("why", "s/two")
    site.orchestrate("cancel", "s", "--yes")
    until(lambda: {row["state"] for row in site.rows()} == {"CANCELLED"}, 240)
    cancelled = site.orchestrate("why", "s/two")

    assert "is QUEUED: JobArrayTaskLimit: the sweep's max_parallel is reached" in limited
    assert "Limit: 1 of the 2 jobs of its submission run at once (max_parallel in" in limited
    assert f"slurm calls it {waiting}@dev" in limited
    assert "is RUNNING: start 1 on" in running
    assert "is QUEUED: JobHeldUser: it is held by its owner; to let it go: scontrol" in held
    assert "is CANCELLED: by " in cancelled


def test_a_worker_that_cannot_start_is_a_failure_with_its_last_words(site: Site) -> None:
    profile = site.profile(python="/nowhere/python")
    site.launch("--cluster", str(profile))

    failed = site.await_state("FAILED", seconds=60)

    assert "/nowhere/python" in failed["reason"]
    assert "/nowhere/python" in site.orchestrate("logs", "s/base")


def test_what_slurm_would_refuse_is_refused_before_anything_is_made(site: Site) -> None:
    refused = site.orchestrate(
        *("launch", str(site.write(resources={"partition": "nono"})), "--executor", "slurm"),
        code=1,
    )
    odd = site.profile(constraint="gold")
    by_slurm = site.orchestrate(
        *("launch", str(site.write()), "--executor", "slurm", "--cluster", str(odd)), code=1
    )
    foreign = site.profile(name="elsewhere")
    other = site.orchestrate(
        *("launch", str(site.write()), "--executor", "slurm", "--cluster", str(foreign)), code=1
    )

    assert "there is no partition 'nono'; known partitions: main, spare" in refused
    assert "Invalid feature specification" in by_slurm
    assert "the cluster's profile is of 'elsewhere'" in other
    assert not site.root.path.exists()


def _end_without_a_word(site: Site) -> None:
    """Every process of the job's worker, killed at once, as a kernel out of memory would."""
    started = site.attempts()[0].start
    rank = Process.named(started.process).pid
    parent = int(Path(f"/proc/{rank}/stat").read_text().rpartition(")")[2].split()[1])
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        os.kill(child, SIGKILL)
