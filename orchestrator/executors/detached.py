"""A program that runs a submission, detached from whoever started it: a pool, a driver of Ray.

It lives in a session of its own, and its handle is its process. What it knows of its members it
writes to the submission's ``pool.jsonl``, of which all that is seen of them follows.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from math import inf
from signal import SIGTERM

from orchestrator.errors import Full, Refused, Unclear
from orchestrator.executors.base import Observation
from orchestrator.executors.last_words import last_line
from orchestrator.executors.pool_log import PoolLog, look_at_pool, read_pool_log
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import LIVE_S, Sight, Sighting, is_live
from orchestrator.jobs.facts import End, attempt_of
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
            raise Full(words, slow=True) if code == UNAVAILABLE else Refused(words)
        time.sleep(0.02)
    raise Unclear(f"The {what} of submission {submission.token} has not answered yet (see {log})")


def find(root: Root, tokens: Collection[str]) -> dict[str, str]:
    """Handles of the submissions whose programs have begun a record."""
    logs = {token: read_pool_log(root.submission(token).pool) for token in tokens}
    return {token: str(log.process) for token, log in logs.items() if log}


def observe(
    root: Root, submissions: Sequence[Submission], what: str, gone_s: float = inf
) -> Observation:
    """One look at all members.

    ``gone_s``: where members end with their program, so long it may be silent on another machine
    before it is taken to be gone.
    """
    now = file_time(root.path)
    seen: dict[tuple[str, int], Sighting] = {}
    for submission in submissions:
        log, alive = look_at_pool(root.submission(submission.token).pool)
        if log is None:
            continue
        if alive is None and now - log.touched < LIVE_S:
            alive = True
        elif alive is None and now - log.touched > gone_s:
            alive = False
        for index in range(len(submission.jobs)):
            if index in log.ended:
                seen[submission.token, index] = Sighting(Sight.ENDED, log.ended[index])
            elif alive:
                sight = Sight.RUNNING if index in log.started else Sight.WAITING
                seen[submission.token, index] = Sighting(sight)
            elif _outlives(root, submission, index, log, now):
                seen[submission.token, index] = Sighting(Sight.RUNNING)
            elif alive is False:
                how = End(now, index in log.started, by_place=True, detail=f"its {what} is gone")
                seen[submission.token, index] = Sighting(Sight.ENDED, how)
    return Observation(seen)


def _outlives(root: Root, submission: Submission, index: int, log: PoolLog, now: float) -> bool:
    """Whether a member goes on though its program is gone, or silent.

    Where its process cannot be seen, its attempt speaks: it may be saving on another machine.
    """
    alive = log.started[index].process.alive() if index in log.started else None
    if alive is not None:
        return alive
    own = attempt_of(root.job(submission.jobs[index]), submission.token, index)
    return own is not None and is_live(own, None, now)


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
