import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.pool_bench import Bench, kill, until

from orchestrator.errors import Full, Refused, RootError
from orchestrator.executors import EXECUTORS, detached, executor_named
from orchestrator.executors.local import LocalExecutor
from orchestrator.executors.pool_log import PoolLogWriter
from orchestrator.jobs.evidence import Sight
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import Process, this_process
from orchestrator.jobs.submissions import read_handle, write_intent

SUBMIT = """
import sys, time
from pathlib import Path
sys.path.append({here!r})
from support.pool_bench import Bench
Bench(Path({folder!r})).submit("a", "b", parallel=1)
print("submitted", flush=True)
time.sleep({then})
"""


def submitting(bench: Bench, then: int) -> list[str]:
    here = str(Path(__file__).parents[1])
    return [sys.executable, "-c", SUBMIT.format(here=here, folder=str(bench.folder), then=then)]


def only(bench: Bench) -> str:
    return bench.root.submissions()[0].token


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_can_be_made(name: str, tmp_path: Path) -> None:
    assert executor_named(name, Root(tmp_path)).find([]) == {}


def test_an_executor_that_this_program_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(RootError, match=r"'moon'.*knows only local"):
        executor_named("moon", Root(tmp_path))


@pytest.mark.slow
def test_a_pool_outlives_whoever_started_it_and_was_killed(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    starter = subprocess.Popen(submitting(bench, then=60), stdout=subprocess.PIPE)
    assert starter.stdout
    assert starter.stdout.readline() == b"submitted\n"
    starter.kill()
    starter.communicate()

    bench.go("a")
    until(lambda: bench.pools()[0].ended.keys() == {0, 1})

    assert [len(bench.attempts(name)) for name in "ab"] == [1, 1]


@pytest.mark.slow
def test_a_pool_outlives_the_terminal_it_was_started_in(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
        os.execv(sys.executable, submitting(bench, then=60))  # noqa: S606 - a list, no shell
    until(lambda: bench.root.submissions() and read_handle(bench.root.submission(only(bench))))
    os.close(terminal)  # the kernel sends SIGHUP to the session's foreground
    os.waitpid(pid, 0)

    bench.go("a")
    until(lambda: bench.pools()[0].ended.keys() == {0, 1})

    assert bench.pools()[0].ended[1].exit_code == 0


@pytest.mark.slow
def test_members_of_a_killed_pool_are_seen_while_they_live_and_can_be_cancelled(
    bench: Bench,
) -> None:
    for name in "ab":
        bench.script(name, "claim", "wait", "finish")
    submission = bench.submit("a", "b", "c", parallel=2)
    log = bench.started(submission, 2)
    kill(log.process)
    until(lambda: not log.process.alive())

    def sights() -> list[Sight]:
        seen = bench.executor.observe([submission]).seen
        return [seen[submission.token, index].sight for index in range(3)]

    assert sights() == [Sight.RUNNING, Sight.RUNNING, Sight.ENDED]
    bench.executor.cancel([(submission.token, 0)])
    until(lambda: bench.attempts("a")[0].exit.exists() and not log.started[0].process.alive())
    assert sights() == [Sight.ENDED, Sight.RUNNING, Sight.ENDED]
    end = bench.executor.observe([submission]).seen[submission.token, 0].end
    assert end
    assert (end.by_place, end.started, end.detail) == (True, True, "its pool is gone")


@pytest.mark.slow
def test_a_waiting_member_is_seen_waiting_and_an_ended_one_as_its_pool_saw_it(
    bench: Bench,
) -> None:
    bench.script("a", "exit 3")
    bench.script("b", "claim", "wait", "finish")
    submission = bench.submit("a", "b", "c", parallel=1)
    bench.started(submission, 1)

    seen = bench.executor.observe([submission]).seen

    assert [seen[submission.token, i].sight for i in range(3)] == ["ended", "running", "waiting"]
    end = seen[submission.token, 0].end
    assert end
    assert end.exit_code == 3
    assert bench.executor.find([submission.token, "none"]) == {
        submission.token: str(bench.log(submission).process)
    }


def test_a_pool_that_cannot_start_is_refused_with_its_last_words(bench: Bench) -> None:
    with pytest.raises(Refused, match=r"no/such/python.*not found.*pool\.log"):
        bench.submit("a", python="/no/such/python")
    assert bench.pools() == []


def test_a_program_that_lacks_what_it_needs_is_tried_again_later_with_one_job_at_most(
    bench: Bench,
) -> None:
    python = bench.folder / "python"
    python.write_text(f"#!/bin/sh\necho nobody answers; exit {detached.UNAVAILABLE}\n")
    python.chmod(0o755)

    with pytest.raises(Full, match="nobody answers") as caught:
        bench.submit("a", "b", python=str(python))

    assert caught.value.slow


def test_a_worker_that_cannot_be_started_is_a_failure_of_that_member(bench: Bench) -> None:
    pool = next(bench.root.snapshots.iterdir()) / "orchestrator/executors/pool.py"
    pool.write_text(pool.read_text().replace("(sys.executable, ", '("/no/such/worker", '))

    log = bench.over(bench.submit("a", "b"))

    assert [log.ended[i].exit_code for i in (0, 1)] == [126, 126]
    assert "No such file" in log.ended[0].detail


@pytest.mark.parametrize("odd", ["a b", "it's", 'say "x"', "$HOME `id` \\n", "new\nline"])
def test_the_rendered_text_is_what_runs_and_any_path_is_quoted(tmp_path: Path, odd: str) -> None:
    bench = Bench(tmp_path / odd, tmp_path / odd)
    bench.set_up()
    python = bench.folder / "python"
    python.write_text(
        '#!/bin/sh\nprintf "%s\\0" "$PYTHONPATH" "$ORCHESTRATE_ROOT" "$ORCHESTRATE_DATA" "$@" '
        '> "$ORCHESTRATE_ROOT/told"; exit 1\n'
    )
    python.chmod(0o755)
    submission = bench.draft("a", python=str(python))
    text = bench.executor.render(submission)
    folder = write_intent(bench.root, submission, text)

    with pytest.raises(Refused):
        bench.executor.submit(submission)

    told = (bench.root.path / "told").read_text().split("\0")
    assert told[0].split(":")[0] == str(bench.root.snapshots / submission.snapshot)
    assert told[1:3] == [str(bench.root.path), str(bench.data)]
    assert told[3:-1] == ["-P", "-m", "orchestrator.executors.pool", submission.token]
    assert folder.script.read_text() == text


@pytest.mark.parametrize(
    ("device", "ranks", "gpus", "refusals"),
    [("cuda", 1, 0, 1), ("cuda", 2, 2, 0), ("auto", 3, 2, 1), ("auto", 3, 0, 0), ("cpu", 3, 2, 0)],
)
def test_more_ranks_than_gpus_are_refused_instead_of_waiting_for_ever(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    *,
    device: str,
    ranks: int,
    gpus: int,
    refusals: int,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus))))
    draft = bench.draft("a")
    placement = draft.placement.model_copy(update={"device": device, "ranks": ranks})
    submission = draft.model_copy(update={"placement": placement})

    assert len(bench.executor.check(submission)) == refusals


