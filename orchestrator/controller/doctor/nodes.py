"""A node, asked by a small job: which Python it has, what it sees of the root, whose clock."""

import json
import shlex
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.config import ClusterProfile, Resources
from orchestrator.config.allotment import partition_of
from orchestrator.controller.doctor.finding import Finding, Patient, bad, ok, warn
from orchestrator.controller.machine import existing
from orchestrator.executors import slurm_queries as slurm
from orchestrator.executors.last_words import last_line
from orchestrator.executors.slurm_queries import NoAnswer
from orchestrator.jobs.files import TEMPORARY, discard

MINUTES = 5
TICK_S = 1.0
SKEW_S = 2.0
OVER = ("", "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
PROBE = """
import json, os, platform, sys, time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
answer = Path(sys.argv[1])
def of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
answer.with_name("touched").touch()
skew = time.time() - answer.with_name("touched").stat().st_mtime
try:
    import torch
    gpus = torch.cuda.device_count()
except Exception as error:
    gpus = f"{type(error).__name__}: {error}"
told = {"host": platform.node(), "python": platform.python_version(), "skew_s": skew, "gpus": gpus,
        "packages": {name: of(name) for name in ("torch", "timm", "webdataset", "pydantic")},
        "data": Path(sys.argv[2]).is_dir()}
draft = answer.with_name("draft")
draft.write_text(json.dumps(told))
draft.rename(answer)
"""
"""Needs nothing that is not in Python itself, and tells what is missing."""


def check_node(patient: Patient, wait_s: float) -> Iterator[Finding]:
    """Submit a job of a few seconds to the partition that jobs run in, and wait for its answer."""
    profile = patient.cluster
    if profile is None:
        yield warn("there is no profile of a cluster: no job was submitted", "name one: --cluster")
        return
    corner = existing(patient.root_path) / f"{TEMPORARY}doctor-{uuid.uuid4().hex[:12]}"
    corner.mkdir()
    try:
        yield from _ask_node(profile, patient, corner, wait_s)
    finally:
        discard(corner)


def render(profile: ClusterProfile, patient: Patient, corner: Path) -> str:
    """The text that is submitted."""
    name, partition = partition_of(profile, Resources())
    known = {
        "job-name": "o-doctor",
        "partition": name,
        "account": profile.account,
        "qos": profile.qos,
        "constraint": profile.constraint,
        "chdir": str(corner),
        "output": str(corner / "log").replace("%", "%%"),
    }
    fixed = ["nodes=1", "ntasks=1", "cpus-per-task=1", f"time={MINUTES}", "no-requeue"]
    if partition.gpus_per_node:
        typed = f"{partition.gpu_type}:1" if partition.gpu_type else "1"
        gres = profile.gpu_request == "gres"
        fixed.append(f"gres=gpu:{typed}" if gres else f"gpus-per-node={typed}")
    told = [f"{option}={shlex.quote(value)}" for option, value in known.items() if value]
    told += [f"{option}={shlex.quote(v)}" if v else option for option, v in profile.extra.items()]
    command = [*profile.launch_prefix, profile.python or sys.executable, "-P", "probe.py"]
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH --{option}" for option in (*told, *fixed)),
            *profile.setup,
            shlex.join([*command, str(corner / "answer.json"), str(patient.data_root)]),
            "",
        ]
    )


def _ask_node(
    profile: ClusterProfile, patient: Patient, corner: Path, wait_s: float
) -> Iterator[Finding]:
    (corner / "probe.py").write_text(PROBE)
    try:
        said = slurm.ask("sbatch", "--parsable", text=render(profile, patient, corner))
    except NoAnswer as error:
        yield bad(f"SLURM did not take a job of one core ({error})", "correct the profile")
        return
    job, began = said.strip().partition(";")[0], time.monotonic()
    state = "PENDING"
    while time.monotonic() - began < wait_s:
        if (corner / "answer.json").exists():
            yield from _judged(json.loads((corner / "answer.json").read_bytes()), patient)
            return
        if state in OVER:
            break
        time.sleep(TICK_S)
        state = _state(job)
    with suppress(NoAnswer):
        slurm.ask("scancel", "--quiet", job)
    words = last_line(corner / "log")
    if state == "PENDING":
        yield warn(
            f"job {job} did not start within {wait_s:.0f} s, and was withdrawn",
            "try again when the cluster is less busy, or with a longer --wait",
        )
    else:
        yield bad(
            f"job {job} gave no answer ({state or 'it is gone'}){f': {words}' if words else ''}",
            "the nodes must see the run root, and their Python (python, setup of the profile)",
        )


def _state(job: str) -> str:
    """SLURM's word for it; nothing once it has forgotten it."""
    try:
        return slurm.ask(
            "squeue", "--noheader", "--states=all", "--format=%T", f"--job={job}"
        ).strip()
    except NoAnswer:
        return ""


def _judged(answer: dict[str, Any], patient: Patient) -> Iterator[Finding]:
    host, packages = answer["host"], answer["packages"]
    lacking = [name for name, there in packages.items() if there is None]
    told = ", ".join(f"{name} {there}" for name, there in packages.items() if there)
    assert patient.cluster is not None
    asked = partition_of(patient.cluster, Resources())[1].gpus_per_node > 0
    if lacking:
        yield bad(
            f"{host}: Python {answer['python']} lacks {', '.join(lacking)}",
            "install orchestrate-vit[train] there, or name another python in the profile",
        )
    else:
        yield ok(f"{host} sees the run root: Python {answer['python']}, {told}")
    if asked and not lacking and answer["gpus"] != 1:
        yield warn(
            f"{host}: of 1 GPU that was asked for torch sees {answer['gpus']}",
            "is its torch built for the node's driver? (nvidia-smi, on a node)",
        )
    if not answer["data"]:
        advice = "put it where the nodes see it: --data-root, or data_root of the profile"
        yield bad(f"{host} does not see the data root {patient.data_root}", advice)
    if abs(answer["skew_s"]) > SKEW_S:
        yield warn(
            f"{host}: its clock and the file server's are {abs(answer['skew_s']):.1f} s apart",
            "states are right all the same; times in journals are off: set the clock (NTP)",
        )
