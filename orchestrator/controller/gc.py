"""The verb gc: what was agreed to is removed, as far as nobody needs it still."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from orchestrator.controller.garbage import DAY_S, Garbage, Scope, Thing, What, find_garbage
from orchestrator.controller.where import meant
from orchestrator.documents.site import GcDocument, GcRow
from orchestrator.errors import BusyError, RootError
from orchestrator.jobs.files import discard, remove, set_aside
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.settled import forget
from orchestrator.jobs.weights import is_sound

DAMAGED = "the weights of its last step are damaged"


def scope_of(
    root: Root, texts: Sequence[str], where: str | None, older_than_days: float
) -> tuple[Scope, dict[str, str]]:
    """Where to look, and the names by id of the jobs meant: without a word all of the root.

    Raises:
        SpecError: as ``where.meant``.
    """
    jobs = [job for text in texts or (None,) for job in meant(root, text, where)]
    names = {job.id: job.name for job in jobs}
    return Scope(root, tuple(names) if texts or where else None, older_than_days * DAY_S), names


@dataclass(slots=True)
class Freed:
    """What went. ``kept``: by job, why its states did not; ``troubles``: what refused to go."""

    things: list[Thing] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


def free(scope: Scope, agreed: Garbage) -> Freed:
    """Remove what was agreed to, as far as nobody needs it still and it is this user's.

    Leftovers go first: they need no lease, and on a full disk make room for one. Weights are read
    before the lease is taken: that takes long, and what was published does not change.

    Raises:
        BusyError: somebody else has the lease, or took it over.
        RootError: the root cannot be written, or a record of it is damaged.
    """
    done, root = Freed(), scope.root
    leftovers = [thing for thing in agreed.mine if thing.what is What.LEFTOVERS]
    done.things += _each(leftovers, lambda thing: remove(thing.path), done.troubles)
    rest = {thing.path for thing in agreed.mine if thing.what is not What.LEFTOVERS}
    if not rest:
        return done
    sound = {path for path in {thing.weights for thing in agreed.mine} if path and is_sound(path)}
    aside: dict[Path, Path] = {}

    def put_away(thing: Thing) -> None:
        if not lease.mine():
            raise BusyError(f"Another process took over {root.path}. Run the command again.")
        aside[thing.path] = set_aside(thing.path)

    with leased(root.lease, "gc") as lease:
        again = [thing for thing in find_garbage(scope).mine if thing.path in rest]
        done.kept |= {t.job: DAMAGED for t in again if t.weights and t.weights not in sound}
        going = _each([t for t in again if t.job not in done.kept], put_away, done.troubles)
        if any(thing.what is What.STATES for thing in going):
            forget(root)
    done.things += _each(going, lambda thing: discard(aside[thing.path]), done.troubles)
    return done


def check_freed(freed: Freed) -> None:
    """Make sure that all went that was to go.

    Raises:
        RootError: something refused.
    """
    if freed.troubles:
        first, *more = freed.troubles
        raise RootError(f"{first}{f' (and {len(more)} more)' if more else ''}. Run gc again.")


def as_json(
    things: Sequence[Thing], kept: Mapping[str, str], names: Mapping[str, str], notes: Sequence[str]
) -> GcDocument:
    """The documented form of ``gc --json``: what may go, or went."""
    return {
        "schema": 1,
        "bytes": sum(thing.bytes for thing in things if thing.mine),
        "rows": [cast("GcRow", asdict(row)) for row in rows_of(things)],
        "kept": [{"id": job, "name": names.get(job, job), "why": why} for job, why in kept.items()],
        "notes": notes,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All things of a kind; those of other users are counted apart."""

    what: str
    things: int
    bytes: int
    of_others: int
    bytes_of_others: int


def rows_of(things: Sequence[Thing]) -> list[Row]:
    """A row for each kind that there is something of."""
    rows = []
    for what in What:
        mine = [thing.bytes for thing in things if thing.what is what and thing.mine]
        others = [thing.bytes for thing in things if thing.what is what and not thing.mine]
        if mine or others:
            counts = {"things": len(mine), "of_others": len(others)}
            rows.append(
                Row(what=what.value, bytes=sum(mine), bytes_of_others=sum(others), **counts)
            )
    return rows


def _each(
    things: Iterable[Thing], act: Callable[[Thing], object], troubles: list[str]
) -> list[Thing]:
    """Those to which it could be done; one that refuses hinders no other."""
    done = []
    for thing in things:
        try:
            act(thing)
        except FileNotFoundError:  # somebody else was first
            continue
        except OSError as error:
            troubles.append(f"{error.filename or thing.path}: {error.strerror}")
        else:
            done.append(thing)
    return done
