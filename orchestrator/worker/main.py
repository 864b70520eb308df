"""One rank's life: claim the job, do its task, say how it ended."""

import os
import socket
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from orchestrator.config import JobConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import STOP_CODES, Ending, read_attempts, read_history
from orchestrator.jobs.journal import plain_metrics
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import read_job
from orchestrator.jobs.store import compare_dataset
from orchestrator.jobs.submissions import Submission
from orchestrator.worker.claim import Claim, Membership, claim, wait_for_claim
from orchestrator.worker.metering import metered
from orchestrator.worker.place import Place
from orchestrator.worker.records import (
    Outcome,
    heartbeat,
    leave_if_superseded,
    redirect_output,
    write_error,
    write_exit,
)
from orchestrator.worker.stop import StopFlag, Stopped

DONE, FAILED = 0, 1
Task = Callable[[Claim, Any, StopFlag], Ending | Outcome]
TASKS = {
    "train": "orchestrator.worker.engine:train",
    "evaluate": "orchestrator.worker.evaluation:evaluate_parent",
    "analyze": "orchestrator.worker.analysis.task:analyze",
}
"""What a job may ask for -> what does it, imported after the claim: torch takes seconds."""


def main(token: str, index: int) -> int:
    """Run this rank of member ``index`` of submission ``token``; returns its exit code."""
    stop = StopFlag()
    stop.listen()
    root = Root(Path(os.environ["ORCHESTRATE_ROOT"]))
    me = Membership(root, Submission.read(root.submission(token)), index)
    place = Place.read()
    meeting = socket.create_server((place.address, 0)) if place.rank == 0 else None
    if meeting is not None:
        claimed = claim(me, place, meeting.getsockname()[1])
    else:
        claimed = wait_for_claim(me, place)
    if isinstance(claimed, str):
        print(f"{me.submission.names[index]}: nothing to do: {claimed}")
        return DONE
    redirect_output(claimed.log(place.rank))
    share = Claim(me, place, claimed, meeting)
    with heartbeat(share.folder, claimed) if place.rank == 0 else nullcontext():
        return _run(share, stop)


def _run(share: Claim, stop: StopFlag) -> int:
    first, attempt = share.place.rank == 0, share.attempt
    try:
        with metered(attempt, share.place):
            done = _do_task(share, stop)
    except Stopped as stopped:
        if first:
            write_exit(attempt, Ending.STOPPED, signal=stopped.signal, **_measured(share))
        return STOP_CODES[stopped.signal]
    except Exception as error:  # noqa: BLE001 - whatever it was, it is written down
        write_error(attempt, share.place.rank, error)
        if first:
            write_exit(attempt, Ending.ERROR, exception=type(error).__name__)
        return FAILED
    if first:
        leave_if_superseded(share.folder, attempt)
        outcome = done if isinstance(done, Outcome) else Outcome(done)
        write_exit(attempt, outcome.ending, **outcome.facts, **_measured(share))
    return DONE


def _do_task(share: Claim, stop: StopFlag) -> Ending | Outcome:
    config = read_job(share.me.root, share.me.job)
    _check_data(share, config)
    module, _, name = TASKS[config.task].partition(":")
    task: Task = getattr(import_module(module), name)
    return task(share, config, stop)


def _check_data(share: Claim, config: JobConfig) -> None:
    """Hold the dataset against what the root knows of it, and what this job was trained on so far.

    Raises:
        OrchestrateError: its content is another one.
        DataError: its shards are others than those the checkpoints come from.
    """
    manifest = load_manifest(Path(share.me.submission.data_root), config.data.name)
    warning = compare_dataset(share.me.root, manifest)
    if warning:
        print(f"warning: {warning}")
    for attempt in read_attempts(share.folder, share.discarded):
        if attempt.discarded:
            continue
        before = attempt.start.facts.get("layout_hash", manifest.layout_hash)
        if before != manifest.layout_hash and share.folder.checkpoints.is_dir():
            raise DataError(
                f"Dataset '{manifest.name}' is laid out in other shards ({manifest.layout_hash}) "
                f"than when attempt {attempt.number} trained on it ({before}); going on would mix "
                "two orders of samples. Prepare it as it was, or remove this job's checkpoints."
            )


def _measured(share: Claim) -> dict[str, Any]:
    """The last step and the last metrics of the job."""
    history = read_history(share.folder)
    step = history.points[-1].step if history.points else -1
    return {"step": step, "metrics": plain_metrics(history.last())}
