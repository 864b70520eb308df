"""On a real SLURM a job that a search stops saves its state, is not requeued, and can go on."""

import pytest
from support.site import Site

from orchestrator.jobs.facts import Ending, read_attempts

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

LONG_ENOUGH = {
    "train": {"epochs": 40, "batch_size": 128},
    "evaluation": {"every_epochs": 2},
    "probe": {"every_epochs": 40},
}
"""The worse job would go on for a while after its first rung."""


def test_a_job_that_a_search_stops_on_a_cluster_is_stopped_and_goes_on_when_asked(
    site: Site,
) -> None:
    site.launch(
        set=LONG_ENOUGH,
        grid=[{"optim.lr": [1e-2, 1e-7]}],
        search={"asha": {"metric": "val/loss", "grace": 2, "reduction": 20}},
        placement={"ranks": 1},
        max_parallel=1,
    )
    site.finish(site.watch("s"))

    whole, stopped = site.rows()
    assert (whole["state"], whole["epoch"], whole["rung"]) == ("DONE", 40, None)
    assert (stopped["state"], stopped["rung"]) == ("STOPPED", 1)
    assert 2 <= stopped["epoch"] < 40
    (attempt,) = read_attempts(site.root.job(stopped["id"]))
    assert attempt.ending is Ending.STOPPED
    assert attempt.saved >= 2

    site.orchestrate("retry", "s", "--stopped")
    again = site.rows()[1]
    assert (again["state"], again["rung"]) in {("QUEUED", None), ("RUNNING", None)}
    site.orchestrate("cancel", "s", "--yes")
