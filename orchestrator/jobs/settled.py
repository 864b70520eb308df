"""Jobs that are done for good, in one file of ``cache/``: what will not change is read once.

Its entries hold only what can no longer change, and name what they rest on: the job's folder and
the submissions that have the job. Whoever reads them compares both with what is there, at a cost
that does not grow with the jobs. So it does not matter who wrote the file when, or over whose.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.jobs.evidence import Sightings
from orchestrator.jobs.facts import JobFacts, final_attempt
from orchestrator.jobs.files import publish
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission, is_open
from orchestrator.jobs.summary import Summary

SCHEMA = 1
"""Of the file; one of another schema counts for nothing."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A job that is done for good."""

    outcome: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class Memory:
    """The file's entries, and what they are held against."""

    folders: Mapping[str, int]
    """Of the jobs there are now, with their numbers."""
    tokens: Mapping[str, tuple[str, ...]]
    """By job, the submissions that have it now."""
    answered: Mapping[str, Sequence[str]]
    """Jobs by token, of submissions that the file knows: what they say will not change."""
    recent: Sequence[Submission]
    """Submissions that the file does not know."""
    entries: Mapping[str, Any]

    def settled(self, job: str) -> Settled | None:
        """What is known of a job that is done for good; None of any other."""
        entry = self.entries.get(job)
        if entry is None or [*self.tokens.get(job, ())] != entry["tokens"]:
            return None
        return Settled(entry["outcome"], Summary(**entry["summary"]))


def recall(root: Root) -> Memory:
    """What the file says, held against the root.

    A file that knows a job's folder which is not there any more is removed: should that folder be
    made anew, it could get the old one's number.

    Raises:
        RootError: an intent that the file does not know is damaged, or of a newer version.
    """
    stored = _read(root)  # first, so that what it knows is surely listed
    folders, tokens = root.job_folders(), set(root.tokens())
    if any(folders.get(job) != entry["folder"] for job, entry in stored["jobs"].items()):
        forget(root)
        stored = _NOTHING
    answered = {t: jobs for t, jobs in stored["submissions"].items() if t in tokens}
    recent = []
    for token in tokens - answered.keys():
        with suppress(FileNotFoundError, NotADirectoryError):
            recent.append(Submission.read(root.submission(token)))
    having: dict[str, tuple[str, ...]] = {}
    for token, jobs in sorted({**answered, **{s.token: s.jobs for s in recent}}.items()):
        for job in jobs:
            having[job] = (*having.get(job, ()), token)
    return Memory(folders, having, answered, recent, stored["jobs"])


def remember(root: Root, memory: Memory, news: Mapping[str, Settled]) -> None:
    """Add jobs that are done for good to what ``memory`` holds; a reader's may be in vain."""
    known = [job for job in news if job in memory.folders]
    if not known:
        return
    entries = {job: entry for job, entry in memory.entries.items() if memory.settled(job)}
    for job in known:
        tokens = [*memory.tokens.get(job, ())]
        entries[job] = {"folder": memory.folders[job], "tokens": tokens, **asdict(news[job])}
    recent = {s.token: s.jobs for s in memory.recent if not is_open(root.submission(s.token))}
    body = json.dumps({"submissions": {**memory.answered, **recent}, "jobs": entries}).encode()
    with suppress(OSError):
        publish(root.settled, _head(body) + b"\n" + body)


def forget(root: Root) -> None:
    """Remove the file, as whoever removes a job's folder, or something in it, has to."""
    with suppress(OSError):
        root.settled.unlink()


def done_for_good(facts: JobFacts, seen: Sightings, summary: Summary) -> Settled | None:
    """What will no longer change of a job: it is done, whole, and nobody is at it any more.

    Its last attempt finished or diverged, and every member that might make another has ended or
    was refused. A worker that starts all the same finds the job done, and leaves.
    """
    final = final_attempt(facts.attempts)
    if final is None or final is not facts.attempts[-1] or summary.fault:
        return None
    for member in facts.members:
        sighting = seen.get((member.token, member.index))
        if not (member.refused or member.end or (sighting and sighting.end)):
            return None
    assert final.ending is not None
    return Settled(final.ending.value, summary)


_NOTHING: Mapping[str, Mapping[str, Any]] = {"submissions": {}, "jobs": {}}


def _read(root: Root) -> Mapping[str, Mapping[str, Any]]:
    """What the file holds; nothing if it is not there, damaged, or of another schema."""
    with suppress(OSError):
        head, _, body = root.settled.read_bytes().partition(b"\n")
        if head == _head(body):
            found: Mapping[str, Mapping[str, Any]] = json.loads(body)
            return found
    return _NOTHING


def _head(body: bytes) -> bytes:
    """The first line: it tells a file of another schema or summary, and one that was damaged."""
    digest = hashlib.blake2b(" ".join(Summary.__slots__).encode(), digest_size=16)
    digest.update(body)
    return f"{SCHEMA} {digest.hexdigest()}".encode()
