"""What nobody needs any more: states of jobs that are over, code, and what the killed left."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from orchestrator.controller.survey import Survey, survey
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.code import hash_files, package_files
from orchestrator.jobs.facts import final_attempt, read_attempts, read_journals
from orchestrator.jobs.files import is_gone, is_temporary
from orchestrator.jobs.layout import Root
from orchestrator.jobs.settled import done_for_good, recall
from orchestrator.jobs.state import State
from orchestrator.jobs.store import newest_revision
from orchestrator.jobs.summary import summarise
from orchestrator.jobs.weights import final_weights

DAY_S = 86400.0
"""A writer that has not published for so long was killed."""
MAY_GO_ON = "a member of it may not have ended"
NO_WEIGHTS = "it left no weights of its last step"
_SNAPSHOT = re.compile(r"[0-9a-f]{16}")


class What(StrEnum):
    """What may go, in the order in which it does: the first makes room for a lease."""

    LEFTOVERS = "leftovers of killed writers"
    CACHE = "what status remembers"
    STATES = "checkpoints of jobs that are done"
    SNAPSHOTS = "snapshots of code that no job needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A file or folder that nobody needs; ``changed`` is file time."""

    what: What
    path: Path
    bytes: int
    changed: float
    owner: int
    job: str = ""
    weights: Path | None = None
    """What has to be sound before it goes."""

    @property
    def mine(self) -> bool:
        """Whether it is this user's, who alone may remove it."""
        return self.owner == os.getuid()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: all of a root, or the named jobs alone; at what is old enough."""

    root: Root
    jobs: tuple[str, ...] | None = None
    older_than_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """What may go. ``kept``: by job, why its states stay though it is done."""

    things: tuple[Thing, ...]
    kept: Mapping[str, str]
    troubles: tuple[str, ...] = ()
    """In what the places could not be asked."""

    @property
    def mine(self) -> tuple[Thing, ...]:
        return tuple(thing for thing in self.things if thing.mine)


def find_garbage(scope: Scope) -> Garbage:
    """Look for what nobody needs; writes nothing.

    Raises:
        RootError: a record of the root is damaged, so that not all that is needed is known.
    """
    root, now = scope.root, file_time(scope.root.path)
    known = recall(root)
    jobs = sorted({*known.folders, *known.tokens}) if scope.jobs is None else scope.jobs
    found = survey(root, jobs)
    at_work = _at_work(root, found)
    things, kept = list(_leftovers(scope, now)), {}
    for job in jobs:
        states = [path for path in _entries(root.job(job).checkpoints) if not is_temporary(path)]
        if not states or found.statuses[job].state is not State.DONE:
            continue
        weights, why = _replacement(root, job, at_work)
        if weights is None:
            kept[job] = why
        else:
            things += _things(What.STATES, states, job=job, weights=weights)
    if scope.jobs is None:
        needed = _needed_snapshots(root, found, at_work)
        named = [path for path in _entries(root.snapshots) if _SNAPSHOT.fullmatch(path.name)]
        things += _things(What.SNAPSHOTS, [path for path in named if path.name not in needed])
    things = [thing for thing in things if now - thing.changed >= scope.older_than_s]
    if things:
        things += _things(What.CACHE, [root.settled])
    order = list(What)
    things.sort(key=lambda thing: (order.index(thing.what), thing.path))
    return Garbage(tuple(things), kept, tuple(found.troubles))


def _at_work(root: Root, found: Survey) -> dict[str, str]:
    """Why somebody may still be at a job, or will be; not in it are those done for good."""
    why = {}
    for job, status in found.statuses.items():
        if job in found.settled:
            continue
        why[job] = status.state.value
        if status.state is State.DONE:
            facts = found.facts[job]
            summary = summarise(root, facts, read_journals(root.job(job)))
            why[job] = summary.fault or MAY_GO_ON
            if done_for_good(facts, found.seen, summary):
                del why[job]
    return why


def _replacement(root: Root, job: str, at_work: Mapping[str, str]) -> tuple[Path | None, str]:
    """The weights that stand for a DONE job's states from now on; or None and why they stay."""
    if job in at_work:
        return None, at_work[job]
    attempts = read_attempts(root.job(job))
    if not attempts or final_attempt(attempts) is not attempts[-1]:
        return None, MAY_GO_ON
    return final_weights(root.job(job), attempts), NO_WEIGHTS


def _needed_snapshots(root: Root, found: Survey, at_work: Collection[str]) -> set[str]:
    """Names of the snapshots that something may still be started from.

    A job that is not over goes on with the one that wrote its checkpoint; a sweep's newest revision
    and its tender name those of what comes next; today's is taken by the next launch.
    """
    needed = {one.snapshot for one in found.submissions if not {*one.jobs}.isdisjoint(at_work)}
    revisions = (newest_revision(root, name) for name in root.sweep_names())
    needed |= {str(newest[1].get("snapshot")) for newest in revisions if newest}
    for script in root.path.glob("sweeps/*/tender.sh"):
        needed |= {*_SNAPSHOT.findall(script.read_text(errors="replace"))}
    return {*needed, hash_files(package_files().items())}


def _leftovers(scope: Scope, now: float) -> Iterator[Thing]:
    """What killed processes left half written, or half removed."""
    root = scope.root
    linked = (path for path in _entries(root.path) if path.is_symlink())  # to another disk, say
    whole = [root.path, *linked]
    tops = whole if scope.jobs is None else [root.job(job).path for job in scope.jobs]
    for parent, folders, files in chain.from_iterable(os.walk(top) for top in tops):
        here = Path(parent)
        paths = [here / name for name in (*folders, *files)]
        shut = here == root.snapshots or here == root.path / "mlflow"
        folders[:] = [name for name in folders if not shut and not is_temporary(here / name)]
        for thing in _things(What.LEFTOVERS, filter(is_temporary, paths)):
            if is_gone(thing.path) or now - thing.changed > DAY_S:
                yield thing


def _things(what: What, paths: Iterable[Path], **more: Any) -> list[Thing]:
    """Those of ``paths`` that are there, measured."""
    things = []
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            told = path.lstat()
            size = sum(_sizes(path)) if S_ISDIR(told.st_mode) else told.st_size
            things.append(
                Thing(
                    what=what,
                    path=path,
                    bytes=size,
                    changed=told.st_mtime,
                    owner=told.st_uid,
                    **more,
                )
            )
    return things


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield (Path(parent) / name).lstat().st_size


def _entries(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(folder.iterdir())
    return []
