"""The verb export: what a root has of a study, in one file."""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.controller.subjects import sweeps_of
from orchestrator.controller.survey import Survey, survey
from orchestrator.documents.site import ExportDocument
from orchestrator.errors import BusyError, OrchestrateError, SpecError
from orchestrator.jobs.archive import Packer, packing
from orchestrator.jobs.facts import End
from orchestrator.jobs.files import to_json
from orchestrator.jobs.gather import read_submissions, recorded_ends
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.orders import file_name, parts, read_orders
from orchestrator.jobs.records import Form, read_job, record_of
from orchestrator.jobs.saved import saved_in
from orchestrator.jobs.state import State
from orchestrator.jobs.store import revisions_of
from orchestrator.jobs.submissions import Submission, is_open, outcomes_record

LOG_KEPT = 256 * 1024
"""Bytes of each rank's log: the last ones."""
START_LOG_KEPT = 64 * 1024
"""The same of what was printed before a job was claimed."""
OPEN = (State.RUNNING, State.QUEUED, State.UNKNOWN)
Ends = Mapping[tuple[str, int], End]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was put into a file."""

    sweeps: tuple[str, ...]
    counts: Mapping[State, int]
    """Jobs by their state."""
    files: int
    size: int
    """Bytes, of the file itself."""
    open: int
    """Jobs that run or wait, or of which nobody can speak."""


def as_json(path: Path, done: Exported) -> ExportDocument:
    """The documented form of ``export --json``."""
    return {
        "schema": 1,
        "file": str(path.absolute()),
        "sweeps": done.sweeps,
        "counts": done.counts,
        "files": done.files,
        "bytes": done.size,
        "open": done.open,
    }


def export(root: Root, name: str, path: Path, *, checkpoints: bool) -> Exported:
    """Write all that the root has of a study, or of a sweep, to ``path``; the root stays as it is.

    Raises:
        SpecError: nothing is called so, or ``path`` is there already.
        BusyError: a submission was just being handed over.
    """
    if path.exists():
        raise SpecError(f"{path} is there already. Name another file, or move that one away.")
    if not path.absolute().parent.is_dir():
        raise SpecError(
            f"There is no folder {path.absolute().parent} for {path.name}. Make it first."
        )
    sweeps = sweeps_of(root, name)
    jobs = _jobs(root, sweeps)
    found = survey(root, list(jobs))
    ends = _known_ends(root, found)  # before the jobs: whoever ends meanwhile has ended in both
    about = _about(root, name, sweeps, found)
    with packing(path, about) as packer:
        for sweep in sweeps:
            for number, revision in revisions_of(root, sweep):
                packer.add(f"sweeps/{sweep}/{number:03d}.json", to_json(revision))
        for job, form in jobs.items():
            name, folder = f"jobs/{job[:2]}/{job}", root.job(job)
            if form is not None and not found.facts[job].attempts and not folder.record.is_file():
                record = record_of(job, read_job(root, job, form))
                packer.add(f"{name}/job.json", to_json(record))
            _add_job(packer, name, folder, checkpoints=checkpoints)
        # After the jobs: a start that is in the file then has its submission in it, too.
        for one in read_submissions(root):
            if not jobs.keys().isdisjoint(one.jobs):
                _add_submission(packer, root, one, ends)
        _add_orders(packer, root, jobs)
        for dataset in _datasets(root, jobs):
            packer.add_file(f"datasets/{dataset}.json", root.dataset(dataset))
    counts = Counter(status.state for status in found.statuses.values())
    size, still = path.stat().st_size, len(about["open"])
    return Exported(tuple(sweeps), counts, len(packer.files), size, still)


def _jobs(root: Root, sweeps: Sequence[str]) -> dict[str, Form | None]:
    """Every job of any revision, and its form."""
    return {
        job["id"]: job.get("form")
        for sweep in sweeps
        for _, revision in revisions_of(root, sweep)
        for job in revision["jobs"]
    }


def _known_ends(root: Root, found: Survey) -> Ends:
    """Those that are stored, and those that the places told now."""
    stored = {
        (folder.token, index): end
        for folder in root.submissions()
        for index, end in recorded_ends(root, folder.token).items()
    }
    return {name: one.end for name, one in found.seen.items() if one.end} | stored


def _about(root: Root, name: str, sweeps: Sequence[str], found: Survey) -> dict[str, Any]:
    states = {job: status.state for job, status in found.statuses.items()}
    return {
        "root": root.id(),
        "name": name,
        "created": time.time(),
        "sweeps": list(sweeps),
        "counts": dict(Counter(state.value for state in states.values())),
        "open": {job: state.value for job, state in states.items() if state in OPEN},
    }


def _add_job(packer: Packer, name: str, folder: JobFolder, *, checkpoints: bool) -> None:
    """What a job has left: all but what makes it go on, unless that is wanted."""
    packer.add_file(f"{name}/job.json", folder.record)
    for number in folder.attempt_numbers():
        attempt, inside = folder.attempt(number), f"{name}/attempts/{number:03d}"
        # The journal last: it then has all that the exit speaks of.
        records = (attempt.started, attempt.environment, attempt.exit, *attempt.errors())
        for path in (*records, *attempt.usages(), attempt.journal):
            packer.add_file(f"{inside}/{path.name}", path)
        for path in sorted(attempt.path.glob("rank*.log")):
            packer.add_file(f"{inside}/{path.name}", path, last=LOG_KEPT)
    for told in (folder.probes, folder.predictions):
        for one in saved_in(told):
            packer.add_file(f"{name}/{told.name}/{one.path.name}", one.path)
    for kept in (folder.checkpoints, folder.weights, folder.best) if checkpoints else ():
        for newest in saved_in(kept)[-1:]:
            for path in sorted(newest.path.iterdir()):
                packer.add_file(f"{name}/{kept.name}/{newest.path.name}/{path.name}", path)


def _add_submission(packer: Packer, root: Root, one: Submission, ends: Ends) -> None:
    """What its place said of it, and the logs of starts that did not get as far as their job.

    Raises:
        BusyError: its place has not answered yet.
    """
    folder, name = root.submission(one.token), f"submissions/{one.token}"
    if is_open(folder):
        raise BusyError(
            f"Submission {one.token} has no answer from its place yet. Try again in a minute; if "
            "its launch was killed, first: orchestrate watch --once"
        )
    for path in (folder.intent, folder.submitted, folder.refused):
        packer.add_file(f"{name}/{path.name}", path)
    known = {index: end for (token, index), end in ends.items() if token == one.token}
    if known:
        told = [{"index": index, **asdict(end)} for index, end in sorted(known.items())]
        packer.add(f"{name}/outcomes-001.json", outcomes_record(told))
    for path in sorted(folder.logs.glob("*-*.log")):
        packer.add_file(f"{name}/logs/{path.name}", path, last=START_LOG_KEPT)


def _add_orders(packer: Packer, root: Root, jobs: Collection[str]) -> None:
    """The orders on these jobs, and what they say of them."""
    for order in parts(read_orders(root), jobs):
        packer.add(f"orders/{file_name(order)}", to_json(order.to_plain()))


def _datasets(root: Root, jobs: Mapping[str, Form | None]) -> list[str]:
    """The names of those that the jobs were made for."""
    names = set()
    for job, form in jobs.items():
        with suppress(OrchestrateError):  # such a job is shown as it is
            names.add(read_job(root, job, form).data.name)
    return sorted(names)
