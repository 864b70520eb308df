"""What the control plane costs in a root of many ended jobs: status, relaunch, launch.

    python benchmarks/control_plane.py

Writes the files of a sweep on a cluster, ``--jobs`` points of which all but ``--open`` are done,
and puts commands on PATH that answer at once in SLURM's place. Then it times the real processes:
``status --json`` cold (without ``cache/``) and warm, a launch of the same sweep when all of it is
done, and a launch of ``--new`` further jobs into the same root; counts the file-related system
calls of a warm ``status``, with strace where there is one, at two numbers of ended jobs. Prints
JSON.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from orchestrator.controller.launch import describe
from orchestrator.controller.submit import Due, Terms, draft
from orchestrator.executors import EXECUTORS
from orchestrator.executors.slurm_queries import QUEUE_FIELDS
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import create_root, write_job, write_revision
from orchestrator.jobs.submissions import (
    Submission,
    write_intent,
    write_outcomes,
    write_submitted,
)
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep
from orchestrator.sweep.profile import load_profile
from orchestrator.worker.data.digits import prepare_digits

ARRAY = 1000
METRICS = ("train/loss", "train/lr", "train/grad_norm", "train/images_per_s")
RARE_METRICS = ("val/loss", "val/top1", "val/top5", "norms/median", "norms/max", "gates/mean")
SWEEP = """\
name: {name}
study: s
question: ""
set:
  data: {{name: digits}}
  model: {{img_size: 8, patch_size: 2, in_chans: 1, num_classes: 10, dim: 64, depth: 4, heads: 4}}
  train: {{epochs: 100, batch_size: 64, chunk: 32}}
grid:
  - {{optim.lr: [1e-3, 2e-3], model.registers: [0, 1, 2, 4, 8]}}
