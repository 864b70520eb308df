import pytest
from support.pool_bench import Bench, until

from orchestrator.executors.slurm_tender import NOT_OVER


@pytest.mark.slow
def test_one_round_tells_by_its_exit_code_whether_more_is_to_come(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    bench.script("b", "claim", "wait", "fail it was wrong")
    bench.orchestrate("launch", str(bench.sweep("a", name="good")))
    bench.orchestrate("launch", str(bench.sweep("b", name="bad")))
    runs = bench.orchestrate("watch", "good", "--once")
    bench.go("a", "b")
    until(lambda: "1 DONE, 1 FAILED" in bench.orchestrate("status").stdout)
    good, both = (bench.orchestrate("watch", *names, "--once") for names in (["good"], []))

    assert (runs.returncode, good.returncode, both.returncode) == (NOT_OVER, 0, 3)
    assert runs.stdout.endswith((" good: 1 RUNNING\n", " good: 1 QUEUED\n"))
    assert good.stdout.endswith(" good: 1 DONE\n")
    assert "bad, good: 1 DONE, 1 FAILED" in both.stdout


@pytest.mark.slow
def test_a_watch_submits_what_is_due_again_and_ends_with_what_is_not_done(bench: Bench) -> None:
    bench.script("a", "claim", "kill 11")
    bench.orchestrate("launch", str(bench.sweep("a", "b")))

    told = bench.orchestrate("watch", "--every", "1")

    assert told.returncode == 3
    assert "a is FAILED: ended by SIGSEGV" in told.stdout
    assert "1 of 2 jobs are not done. See: orchestrate why JOB" in told.stdout
    assert len(bench.attempts_on(bench.id_of("a"))) == 2


@pytest.mark.slow
def test_a_sweep_that_was_never_launched_is_answered_with_those_that_were(bench: Bench) -> None:
    bench.orchestrate("launch", str(bench.sweep("a")), "--wait")

    told = bench.orchestrate("watch", "s", "t")

    assert told.returncode == 1
    assert "No sweep 't' was launched" in told.stderr
    assert "Sweeps there: s" in told.stderr
