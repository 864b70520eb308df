import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pool_bench import Bench, until

from orchestrator.cli.main import SHORT_HELP, VERBS
from orchestrator.cli.report import LEFT_ALONE
from orchestrator.controller.launch import SUBMITTED_BY_LAUNCH
from orchestrator.jobs.state import State

DATA_VERBS = ("data prepare digits", "data prepare folder", "data inspect", "data verify")
HEAVY = ("torch", "ray", "mlflow", "submitit", "numpy", "matplotlib", "timm", "sklearn")
PROBE = """
import sys
try:
    import orchestrator.cli.main as it
    if len(sys.argv) > 1:
        it.main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print("LOADED", *[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""
STATUS_KEYS = (
    "id name state outcome reason epoch epochs step metrics attempts executor handle stale_s "
    "older_code"
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Bench]:
    """A root whose sweep s is over, which no test may change: see ``run_to_its_end``."""
    bench = Bench(tmp_path_factory.mktemp("done"), digits)
    bench.set_up()
    run_to_its_end(bench)
    (bench.attempts_on(_id(bench, "a"))[0].path / "rank0.log").write_text("x\n" * 100_000)
    yield bench
    bench.tear_down()


def run_to_its_end(bench: Bench) -> None:
    """Run sweep s: a job is done, one failed, one diverged."""
    bench.script("a", "claim", 'point 10 {"val/top1": 91.5, "train/loss": 0.25}', "finish")
    bench.script("b", "claim", 'point 3 {"val/top1": 12.5}', "fail shard x.tar: key 7 is no image")
    bench.script("c", "claim", 'point 10 {"val/top1": "nan"}', "end diverged 0")
    assert bench.orchestrate("launch", str(bench.sweep("a", "b", "c")), "--wait").returncode == 3


def in_terminal(bench: Bench, *words: str, columns: int = 80) -> "Terminal":
    return Terminal(bench, words, columns)


class Terminal:
    """A command on a pseudo terminal."""

    def __init__(self, bench: Bench, words: tuple[str, ...], columns: int) -> None:
        self.shown = ""
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            size = {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color"}
            command = [sys.executable, "-m", "orchestrator.cli", *words]
            environment = {**os.environ, **bench.environment, **size}
            os.execve(sys.executable, command, environment)  # noqa: S606 - a list, no shell

    def read(self) -> str:
        """Everything shown so far."""
        while select.select([self.end], [], [], 0.1)[0]:
            try:
                self.shown += os.read(self.end, 65536).decode()
            except OSError:
                break
        return self.shown

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def exit_code(self) -> int:
        until(lambda: self.read() is None or os.waitid(os.P_PID, self.pid, _ENDED), 20)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT


@pytest.mark.parametrize("verb", [*VERBS, *DATA_VERBS])
def test_every_verb_has_help_with_an_example(verb: str, bench: Bench) -> None:
    assert verb.split(maxsplit=1)[0] in SHORT_HELP

    shown = bench.orchestrate(*verb.split(), "--help")

    assert shown.returncode == 0
    assert f"orchestrate {verb}" in shown.stdout.partition("\n")[2]
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())


def test_help_names_every_verb(bench: Bench) -> None:
    shown = bench.orchestrate("--help")

    assert all(f"  {verb} " in shown.stdout for verb in VERBS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "",
        "--help",
        "launch {other}",
        "status",
        "status --json",
        "logs s/a",
        "cancel other --yes",
        "results s",
        "results s --csv",
        "flops {sweep}",
        "data --help",
    ],
)
def test_the_control_plane_loads_nothing_heavy(done: Bench, words: str) -> None:
    done.script("d", "claim", "wait")
    other = done.sweep("d", name="other")
    if words.startswith("cancel"):
        done.orchestrate("launch", str(other))
    command = words.format(sweep=done.folder / "s.yaml", other=other).split()

    shown = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *command],
        env={**os.environ, **done.environment},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stderr.splitlines()[-1] == "LOADED"


def _id(bench: Bench, name: str) -> str:
    jobs = json.loads(bench.orchestrate("status", "--json").stdout)["jobs"]
    return str(next(job["id"] for job in jobs if job["name"] == name))


def test_every_state_is_either_submitted_by_launch_or_told_as_left_alone() -> None:
    assert {*SUBMITTED_BY_LAUNCH, *LEFT_ALONE} == set(State)
    assert not set(SUBMITTED_BY_LAUNCH) & set(LEFT_ALONE)


@pytest.mark.slow
def test_the_exit_code_tells_what_happened(bench: Bench) -> None:
    good = str(bench.sweep("a"))
    bench.script("b", "claim", "fail x")
    failing = str(bench.sweep("b", name="f"))

    def code(*words: str) -> int:
        return bench.orchestrate(*words).returncode

    assert code("launch", good, "--wait") == 0
    assert code("launch", "none.yaml") == 1
    assert code("status", "nothing") == 1
    assert code("status", "--root", good) == 1
    assert code("launch") == 2
    assert code("launch", good, "--nonsense") == 2
    assert code("launch", good, "--seeds", "x") == 2
    assert code("nonsense") == 2
    assert code("launch", failing, "--wait") == 3


@pytest.mark.slow
def test_launch_tells_what_it_submitted_and_what_it_left_alone(bench: Bench) -> None:
    run_to_its_end(bench)
    again = bench.orchestrate("launch", str(bench.folder / "s.yaml"))

    assert again.stdout.splitlines() == [
        f"s: 1 of 3 jobs submitted (local), run root {bench.root.path}",
        "  2 done already, 2 of them by older code",  # a stand-in's
        (
            "See: orchestrate status s (jobs that are preempted or killed are submitted again by "
            "the next launch, or by launch --wait while it watches)"
        ),
    ]


@pytest.mark.slow
def test_status_json_has_the_documented_keys_and_no_others(done: Bench) -> None:
    told = json.loads(done.orchestrate("status", "s", "--json").stdout)

    assert list(told) == ["schema", "sweep", "counts", "jobs"]
    assert (told["schema"], told["sweep"]) == (1, "s")
    assert told["counts"] == {"DONE": 2, "FAILED": 1}
    assert all(" ".join(job) == STATUS_KEYS for job in told["jobs"])
    a, b, c = told["jobs"]
    assert (a["state"], a["outcome"], a["epoch"], a["epochs"]) == ("DONE", "finished", 10, 10)
    assert (a["metrics"]["val/top1"], a["attempts"], a["executor"]) == (91.5, 1, "local")
    assert (b["state"], b["reason"]) == ("FAILED", "ValueError: shard x.tar: key 7 is no image")
    assert (c["outcome"], c["metrics"]["val/top1"]) == ("diverged", "nan")
    whole = json.loads(done.orchestrate("status", "--json").stdout)
    assert whole["sweep"] is None


@pytest.mark.slow
def test_status_in_a_file_is_plain_text_with_every_reason(done: Bench) -> None:
    told = done.orchestrate("status", "s").stdout

    assert "\x1b" not in told
    heading, a, b, c, _, counts = told.splitlines()
    assert heading.split()[:5] == ["job", "name", "state", "epoch", "left"]
    assert re.match(r"[0-9a-f]{8}  a +DONE +10/10 +91\.5 +0\.25  older code$", a)
    assert b.endswith("ValueError: shard x.tar: key 7 is no image")
    assert "DONE (diverged)" in c
    assert counts == "2 DONE, 1 FAILED"


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 160])
def test_status_fits_its_terminal_and_tells_every_reason(done: Bench, columns: int) -> None:
    terminal = in_terminal(done, "status", "s", columns=columns)

    assert terminal.exit_code() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.read()).splitlines()
    assert max(map(len, lines)) <= columns
    assert "ValueError: shard x.tar: key 7 is no image" in " ".join(lines)
    assert len(lines) <= 9


@pytest.mark.slow
def test_results_are_a_table_csv_that_parses_back_and_documented_json(done: Bench) -> None:
    table = done.orchestrate("results", "s")
    parsed = list(csv.reader(io.StringIO(done.orchestrate("results", "s", "--csv").stdout)))
    told = json.loads(done.orchestrate("results", "s", "--json", "--also", "train/loss").stdout)
    mixed = done.orchestrate("results", "s", "--by", "seed", "--csv")

    assert table.stdout.splitlines()[0].split() == ["case", "n", "missing", "diverged", "val/top1"]
    assert parsed[0] == [
        *("case", "n", "missing", "diverged", "val/top1 mean", "std", "low", "high")
    ]
    assert parsed[1] == ["a", "1", "0", "0", "91.5", "", "", ""]
    assert [row[:4] for row in parsed[2:]] == [["b", "0", "1", "0"], ["c", "0", "0", "1"]]
    assert (told["schema"], told["metric"], told["by"]) == (1, "val/top1", ["case"])
    keys = "case n missing diverged mean std ci95 job_ids mixes train/loss"
    assert [" ".join(row) for row in told["rows"]] == [keys] * 3
    assert "differ in case; add --by case" in mixed.stderr
    assert len(mixed.stdout.splitlines()) == 2


@pytest.mark.slow
def test_a_closed_pipe_is_no_traceback(done: Bench) -> None:
    command = f"{sys.executable} -m orchestrator.cli"
    for verb in ("status", "status --json", "results s", "results s --csv", "logs s/a"):
        piped = subprocess.run(
            ["/bin/sh", "-c", f"{command} {verb} | true"],
            env={**os.environ, **done.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert piped.stderr == "", verb


@pytest.mark.slow
def test_ctrl_c_while_waiting_leaves_the_jobs_running_and_all_can_go_on(bench: Bench) -> None:
    bench.script("a", "claim", 'point 4 {"val/top1": 50}', "wait", "finish")
    sweep = str(bench.sweep("a", "b"))
    terminal = in_terminal(bench, "launch", sweep, "--wait", columns=100)
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
def test_status_watch_refreshes_until_it_is_interrupted(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    bench.orchestrate("launch", str(bench.sweep("a")))
    terminal = in_terminal(bench, "status", "--watch")
    until(lambda: "RUNNING" in terminal.read())
    bench.go("a")
    until(lambda: "1 DONE" in terminal.read())
    terminal.type("\x03")

    assert terminal.exit_code() == 0
    assert "Traceback" not in terminal.read()


@pytest.mark.slow
def test_status_watch_in_a_file_tells_only_changes(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    bench.orchestrate("launch", str(bench.sweep("a")))
    watching = subprocess.Popen(
        [sys.executable, "-u", "-m", "orchestrator.cli", "status", "--watch"],
        env={**os.environ, **bench.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(1)
    bench.go("a")
    until(lambda: "DONE" in bench.orchestrate("status").stdout)
    time.sleep(2.5)
    watching.send_signal(signal.SIGINT)
    told, _ = watching.communicate()

    assert watching.returncode == 0
    assert told.count("1 DONE") == 1
    assert "\x1b" not in told


@pytest.mark.slow
def test_following_a_log_ends_when_the_job_ends(bench: Bench) -> None:
    bench.script("a", "claim", "log one", "wait", "log two", "finish")
    bench.orchestrate("launch", str(bench.sweep("a")))
    until(lambda: bench.orchestrate("logs", "s/a").stdout == "one\n")
    following = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "logs", "s/a", "-f"],
        env={**os.environ, **bench.environment},
        stdout=subprocess.PIPE,
    )
    time.sleep(1)
    before = following.poll()
    bench.go("a")
    told, _ = following.communicate(timeout=20)

    assert before is None
    assert (told, following.returncode) == (b"one\ntwo\n", 0)


@pytest.mark.slow
def test_a_job_without_a_log_is_told_with_its_state(bench: Bench) -> None:
    for name in "abc":
        bench.script(name, "claim", "wait")
    bench.orchestrate("launch", str(bench.sweep("a", "b", "c")))
    jobs = json.loads(bench.orchestrate("status", "--json").stdout)["jobs"]
    waiting = next(job for job in jobs if job["state"] == "QUEUED")

    told = bench.orchestrate("logs", waiting["id"][:8])

    assert told.returncode == 1
    assert "has no log of rank 0 yet: it is QUEUED (waits for a free place)" in told.stderr
    assert f"orchestrate status {waiting['id'][:8]}" in told.stderr


@pytest.mark.slow
def test_cancel_asks_first_and_yes_does_not(bench: Bench) -> None:
    bench.script("a", "claim", "wait")
    bench.script("b", "claim", "wait")
    bench.orchestrate("launch", str(bench.sweep("a", "b")))
    orders = bench.root.orders

    unasked = bench.orchestrate("cancel", "s")
    refused = in_terminal(bench, "cancel", "s/a")
    until(lambda: "Cancel them? [y/N]" in refused.read())
    refused.type("n\n")
    assert (refused.exit_code(), unasked.returncode) == (1, 1)
    assert not list(orders.glob("*.json"))

    agreed = in_terminal(bench, "cancel", "s/a")
    until(lambda: "[y/N]" in agreed.read())
    agreed.type("y\n")
    assert agreed.exit_code() == 0
    assert bench.orchestrate("cancel", "s", "--yes", "--why", "enough").returncode == 0
    until(lambda: "2 CANCELLED" in bench.orchestrate("status").stdout)
    assert "Nothing to cancel" in bench.orchestrate("cancel", "s", "--yes").stdout
    assert [json.loads(p.read_bytes())["why"] for p in sorted(orders.iterdir())] == ["", "enough"]


@pytest.mark.slow
def test_a_launch_right_after_a_cancel_waits_for_it_and_goes_on(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    sweep = str(bench.sweep("a"))
    bench.orchestrate("launch", sweep)
    until(lambda: bench.attempts_on(_id(bench, "a")))
    assert bench.orchestrate("cancel", "s", "--yes").returncode == 0

    again = bench.orchestrate("launch", sweep)

    assert "1 of 1 jobs submitted" in again.stdout
    bench.go("a")
    until(lambda: "1 DONE" in bench.orchestrate("status").stdout)
    assert len(bench.attempts_on(_id(bench, "a"))) == 2


@pytest.mark.slow
def test_a_result_whose_journal_was_lost_is_told(bench: Bench) -> None:
    bench.script("a", "claim", "point 5", "finish")
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")
    (attempt,) = bench.attempts_on(_id(bench, "a"))
    record = json.loads(attempt.exit.read_bytes())
    attempt.exit.write_text(json.dumps({**record, "step": 50}))
    before = bench.orchestrate("status", "s").stdout
    attempt.journal.unlink()

    assert "journal" not in before
    told = bench.orchestrate("status", "s").stdout
    assert "its journal is missing or damaged: it ends at step 0 of 50" in told


@pytest.mark.slow
def test_a_lost_record_hides_no_other_job_and_comes_back_with_the_next_launch(bench: Bench) -> None:
    sweep = str(bench.sweep("a", "b"))
    bench.orchestrate("launch", sweep, "--wait")
    record = bench.root.job(_id(bench, "a")).record
    before = record.read_bytes()
    record.unlink()

    told = bench.orchestrate("status", "s").stdout
    again = bench.orchestrate("launch", sweep)

    assert "job.json is missing. Launch its sweep again" in told
    assert "2 DONE" in told
    assert "0 of 2 jobs submitted" in again.stdout
    assert record.read_bytes() == before


def test_a_closed_output_is_no_traceback(bench: Bench) -> None:
    command = [sys.executable, "-m", "orchestrator.cli", "flops", str(bench.sweep("a"))]
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert (closed.returncode, closed.stderr) == (0, "")


def test_flops_json_has_an_arm_for_each_point(bench: Bench) -> None:
    told = json.loads(bench.orchestrate("flops", str(bench.sweep("a", "b")), "--json").stdout)

    assert told["schema"] == 1
    assert {" ".join(arm) for arm in told["arms"]} == {
        "name config params forward_macs relative_to_vanilla"
    }


def test_a_root_that_is_none_is_told_in_one_line(tmp_path: Path, bench: Bench) -> None:
    for root in (tmp_path / "none", tmp_path / "file" / "runs"):
        (tmp_path / "file").write_text("")
        told = bench.orchestrate("status", "--root", str(root))
        assert (told.returncode, told.stderr.count("\n")) == (1, 1)
        assert told.stderr.startswith("error: ")
