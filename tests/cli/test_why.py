import pytest
from support.pool_bench import Bench


@pytest.mark.slow
def test_why_tells_how_a_job_ended_and_what_to_do_next(done: Bench) -> None:
    failed, finished = (done.orchestrate("why", name) for name in ("s/b", "a"))
    job = done.id_of("b")[:8]

    assert failed.stdout.splitlines() == [
        f"b ({job}) is FAILED: ValueError: shard x.tar: key 7 is no image.",
        "exception: the worker raised an exception; a watch does not try such a job again.",
        "Action: stop; mend what its log shows.",
        f"See: orchestrate logs {job}; when it is mended: orchestrate retry {job}",
    ]
    assert finished.stdout.startswith("a (")
    assert " is DONE: finished, in 1 start(s).\n" in finished.stdout


@pytest.mark.slow
def test_why_is_asked_about_one_job(done: Bench) -> None:
    told = done.orchestrate("why", "s")

    assert told.returncode == 1
    assert "'s' means 3 jobs (a, b, c ...); name one of them" in told.stderr
