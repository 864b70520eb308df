"""Records a root of the formats of its time: jobs of every end, evaluations, a search.

    PYTHONPATH=. python tests/support/record_root.py NAME

Whoever raises a schema records one with the code that writes the new formats, under
``tests/jobs/roots``; those that are there stay as they are. Only the command line is used, so that
older code can be recorded, too.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOTS = Path(__file__).parents[1] / "jobs" / "roots"
SWEEP = """
name: s
study: years
question: Is what was written then still read?
set:
  data: {name: digits}
  model: {img_size: 8, patch_size: 4, in_chans: 1, num_classes: 10, dim: 8, depth: 1, heads: 2}
  optim: {warmup_epochs: 50}
  train: {epochs: 2000, batch_size: 512, chunk: 256}
  evaluation: {every_epochs: 500}
  probe: {every_epochs: 2000, images: 10}
grid:
  - cases:
      done: {train.epochs: 2, probe.every_epochs: 2}
      preempted: {optim.lr: 2e-3}
      killed: {optim.lr: 3e-3}
      cancelled: {optim.lr: 4e-3}
placement: {device: cpu, checkpoint_minutes: 0.01}
max_parallel: 4
"""
EVALUATIONS = """
name: e
study: years
task: evaluate
of: {sweeps: [s]}
set: {data.name: digits}
placement: {device: cpu}
"""
"""Of the jobs of sweep s, of which one is done."""
SEARCH = (
    SWEEP.partition("grid:")[0].replace("name: s", "name: f", 1)
    + """
grid:
  - cases:
      whole: {optim: {lr: 1e-2, warmup_epochs: 0}, train.epochs: 30, evaluation.every_epochs: 1}
      early: {optim: {lr: 1e-6, warmup_epochs: 0}, train.epochs: 30, evaluation.every_epochs: 1}
search: {asha: {metric: val/loss, grace: 1, reduction: 2}}
placement: {device: cpu, checkpoint_minutes: 0.001}
max_parallel: 1
"""
)
"""Of whose jobs the second is stopped at a rung."""
KEPT_STEPS = range(0, 221, 20)
"""Of each journal that goes beyond them: the points of these steps, first ones of training."""
LEFT_OUT = ("snapshots", "cache", "lease", "mirror", "mlflow", "environment.json")


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "sweep.yaml").write_text(SWEEP)
        orchestrate(here, "data", "prepare", "digits")
        orchestrate(here, "launch", "sweep.yaml")
        jobs = {job["name"]: here / "runs/jobs" / job["id"][:2] / job["id"] for job in rows(here)}
        running = [job for job in jobs if job != "done"]
        until(lambda: all(has_saved(jobs[job]) for job in running))
        end(jobs["preempted"], signal.SIGTERM)
        end(jobs["killed"], signal.SIGKILL)
        orchestrate(here, "cancel", "s/cancelled", "--yes")
        states = ("DONE", "PREEMPTED", "FAILED", "CANCELLED")
        until(lambda: sorted(row["state"] for row in rows(here)) == sorted(states))
        (here / "evaluations.yaml").write_text(EVALUATIONS)
        orchestrate(here, "launch", "evaluations.yaml")
        until(lambda: any(row["state"] == "DONE" for row in rows(here, "e")))
        (here / "search.yaml").write_text(SEARCH)
        orchestrate(here, "launch", "search.yaml", "--wait")
        keep(here, ROOTS / name, going_on=jobs["preempted"].name)
        sys.stdout.write(f"{ROOTS / name}\n")


def orchestrate(here: Path, *words: str) -> str:
    command = [sys.executable, "-m", "orchestrator.cli", *words]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(here: Path, sweep: str = "s") -> list[dict[str, str]]:
    told = orchestrate(here, "status", sweep, "--json")
    found: list[dict[str, str]] = json.loads(told)["jobs"]
    return found


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not look():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def has_saved(job: Path) -> bool:
    journals = list(job.glob("attempts/001/journal.jsonl"))
    lines = journals[0].read_text().splitlines()[1:-1] if journals else []
    measured = any(json.loads(line)["step"] > KEPT_STEPS[-1] for line in lines)
    return measured and any(job.glob("checkpoints/0*"))


def end(job: Path, number: int) -> None:
    process = json.loads((job / "attempts/001/started.json").read_bytes())["process"]
    os.kill(int(process.split(":")[-2]), number)


def keep(here: Path, target: Path, *, going_on: str) -> None:
    """What a test needs of it: of checkpoints the newest of one job. Nothing tells where it was."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(here / "runs", target, ignore=shutil.ignore_patterns(*LEFT_OUT, ".tmp-*"))
    for folder in sorted(target.glob("jobs/*/*/checkpoints/*")):
        if folder.parents[1].name != going_on or folder != max(folder.parent.iterdir()):
            shutil.rmtree(folder)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    words = {str(here.resolve()): "/home/ann/study", sys.executable: "/venv/bin/python"}
    words |= {os.uname().nodename: "node1", boot: "b00t"}
    for path in target.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".log", ".sh"):
            text = path.read_text()
            for word, other in words.items():
                text = text.replace(word, other)
            text = re.sub(r'"(owner|who)": "[^"]*"', r'"\1": "ann"', text)
            if path.suffix == ".jsonl" and path.name == "journal.jsonl":
                text = shortened(text)
            path.write_text(text)


def shortened(journal: str) -> str:
    """Of each step that is kept the first point."""
    header, *points = journal.splitlines(keepends=True)
    first: dict[int, str] = {}
    for line in points:
        first.setdefault(json.loads(line)["step"], line)
    if max(first) <= KEPT_STEPS[-1]:
        return journal
    return header + "".join(first[step] for step in KEPT_STEPS)


if __name__ == "__main__":
    main(sys.argv[1])
