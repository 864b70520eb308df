"""A Ray cluster on the nodes of an allocation of a real SLURM."""

import json
import os
import sys
from pathlib import Path

import pytest
from support.dev_cluster import DevCluster
from support.pool_bench import until
from support.site import ORCHESTRATE, Site, metrics_of

from orchestrator.jobs.facts import read_attempts
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

RAY_CLUSTER = Path(__file__).parents[2] / "slurm" / "ray_cluster"
SHORT = {"train": {"epochs": 3}, "evaluation": {"every_epochs": 3}, "probe": {"every_epochs": 3}}
PLACES = ("ray", "slurm", "local")


def test_a_sweep_has_the_same_jobs_metrics_and_results_here_on_slurm_and_on_two_nodes_of_ray(
    site: Site, dev_cluster: DevCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job has a rank on each node."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    resources = {"nodes": 2, "cpus_per_rank": 2}
    sweep = site.write(set=SHORT, resources=resources)
    roots = {name: Root(site.folder / name) for name in PLACES}

    def launch(place: str) -> tuple[str, ...]:
        where = ("--root", str(roots[place].path), "--data-root", str(site.data))
        return ("launch", str(sweep), "--executor", place, "--wait", "--every", "1", *where)

    log = site.folder / "ray.log"
    batch = dev_cluster.run(
        *("sbatch", "--parsable", "--nodes", "2", "--cpus-per-task", "3", "--output", str(log)),
        *("--chdir", str(site.folder), str(RAY_CLUSTER), *ORCHESTRATE, *launch("ray")),
    )
    until(lambda: not dev_cluster.run("squeue", "-h", "-j", batch, "--states", "R,PD,CG"), 600)
    for place in ("slurm", "local"):
        site.orchestrate(*launch(place))

    jobs = {p: [one["id"] for one in launched_revision(r, "s")["jobs"]] for p, r in roots.items()}
    measured = {p: [metrics_of(roots[p].job(job)) for job in ids] for p, ids in jobs.items()}
    asked = ("results", "s", "--metric", "val/top1", "--also", "train/loss", "--json", "--root")
    tables = {p: json.loads(site.orchestrate(*asked, str(r.path))) for p, r in roots.items()}
    assert jobs["ray"] == jobs["slurm"] == jobs["local"]
    assert measured["ray"] == measured["slurm"] == measured["local"], log.read_text()
    assert tables["ray"] == tables["slurm"] == tables["local"]
    assert tables["ray"]["rows"][0]["n"] == 1
    for job in jobs["ray"]:
        (attempt,) = read_attempts(roots["ray"].job(job))
        assert (attempt.start.facts["world"], attempt.start.facts["variables"]["SLURM_JOB_ID"]) == (
            *(2, batch),
        )
