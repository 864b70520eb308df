import json
import os
import subprocess
import sys
import time

import pytest
from support.pool_bench import Bench, until


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
    told, _ = following.communicate(timeout=60)

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
def test_an_empty_log_is_said_to_be_empty_beside_what_is_printed(bench: Bench) -> None:
    bench.script("a", "claim", "finish")
    launched = bench.orchestrate("launch", str(bench.sweep("a")), "--wait")
    assert launched.returncode == 0, launched.stderr
    (job,) = json.loads(bench.orchestrate("status", "--json").stdout)["jobs"]
    bench.root.job(job["id"]).attempt(1).log(0).touch()

    told = bench.orchestrate("logs", "s/a")

    assert (told.returncode, told.stdout) == (0, ""), told.stderr
    assert told.stderr == "a printed nothing; what it measured: orchestrate status\n"
