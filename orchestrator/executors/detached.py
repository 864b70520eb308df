"""A program that runs a submission, detached from whoever started it: a pool, a driver of Ray.

It lives in a session of its own, and its handle is its process. What it knows of its members it
writes to the submission's ``pool.jsonl``, of which all that is seen of them follows.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from signal import SIGTERM

from orchestrator.errors import Full, Refused, Unclear
from orchestrator.executors.base import Observation
from orchestrator.executors.last_words import last_line
from orchestrator.executors.pool_log import PoolLog, look_at_pool, read_pool_log
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import LIVE_S, Sight, Sighting
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

UNAVAILABLE = os.EX_UNAVAILABLE
"""Exit code of a program that began nothing, because what it needs does not answer now."""


def refuse_root(root: Root) -> list[str]:
    """Why no program of this root could find its modules; empty if it can."""
    if os.pathsep not in str(root.path):
        return []
    words = (
        f"the run root {root.path} has a '{os.pathsep}' in its path, which Python cannot have on "
        "its module path; choose another one with --root"
    )
    return [words]


def script(root: Root, submission: Submission, program: str, setup: str = "") -> str:
    """The text that runs a module of ours, ``program``, from the submission's snapshot.

    ``setup``: whole lines of shell before it.
    """
    quoted = {
        "code": root.snapshots / submission.snapshot,
        "root": root.path,
        "data": submission.data_root,
        "python": submission.python,
        "token": submission.token,
    }
    q = {name: shlex.quote(str(value)) for name, value in quoted.items()}
    return (
        "#!/bin/sh\n"
        f"export PYTHONPATH={q['code']}${{PYTHONPATH:+:$PYTHONPATH}}\n"
        f"export ORCHESTRATE_ROOT={q['root']} ORCHESTRATE_DATA={q['data']}\n"
        f"{setup}"
        f"exec {q['python']} -P -m {program} {q['token']}\n"
    )


def start(root: Root, submission: Submission, what: str, patience_s: float) -> str:
    """Run the submission's script detached; returns the handle, once its record has begun.

    ``what`` names the program in messages.

    Raises:
        Refused: it ended before that; with its last words.
        Full: it ended because what it needs does not answer now.
        Unclear: it has not begun a record after ``patience_s``.
    """
    folder = root.submission(submission.token)
    log = folder.logs / "pool.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            ["/bin/sh", str(folder.script)],
            cwd=root.path,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        code = started.poll()  # before the look: it may be quick
        if (record := read_pool_log(folder.pool)) is not None:
            return str(record.process)
        if code is not None:
            words = f"The {what} did not start: {last_line(log) or 'no word'} (see {log})"
            raise Full(words) if code == UNAVAILABLE else Refused(words)
        time.sleep(0.02)
    raise Unclear(f"The {what} of submission {submission.token} has not answered yet (see {log})")


def find(root: Root, tokens: Collection[str]) -> dict[str, str]:
    """Handles of the submissions whose programs have begun a record."""
    logs = {token: read_pool_log(root.submission(token).pool) for token in tokens}
    return {token: str(log.process) for token, log in logs.items() if log}


def observe(
    root: Root, submissions: Sequence[Submission], what: str, settle_s: float | None = None
) -> Observation:
    """One look at all members.

    ``settle_s``: where members end with their program, so long after its last sign of life those
    on other machines may still run; a program that is silent for as long as an attempt may be is
    then taken to be gone, wherever it was. None: of that nothing is said.
    """
    now = file_time(root.path)
    seen: dict[tuple[str, int], Sighting] = {}
    for submission in submissions:
        log, alive = look_at_pool(root.submission(submission.token).pool)
        if log is None:
            continue
        if alive is None and now - log.touched < LIVE_S:
            alive = True
        elif alive is None and settle_s is not None:
            alive = False
        young = now - log.touched < (settle_s or 0.0)
        end = End(now, started=False, by_place=True, detail=f"its {what} is gone")
        for index, sighting in _sightings(log, len(submission.jobs), end, alive=alive, young=young):
            seen[submission.token, index] = sighting
    return Observation(seen)


def _sightings(
    log: PoolLog, members: int, end: End, *, alive: bool | None, young: bool
) -> Iterator[tuple[int, Sighting]]:
    """What is known of each member; nothing of those of a silent program on another machine.

    ``end``: that of members which did not outlive their program.
    """
    for index in range(members):
        if index in log.ended:
            yield index, Sighting(Sight.ENDED, log.ended[index])
        elif index in log.started and (alive or _outlives(log, index, young=young)):
            yield index, Sighting(Sight.RUNNING)
        elif alive:
            yield index, Sighting(Sight.WAITING)
        elif alive is False:
            yield index, Sighting(Sight.ENDED, replace(end, started=index in log.started))


def _outlives(log: PoolLog, index: int, *, young: bool) -> bool:
    """Whether a member goes on though its program is gone."""
    alive = log.started[index].process.alive()
    return young if alive is None else alive


def end_orphans(root: Root, members: Collection[tuple[str, int]]) -> None:
    """Ask those to stop that outlived their program; a live one reads the orders itself."""
    for token, index in members:
        log, alive = look_at_pool(root.submission(token).pool)
        if log is None or alive is not False or index not in log.running():
            continue
        orphan = log.started[index].process
        if orphan.alive():
            with suppress(ProcessLookupError):
                os.killpg(orphan.pid, SIGTERM)
