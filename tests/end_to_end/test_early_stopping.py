"""A search on real training: whoever watches, however often killed, it comes out the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.lasting import lasting
from support.pool_bench import Bench, until

from orchestrator.controller.select import select
from orchestrator.controller.survey import survey
from orchestrator.jobs.facts import read_history
from orchestrator.jobs.orders import read_orders
from orchestrator.jobs.processes import Process

pytestmark = pytest.mark.slow

EPOCHS = 32
SWEEP: dict[str, Any] = {
    "name": "s",
    "set": {
        "data": {"name": "digits"},
        "model": {
            "img_size": 8,
            "patch_size": 4,
            "in_chans": 1,
            "num_classes": 10,
            "dim": 16,
            "depth": 1,
            "heads": 2,
            "drop_path": 0.1,
        },
        "optim": {"warmup_epochs": 0},
        "train": {"epochs": EPOCHS, "batch_size": 256, "chunk": 128},
        "evaluation": {"every_epochs": 3},
        "probe": {"every_epochs": 32, "images": 10},
    },
    "grid": [{"optim.lr": [3e-3, 1e-6, 1e-2, 1e-5]}],
    "placement": {"device": "cpu", "checkpoint_minutes": 0, "log_every_steps": 5},
    "max_parallel": 1,
}
FAULTS = Path(__file__).parents[1] / "support" / "faults"
SLOWLY = {"PYTHONPATH": str(FAULTS), "LINGER_S": "0.03"}
"""A first start takes six seconds on any machine, so that it is not over before it is judged."""
SEARCH = {"asha": {"metric": "val/top1", "grace": 3, "reduction": 4}}
"""Rungs 3 and 12: much of a job is left when it is judged last."""
WATCH = """
import sys
from pathlib import Path
from orchestrator.controller.rounds import rounds
from orchestrator.jobs.layout import Root

for _ in rounds(Root(Path(sys.argv[1])), ["s"], 0.1):
    print("looked", flush=True)
"""
"""A watch that looks often, so that jobs are not over before it does."""


def at(folder: Path, digits: Path, **changes: Any) -> Bench:
    folder.mkdir(exist_ok=True)
    (folder / "s.yaml").write_text(yaml.safe_dump({**SWEEP, **changes}))
    return Bench(folder, digits)


def said(bench: Bench, *words: str, **environment: str) -> str:
    done = bench.orchestrate(*words, patience=300, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outcome(bench: Bench) -> dict[str, Any]:
    """By job its state, and of one that was stopped where and by what."""
    names = {job.id: job.name for job in select(bench.root, "s")}
    found = survey(bench.root, list(names)).statuses
    orders = {o.jobs[0]: o.at for o in read_orders(bench.root) if o.what == "stop"}
    return {name: (found[job].state.value, orders.get(job)) for job, name in names.items()}


def watching(bench: Bench) -> subprocess.Popen[str]:
    """A watch that has looked once."""
    words = [sys.executable, "-c", WATCH, str(bench.root.path)]
    environment = {**os.environ, **bench.environment}
    watch = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    watch.stdout.readline()
    return watch


def frozen(bench: Bench) -> list[int]:
    """The processes of attempts that run, stopped in their tracks."""
    found = []
    for started in bench.root.path.glob("jobs/*/*/attempts/*/started.json"):
        process = Process.named(json.loads(started.read_bytes())["process"])
        if not started.with_name("exit.json").exists() and process.alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGSTOP)
                found.append(process.pid)
    return found


def measured(bench: Bench, name: str) -> dict[tuple[int, str], float]:
    (job,) = (job for job in select(bench.root, "s") if job.name == name)
    return {
        (point.step, key): value
        for point in read_history(bench.root.job(job.id)).points
        for key, value in lasting(point.metrics).items()
    }


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Bench]:
    bench = at(tmp_path_factory.mktemp("unbroken"), digits, search=SEARCH)
    said(bench, "launch", "s.yaml", **SLOWLY)
    assert watching(bench).wait(300) == 0
    assert "jobs were stopped by a search" in said(bench, "watch", "s")
    yield bench
    bench.tear_down()


def test_a_watch_that_is_killed_between_decisions_changes_none_of_them(
    unbroken: Bench, tmp_path: Path, digits: Path
) -> None:
    bench = at(tmp_path / "broken", digits, search=SEARCH)
    said(bench, "launch", "s.yaml", **SLOWLY)
    kills, still = 0, list[int]()
    while True:
        decided = len(list(bench.root.orders.glob("[0-9]*.json")))
        watch = watching(bench)
        for worker in still:
            os.kill(worker, signal.SIGCONT)
        ends = time.monotonic() + 1 + kills
        while watch.poll() is None and time.monotonic() < ends:
            if len(list(bench.root.orders.glob("[0-9]*.json"))) > decided:
                break  # at once: what it decided is written down, and nobody was told
            time.sleep(0.002)
        still = frozen(bench)  # nothing is trained while nobody watches
        watch.kill()
        if watch.wait() == 0:
            break
        kills += 1
    bench.tear_down()

    assert kills > 2
    assert outcome(bench) == outcome(unbroken)
    assert {state for state, _ in outcome(bench).values()} == {"DONE", "STOPPED"}


def test_a_stopped_job_that_is_trained_whole_measures_what_it_would_have_without_a_search(
    unbroken: Bench, tmp_path: Path, digits: Path
) -> None:
    stopped = [name for name, (state, _) in outcome(unbroken).items() if state == "STOPPED"]
    lr = 1e-5 if "lr=1e-05" in stopped else 1e-6
    name = f"lr={lr:g}"
    plain = at(tmp_path / "plain", digits, grid=[{"optim.lr": [lr]}])
    said(plain, "launch", "s.yaml", "--wait")

    assert max(step for step, _ in measured(unbroken, name)) < max(
        step for step, _ in measured(plain, name)
    )
    said(unbroken, "retry", f"s/{name}", "--stopped")
    until(lambda: outcome(unbroken)[name][0] == "DONE", 240)

    whole = measured(plain, name)
    assert measured(unbroken, name) == whole
    assert max(step for step, _ in whole) == EPOCHS * 6
    plain.tear_down()
