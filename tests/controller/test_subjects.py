import pytest
from support.pool_bench import Bench

from orchestrator.controller.subjects import jobs_meant
from orchestrator.errors import SpecError
from orchestrator.jobs.store import launched_revision, write_revision


def test_jobs_of_several_sweeps_and_of_a_study_come_once_with_the_axes_of_all(
    launched: Bench,
) -> None:
    root = launched.root
    jobs = launched_revision(root, "s")["jobs"]
    shared = {**jobs[0], "name": "other", "axes": {"case": "other", "optim.lr": 1e-3}}
    write_revision(root, "s", {"study": "gates", "jobs": jobs})
    write_revision(root, "t", {"study": "gates", "jobs": [shared]})

    both, study = (jobs_meant(root, names, None)["jobs"] for names in (["s", "t"], ["gates"]))
    turned = jobs_meant(root, ["t", "s", "t"], None)["jobs"]

    assert both == study
    assert [job["id"] for job in both] == [job["id"] for job in jobs]
    assert both[0]["axes"] == {"case": "a", "optim.lr": 1e-3, "seed": 0}
    assert (turned[0]["sweep"], turned[0]["name"]) == ("t", "other")
    assert (turned[0]["axes"]["case"], turned[0]["axes"]["seed"]) == ("other", 0)
    assert len(turned) == 6
    assert [job["name"] for job in jobs_meant(root, ["gates"], "seed == 1")["jobs"]] == [
        *("a,seed=1", "b,seed=1", "c,seed=1")
    ]
    with pytest.raises(SpecError, match=r"No sweep 'x' .* no study .*: s, t; studies: gates"):
        jobs_meant(root, ["s", "x"], None)
    with pytest.raises(SpecError, match=r"holds for none of the 6 jobs of s t$"):
        jobs_meant(root, ["s", "t"], "lr > 1")
