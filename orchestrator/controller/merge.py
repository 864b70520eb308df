"""Writing what an import plans: whole folders by rename, in an order in which nothing starts."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.controller.import_ import ELSEWHERE, Fate, Handed, Plan, plan_import
from orchestrator.errors import BusyError, RootError
from orchestrator.jobs.archive import Archive
from orchestrator.jobs.files import publish_once, sync_folder, to_json
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.lease import Lease, leased
from orchestrator.jobs.orders import file_name
from orchestrator.jobs.store import create_root, mark_imported
from orchestrator.jobs.submissions import (
    Submission,
    outcomes_record,
    read_outcomes,
    write_outcomes,
)

STAGE = ".tmp-import-"


def import_study(root_path: Path, archive: Archive) -> Plan:
    """Merge an archive into the root at ``root_path``, made if there is none.

    Killed at any moment and run again, it completes. First what is known of submissions, then the
    jobs, the sweeps last: a job that ran where it was exported is never seen here without its
    member, of which nobody can speak.

    Raises:
        RootError: the root cannot be written, or something in the file is of a newer version.
        BusyError: somebody else is writing the root.
        OrchestrateError: it holds another dataset of a name that is known here.
    """
    plan_import(Root(root_path), archive)  # what it refuses, it refuses before a root is made
    root = create_root(root_path)
    with leased(root.lease, "import") as lease, _stage(root) as stage:
        plan = plan_import(root, archive)
        for name, content in archive.records.items():
            if name.startswith("datasets/"):
                publish_once(root.path / name, content)
        archive.unpack(stage, plan.writes)
        for handed in plan.submissions.values():
            _put_submission(root, plan, handed, stage)
        os.sync()  # once for all: a call for each of a hundred thousand files takes an hour
        _check(root, lease)
        for handed in plan.submissions.values():
            _merge_submission(root, plan, handed, stage)
        for order in plan.orders:
            publish_once(root.orders / file_name(order), to_json(order.to_plain()))
        jobs = [job for job, fate in plan.fates.items() if fate is Fate.NEW]
        _publish(
            stage, root, [f"jobs/{job[:2]}/{job}" for job in jobs], lambda: _check(root, lease)
        )
        for sweep, revisions in plan.sweeps.items():
            mark_imported(root, sweep, revisions[-1][0], archive.about["root"])
            for number, revision in revisions:
                publish_once(root.sweep(sweep) / f"{number:03d}.json", to_json(revision))
    return plan


@contextmanager
def _stage(root: Root) -> Iterator[Path]:
    """A folder beside what will be published; those of killed imports go."""
    for left in root.path.glob(f"{STAGE}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = root.path / f"{STAGE}{uuid.uuid4().hex[:12]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(root: Root, lease: Lease) -> None:
    if not lease.mine():
        raise BusyError(f"Another process took over {root.path}. Run the command again.")


def _publish(stage: Path, root: Root, names: list[str], check: Callable[[], None]) -> None:
    """Rename folders into their places."""
    parents = set()
    for number, name in enumerate(names):
        if number % 100 == 0:
            check()
        target = root.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (stage / name).rename(target)
        parents |= {target.parent, target.parent.parent}
    for parent in parents:
        sync_folder(parent)


def _ends(plan: Plan, handed: Handed) -> dict[int, dict[str, Any]]:
    """What is to be known of a submission's members; those of jobs that are not taken are over."""
    over = {"time": handed.intent.created, "started": False, "detail": ELSEWHERE}
    jobs = enumerate(handed.intent.jobs)
    strange = {i: {"index": i, **over} for i, job in jobs if job not in plan.taken}
    told = {i: dict(end) for i, end in handed.ends.items() if i not in strange}
    return {**told, **strange}


def _put_submission(root: Root, plan: Plan, handed: Handed, stage: Path) -> None:
    """The folder of one that is not here, beside its place."""
    token = handed.intent.token
    if root.submission(token).path.exists():
        return
    beginning = f"submissions/{token}/"
    (stage / beginning / "logs").mkdir(parents=True)
    for name, content in plan.archive.records.items():
        if name.startswith(beginning) and "/outcomes-" not in name:
            (stage / name).write_bytes(content)
    ends = list(_ends(plan, handed).values())
    if ends:
        (stage / beginning / "outcomes-001.json").write_bytes(outcomes_record(ends))


def _merge_submission(root: Root, plan: Plan, handed: Handed, stage: Path) -> None:
    """Rename it into its place, or add to the one that is here what it does not know.

    Raises:
        RootError: another submission is here under its token.
    """
    folder = root.submission(handed.intent.token)
    if not folder.path.exists():
        _publish(stage, root, [f"submissions/{handed.intent.token}"], lambda: None)
        return
    if Submission.read(folder).jobs != handed.intent.jobs:
        raise RootError(f"{folder.path} is of other jobs than in {plan.archive.path}.")
    for path in (folder.submitted, folder.refused):
        content = plan.archive.records.get(str(path.relative_to(root.path)))
        if content is not None:
            publish_once(path, content)
    _add_ends(folder, plan, handed)


def _add_ends(folder: SubmissionFolder, plan: Plan, handed: Handed) -> None:
    here = {end["index"]: end for end in read_outcomes(folder)}
    strange = {i for i, end in here.items() if end.get("detail") == ELSEWHERE}
    told = handed.ends.items()
    jobs = handed.intent.jobs
    news = [{**end} for i, end in told if jobs[i] in plan.taken and i not in here.keys() - strange]
    if news:
        write_outcomes(folder, news)
