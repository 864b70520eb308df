"""What it costs to show a study in MLflow: the mirror beside one call for every value.

    python benchmarks/mirror.py

Writes journals of finished jobs, then measures on SQLite: (1) the first sync; (2) as many values as
``--calls``, sent one by one with ``MlflowClient.log_metric``, as a training loop would, into the
same store; (3) a sync that finds nothing new, of many more jobs. Prints JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from orchestrator.config import RunConfig
from orchestrator.controller.sync import locate_store, sync_sweeps
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import this_process
from orchestrator.jobs.records import write_job
from orchestrator.jobs.store import create_root, write_revision
from orchestrator.jobs.submissions import Submission, write_intent, write_submitted

METRICS = ("train/loss", "train/lr", "train/grad_norm", "train/images_per_s")
"""A point of the journal holds these; its epoch is sent as a fifth value."""


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        many = study(Path(folder) / "many", jobs=asked.jobs, values=asked.values)
        run = empty_run(locate_store(many))
        first = timed(lambda: sync_sweeps(many, (), locate_store(many)))
        peer = timed(lambda: one_by_one(*run, asked.calls))
        wide = study(Path(folder) / "wide", jobs=asked.waiting, values=50)
        sync_sweeps(wide, (), locate_store(wide))
        nothing = timed(lambda: sync_sweeps(wide, (), locate_store(wide)))
    values = asked.jobs * asked.values
    ours, theirs = first / values, peer / asked.calls
    told = json.dumps(
        {
            "first_sync": {"jobs": asked.jobs, "values": values, "seconds": round(first, 1)},
            "log_metric": {"values": asked.calls, "seconds": round(peer, 1)},
            "log_metric_over_mirror_per_value": round(theirs / ours, 1),
            "nothing_new": {"jobs": asked.waiting, "seconds": round(nothing, 2)},
        },
        indent=1,
    )
    print(told)


def study(folder: Path, *, jobs: int, values: int) -> Root:
    """A root with a sweep of finished jobs, whose journals hold so many values each."""
    root = create_root(folder)
    configs = [RunConfig.from_plain({"data": {"name": "digits"}, "seed": i}) for i in range(jobs)]
    ids = [job_id(config) for config in configs]
    named = [{"id": job, "name": f"seed {i}", "axes": {"seed": i}} for i, job in enumerate(ids)]
    sweep = {"schema": 2, "name": "s", "study": "s", "question": "", "jobs": named}
    write_revision(root, "s", sweep)
    plain: dict[str, Any] = {"executor": "local", "jobs": ids, "names": ids, "placement": {}}
    plain |= {"max_parallel": None, "snapshot": "c", "python": "p", "data_root": "/d"}
    submission = Submission.from_plain({**plain, "owner": "me"})
    write_submitted(write_intent(root, submission, ""), str(this_process()))
    for index, (job, config) in enumerate(zip(ids, configs, strict=True)):
        write_job(root, job, config)
        finish(root, job, submission.token, index, points=values // (len(METRICS) + 1))
    return root


def finish(root: Root, job: str, token: str, index: int, *, points: int) -> None:
    """An attempt that measured so many points and finished."""
    attempt = root.job(job).attempt(1)
    attempt.path.mkdir(parents=True)
    started = {"token": token, "index": index, "restart": 0, "time": time.time()}
    started |= {"process": str(this_process()), "host": "h", "code_hash": "c", "schema": 1}
    publish(attempt.started, to_json(started))
    with JournalWriter(attempt.journal, Header(job, 1, None, points)) as journal:
        for step in range(points):
            journal.point(step, step // 100, dict.fromkeys(METRICS, 1 / (step + 1)))
    ended = {"end": Ending.FINISHED.value, "time": time.time(), "step": points}
    publish(attempt.exit, to_json(ended))


def empty_run(uri: str) -> tuple[MlflowClient, str]:
    """A run in a store whose tables are made: that takes seconds, once."""
    client = MlflowClient(tracking_uri=uri)
    return client, client.create_run(client.create_experiment("peer")).info.run_id


def one_by_one(client: MlflowClient, run: str, values: int) -> None:
    """So many values, one call for each."""
    for step in range(values):
        client.log_metric(run, METRICS[step % len(METRICS)], 1 / (step + 1), step=step)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--values", type=int, default=10_000, help="of each job")
    parser.add_argument("--calls", type=int, default=1000, help="of the peer, one value each")
    parser.add_argument("--waiting", type=int, default=1000, help="jobs of a sync without news")
    return parser.parse_args()


if __name__ == "__main__":
    main()
