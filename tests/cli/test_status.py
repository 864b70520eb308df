import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from support.pool_bench import Bench, until
from support.terminal import Terminal

STATUS_KEYS = (
    "id name state outcome reason epoch epochs step metrics attempts executor handle stale_s "
    "older_code older_weights rung"
)
DOCUMENT_KEYS = "schema sweep counts jobs notes axes spent to_come finish"


@pytest.mark.slow
def test_status_json_has_the_documented_keys_and_no_others(done: Bench) -> None:
    told = json.loads(done.orchestrate("status", "s", "--json").stdout)

    assert list(told) == DOCUMENT_KEYS.split()
    assert told["notes"] == []
    assert (told["schema"], told["sweep"]) == (1, "s")
    assert told["counts"] == {"DONE": 2, "FAILED": 1}
    assert all(" ".join(job) == STATUS_KEYS for job in told["jobs"])
    a, b, c = told["jobs"]
    assert (a["state"], a["outcome"], a["epoch"], a["epochs"]) == ("DONE", "finished", 10, 10)
    assert (a["metrics"]["val/top1"], a["attempts"], a["executor"]) == (91.5, 1, "local")
    assert (b["state"], b["reason"]) == ("FAILED", "ValueError: shard x.tar: key 7 is no image")
    assert (c["outcome"], c["metrics"]["val/top1"]) == ("diverged", "nan")
    assert [list(one) for one in told["axes"]] == 3 * [
        ["axis", "value", "counts", "epochs", "epochs_asked"]
    ]
    assert told["axes"][1] == {
        "axis": "case",
        "value": "b",
        "counts": {"FAILED": 1},
        "epochs": 3,
        "epochs_asked": 10,
    }
    assert told["spent"]["gpu_hours"] == 0 < told["spent"]["cpu_hours"]
    assert told["to_come"] == {"gpu_hours": 0, "cpu_hours": 0, "unknown": 0}
    assert told["finish"] is None
    whole = json.loads(done.orchestrate("status", "--json").stdout)
    assert whole["sweep"] is None


@pytest.mark.slow
def test_status_in_a_file_is_plain_text_with_every_reason(done: Bench) -> None:
    told = done.orchestrate("status", "s").stdout

    assert "\x1b" not in told
    heading, a, b, c, _, counts, hours = told.splitlines()
    assert heading.split()[:5] == ["job", "name", "state", "epoch", "left"]
    assert re.match(r"[0-9a-f]{8}  a +DONE +10/10 +91\.5 +0\.25  older code$", a)
    assert b.endswith("ValueError: shard x.tar: key 7 is no image")
    assert "DONE (diverged)" in c
    assert counts == "2 DONE, 1 FAILED"
    assert hours == "0.01 CPU-hours spent, nothing to come"


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 160])
def test_status_fits_its_terminal_and_tells_every_reason(done: Bench, columns: int) -> None:
    terminal = Terminal(done, "status", "s", columns=columns)

    assert terminal.exit_code() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.read()).splitlines()
    assert max(map(len, lines)) <= columns
    assert "ValueError: shard x.tar: key 7 is no image" in " ".join(lines)
    assert len(lines) <= 10


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
def test_a_result_whose_journal_was_lost_is_told(bench: Bench) -> None:
    bench.script("a", "claim", "point 5", "finish")
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")
    (attempt,) = bench.attempts_on(bench.id_of("a"))
    record = json.loads(attempt.exit.read_bytes())
    attempt.exit.write_text(json.dumps({**record, "step": 50}))
    before = bench.orchestrate("status", "s").stdout
    attempt.journal.unlink()
    bench.root.settled.unlink()

    assert "journal" not in before
    told = bench.orchestrate("status", "s").stdout
    assert "its journal is missing or damaged: it ends at step 0 of 50" in told


@pytest.mark.slow
def test_a_lost_record_hides_no_other_job_and_comes_back_with_the_next_launch(bench: Bench) -> None:
    sweep = str(bench.sweep("a", "b"))
    bench.orchestrate("launch", sweep, "--wait")
    record = bench.root.job(bench.id_of("a")).record
    before = json.loads(record.read_bytes())
    record.unlink()
    bench.root.settled.unlink()

    told = bench.orchestrate("status", "s").stdout
    again = bench.orchestrate("launch", sweep)

    assert "job.json is missing. Launch its sweep again" in told
    assert "2 DONE" in told
    assert "0 of 2 jobs submitted" in again.stdout
    assert json.loads(record.read_bytes()).items() >= before.items()
