"""The quickstart gives the same numbers on a cluster as on this machine."""

import json
import shutil
from pathlib import Path

import pytest
from support.site import Site

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.soak]

SWEEPS = Path(__file__).parents[2] / "sweeps"
TWO_RANKS = """
name: two
extends: sweeps/quickstart.yaml
placement: {ranks: 2, threads_per_rank: 1}
max_parallel: 1
"""


def test_the_quickstart_with_two_ranks_a_job_has_the_same_results_on_slurm_and_here(
    site: Site,
) -> None:
    shutil.copytree(SWEEPS, site.folder / "sweeps")
    sweep = site.folder / "two.yaml"
    sweep.write_text(TWO_RANKS)
    results = {}
    for executor in ("slurm", "local"):
        there = ("--root", str(site.folder / executor))
        options = ("--executor", executor, "--wait", "--every", "1", "--set", "train.epochs=4")
        site.orchestrate("launch", str(sweep), *options, *there)
        metrics = ("--metric", "val/top1", "--also", "train/loss", "--also", "norms/max")
        results[executor] = json.loads(
            site.orchestrate("results", "two", *metrics, "--json", *there)
        )

    assert results["slurm"] == results["local"]
    assert [row["n"] for row in results["slurm"]["rows"]] == [1, 1, 1, 1]
