"""What a job costs beside its own work on each place, and a trial of plain Ray Tune beside it.

    python benchmarks/executors.py [--slurm PROFILE] [--jobs 2 22] [--rounds 3] [--json FILE]

The function is the same everywhere: a process of Python that imports what names a process and
ends. On local, SLURM and Ray it is the worker of a submission of so many jobs, two at a time,
handed over by the executor and watched until all have ended and the pool or driver is gone; with
plain Ray Tune it is what each trial runs, two at a time, in a program of its own that starts Ray as
our driver does and ends it, once with a process for each trial, which is its default, and once with
those of ended trials used again, as our driver has it. Of the two numbers of jobs the difference
gives what one more takes; the rest is what a submission takes.

``--slurm`` is the cluster's profile, on its login node (``slurm/dev_cluster up`` says which);
without it SLURM is left out. Places take turns within a round; figures are medians with quartiles.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from orchestrator.config import ClusterProfile, Placement, RaySite
from orchestrator.executors import executor_named
from orchestrator.executors.pool_log import look_at_pool
from orchestrator.executors.ray_ask import QUIET
from orchestrator.jobs.code import hash_files, package_files
from orchestrator.jobs.evidence import Sight
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, write_intent, write_submitted
from orchestrator.sweep.profile import load_profile

FUNCTION = "from orchestrator.jobs.processes import this_process\nthis_process()\n"
PLAIN = """
import subprocess, sys
import ray
from ray import tune
jobs, folder, function, again = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "again"

def work(config):
    subprocess.run([sys.executable, "-P", function], check=True)
    tune.report({"done": 1})

ray.init(include_dashboard=False, num_cpus=2, _temp_dir=folder, log_to_driver=False,
         object_store_memory=100 * 2**20)
tune.Tuner(
    tune.with_resources(work, {"cpu": 1}),
    param_space={"index": tune.grid_search(list(range(jobs)))},
    tune_config=tune.TuneConfig(max_concurrent_trials=2, reuse_actors=again),
    run_config=tune.RunConfig(storage_path=folder, name="tune", verbose=0),
).fit()
"""
AT_ONCE = 2
KEY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": hashlib.sha256(os.urandom(32)).hexdigest()}


def main() -> None:
    asked = _arguments()
    profile = load_profile(asked.slurm) if asked.slurm else None
    few, many = asked.jobs
    seconds: dict[str, dict[int, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="ob-", dir=asked.folder) as folder:
        places = _places(Path(folder), profile)
        for turn in range(asked.rounds):
            for name, run in places.items():
                for jobs in (few, many):
                    took = run(jobs)
                    seconds.setdefault(name, {}).setdefault(jobs, []).append(took)
                    print(f"round {turn + 1}: {name}, {jobs} jobs: {took:.1f} s", flush=True)
    rows = {name: _row(told[few], told[many], many - few) for name, told in seconds.items()}
    print(f"\nload {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores\n")
    print(f"| place | s a job more | quartiles | s for a submission of {few} |")
    print("|---|---|---|---|")
    for name, row in rows.items():
        low, high = row["quartiles"]
        print(f"| {name} | {row['each']:.2f} | {low:.2f}-{high:.2f} | {row['few']:.1f} |")
    if asked.json:
        asked.json.write_text(json.dumps({"seconds": seconds, "rows": rows}, indent=1) + "\n")


def _places(folder: Path, profile: ClusterProfile | None) -> Mapping[str, Callable[[int], float]]:
    """How so many jobs are run on each place; seconds until all have ended."""
    root = create_root(folder / "runs")
    snapshot = _snapshot(root)

    def ours(executor: str, **where: Any) -> Callable[[int], float]:
        def run(jobs: int) -> float:
            return _run(root, _draft(jobs, executor, snapshot, **where))

        return run

    places = {"local": ours("local")}
    if profile is not None:
        places["slurm"] = ours("slurm", cluster=profile)
    places["ray"] = ours("ray", ray=RaySite())
    places["plain Ray Tune"] = lambda jobs: _plain(folder, jobs, "anew")
    places["plain Ray Tune, reuse_actors"] = lambda jobs: _plain(folder, jobs, "again")
    return places


def _snapshot(root: Root) -> str:
    """Our code as it would be run, with the function in place of the worker."""
    files = package_files()
    name = hash_files(files.items())
    for relative, source in files.items():
        copy = root.snapshots / name / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    (root.snapshots / name / "orchestrator/worker/__main__.py").write_text(FUNCTION)
    return name


def _draft(jobs: int, executor: str, snapshot: str, **where: Any) -> Submission:
    names = [f"job{number}" for number in range(jobs)]
    return Submission(
        executor=executor,
        jobs=[hashlib.blake2b(name.encode(), digest_size=16).hexdigest() for name in names],
        names=names,
        placement=Placement(device="cpu"),
        max_parallel=AT_ONCE,
        snapshot=snapshot,
        python=sys.executable,
        data_root="/nowhere",
        owner=user_name(),
        **where,
    )


def _run(root: Root, draft: Submission) -> float:
    """Seconds from the intent until all members have ended, and who ran them is gone."""
    place = executor_named(draft.executor, root)
    start = time.perf_counter()
    admitted = place.admit([draft], under_way=0, reserved=0, gpus=0).now
    for one in admitted:
        folder = write_intent(root, one, place.render(one))
        write_submitted(folder, place.submit(one))
    while not _over(place.observe(admitted).seen, admitted):
        time.sleep(0.1 if draft.cluster is None else 1.0)
    while any(look_at_pool(root.submission(one.token).pool)[1] for one in admitted):
        time.sleep(0.1)
    return time.perf_counter() - start


def _over(seen: Mapping[tuple[str, int], Any], submissions: Sequence[Submission]) -> bool:
    members = [(one.token, index) for one in submissions for index in range(len(one.jobs))]
    return all(m in seen and seen[m].sight is Sight.ENDED for m in members)


def _plain(folder: Path, jobs: int, processes: str) -> float:
    """Seconds of the program; ``processes`` for trials are made ``anew``, or used ``again``."""
    function = folder / "function.py"
    function.write_text(FUNCTION)
    with tempfile.TemporaryDirectory(prefix="ray-") as own:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", PLAIN, str(jobs), own, str(function), processes],
            env={**os.environ, **QUIET, **KEY},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - start


def _row(few: list[float], many: list[float], more: int) -> dict[str, Any]:
    each = [(b - a) / more for a, b in zip(few, many, strict=True)]
    low, _, high = quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
    return {"each": median(each), "quartiles": (low, high), "few": median(few)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slurm", type=Path, metavar="PROFILE")
    parser.add_argument("--jobs", type=int, nargs=2, default=(2, 22), metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where all nodes see the same files [$TMPDIR]")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