def test_a_job_that_is_to_be_compiled_is_refused_where_nothing_compiles(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    plain, compiled = (bench.draft("a", placement={"compile": on}) for on in (False, True))

    assert bench.executor.check(plain) == []
    (refusal,) = bench.executor.check(compiled)
    assert "/no/such/compiler" in refusal


def test_a_root_that_cannot_stand_on_the_module_path_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "a")
    bench.set_up()
    submission = bench.draft("a")

    assert "':'" in LocalExecutor(Root(Path("/x:y/runs"))).check(submission)[0]
    assert bench.executor.check(submission) == []


def test_what_a_pool_wrote_between_two_looks_at_it_is_not_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = bench.draft("a")
    folder = write_intent(bench.root, submission, "")
    writer = PoolLogWriter(folder.pool)
    writer.start(0, this_process(), ())

    def last_act(_: Process) -> bool:
        writer.end(0, End(time.time(), started=True, signal=signal.SIGSEGV))
        monkeypatch.setattr(Process, "alive", lambda _: False)
        return False

    monkeypatch.setattr(Process, "alive", last_act)
    end = bench.executor.observe([submission]).seen[submission.token, 0].end

    assert end
    assert end.signal == signal.SIGSEGV


@pytest.mark.parametrize(("age", "sight"), [(10, "waiting"), (400, None)])
def test_a_pool_of_another_host_is_believed_while_its_heart_beats(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, age: int, sight: str | None
) -> None:
    submission = bench.draft("a")
    folder = write_intent(bench.root, submission, "")
    PoolLogWriter(folder.pool)
    os.utime(folder.pool, (time.time() - age,) * 2)
    monkeypatch.setattr(Process, "alive", lambda _: None)

    seen = bench.executor.observe([submission]).seen.get((submission.token, 0))

    assert (seen.sight if seen else None) == sight


def test_a_pool_that_ended_before_the_first_look_was_not_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quick(subprocess.Popen):  # type: ignore[type-arg]
        def poll(self) -> int | None:
            return self.wait()

    monkeypatch.setattr(detached.subprocess, "Popen", Quick)

    submission = bench.submit("a")

    assert bench.log(submission).ended[0].exit_code == 0
