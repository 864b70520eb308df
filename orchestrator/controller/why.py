"""The verb why: what a job waits for, or how it ended, in a sentence, and what to do next."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.controller.limits import limit_in_words
from orchestrator.controller.origin import origin_of
from orchestrator.controller.parents import look, of_older_weights
from orchestrator.controller.select import Named
from orchestrator.controller.survey import Survey
from orchestrator.documents.jobs import RetryRulesDocument, WhyDocument
from orchestrator.executors import executor_named
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import Attempt, Member, read_journals
from orchestrator.jobs.layout import Root
from orchestrator.jobs.rules import ADVICE, RULES, rule_of
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.summary import summarise

NEXT = {
    State.DONE: "See: orchestrate results SWEEP",
    State.RUNNING: "See: orchestrate logs {id} -f",
    State.QUEUED: "Nothing to do but wait; to withdraw it: orchestrate cancel {id}",
    State.UNKNOWN: "It is left alone until that is known; to look again: orchestrate watch",
    State.STOPPED: "To train it whole all the same: orchestrate retry {id} --stopped",
    State.CANCELLED: "To go on with it: launch its sweep again",
    State.PREEMPTED: "To go on with it: orchestrate watch, or launch its sweep again",
    State.FAILED: "See: orchestrate logs {id}; when it is mended: orchestrate retry {id}",
    State.PLANNED: "To submit it: orchestrate watch, or launch its sweep again",
}
DAMAGED = "It is left alone until it is whole again, or launched with --fresh {id}"
HELD = "To let it go: launch its sweep again"
WAITS = "A watch submits it once that is done; see: orchestrate why {parent}"
VAIN = "That will not change by itself; see: orchestrate why {parent}"
GIVEN_UP = "A watch leaves it alone; when it is mended: orchestrate retry {id}"
STUCK = ("held", "release", "cancel it")
"""In the reason of a job that will not start by itself."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is said of a job, in sentences, and what to do ``next``."""

    job: Named
    status: JobStatus
    told: Sequence[str]
    next: str

    @property
    def lines(self) -> list[str]:
        """The sentences, the next step last."""
        return [*self.told, self.next]


def explain(root: Root, job: Named) -> Explanation:
    """What the job waits for, or how it ended, by one look."""
    found = look(root, [job])
    status = found.statuses[job.id]
    words = _WORDS.get(status.state, _plainly)(root, job, found).rstrip(".")
    told = [f"{job.name} ({job.id[:8]}) is {status.state}{f': {words}' if words else ''}."]
    notes = [f"note: {note}" for note in found.troubles]
    start = _last_start(root, found.facts[job.id].attempts)
    step = DAMAGED if _is_damaged(found, job) else _next(status)
    if status.waits and job.parent is not None:
        step = (VAIN if status.in_vain else WAITS).format(parent=job.parent.id[:8])
    anew = _trained_anew(job) if of_older_weights(root, [job], found) else []
    told += [*_limit(found, job.id), *rule_in_words(found, job.id), *anew, *start, *notes]
    return Explanation(job, status, told, step.format(id=job.id[:8]))


def as_json(explained: Explanation) -> WhyDocument:
    """The documented form of ``why --json``."""
    return {
        "schema": 1,
        "id": explained.job.id,
        "name": explained.job.name,
        "state": explained.status.state,
        "kind": explained.status.kind,
        "told": explained.told,
        "next": explained.next,
    }


def _trained_anew(job: Named) -> list[str]:
    """That a result is of weights that are no more, and what brings the new ones."""
    assert job.parent is not None
    what = f"{job.parent.name} was trained anew since: this result is of its weights before."
    return [f"{what} To have it of those it leaves now: launch its sweep with --fresh older."]


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
    origin = origin_of(root, last.start.token)
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


@dataclass(frozen=True, slots=True)
class JobsUnderRule:
    """Jobs that failed alike, and what the rules say of them, in sentences."""

    jobs: Sequence[Named]
    told: Sequence[str]


def rules_of(jobs: Sequence[Named], found: Survey) -> list[JobsUnderRule]:
    """Of each kind of failure: the rule, how far it is spent, and what a person can do."""
    alike: dict[tuple[str, ...], list[Named]] = {}
    for job in jobs:
        words = rule_in_words(found, job.id) or [found.statuses[job.id].reason]
        alike.setdefault(tuple(words), []).append(job)
    return [JobsUnderRule(members, told) for told, members in alike.items()]


def rules_as_json(rules: Sequence[JobsUnderRule]) -> RetryRulesDocument:
    """The documented form of ``retry --why --json``."""
    return {
        "schema": 1,
        "rules": [
            {"jobs": [{"id": job.id, "name": job.name} for job in one.jobs], "told": one.told}
            for one in rules
        ],
    }


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


def _limit(found: Survey, job: str) -> list[str]:
    """What a waiting job waits for, in numbers, where its place has a limit to name."""
    if found.statuses[job].state is not State.QUEUED:
        return []
    submissions = {one.token: one for one in found.submissions}
    for member in found.facts[job].members:
        seen = found.seen.get((member.token, member.index))
        if seen is not None and seen.sight is Sight.WAITING and member.end is None:
            return limit_in_words(submissions[member.token], seen.detail)
    return []


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
    place = executor_named(member.executor, root)
    handle = place.member_handle(member.handle, member.token, member.index)
    return f"{member.executor} calls it {handle}"


_WORDS: dict[State, Callable[[Root, Named, Survey], str]] = {
    State.DONE: _done,
    State.RUNNING: _running,
    State.QUEUED: _queued,
}
