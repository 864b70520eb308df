"""One look at everything: files, orders, places; what is learnt about ends is stored."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter

from orchestrator.executors import executor_named
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.facts import JobFacts, gather, read_submissions
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Standing, read_orders, standing_orders
from orchestrator.jobs.state import JobStatus, Sight, Sighting, Sightings, status_of
from orchestrator.jobs.submissions import (
    Submission,
    is_open,
    read_handle,
    read_outcomes,
    write_outcomes,
    write_refused,
    write_submitted,
)

ORPHAN_S = 300.0
"""An intent without an answer this old, which the place does not know, was never submitted."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look found."""

    facts: Mapping[str, JobFacts]
    statuses: Mapping[str, JobStatus]
    standing: Standing
    seen: Sightings
    submissions: Sequence[Submission]


def survey(root: Root, ids: Collection[str]) -> Survey:
    """Look at the jobs named by ``ids``; writes nothing."""
    submissions = [s for s in read_submissions(root) if not set(ids).isdisjoint(s.jobs)]
    standing = standing_orders(read_orders(root))
    seen = _observe(root, submissions)
    facts = gather(root, ids, submissions)
    now = file_time(root.path)
    statuses = {job: status_of(facts[job], standing, seen, now) for job in ids}
    return Survey(facts, statuses, standing, seen, submissions)


def settle(root: Root) -> None:
    """Settle intents without an answer: submitted, refused, or left for later; needs the lease."""
    open_intents = [s for s in read_submissions(root) if is_open(root.submission(s.token))]
    now = file_time(root.path)
    for name, group in _by_place(open_intents):
        found = executor_named(name, root).find([submission.token for submission in group])
        for submission in group:
            folder = root.submission(submission.token)
            if submission.token in found:
                write_submitted(folder, found[submission.token])
            elif now - folder.intent.stat().st_mtime > ORPHAN_S:
                write_refused(folder, f"{name} does not know it, {ORPHAN_S:.0f} s after the intent")


def store_ends(root: Root, found: Survey) -> None:
    """Store newly observed ends, because places forget; needs the lease."""
    for submission in found.submissions:
        folder = root.submission(submission.token)
        known = {outcome["index"] for outcome in read_outcomes(folder)}
        news = [
            {"index": index, **asdict(sighting.end)}
            for (token, index), sighting in found.seen.items()
            if token == submission.token and index not in known
            if sighting.sight is Sight.ENDED and sighting.end
        ]
        if news:
            write_outcomes(folder, news)


def _observe(root: Root, submissions: Sequence[Submission]) -> Sightings:
    asked = [s for s in submissions if read_handle(root.submission(s.token))]
    asked = [s for s in asked if len(read_outcomes(root.submission(s.token))) < len(s.jobs)]
    seen: dict[tuple[str, int], Sighting] = {}
    for name, group in _by_place(asked):
        seen.update(executor_named(name, root).observe(group))
    return seen


def _by_place(submissions: Sequence[Submission]) -> Iterator[tuple[str, list[Submission]]]:
    ordered = sorted(submissions, key=attrgetter("executor"))
    for name, group in groupby(ordered, key=attrgetter("executor")):
        yield name, list(group)
