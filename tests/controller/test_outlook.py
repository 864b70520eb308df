"""Hours that were spent, those to come, and when all is done."""

import json
import socket
import time

import pytest
from support.pool_bench import Bench, until

from orchestrator.controller.hours import Total
from orchestrator.controller.launch import launch
from orchestrator.controller.outlook import Forecast, Outlook, goes_on
from orchestrator.controller.select import select
from orchestrator.controller.status import look_at, rows_of
from orchestrator.jobs.state import JobStatus, State

HOUR = 3600


def outlook(bench: Bench) -> Outlook:
    jobs = select(bench.root, None)
    found = look_at(bench.root, jobs)
    return Forecast(bench.root).of(jobs, rows_of(bench.root, jobs, found), found)


@pytest.mark.slow
def test_what_was_spent_and_what_is_to_come_are_told_of_jobs_that_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    bench.script("a", "claim", f'point 10 {{"time/epoch_s": {HOUR}}}', "finish")
    bench.script("b", "claim", "fail no")
    bench.script("c", "claim", "point 4", "wait")
    bench.script("d", "claim", "wait")
    sweep = bench.load(*"abcde")
    launch(sweep, root_path=bench.root.path, data_root=bench.data)
    *_, c, d, _ = points = [point.id for point in sweep.points]
    until(lambda: bench.attempts_on(c) and bench.attempts_on(d))  # which follow a and b
    for job in points[:2]:
        (attempt,) = bench.attempts_on(job)
        said = json.loads(attempt.exit.read_bytes())
        attempt.exit.write_text(json.dumps({**said, "time": said["time"] + 2 * HOUR}))

    first, again = outlook(bench), outlook(bench)

    assert first.spent.cpu_hours == pytest.approx(4, abs=0.1)  # a and b; one core each
    assert first.spent.cpu_hours == pytest.approx(
        again.spent.cpu_hours, abs=0.01
    )  # which knows a from the cache
    assert (first.going, first.at_once) == (3, 2)
    assert first.to_come == Total(0.0, pytest.approx(6 + 10 + 10), 0)
    assert first.finish == pytest.approx(time.time() + (26 / 2) * HOUR, abs=60)
    assert first.bases == {"1 job like it here: 3.6e+03 s an epoch": 3}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (JobStatus("j", State.RUNNING), True),
        (JobStatus("j", State.QUEUED), True),
        (JobStatus("j", State.PLANNED, due=True), True),
        (JobStatus("j", State.PLANNED, held=True), True),
        (JobStatus("j", State.PLANNED, waits=True), True),
        (JobStatus("j", State.PLANNED, waits=True, in_vain=True), False),
        (JobStatus("j", State.PREEMPTED), False),
        (JobStatus("j", State.FAILED), False),
        (JobStatus("j", State.FAILED, due_at=1.0), True),
        (JobStatus("j", State.CANCELLED), False),
        (JobStatus("j", State.UNKNOWN), False),
        (JobStatus("j", State.DONE), False),
    ],
)
def test_only_what_goes_on_without_a_person_is_to_come(status: JobStatus, told: bool) -> None:  # noqa: FBT001 - a row of the table
    assert goes_on(status) is told
