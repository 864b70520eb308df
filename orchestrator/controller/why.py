"""The verb why: what a job waits for, or how it ended, in a sentence, and what to do next."""

import time
from collections.abc import Callable, Sequence

from orchestrator.controller.origin import read_origin
from orchestrator.controller.select import Named
from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import RootError
from orchestrator.executors import executor_named
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import Sighting
from orchestrator.jobs.facts import Attempt, Member, read_journals
from orchestrator.jobs.layout import Root
from orchestrator.jobs.rules import ADVICE, RULES, rule_of
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.submissions import Submission
from orchestrator.jobs.summary import summarise

NEXT = {
    State.DONE: "See: orchestrate results SWEEP",
    State.RUNNING: "See: orchestrate logs {id} -f",
    State.QUEUED: "Nothing to do but wait; to withdraw it: orchestrate cancel {id}",
    State.UNKNOWN: "It is left alone until that is known; to look again: orchestrate watch",
    State.CANCELLED: "To go on with it: launch its sweep again",
    State.PREEMPTED: "To go on with it: orchestrate watch, or launch its sweep again",
    State.FAILED: "See: orchestrate logs {id}; when it is mended: orchestrate retry {id}",
    State.PLANNED: "To submit it: orchestrate watch, or launch its sweep again",
}
DAMAGED = "It is left alone until it is whole again, or launched with --fresh {id}"
HELD = "To let it go: launch its sweep again"
GIVEN_UP = "A watch leaves it alone; when it is mended: orchestrate retry {id}"
STUCK = ("held", "release", "cancel it")
"""In the reason of a job that will not start by itself."""


def explain(root: Root, job: Named) -> list[str]:
    """The sentences, the next step last."""
    found = survey(root, [job.id])
    status = found.statuses[job.id]
    words = _WORDS.get(status.state, _plainly)(root, job, found).rstrip(".")
    told = [f"{job.name} ({job.id[:8]}) is {status.state}{f': {words}' if words else ''}."]
    notes = [f"note: {note}" for note in found.troubles]
    start = _last_start(root, found.facts[job.id].attempts)
    step = DAMAGED if _is_damaged(found, job) else _next(status)
    told += [*rule_in_words(found, job.id), *start, *notes]
    return [*told, step.format(id=job.id[:8])]


def _is_damaged(found: Survey, job: Named) -> bool:
    return found.statuses[job.id].state is State.UNKNOWN and bool(found.facts[job.id].fault)


def _next(status: JobStatus) -> str:
    if status.state is State.QUEUED and any(word in status.reason for word in STUCK):
        return "To withdraw it: orchestrate cancel {id}"
    if status.held:
        return HELD
    if status.given_up and status.state is not State.FAILED:
        return GIVEN_UP
    return NEXT[status.state]


def _last_start(root: Root, attempts: Sequence[Attempt]) -> list[str]:
    """Where the last start was and from which code, if that was recorded."""
    if not attempts:
        return []
    last = attempts[-1]
    try:
        snapshot = Submission.read(root.submission(last.start.token)).snapshot
        origin = read_origin(root, snapshot)
    except (FileNotFoundError, RootError):
        return []
    return [f"Start {last.number}: on {last.start.host}, {origin}."] if origin else []


def rule_in_words(found: Survey, job: str) -> list[str]:
    """What is done about this kind of end, how much of it is spent, and what a person can do."""
    status = found.statuses[job]
    if status.kind not in RULES:
        return []
    newest = found.facts[job].newest
    rule = rule_of(status.kind, newest.cluster if newest else None)
    told = [f"{status.kind}: {rule.meaning}"]
    if status.state is State.FAILED:
        tries = f"{status.tries} of {rule.retries + 1} tries spent"
        told.append(tries if rule.retries else "a watch does not try such a job again")
    waits = f", after {rule.back_off_s:g} s, then twice as long" if rule.back_off_s else ""
    return [f"{'; '.join(told)}.", f"Action: {rule.action}{waits}; {ADVICE[status.kind]}."]


def _plainly(root: Root, job: Named, found: Survey) -> str:
    status = found.statuses[job.id]
    waits = status.due_at is not None
    retried = "; a watch tries it again by itself" if status.due or waits else ""
    if status.due_at is not None:
        retried += f" in {max(0.0, status.due_at - file_time(root.path)):.0f} s"
    return f"{status.reason}{retried}" if status.reason else ""


def _done(root: Root, job: Named, found: Survey) -> str:
    facts = found.facts[job.id]
    told = f"{found.statuses[job.id].outcome}, in {len(facts.attempts)} start(s)"
    fault = summarise(root, facts, read_journals(root.job(job.id))).fault
    return f"{told}; {fault.rstrip('.')}" if fault else told


def _running(root: Root, job: Named, found: Survey) -> str:
    facts = found.facts[job.id]
    parts = [found.statuses[job.id].reason]
    if facts.attempts:
        parts.append(_life(facts.attempts[-1], file_time(root.path)))
    parts.append(_handle(root, facts.newest))
    return "; ".join(part for part in parts if part)


def _queued(root: Root, job: Named, found: Survey) -> str:
    parts = [found.statuses[job.id].reason]
    for member in found.facts[job.id].members:
        seen = found.seen.get((member.token, member.index))
        stuck = any(word in found.statuses[job.id].reason for word in STUCK)
        if seen is not None and seen.expected and member.end is None and not stuck:
            parts += [_expected(seen), _handle(root, member)]
            break
    else:
        parts.append(_handle(root, found.facts[job.id].newest))
    return "; ".join(part for part in parts if part)


def _life(attempt: Attempt, now: float) -> str:
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(attempt.start.time))
    silence = max(0.0, now - attempt.heartbeat)
    return (
        f"start {attempt.number} on {attempt.start.host} since {since}, "
        f"last sign of life {silence:.0f} s ago"
    )


def _expected(seen: Sighting) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(seen.expected))
    return f"it is expected to start by {when}"


def _handle(root: Root, member: Member | None) -> str:
    if member is None or member.handle is None:
        return ""
    handle = executor_named(member.executor, root).member_handle(member.handle, member.index)
    return f"{member.executor} calls it {handle}"


_WORDS: dict[State, Callable[[Root, Named, Survey], str]] = {
    State.DONE: _done,
    State.RUNNING: _running,
    State.QUEUED: _queued,
}
