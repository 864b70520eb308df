"""The verb watch: observe, store what was seen, submit again what is due; repeated."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.controller.breaker import Limits, stop_fan_out, would_stop
from orchestrator.controller.cancel import cancel_again, leaving
from orchestrator.controller.halving import due_stops
from orchestrator.controller.notify import notify
from orchestrator.controller.parents import look, told_of_untended
from orchestrator.controller.select import Named, select
from orchestrator.controller.subjects import sweeps_meant
from orchestrator.controller.submit import Due, Submitter, Terms, due_of_revision
from orchestrator.controller.survey import Survey, settle, store_ends
from orchestrator.controller.trial import let_follow, passed
from orchestrator.documents.jobs import WatchDocument
from orchestrator.errors import BusyError, SpecError, Unclear
from orchestrator.executors import executor_named
from orchestrator.jobs.evidence import LIVE_S, Sight
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.orders import write_order
from orchestrator.jobs.state import MAY_BE_DUE, State
from orchestrator.jobs.store import is_imported, launched_revision
from orchestrator.jobs.submissions import is_open, read_outcomes

SETTLED = (State.DONE, State.STOPPED, State.CANCELLED)


def as_json(
    sweeps: Sequence[str], states: Iterable[State], notes: Sequence[str], *, over: bool
) -> WatchDocument:
    """The documented form of ``watch --once --json``."""
    return {
        "schema": 1,
        "sweeps": sweeps,
        "over": over,
        "counts": Counter(states),
        "notes": notes,
    }


def sweeps_to_tend(root: Root, names: Sequence[str]) -> list[str]:
    """The named sweeps, and those of named studies; of none, all that were launched in this root.

    Raises:
        SpecError: a named one was never launched, or only elsewhere.
    """
    wanted = sweeps_meant(root, names)
    for name in wanted:
        if is_imported(root, name):
            raise SpecError(
                f"Sweep '{name}' was imported: what of it still runs is tended where it was "
                "launched. To go on with it here, launch its file."
            )
    return wanted or [name for name in root.sweep_names() if not is_imported(root, name)]


def tend(root: Root, sweep: str) -> Survey:
    """One round over a launched sweep; takes the lease only if there is something to write."""
    revision = launched_revision(root, sweep)
    found = look(root, _jobs_of(revision).values())
    limits = Limits.of_revision(revision)
    idle = not (_has_work(root, found) or passed(root, found) or would_stop(found, limits))
    if idle and not due_stops(root, revision, found):
        return found
    with leased(root.lease, f"watch {sweep}") as lease:
        if is_imported(root, sweep):  # an import may have had it, too
            return replace(found, notes=(f"sweep '{sweep}' was imported meanwhile: left alone",))
        revision = launched_revision(root, sweep)  # a launch may have had the lease before
        jobs = _jobs_of(revision)
        settle(root)
        found = look(root, jobs.values())
        store_ends(root, found)
        found = _decide(root, revision, jobs, found)
        cancel_again(root, found)
        due = [jobs[job] for job, status in found.statuses.items() if status.due]
        if due:
            terms = Terms.of_revision(revision)
            handed = Submitter(root, lease, terms, revision["snapshot"]).submit(due, found)
            found = look(root, jobs.values()) if handed.jobs else found
            notes = (*handed.unclear, *handed.lacking(len(due)))
            found = replace(found, notes=notes)
    return found


def _decide(
    root: Root, revision: Mapping[str, Any], jobs: Mapping[str, Due], found: Survey
) -> Survey:
    """Stop what a search stops; let follow what waited for trial jobs.

    Hold what would fail alike, or cost too much.
    """
    if stops := due_stops(root, revision, found):
        for order in stops:
            write_order(root, order)
        found = look(root, jobs.values())
    followed = passed(root, found)
    if followed:
        let_follow(root, followed)
        found = look(root, jobs.values())
    stopped = stop_fan_out(root, revision["name"], found, Limits.of_revision(revision))
    return look(root, jobs.values()) if stopped else found


def _jobs_of(revision: dict[str, Any]) -> dict[str, Due]:
    return {one.id: one for one in due_of_revision(revision)}


@dataclass(frozen=True, slots=True)
class Round:
    """One round over several sweeps.

    ``settled``: nothing more will happen without a person. ``patience``: seconds to leave the
    places in peace. ``notes``: what could not be asked or done in this round, and will be tried
    again.
    """

    jobs: tuple[Named, ...]
    found: Survey
    settled: bool
    patience: float
    notes: tuple[str, ...]


def tend_all(root: Root, sweeps: Sequence[str]) -> Round:
    """Tend each sweep once, then look at all of them together.

    A place that does not answer, or a root that somebody else writes, only costs this round.

    Raises:
        Refused: a place said no to a submission.
    """
    notes: list[str] = []
    told: list[str] = []
    for sweep in sweeps:
        try:
            found = tend(root, sweep)
            told += found.notes
            notify(root, sweep, found, settled=is_settled(found))
        except (Unclear, BusyError) as error:
            notes.append(str(error))
    jobs = tuple(dict.fromkeys(job for sweep in sweeps for job in select(root, sweep)))
    if len(sweeps) != 1 or notes or any(job.id not in found.statuses for job in jobs):
        found = look(root, jobs)
    told += [*found.troubles, *_held(found), *told_of_untended(root, sweeps, jobs, found)]
    return Round(
        jobs=jobs,
        found=found,
        settled=not notes and is_settled(found),
        patience=patience(root, found),
        notes=tuple(dict.fromkeys([*notes, *told])),
    )


def _held(found: Survey) -> list[str]:
    """Why jobs are held, and how many."""
    whys = Counter(
        orders[-1].why
        for job, orders in found.standing.holds.items()
        if job in found.statuses and found.statuses[job].state in (*MAY_BE_DUE, State.QUEUED)
    )
    return [f"{count} job(s) held: {why}" for why, count in whys.items()]


def patience(root: Root, found: Survey) -> float:
    """How many seconds to leave the places of these jobs in peace before the next look."""
    names = {submission.executor for submission in (*found.submissions, *found.beside)}
    return max((executor_named(name, root).interval_s for name in names), default=1.0)


def is_settled(found: Survey) -> bool:
    """Whether nothing more will happen without a person."""
    return all(_is_settled(found, job) for job in found.statuses)


def _is_settled(found: Survey, job: str) -> bool:
    status = found.statuses[job]
    if status.state is State.UNKNOWN:
        if found.facts[job].fault:
            # What a worker wrote last may come late on a network file system.
            ends = [member.end.time for member in found.facts[job].members if member.end]
            return found.now - max(ends, default=0.0) > LIVE_S
        # What a place may say later is waited for; that a place can never speak is not.
        members = found.facts[job].members
        left = [m for m in members if not (m.end or m.refused)]
        late = bool(members) and not left  # what one wrote last is awaited
        silent = not any((m.token, m.index) in found.seen for m in left)
        settled = all(member.handle or member.refused for member in members)
        return settled and silent and not late and not found.troubles
    return status.state in SETTLED or status.given_up or status.in_vain


def _has_work(root: Root, found: Survey) -> bool:
    if any(status.due for status in found.statuses.values()):
        return True
    folders = [root.submission(s.token) for s in found.submissions]
    if any(is_open(folder) for folder in folders):
        return True
    if leaving(found):
        return True
    over = (Sight.ENDED, Sight.ABSENT)
    ends = {name for name, sighting in found.seen.items() if sighting.sight in over}
    stored = {(f.token, o["index"]) for f in folders for o in read_outcomes(f)}
    return not ends <= stored
