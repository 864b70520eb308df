"""One look at everything: files, orders, places; what is learnt about ends is stored."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import attrgetter

from orchestrator.errors import Unclear
from orchestrator.executors import executor_named
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import Sight, Sighting, Sightings
from orchestrator.jobs.facts import End, JobFacts, read_attempts
from orchestrator.jobs.gather import Beside, gather
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.orders import Standing, read_orders, standing_orders
from orchestrator.jobs.settled import Memory, Settled, recall
from orchestrator.jobs.state import JobStatus, State, status_of
from orchestrator.jobs.submissions import (
    Submission,
    is_open,
    read_absences,
    read_handle,
    read_outcomes,
    write_absences,
    write_outcomes,
    write_refused,
    write_submitted,
)

ABSENT_S = 60.0
"""Between two answers of a place that lack a member, before it counts as ended."""
ORPHAN_S = 300.0
"""An intent without an answer this old, which the place does not know, was never submitted."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look found."""

    facts: Mapping[str, JobFacts]
    """Those of a job that is done for good are read when they are asked for."""
    statuses: Mapping[str, JobStatus]
    standing: Standing
    seen: Sightings
    submissions: Sequence[Submission]
    """Those that have a job which is not done for good, oldest first."""
    troubles: Sequence[str] = ()
    """In what the places could not be asked."""
    notes: Sequence[str] = ()
    """What a place said in this round to what it was to take, as far as it took no more."""
    settled: Mapping[str, Settled] = field(default_factory=dict)
    memory: Memory | None = None
    now: float = 0.0
    """File time of the look, UTC epoch seconds."""
    beside: Sequence[Submission] = ()
    """Submissions of jobs that are only waited for."""


class Facts(Mapping[str, JobFacts]):
    """The facts of the jobs that may change, and of others as they are asked for."""

    def __init__(
        self, root: Root, read: Mapping[str, JobFacts], later: Mapping[str, Collection[str]]
    ) -> None:
        self._root, self._read, self._later = root, dict(read), later

    def __getitem__(self, job: str) -> JobFacts:
        if job not in self._read:
            submissions = _read_submissions(self._root, self._later[job])
            self._read |= gather(self._root, [job], submissions)
        return self._read[job]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._read, **self._later})

    def __len__(self) -> int:
        return len(self._read.keys() | self._later.keys())


def survey(root: Root, ids: Collection[str]) -> Survey:
    """Look at the jobs named by ``ids``; writes nothing."""
    memory = recall(root)
    standing = standing_orders(read_orders(root))
    discarded = standing.discarded
    settled = {
        job: known
        for job in ids
        if (known := memory.settled(job)) and known.summary.attempts > discarded.get(job, 0)
    }
    left = [job for job in ids if job not in settled]
    tokens = {token for job in left for token in memory.tokens.get(job, ())}
    submissions = _read_submissions(root, tokens, memory.recent)
    seen, troubles = _observe(root, submissions)
    ends = {name: one.end for name, one in seen.items() if one.end}
    beside = Beside(seen=ends, standing=standing, folders=memory.folders)
    facts = gather(root, left, submissions, beside)
    now = file_time(root.path)
    statuses = {
        job: JobStatus(job, State.DONE, settled[job].outcome)
        if job in settled
        else status_of(facts[job], standing, seen, now)
        for job in ids
    }
    later = {job: memory.tokens.get(job, ()) for job in settled}
    return Survey(
        facts=Facts(root, facts, later),
        statuses=statuses,
        standing=standing,
        seen=seen,
        submissions=submissions,
        troubles=troubles,
        settled=settled,
        memory=memory,
        now=now,
    )


def _read_submissions(
    root: Root, tokens: Collection[str], known: Sequence[Submission] = ()
) -> list[Submission]:
    """The submissions of these tokens, oldest first; those that are ``known`` are not read."""
    found = [one for one in known if one.token in tokens]
    unknown = set(tokens) - {one.token for one in found}
    found += [Submission.read(root.submission(token)) for token in unknown]
    return sorted(found, key=lambda one: (one.created, one.token))


def settle(root: Root) -> None:
    """Settle intents without an answer: submitted, refused, or left for later; needs the lease.

    A worker that claimed a job has proved that its submission was taken, even where its place has
    forgotten it.
    """
    open_intents = [s for s in recall(root).recent if is_open(root.submission(s.token))]
    now = file_time(root.path)
    for name, group in _by_place(open_intents):
        found = {s.token: handle for s in group if (handle := _claimed_handle(root, s))}
        try:
            found |= executor_named(name, root).find([s.token for s in group])
        except Unclear:
            group = [s for s in group if s.token in found]  # noqa: PLW2901 - the others stay open
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
        known = _ended(folder)
        seen = {
            index: sighting
            for (token, index), sighting in found.seen.items()
            if token == submission.token and index not in known
        }
        ends = {index: one.end for index, one in seen.items() if one.sight is Sight.ENDED}
        ends |= _vanished(folder, submission, seen, found)
        news = [{"index": index, **asdict(end)} for index, end in ends.items() if end]
        if news:
            write_outcomes(folder, news)


def _vanished(
    folder: SubmissionFolder,
    submission: Submission,
    seen: Mapping[int, Sighting],
    found: Survey,
) -> dict[int, End]:
    """Members that two complete answers a minute apart lack, and that show no life: they ended.

    One that never started was cancelled: a place forgets a waiting member for no other reason. When
    each was first missed is kept in a file, for watches that look once and leave.
    """
    before = read_absences(folder)
    missing = {i: one.asked for i, one in seen.items() if one.sight is Sight.ABSENT}
    since = {index: before.get(index, asked) for index, asked in missing.items()}
    if since != before:
        write_absences(folder, since)
    ends = {}
    for index, asked in missing.items():
        facts = found.facts.get(submission.jobs[index])
        if facts is None or asked - since[index] < ABSENT_S:
            continue
        if found.statuses[facts.id].state is State.RUNNING:
            continue
        own = (submission.token, index)
        started = folder.started(index) or any(
            (a.start.token, a.start.index) == own for a in facts.attempts
        )
        how = "nor how it ended" if started else "and it never started: it was cancelled"
        detail = f"{submission.executor} no longer knows it, {how}"
        ends[index] = End(asked, started=started, cancelled=not started, detail=detail)
    return ends


def _claimed_handle(root: Root, submission: Submission) -> str | None:
    """The handle that a worker of this submission wrote down, if one claimed a job and knew it."""
    for job in submission.jobs:
        for attempt in read_attempts(root.job(job)):
            handle: str | None = attempt.start.facts.get("handle")
            if attempt.start.token == submission.token and handle:
                return handle
    return None


def _observe(root: Root, submissions: Sequence[Submission]) -> tuple[Sightings, list[str]]:
    asked = [s for s in submissions if read_handle(root.submission(s.token))]
    asked = [s for s in asked if len(_ended(root.submission(s.token))) < len(s.jobs)]
    seen: dict[tuple[str, int], Sighting] = {}
    troubles: list[str] = []
    for name, group in _by_place(asked):
        observation = executor_named(name, root).observe(group)
        seen.update(observation.seen)
        troubles.extend(observation.troubles)
    return seen, troubles


def _ended(folder: SubmissionFolder) -> set[int]:
    """The members of which an end is stored; of one it may be several."""
    return {outcome["index"] for outcome in read_outcomes(folder)}


def _by_place(submissions: Sequence[Submission]) -> Iterator[tuple[str, list[Submission]]]:
    ordered = sorted(submissions, key=attrgetter("executor"))
    for name, group in groupby(ordered, key=attrgetter("executor")):
        yield name, list(group)
