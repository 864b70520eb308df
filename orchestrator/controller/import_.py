"""The verb import: an exported study, merged into a root; what is there stays as it is."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from orchestrator.documents.site import ImportDocument
from orchestrator.errors import OrchestrateError, RootError
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.archive import Archive, Entry
from orchestrator.jobs.files import read_record, refuse_newer
from orchestrator.jobs.gather import read_submissions
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.orders import Order, order_of, parts, read_orders
from orchestrator.jobs.state import State
from orchestrator.jobs.store import (
    REVISION_SCHEMA,
    is_imported,
    launched_ever,
    revisions_of,
)
from orchestrator.jobs.submissions import SCHEMA as SUBMISSION_SCHEMA
from orchestrator.jobs.submissions import Submission, read_outcomes

MEASURED = ("started.json", "exit.json", "journal.jsonl", ".error.json")
"""Ends of the names by which two attempts of the same number are told apart: logs may be cut."""
ELSEWHERE = "it belongs to a job of another run root and counts for nothing here"
"""Detail of the end of a member of a job that was not taken: that end changes no state."""
Revisions = Sequence[tuple[int, dict[str, Any]]]
Members = Mapping[str, set[tuple[str, int]]]
"""Token and index of a job's members, by job."""
Ends = Mapping[int, Mapping[str, Any]]
"""By index."""


class Fate(StrEnum):
    """What becomes of a job of the file."""

    NEW = "new"
    SAME = "here already"
    """With the attempts and the members that it has in the file."""
    OTHER = "left alone"


@dataclass(frozen=True, slots=True)
class Handed:
    """A submission, and the ends of its members that its root knows."""

    intent: Submission
    ends: Ends


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import will do in a root as it is now; to make one writes nothing.

    ``orders``: what is to be written of the file's. They speak of new jobs alone: of others
    this root decides. They are written before jobs, so a job of a killed import lacks none.
    ``sweeps``: the revisions to be written, by sweep; ``other_sweeps`` are here in another form, or
    were launched here.
    """

    archive: Archive
    fates: Mapping[str, Fate]
    submissions: Mapping[str, Handed]
    orders: Sequence[Order]
    sweeps: Mapping[str, Revisions]
    other_sweeps: Sequence[str]
    warnings: Sequence[str]

    @property
    def taken(self) -> set[str]:
        """The jobs that are, or will be, as they are in the file."""
        return {job for job, fate in self.fates.items() if fate is not Fate.OTHER}

    @property
    def counts(self) -> Counter[Fate]:
        """How many jobs have which fate."""
        return Counter(self.fates.values())

    def writes(self, name: str) -> bool:
        """Whether this file of a job is to be written."""
        parts = name.split("/")
        return parts[0] == "jobs" and self.fates[parts[2]] is Fate.NEW

    @property
    def size(self) -> int:
        """Bytes of jobs that will be written."""
        return sum(one.size for name, one in self.archive.files.items() if self.writes(name))

    @property
    def open(self) -> dict[str, str]:
        """Jobs that will be new here, and that ran or waited where they were exported."""
        told: Mapping[str, str] = self.archive.about.get("open", {})
        return {job: state for job, state in told.items() if self.fates.get(job) is Fate.NEW}


def as_json(plan: Plan, *, written: bool) -> ImportDocument:
    """The documented form of ``import --json``."""
    about = plan.archive.about
    return {
        "schema": 1,
        "file": str(plan.archive.path.absolute()),
        "from_root": about["root"],
        "sweeps": about["sweeps"],
        "written": written,
        "fates": {job: fate.value for job, fate in plan.fates.items()},
        "bytes": plan.size,
        "other_sweeps": plan.other_sweeps,
        "open": {job: State(state) for job, state in plan.open.items()},
        "warnings": plan.warnings,
    }


def plan_import(root: Root, archive: Archive) -> Plan:
    """Hold a file against a root, which need not be there yet.

    Raises:
        RootError: a record in it is of a newer version, or damaged.
        OrchestrateError: one of its datasets has another content than the one of that name here.
    """
    submissions, orders, revisions = _submissions(archive), _orders(archive), _revisions(archive)
    warnings = [
        words for name in _named(archive, "datasets/") if (words := _dataset(root, archive, name))
    ]
    fates = _fates(root, archive, submissions)
    new = {job for job, fate in fates.items() if fate is Fate.NEW}
    orders = parts(orders, new, read_orders(root))
    news, others = {}, []
    for sweep, told in revisions.items():
        here = revisions_of(root, sweep)
        if here[: len(told)] == told:
            continue
        if here == told[: len(here)] and (not here or is_imported(root, sweep)):
            news[sweep] = told[len(here) :]
        else:
            others.append(sweep)
    return Plan(archive, fates, submissions, orders, news, others, warnings)


def _named(archive: Archive, beginning: str, end: str = ".json") -> list[str]:
    return sorted(n for n in archive.files if n.startswith(beginning) and n.endswith(end))


def _submissions(archive: Archive) -> dict[str, Handed]:
    found = {}
    for name in _named(archive, "submissions/", "/intent.json"):
        intent = Submission.of(archive.record(name), archive.path / name)
        if intent.executor not in EXECUTORS:
            raise RootError(
                f"{archive.path} has submissions to executor '{intent.executor}', but this program "
                f"knows only {', '.join(EXECUTORS)}. Use the newer program that exported it."
            )
        told = name.replace("intent", "outcomes-001")
        ends = archive.record(told) if told in archive.files else {}
        refuse_newer(archive.path / told, ends.get("schema"), SUBMISSION_SCHEMA)
        found[intent.token] = Handed(
            intent, {end["index"]: end for end in ends.get("outcomes", ())}
        )
    return found


def _orders(archive: Archive) -> list[Order]:
    names = _named(archive, "orders/")
    found = (order_of(archive.record(name), archive.path / name) for name in names)
    return [order for order in found if order is not None]


def _revisions(archive: Archive) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for name in _named(archive, "sweeps/"):
        _, sweep, number = name.removesuffix(".json").split("/")
        content = archive.record(name)
        refuse_newer(archive.path / name, content.get("schema"), REVISION_SCHEMA)
        found.setdefault(sweep, []).append((int(number), content))
    return {sweep: sorted(told, key=lambda one: one[0]) for sweep, told in found.items()}


def _dataset(root: Root, archive: Archive, name: str) -> str | None:
    """A warning, where the samples are in another order than here.

    Raises:
        OrchestrateError: it is another dataset than the one of this name here.
    """
    told, path = archive.record(name), root.path / name
    try:
        here = read_record(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if told["content_hash"] != here["content_hash"]:
        raise OrchestrateError(
            f"Dataset '{path.stem}' of {archive.path} has content {told['content_hash'][:12]}, but "
            f"this run root knows another content of that name, {here['content_hash'][:12]} "
            f"({path}). Import into another root: --root"
        )
    if told["layout_hash"] != here["layout_hash"]:
        return f"dataset '{path.stem}' was laid out in other shards there: results are mixed data"
    return None


def _unheard(root: Root, submissions: Mapping[str, Handed]) -> set[str]:
    """Jobs of which a start is known here as another root's, and in the file without its end."""
    found = set()
    for token, handed in submissions.items():
        ends = _ends_here(root, token)
        strange = {index for index, end in ends.items() if _is_strange(end)}
        found |= {handed.intent.jobs[index] for index in strange - handed.ends.keys()}
    return found


