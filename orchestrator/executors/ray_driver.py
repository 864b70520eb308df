"""The driver: a program that runs the members of one submission as trials of Ray Tune.

    python -P -m orchestrator.executors.ray_driver TOKEN

It connects to the cluster at the submission's address, or starts one on this machine, which ends
with it. Tune decides when a trial starts, by the resources that jobs ask for; it repeats none: what
is done about an end is decided as everywhere, by whoever launches or watches.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import NoReturn

import ray
from ray import tune

from orchestrator.executors import detached
from orchestrator.executors.pool_log import PoolLogWriter
from orchestrator.executors.ray_own import own_cluster, wait_in_line
from orchestrator.executors.ray_raylet import raylet_here
from orchestrator.executors.ray_scribe import Scribe
from orchestrator.executors.ray_share import Share, share_of
from orchestrator.executors.ray_theirs import NotThere, connect
from orchestrator.executors.ray_tidings import Over, Search, Tidings
from orchestrator.executors.ray_trial import run_member
from orchestrator.jobs.layout import Root
from orchestrator.jobs.search import searching
from orchestrator.jobs.submissions import Submission

LEAVE_S = 30.0
"""How long a driver may take to leave Ray once its members have ended."""


def main(token: str) -> int:
    """Run the submission named by ``token`` of the root in $ORCHESTRATE_ROOT."""
    root = Root(Path(os.environ["ORCHESTRATE_ROOT"]))
    submission = Submission.read(root.submission(token))
    address = submission.ray.address if submission.ray else None
    if address is not None:
        try:
            connect(address, root, submission)
        except NotThere as error:
            _leave(str(error), detached.UNAVAILABLE if error.passes else 1)
    scribe = Scribe(root, submission, PoolLogWriter(root.submission(token).pool))
    scribe.tend()
    _leave_when_over(scribe)
    try:
        _heed(scribe)
        if address is not None:
            _run(scribe)
        elif wait_in_line(scribe):
            with own_cluster(token):
                _heed(scribe)  # Ray has put its own handler there
                _run(scribe)
    except BaseException as error:
        ray.shutdown()  # its trials end with it
        scribe.lose_all(f"its driver ended: {type(error).__name__}: {error}".partition("\n")[0])
        raise
    ray.shutdown()
    scribe.lose_all("its driver ended")
    return 0


def _leave_when_over(scribe: Scribe) -> None:
    """End this process a while after the last member, even if Ray, which is gone, holds it up."""

    def leave() -> None:
        scribe.wait()
        time.sleep(LEAVE_S)
        os._exit(1)

    Thread(target=leave, daemon=True).start()


def _heed(scribe: Scribe) -> None:
    """Asked to stop, start nothing more and let what runs save."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        scribe.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _run(scribe: Scribe) -> None:
    """A trial for each member, as many at a time as fit and may; returns when all have ended."""
    root, submission = scribe.root, scribe.submission
    scribe.raylet, scribe.searches = raylet_here(), searching(root, submission.jobs)
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    share = share_of(submission.resources, submission.placement, gpus_there=there.get("GPU", 0) > 0)
    tune.Tuner(
        tune.with_resources(run_member, _request(share)),
        param_space={
            "index": tune.grid_search(list(range(len(submission.jobs)))),
            "root": str(root.path),
            "token": submission.token,
            "share": asdict(share),
        },
        tune_config=tune.TuneConfig(
            scheduler=Search(scribe) if scribe.searches else None,
            max_concurrent_trials=submission.max_parallel or 0,
            trial_name_creator=_name_of(submission),
            trial_dirname_creator=_folder_of,
            reuse_actors=True,  # a process for each place, not for each member
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(root.submission(submission.token).logs),
            stop=Over(scribe),
            callbacks=[Tidings(scribe)],
            failure_config=tune.FailureConfig(max_failures=0),
            verbose=0,
        ),
    ).fit()


def _request(share: Share) -> tune.PlacementGroupFactory:
    return tune.PlacementGroupFactory(share.bundles(), strategy=share.strategy)


def _name_of(submission: Submission) -> Callable[[tune.experiment.Trial], str]:
    """The job's own name, as Ray's pages show it."""

    def name(trial: tune.experiment.Trial) -> str:
        index: int = trial.config["index"]
        return submission.names[index]

    return name


def _folder_of(trial: tune.experiment.Trial) -> str:
    return str(trial.config["index"])


def _leave(words: str, code: int) -> NoReturn:
    """End at once, with ``words`` the last ones: Ray has more to say when it is shut down."""
    print(words, file=sys.stderr, flush=True)
    os._exit(code)


if __name__ == "__main__":
    try:
        code = main(*sys.argv[1:])
    except BaseException:  # noqa: BLE001 - threads of Ray must not keep a dead driver
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
