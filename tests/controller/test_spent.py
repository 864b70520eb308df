import time
from pathlib import Path

import pytest
from fakes.place import FakePlace, attempt, recorded

from orchestrator.config import Placement
from orchestrator.controller.select import Named
from orchestrator.controller.spent import spent, spent_by_job
from orchestrator.controller.status import rows_of
from orchestrator.controller.survey import survey
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, write_intent, write_submitted


def test_what_a_job_took_is_remembered_once_it_is_done_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, root = FakePlace(monkeypatch), create_root(tmp_path / "runs")
    recorded(root, "a", "b")
    one = Submission(
        executor="fake",
        jobs=["a", "b"],
        names=["a", "b"],
        placement=Placement(ranks=2, device="cuda"),
        max_parallel=None,
        snapshot="c0de",
        python="python",
        data_root="/data",
        owner="me",
    )
    write_submitted(write_intent(root, one, ""), "h")
    began = time.time() - 7200
    attempt(root, "a", one, ending=Ending.FINISHED, time=began)
    attempt(root, "b", one, ending=Ending.ERROR, time=began)
    end = Sighting(Sight.ENDED, End(time.time(), started=True, exit_code=0))
    place.seen = {(one.token, index): end for index in range(2)}
    before = survey(root, ["a", "b"])

    rows_of(root, [Named(job, job, "s") for job in "ab"], before)
    after = survey(root, ["a", "b"])

    assert after.settled.keys() == {"a"}
    assert spent_by_job(after) == spent_by_job(before)
    assert spent(after).gpu_hours == pytest.approx(8, abs=0.1)
    assert spent(after).cpu_hours == 0