def _ends_here(root: Root, token: str) -> Ends:
    return {end["index"]: end for end in read_outcomes(root.submission(token))}


def _is_strange(end: Mapping[str, Any]) -> bool:
    return end.get("detail") == ELSEWHERE


def _fates(root: Root, archive: Archive, submissions: Mapping[str, Handed]) -> dict[str, Fate]:
    jobs, unheard = archive.jobs(), _unheard(root, submissions)
    folders = {job for job in jobs if root.job(job).path.is_dir()}
    # Jobs of a sweep that this root tends may have no folder yet, and start at any time.
    own = (name for name in root.sweep_names() if not is_imported(root, name))
    known = folders | (launched_ever(root, own) & jobs.keys())
    mine = [one for one in read_submissions(root) if not known.isdisjoint(one.jobs)]
    here = _members([Handed(one, _ends_here(root, one.token)) for one in mine], known)
    told = _members(submissions.values(), known)
    fates = dict.fromkeys(jobs, Fate.NEW)
    for job in known:
        # Without an attempt only members tell whose it is.
        if here[job] != told[job]:
            fates[job] = Fate.OTHER
        elif _measured_alike(root.job(job), jobs[job]):
            fates[job] = Fate.SAME
        elif job in folders:  # else its folder is lost here, and is in the file
            fates[job] = Fate.OTHER
    return {**fates, **dict.fromkeys(unheard & fates.keys(), Fate.OTHER)}


def _members(submissions: Iterable[Handed], jobs: Collection[str]) -> Members:
    """Those that count in their root."""
    found: dict[str, set[tuple[str, int]]] = {job: set() for job in jobs}
    for one in submissions:
        for index, job in enumerate(one.intent.jobs):
            if job in found and not _is_strange(one.ends.get(index, {})):
                found[job].add((one.intent.token, index))
    return found


def _measured_alike(folder: JobFolder, files: Mapping[str, Entry]) -> bool:
    """Whether its attempts here are those of the file."""
    told = {name: one.sha256 for name, one in files.items() if _tells(name)}
    inside = (path.relative_to(folder.path) for path in folder.attempts.glob("*/*"))
    here = {str(path): _digest(folder.path / path) for path in inside if _tells(str(path))}
    return here == told


def _tells(name: str) -> bool:
    return name.startswith("attempts/") and name.endswith(MEASURED)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
