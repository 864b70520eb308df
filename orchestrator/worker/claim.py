"""Claiming a job: one attempt at a time, by renaming a finished folder into its place."""

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from model.variants import package_of
from orchestrator.config import JobConfig, RunConfig
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.code import code_here
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.evidence import is_live
from orchestrator.jobs.facts import Attempt, final_attempt, read_attempts
from orchestrator.jobs.files import publishing_folder, read_record, to_json
from orchestrator.jobs.gather import recorded_ends
from orchestrator.jobs.layout import AttemptFolder, JobFolder, Root
from orchestrator.jobs.orders import Standing, read_orders, standing_orders
from orchestrator.jobs.processes import this_process
from orchestrator.jobs.records import read_job, read_trained, write_job
from orchestrator.jobs.submissions import Submission
from orchestrator.worker.environment import read_environment
from orchestrator.worker.place import Place

WAIT_S = 120.0
DISCARDED = "discarded"
"""What ``started.json`` calls the last attempt that was discarded before this one."""
KEPT = {
    "cancel": "the job was cancelled",
    "stop": "the job was stopped early",
    "hold": "the job is held",
}
"""By what keeps a job from being started."""
RECORDED_PACKAGES = ("torch", "timm", "numpy", "pillow")
RECORDED_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_JOB_PARTITION"),
)


@dataclass(frozen=True, slots=True)
class Membership:
    """Which member of which submission this worker is."""

    root: Root
    submission: Submission
    index: int

    @property
    def job(self) -> str:
        return self.submission.jobs[self.index]

    def began(self, attempt: Attempt, restart: int) -> bool:
        """Whether an attempt is an earlier start of this very member than number ``restart``."""
        own = (attempt.start.token, attempt.start.index) == (self.submission.token, self.index)
        return own and attempt.start.restart < restart


@dataclass(frozen=True, slots=True)
class Claim:
    """A rank's share in a claimed job; rank 0 listens on ``meeting``, the others have none."""

    me: Membership
    place: Place
    attempt: AttemptFolder
    meeting: socket.socket | None

    @property
    def folder(self) -> JobFolder:
        return self.me.root.job(self.me.job)

    @property
    def discarded(self) -> int:
        """The last attempt of which nothing counts, as rank 0 knew it when it claimed the job."""
        found: int = read_record(self.attempt.started).get(DISCARDED, 0)
        return found


def claim(me: Membership, place: Place, port: int) -> AttemptFolder | str:
    """Rank 0 takes the job; returns the attempt's folder, or why it leaves instead."""
    folder = me.root.job(me.job)
    environment = read_environment()  # takes longest, so that it comes before the look
    while True:
        standing = standing_orders(read_orders(me.root))
        discarded = standing.discarded.get(me.job, 0)
        attempts = read_attempts(folder, discarded)
        why = reason_to_leave(me, place, attempts, standing)
        if why:
            return why
        if not attempts:
            _write_record(me)
        _mark(me)
        # Attempts that were discarded may be gone: none is to get a number like theirs.
        attempt = folder.attempt(max(discarded, attempts[-1].number if attempts else 0) + 1)
        try:
            with publishing_folder(attempt.path) as draft:
                gpus = len(environment["gpus"] or ())
                started = {**_started(me, place, port), DISCARDED: discarded, "gpus": gpus}
                (draft / attempt.environment.name).write_bytes(to_json(environment))
                (draft / attempt.started.name).write_bytes(to_json(started))
        except FileExistsError:  # somebody was first: look again
            continue
        return attempt


def _write_record(me: Membership) -> None:
    """The job's own record, at its first start; it is there if an older program launched it.

    Raises:
        OrchestrateError: the submission is of another job than it says, or has no form of it.
    """
    if (form := me.submission.form(me.index)) is not None:
        config = read_job(me.root, me.job, form)
        write_job(me.root, me.job, config)


def _mark(me: Membership) -> None:
    """Say, outside of the job's folder, that there is one: should it vanish, that is known."""
    submission = me.root.submission(me.submission.token)
    if submission.claimed.is_dir():
        submission.claim_mark(me.index).touch()


def reason_to_leave(
    me: Membership, place: Place, attempts: tuple[Attempt, ...], standing: Standing
) -> str | None:
    """Why this worker must not start, or None."""
    if final_attempt(attempts):
        return "the job is done"
    if me.root.submission(me.submission.token).refused.exists():
        return "the submission counts as refused"
    if orders := standing.keeps(me.job):
        return KEPT[orders[0].what]
    if attempts and not me.began(attempts[-1], place.restart):
        last = attempts[-1]
        end = recorded_ends(me.root, last.start.token).get(last.start.index)
        if is_live(last, end, file_time(me.root.path)):
            return f"attempt {last.number} is running on {last.start.host}"
    return None


def wait_for_claim(me: Membership, place: Place) -> AttemptFolder | str:
    """The other ranks find the attempt that their rank 0 claimed, or give up."""
    folder, own = me.root.job(me.job), (me.submission.token, me.index)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for attempt in reversed(read_attempts(folder)):
            start = attempt.start
            if (start.token, start.index, start.restart) == (*own, place.restart):
                return folder.attempt(attempt.number)
        time.sleep(0.1)
    return f"rank 0 claimed nothing within {WAIT_S:.0f} s"


def _started(me: Membership, place: Place, port: int) -> dict[str, Any]:
    config, trained = _config(me), _trained(me)
    return {
        "token": me.submission.token,
        "index": me.index,
        "restart": place.restart,
        "time": time.time(),
        "process": str(this_process()),
        "host": socket.gethostname(),
        "code_hash": code_here(package_of(trained.model.attention) if trained else ""),
        **(_data_hashes(me, config.data.name) if config else {}),
        "address": place.address,
        "port": port,
        "world": place.world,
        "handle": os.environ.get("ORCHESTRATE_HANDLE"),
        "threads_per_rank": me.submission.placement.threads_per_rank,
        "packages": {"python": python_version(), **_versions()},
        "variables": {key: os.environ[key] for key in RECORDED_VARIABLES if key in os.environ},
    }


def _config(me: Membership) -> JobConfig | None:
    """The job's configuration; None where it cannot be read, which the task will tell."""
    with suppress(OrchestrateError):
        return read_job(me.root, me.job)
    return None


def _trained(me: Membership) -> RunConfig | None:
    """What its model was trained by; None as above."""
    with suppress(OrchestrateError):
        return read_trained(me.root, me.job)
    return None


def _data_hashes(me: Membership, name: str) -> dict[str, str]:
    """Hashes of the dataset; none where it cannot be read, which the task will tell."""
    try:
        manifest = load_manifest(Path(me.submission.data_root), name)
    except OrchestrateError:
        return {}
    return {"content_hash": manifest.content_hash, "layout_hash": manifest.layout_hash}


def _versions() -> dict[str, str]:
    found = {}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
