import json
import re

import pytest
from support.finished import run_to_its_end
from support.pool_bench import Bench, until
from support.terminal import Terminal

from orchestrator.cli.launched import LEFT_ALONE
from orchestrator.controller.launch import SUBMITTED_BY_LAUNCH
from orchestrator.jobs.state import State
from orchestrator.jobs.submissions import Submission


def test_every_state_is_either_submitted_by_launch_or_told_as_left_alone() -> None:
    assert {*SUBMITTED_BY_LAUNCH, *LEFT_ALONE} == set(State)
    assert not set(SUBMITTED_BY_LAUNCH) & set(LEFT_ALONE)


@pytest.mark.slow
def test_launch_tells_what_it_submitted_and_what_it_left_alone(bench: Bench) -> None:
    run_to_its_end(bench)
    again = bench.orchestrate("launch", str(bench.folder / "s.yaml"))

    assert again.stdout.splitlines() == [
        f"s: 1 of 3 jobs submitted (local), run root {bench.root.path}",
        "  2 done already, 2 of them by older code",  # a stand-in's
        "See: orchestrate status s (jobs that are killed go on with: orchestrate watch)",
    ]


@pytest.mark.slow
def test_ctrl_c_while_waiting_leaves_the_jobs_running_and_all_can_go_on(bench: Bench) -> None:
    bench.script("a", "claim", 'point 4 {"val/top1": 50}', "wait", "finish")
    sweep = str(bench.sweep("a", "b"))
    terminal = Terminal(bench, "launch", sweep, "--wait", columns=100)
    until(lambda: "4/10" in terminal.read() and "━" in terminal.read())
    terminal.type("\x03")

    assert terminal.exit_code() == 130
    assert "the jobs run on. See: orchestrate status s" in terminal.read()
    assert "Traceback" not in terminal.read()
    assert not (list(bench.root.lease.glob("*")))
    job = json.loads(bench.orchestrate("status", "--json").stdout)["jobs"][0]
    assert (job["state"], job["epoch"]) == ("RUNNING", 4)
    bench.go("a")
    again = bench.orchestrate("launch", sweep, "--wait")
    assert (again.returncode, len(bench.root.submissions())) == (0, 1)


@pytest.mark.slow
def test_waiting_in_a_log_is_plain_lines_one_for_each_change(bench: Bench) -> None:
    bench.script("b", "claim", "fail it was wrong")

    told = bench.orchestrate("launch", str(bench.sweep("a", "b")), "--wait")

    assert "\x1b" not in told.stdout
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in told.stdout.splitlines()]
    assert lines.count("a: DONE older code") == 1  # a stand-in's
    assert lines.count("b: FAILED ValueError: it was wrong") == 1
    assert "b is FAILED: ValueError: it was wrong" in told.stdout


@pytest.mark.slow
def test_a_launch_right_after_a_cancel_waits_for_it_and_goes_on(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    sweep = str(bench.sweep("a"))
    bench.orchestrate("launch", sweep)
    until(lambda: bench.attempts_on(bench.id_of("a")))
    assert bench.orchestrate("cancel", "s", "--yes").returncode == 0

    again = bench.orchestrate("launch", sweep)

    assert "1 of 1 jobs submitted" in again.stdout
    bench.go("a")
    until(lambda: "1 DONE" in bench.orchestrate("status").stdout)
    assert len(bench.attempts_on(bench.id_of("a"))) == 2


@pytest.mark.slow
def test_fresh_tells_what_it_discards_and_asks_first(bench: Bench) -> None:
    run_to_its_end(bench)
    sweep = str(bench.folder / "s.yaml")

    unasked = bench.orchestrate("launch", sweep, "--fresh", "older")
    unknown = bench.orchestrate("launch", sweep, "--fresh", "zebra", "--yes")
    attempts = len(bench.attempts_on(bench.id_of("a")))
    agreed = bench.orchestrate("launch", sweep, "--fresh", "a", "--yes")
    nothing = bench.orchestrate("launch", str(bench.sweep("d", name="t")), "--fresh", "all")

    assert (unasked.returncode, unknown.returncode, attempts) == (1, 1, 1)
    assert unasked.stdout.splitlines() == [
        "2 of 3 begin afresh: a, c",
        "Discard what they measured and saved? [y/N]: ",
        "Nothing was discarded or launched (--yes discards without asking).",
    ]
    assert unknown.stderr.startswith("error: --fresh zebra: s has no such point. Write all")
    assert "1 of 3 begin afresh: a\ns: 2 of 3 jobs submitted" in agreed.stdout
    assert nothing.stdout.startswith("Nothing to discard: no job meant by that has measured")
    until(lambda: len(bench.attempts_on(bench.id_of("a"))) == 2)


@pytest.mark.slow
def test_a_canary_says_who_waits_for_whom(bench: Bench) -> None:
    told = bench.orchestrate("launch", str(bench.sweep("a", "b", "c")), "--canary").stdout

    assert told.splitlines()[0].startswith("s: 1 of 3 jobs submitted")
    assert "2 more wait until these have taken steps" in told
    assert "by orchestrate watch s" in told


@pytest.mark.slow
def test_many_jobs_that_are_not_done_for_one_reason_are_one_line(bench: Bench) -> None:
    for name in "abc":
        bench.script(name, "claim", "fail no such layer as 3")
    for number, name in enumerate("de"):
        bench.script(name, "claim", f"fail image {number} is none")

    told = bench.orchestrate("launch", str(bench.sweep(*"abcde")), "--wait").stdout

    assert told.splitlines()[-3:] == [
        "3 jobs are FAILED: ValueError: no such layer as 3",
        "2 jobs are FAILED: ValueError: image N is none",
        "5 of 5 jobs are not done. See: orchestrate why JOB",
    ]


@pytest.mark.slow
def test_a_launch_can_ask_for_determinism(bench: Bench) -> None:
    bench.orchestrate("launch", str(bench.sweep("a")), "--deterministic", "--wait")

    (folder,) = bench.root.submissions()
    assert Submission.read(folder).placement.deterministic