seeds: [{seeds}]
executor: slurm
placement: {{ranks: 1, device: cpu}}
resources: {{partition: cpu}}
"""
ARMS = 10
PROFILE = "name: alpha\npartitions:\n  cpu: {time: 12h}\n"
PROGRAMS = {
    "scontrol": "echo 'ClusterName = alpha\nMaxArraySize = 1001\n"
    "AccountingStorageType = accounting_storage/slurmdbd'",
    "squeue": "cat {told}",
    "sacct": ":",
    "sbatch": "echo Submitted batch job 99",
}


@dataclass(frozen=True)
class Site:
    """A folder with data, a profile, sweep files, commands and a root."""

    folder: Path

    @property
    def root(self) -> Root:
        return Root(self.folder / "runs")

    @property
    def profile(self) -> Path:
        return self.folder / "cluster.yaml"

    @property
    def queue(self) -> Path:
        """What squeue says."""
        return self.folder / "queue.txt"

    def environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "ORCHESTRATE_ROOT": str(self.root.path),
            "ORCHESTRATE_DATA": str(self.folder / "data"),
            "ORCHESTRATE_CLUSTER": str(self.profile),
        }
        return {**os.environ, **own}

    def sweep(self, name: str, jobs: int, first: int = 0) -> Path:
        """The file of a sweep with so many points; ``first`` tells its seeds from another's."""
        path = self.folder / f"{name}.yaml"
        seeds = range(first, first + jobs // ARMS)
        path.write_text(SWEEP.format(name=name, seeds=", ".join(map(str, seeds))))
        return path

    def orchestrate(self, *words: str, before: Sequence[str] = ()) -> tuple[float, str]:
        """Seconds that the command took, and what it printed."""
        command = [*before, sys.executable, "-m", "orchestrator.cli", *words]
        began = time.perf_counter()
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return seconds, done.stdout


def main() -> None:
    asked = _arguments()
    told: dict[str, object] = {"jobs": asked.jobs, "open": asked.open, "points": asked.points}
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        site = make_site(Path(name) / "site")
        file = site.sweep("s", asked.jobs)
        sweep = fill(site, file, open_=asked.open, points=asked.points)
        told["status"] = status_of(site)
        if shutil.which("strace"):
            fewer = make_site(Path(name) / "fewer")
            less = asked.open + (asked.jobs - asked.open) // 10 // ARMS * ARMS
            fill(fewer, fewer.sweep("s", less), open_=asked.open, points=asked.points)
            told["warm_status_calls"] = {
                n: calls(s) for n, s in ((less, fewer), (asked.jobs, site))
            }
        finish_all(site, sweep, asked.open, asked.points)
        told["relaunch"] = relaunch(site, file)
        new = site.sweep("new", asked.new, first=1_000_000)
        seconds, said = site.orchestrate("launch", str(new))
        told["launch"] = {"seconds": round(seconds, 2), "said": said.splitlines()[0]}
    print(json.dumps(told, indent=1))


def status_of(site: Site) -> dict[str, object]:
    """Seconds of ``status`` in its forms, the first time and then."""
    cold, out = site.orchestrate("status", "s", "--json")
    return {
        "counts": json.loads(out)["counts"],
        "cold_json": round(cold, 2),
        "warm_json": best(site, "status", "s", "--json"),
        "warm_table": best(site, "status", "s"),
        "warm_json_of_all_sweeps": best(site, "status", "--json"),
        "help": best(site, "--help"),
    }


def relaunch(site: Site, file: Path) -> dict[str, object]:
    """Seconds of a launch that finds everything done, before a status saw that, and after."""
    site.orchestrate("launch", str(file))  # takes its snapshot of the code
    shutil.rmtree(site.root.path / "cache", ignore_errors=True)
    cold, said = site.orchestrate("launch", str(file))
    site.orchestrate("status", "s")
    warm = best(site, "launch", str(file))
    return {"cold": round(cold, 2), "warm": warm, "said": said.splitlines()[0]}


def best(site: Site, *words: str) -> float:
    """Seconds of the fastest of three runs: other programs only slow them."""
    return round(min(site.orchestrate(*words)[0] for _ in range(3)), 2)


def calls(site: Site) -> dict[str, int]:
    """System calls of a warm ``status`` that concern files of the root, by name."""
    log, words = site.folder / "calls.txt", ("status", "s", "--json")
    trace = ("strace", "-f", "-y", "-e", "trace=file,read,getdents64", "-o", str(log))
    site.orchestrate(*words)
    site.orchestrate(*words, before=trace)
    lines = log.read_text(errors="replace").splitlines()
    named = (re.match(r"\d+ +(\w+)\(", line) for line in lines if str(site.root.path) in line)
    counts = Counter(found[1] for found in named if found)
    return {"all": counts.total(), **dict(sorted(counts.items()))}


def make_site(folder: Path) -> Site:
    """Data, profile and commands; no root yet."""
    site = Site(folder)
    folder.mkdir()
    prepare_digits(folder / "data", "digits")
    site.profile.write_text(PROFILE)
    site.queue.touch()
    (folder / "bin").mkdir()
    for name, text in PROGRAMS.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{text.format(told=site.queue)}\n")
        program.chmod(0o755)
    return site


def fill(site: Site, file: Path, *, open_: int, points: int) -> Sweep:
    """The files of the launched sweep, all but the last ``open_`` jobs of which are done."""
    sweep = load_sweep(file, overrides=(), seeds=None, executor=None, executors=EXECUTORS)
    root = create_root(site.root.path)
    terms = Terms("slurm", None, site.folder / "data", load_profile(site.profile))
    done = len(sweep.points) - open_
    lines: list[str] = []
    with patch("os.fsync"):  # these files need not outlive the machine
        write_revision(root, sweep.name, describe(sweep, terms, "c0de"))
        for point in sweep.points:
            write_job(root, point.id, point.config)
        for number, first in enumerate(range(0, len(sweep.points), ARRAY)):
            some = sweep.points[first : first + ARRAY]
            one = draft([Due(p.id, p.name, p.placement, p.resources) for p in some], terms, "c0de")
            folder = write_intent(root, one, "")
            write_submitted(folder, f"{number}@alpha")
            ended = max(0, min(len(some), done - first))
            for index in range(ended):
                finish(root, one, index, points)
            write_outcomes(folder, [_outcome(index) for index in range(ended)])
            for index in range(ended, len(some)):
                lines.append(_queue_line(one, number, index))
                if index % 2:
                    start(root, one, index, points // 2)
    site.queue.write_text("".join(f"{line}\n" for line in lines))
    return sweep


def finish_all(site: Site, sweep: Sweep, open_: int, points: int) -> None:
    """What is open ends well."""
    left = {point.id for point in sweep.points[-open_:]}
    with patch("os.fsync"):
        for folder in site.root.submissions():
            one = Submission.read(folder)
            indices = [index for index, job in enumerate(one.jobs) if job in left]
            for index in indices:
                shutil.rmtree(site.root.job(one.jobs[index]).attempts, ignore_errors=True)
                finish(site.root, one, index, points)
            if indices:
                write_outcomes(folder, [_outcome(index) for index in indices])
    site.queue.write_text("")


def start(root: Root, one: Submission, index: int, points: int) -> None:
    """A member's attempt on another machine that measured so many points."""
    job = one.jobs[index]
    attempt = root.job(job).attempt(1)
    attempt.path.mkdir(parents=True)
    started: dict[str, object] = {"token": one.token, "index": index, "restart": 0, "schema": 1}
    started |= {"process": "node7/1:b:12:34", "host": "node7", "code_hash": "c0de"}
    started |= {"time": time.time(), "content_hash": "c" * 64, "layout_hash": "l" * 64}
    started |= {"packages": dict.fromkeys(("python", "torch", "timm", "numpy"), "1.2.3")}
    publish(attempt.started, to_json(started))
    with JournalWriter(attempt.journal, Header(job, 1, None, points)) as journal:
        for step in range(points):
            names = METRICS if step % 10 else METRICS + RARE_METRICS
            journal.point(step, step // 2, dict.fromkeys(names, 1 / (step + 3)))


def finish(root: Root, one: Submission, index: int, points: int) -> None:
    """A member's attempt that finished."""
    start(root, one, index, points)
    ended = {"end": Ending.FINISHED.value, "time": time.time(), "step": points - 1}
    publish(root.job(one.jobs[index]).attempt(1).exit, to_json(ended))


def _outcome(index: int) -> dict[str, object]:
    return {"index": index, "time": time.time(), "started": True, "exit_code": 0, "node": "node7"}


def _queue_line(one: Submission, array: int, index: int) -> str:
    told = {"ArrayJobID": array, "ArrayTaskID": index, "Name": f"o-{one.token}", "RestartCnt": 0}
    told |= {"State": "RUNNING" if index % 2 else "PENDING", "Reason": "None", "exit_code": 0}
    return "".join(f"{told.get(name, ''):<{width}}|" for name, width in QUEUE_FIELDS.items())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--open", type=int, default=100, help="of them, that run or wait")
    parser.add_argument("--new", type=int, default=1000, help="jobs of the further launch")
    parser.add_argument("--points", type=int, default=200, help="of each job's journal")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured [the system's]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
