"""A Ray cluster on the nodes of an allocation of a real SLURM."""

import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.dev_cluster import DevCluster
from support.pool_bench import until
from support.site import EARLY, ORCHESTRATE, Site, metrics_of

from orchestrator.jobs.facts import Ending, read_attempts
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

RAY_CLUSTER = Path(__file__).parents[2] / "slurm" / "ray_cluster"
SHORT = {"train": {"epochs": 3}, "evaluation": {"every_epochs": 3}, "probe": {"every_epochs": 3}}
RARELY = {"every_epochs": 2000}
ENDLESS = {"train": {"epochs": 2000}, "evaluation": RARELY, "probe": RARELY}
FAKE_RAY = """#!/bin/sh
echo "$*" >"$FOLDER/$SLURM_NODEID"
[ "$SLURM_NODEID" = 0 ] || exit 3
exec sleep 600
"""
PLACES = ("ray", "slurm", "local")


@pytest.fixture(autouse=True)
def _environment_with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def test_a_sweep_has_the_same_jobs_metrics_and_results_here_on_slurm_and_on_two_nodes_of_ray(
    site: Site, dev_cluster: DevCluster
) -> None:
    """Each job has a rank on each node."""
    resources = {"nodes": 2, "cpus_per_rank": 2}
    sweep = site.write(set=SHORT, resources=resources)
    roots = {name: Root(site.folder / name) for name in PLACES}

    def launch(place: str) -> tuple[str, ...]:
        where = ("--root", str(roots[place].path), "--data-root", str(site.data))
        return ("launch", str(sweep), "--executor", place, "--wait", "--every", "1", *where)

    batch = allocate(site, ("--cpus-per-task", "3"), *ORCHESTRATE, *launch("ray"))
    await_end(dev_cluster, batch, 600)
    for place in ("slurm", "local"):
        site.orchestrate(*launch(place))

    jobs = {p: [one["id"] for one in launched_revision(r, "s")["jobs"]] for p, r in roots.items()}
    measured = {p: [metrics_of(roots[p].job(job)) for job in ids] for p, ids in jobs.items()}
    asked = ("results", "s", "--metric", "val/top1", "--also", "train/loss", "--json", "--root")
    tables = {p: json.loads(site.orchestrate(*asked, str(r.path))) for p, r in roots.items()}
    assert jobs["ray"] == jobs["slurm"] == jobs["local"]
    assert measured["ray"] == measured["slurm"] == measured["local"], said(site)
    assert tables["ray"] == tables["slurm"] == tables["local"]
    assert tables["ray"]["rows"][0]["n"] == 1
    for job in jobs["ray"]:
        (attempt,) = read_attempts(roots["ray"].job(job))
        assert (attempt.start.facts["world"], attempt.start.facts["variables"]["SLURM_JOB_ID"]) == (
            *(2, batch),
        )


def test_an_allocation_that_ends_has_its_jobs_save_once_and_leaves_nothing_on_its_nodes(
    site: Site, dev_cluster: DevCluster
) -> None:
    sweep = site.write(set=ENDLESS, placement={"ranks": 1})
    where = ("--root", str(site.root.path), "--data-root", str(site.data))
    launch = ("launch", str(sweep), "--executor", "ray", "--wait", "--every", "1", *where)
    batch = allocate(site, ("--cpus-per-task", "3"), *ORCHESTRATE, *launch)
    until(lambda: site.root.path.exists() and any(site.root.submissions()), 240)
    site.await_step(EARLY)
    folder = folder_of(batch)
    mode = oct(folder.stat().st_mode)[-3:]

    # As SLURM does by itself two minutes before the end.
    dev_cluster.run("scancel", "--batch", "--signal", "TERM", batch)
    await_end(dev_cluster, batch, 180)

    (attempt,) = site.attempts()
    assert attempt.ending is Ending.STOPPED, said(site)
    assert len(list(site.root.submissions())) == 1
    assert site.row()["state"] == "PREEMPTED"
    assert left_of(batch) == []
    assert mode == "700"
    assert not folder.exists()


def test_a_node_on_which_ray_does_not_start_ends_it_at_once_and_ray_hears_what_slurm_gave(
    site: Site, dev_cluster: DevCluster
) -> None:
    fake = site.folder / "ray"
    fake.write_text(FAKE_RAY)
    fake.chmod(0o755)
    told = f"FOLDER={site.folder},RAY_PROGRAM={fake},RAY_PYTHON={sys.executable}"
    options = ("--gpus-per-node", "2", "--mem-per-gpu", "64")

    batch = allocate(site, (*options, "--export", f"{told},RAY_PATIENCE_S=300"), "true")
    await_end(dev_cluster, batch, 60)

    assert "a node did not start" in said(site)
    words = (site.folder / "1").read_text()
    assert "--num-gpus 2 " in words
    assert f"--memory {2 * 64 * 2**20} " in words


def test_a_folder_of_somebody_else_is_not_used(site: Site, dev_cluster: DevCluster) -> None:
    batch = allocate(site, ("--hold",), "true")
    folder = folder_of(batch)
    folder.mkdir()
    shutil.chown(folder, "nobody")

    dev_cluster.run("scontrol", "release", batch)
    await_end(dev_cluster, batch, 60)
    folder.rmdir()

    assert f"{folder} cannot be made, or is somebody else's" in said(site)


def allocate(site: Site, options: tuple[str, ...], *command: str) -> str:
    """A batch job of two nodes that runs a command with ``ray_cluster``; its number."""
    assert site.cluster is not None
    where = ("--nodes", "2", "--output", f"{site.folder}/ray.log", "--chdir", str(site.folder))
    return site.cluster.run("sbatch", "--parsable", *where, *options, str(RAY_CLUSTER), *command)


def await_end(cluster: DevCluster, batch: str, seconds: float) -> None:
    until(lambda: not cluster.run("squeue", "-h", "-j", batch, "--states", "R,PD,CG"), seconds)


def said(site: Site) -> str:
    return (site.folder / "ray.log").read_text()


def folder_of(batch: str) -> Path:
    return Path(f"/tmp/o-ray-{os.getuid()}-{batch}")


def left_of(batch: str) -> list[str]:
    """Command lines of the processes of a job."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"SLURM_JOB_ID={batch}" in (entry / "environ").read_text().split("\0"):
                found.append((entry / "cmdline").read_text())
    return found
