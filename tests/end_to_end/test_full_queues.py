"""Launching to a cluster that is full: what fits is submitted, the rest is told and comes later."""

import pytest
from support.scene import Scene
from support.walks import CONTROLLED, WATCH

pytestmark = pytest.mark.slow
FULL = "sbatch: error: AssocMaxSubmitJobLimit"
TOLD = (
    "more are due than the place takes now (the cluster takes no more jobs of yours now "
    "(AssocMaxSubmitJobLimit)); they are submitted as room comes, by "
)


def test_a_launch_submits_what_fits_and_a_watch_the_rest(scene: Scene) -> None:
    scene.site.takes(2, FULL)
    launched = scene.launch()
    assert launched.code == 0, launched.said
    assert "s: 2 of 3 jobs submitted" in launched.said
    assert f"1 {TOLD}orchestrate watch s" in launched.said
    watched = scene.orchestrate(*WATCH)
    assert watched.code == 4, "more is to come"
    assert "note: the cluster takes no more jobs of yours now" in watched.said
    assert "error" not in launched.said + watched.said
    scene.works()
    assert scene.orchestrate(*WATCH).code == 4
    scene.works()

    assert scene.orchestrate(*WATCH).code == 0
    assert scene.asked() == {"a": 1, "b": 1, "c": 1}


def test_a_controller_has_its_place_before_the_jobs_fill_the_queue(scene: Scene) -> None:
    scene.site.takes(2, FULL)
    launched = scene.orchestrate(*CONTROLLED)

    assert launched.code == 0, launched.said
    assert "s: 1 of 3 jobs submitted" in launched.said
    assert f"2 {TOLD}the watch" in launched.said
    assert "tends it every 60 s" in launched.said
    assert scene.site.tenders() == 1


def test_a_controller_without_a_place_is_told_and_costs_no_job(scene: Scene) -> None:
    scene.site.takes(0, "sbatch: error: QOSGrpSubmitJobsLimit")
    launched = scene.orchestrate(*CONTROLLED)

    assert launched.code == 0, launched.said
    assert "s: 0 of 3 jobs submitted" in launched.said
    assert "Nothing tends the sweep: the cluster takes no more jobs" in launched.said
