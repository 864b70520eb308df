"""One rank's life: claim the job, do its task, say how it ended."""

import os
import socket
import sys
from contextlib import nullcontext
from pathlib import Path

from orchestrator.config import RunConfig
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending, read_history
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import compare_dataset, read_job
from orchestrator.jobs.submissions import Submission
from orchestrator.worker.claim import Claim, Membership, claim, wait_for_claim
from orchestrator.worker.place import Place
from orchestrator.worker.records import (
    heartbeat,
    leave_if_superseded,
    plain_metrics,
    redirect_output,
    write_error,
    write_exit,
)
from orchestrator.worker.stop import StopFlag, Stopped

DONE, FAILED, STOPPED = 0, 1, 75


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
        ending = _do_task(share, stop)
    except Stopped:
        if first:
            write_exit(attempt, Ending.STOPPED, signal=stop.signal, metrics=_metrics(share))
        return STOPPED
    except Exception as error:  # noqa: BLE001 - whatever it was, it is written down
        write_error(attempt, share.place.rank, error)
        if first:
            write_exit(attempt, Ending.ERROR, exception=type(error).__name__)
        return FAILED
    if first:
        leave_if_superseded(share.folder, attempt)
        write_exit(attempt, ending, metrics=_metrics(share))
    return DONE


def _do_task(share: Claim, stop: StopFlag) -> Ending:
    config = read_job(share.me.root, share.me.job)
    _check_data(share.me, config)
    from orchestrator.worker.engine import train  # noqa: PLC0415 - torch, after the claim

    return train(share, config, stop)


def _check_data(me: Membership, config: RunConfig) -> None:
    manifest = load_manifest(Path(me.submission.data_root), config.data.name)
    warning = compare_dataset(me.root, manifest)
    if warning:
        print(f"warning: {warning}", file=sys.stderr)


def _metrics(share: Claim) -> dict[str, object]:
    return plain_metrics(read_history(share.folder).last())
