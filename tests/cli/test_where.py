import json

import pytest
from support.pool_bench import Bench


@pytest.mark.slow
def test_every_verb_that_takes_jobs_takes_where(done: Bench) -> None:
    def told(*words: str) -> str:
        finished = done.orchestrate(*words)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    failed = json.loads(told("status", "--json", "--where", "state == 'FAILED' and lr > 1e-3"))
    results = json.loads(told("results", "s", "--json", "--where", "outcome == 'finished'"))
    failures = json.loads(told("failures", "s", "--json", "--where", "case != 'c'"))
    garbage = json.loads(told("gc", "--json", "--where", "state == 'QUEUED'"))

    assert [job["name"] for job in failed["jobs"]] == ["b"]
    assert [row["case"] for row in results["rows"]] == ["a"]
    assert (failures["started"], failures["failed"]) == (2, 1)
    assert garbage["bytes"] == 0
    plan = told("plan", str(done.folder / "s.yaml"), "--where", "state == 'FAILED'")
    assert "Of 1 of its 3 points alone" in plan
    assert "1 of 1 jobs" in plan
    assert told("logs", "--where", "outcome == 'finished'").startswith("x\nx\n")
    assert "Nothing to cancel" in told("cancel", "--where", "state == 'DONE'", "--yes")
    assert "Nothing to retry" in told("retry", "--where", "'x.tar' not in reason")
    assert told("retry", "--why", "--where", "'x.tar' in reason").startswith("1: b\n")


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["cancel", "retry", "logs"])
def test_no_word_at_all_does_not_mean_every_job(done: Bench, verb: str) -> None:
    refused = done.orchestrate(verb)

    assert refused.returncode == 2
    assert "say which jobs are meant: SWEEP, JOB or --where EXPRESSION" in refused.stderr
