"""What of a job that has started is gone or damaged: such a job is never trained again unasked."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import RootError
from orchestrator.jobs.facts import Attempt, End
from orchestrator.jobs.files import read_record
from orchestrator.jobs.identity import IDENTITY_VERSION
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.records import id_of

LEFT = b"nothing to do: "
"""What a worker prints that leaves without claiming its job; its exit code is 0, too."""


def fault_of(
    root: Root,
    job: str,
    attempts: Sequence[Attempt],
    ends: Mapping[tuple[str, int], End],
    *,
    done: bool,
) -> str:
    """What is missing or damaged, in words; "" of a job that is whole, or never started.

    Of one that is ``done`` only that the result may be another job's: what else it lacks does not
    change its state.

    Args:
        root: the run root.
        job: its id.
        attempts: those that are there, oldest first.
        ends: of its members, by token and index.
        done: whether an attempt says that it is.
    """
    started = [name for name, end in ends.items() if end.started]
    if attempts or any(_claimed(root, name) for name in started):
        fault = _of_record(root.job(job), job, done=done)
        if fault or done:
            return fault
    faults = (_of_end(root, attempts, name) for name, end in ends.items() if _ended_well(end))
    return next((fault for fault in faults if fault), "")


def _claimed(root: Root, member: tuple[str, int]) -> bool:
    """Whether a member that started came to claim its job, which has a folder since then.

    Older programs made no marks: their launches made the folders.
    """
    token, index = member
    submission = root.submission(token)
    return submission.claim_mark(index).exists() or not submission.claimed.is_dir()


def _of_record(folder: JobFolder, job: str, *, done: bool) -> str:
    """What is wrong with ``job.json``; what it should say is known only to its sweep."""
    try:
        record = read_record(folder.record)
        its_own = is_of(job, record)
    except (FileNotFoundError, NotADirectoryError):
        gone = "its job.json is gone" if folder.path.is_dir() else "its folder is gone"
        return "" if done else gone
    except (RootError, KeyError, TypeError, ValueError):
        return "" if done else "its job.json is damaged"
    return "" if its_own else "its job.json is of another configuration"


def is_of(job: str, record: Mapping[str, Any]) -> bool:
    """Whether a record holds the configuration that a job's id stands for.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    if record["identity_version"] > IDENTITY_VERSION:
        return True  # told by whoever reads the configuration
    return bool(record["id"] == job == id_of(record))


def _ended_well(end: End) -> bool:
    """Whether a place says that a member's program came to its own end, and without an error."""
    by_itself = end.started and not (end.by_place or end.cancelled or end.kind)
    return by_itself and end.exit_code == 0 and not end.signal


def _of_end(root: Root, attempts: Sequence[Attempt], member: tuple[str, int]) -> str:
    """What is missing of a member that ended well; nothing where a later attempt went on."""
    own = [one for one in attempts if (one.start.token, one.start.index) == member]
    if own and own[-1] is attempts[-1] and own[-1].ending is None:
        return f"attempt {own[-1].number} ended well, but its exit.json is missing or damaged"
    if own or _left(root, member):
        return ""
    return f"submission {member[0]} ended well, but nothing that it measured is there"


def _left(root: Root, member: tuple[str, int]) -> bool:
    """Whether a member's worker said that there was nothing for it to do."""
    token, index = member
    try:
        return LEFT in root.submission(token).member_log(index, 0).read_bytes()
    except OSError:
        return False
