"""What runs: Python, packages, GPUs of this machine, and the code that a launch would copy."""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from platform import python_version

from orchestrator.config import ClusterProfile
from orchestrator.controller.doctor.finding import Finding, Patient, bad, ok, warn
from orchestrator.controller.machine import PROC, existing, file_system, gpus_here
from orchestrator.controller.secrecy import secrets_in_profile
from orchestrator.controller.snapshot import check_code
from orchestrator.errors import SpecError
from orchestrator.jobs.code import SOURCES, hash_files
from orchestrator.jobs.layout import Root

NAME = "orchestrate-vit"
EXTRAS: Mapping[str, str] = {
    "": "of every verb",
    "data": "of preparing data",
    "train": "of training",
    "slurm": "of clusters",
    "mlflow": "of MLflow's pages",
}
"""What packages are needed for, by the extra that brings them; without one by every machine."""
REQUIREMENT = re.compile(
    r"^(?P<name>[\w.-]+)(\[[^\]]*\])?\s*(>=\s*(?P<least>[\d.]+))?[^;]*"
    r"(;\s*extra\s*==\s*['\"](?P<extra>\w+)['\"])?$"
)
OWN_DISKS = ("tmpfs", "ramfs", "overlay")


def check_python(patient: Patient) -> Iterator[Finding]:
    """This one, and where the nodes take theirs from."""
    told = (
        f"Python {python_version()} ({sys.executable}), {NAME} {_version(NAME) or 'not installed'}"
    )
    yield ok(told)
    if patient.cluster is None:
        return
    python = Path(patient.cluster.python or sys.executable)
    inside = bool(patient.cluster.launch_prefix or patient.cluster.setup)
    kind = file_system(existing(python))
    if not python.exists() and not inside:
        yield bad(f"the nodes' Python {python} is not there", "correct python in the profile")
    elif kind.startswith(OWN_DISKS) and not inside:
        yield warn(
            f"the nodes' Python {python} is on {kind}, which is this machine's own",
            "install it where the nodes see it; orchestrate doctor --submit asks one",
        )
    else:
        yield ok(f"the nodes' Python is {python}")


def check_packages(patient: Patient) -> Iterator[Finding]:
    """Whether what each task needs is installed, and new enough."""
    try:
        wanted = [found for line in requires(NAME) or () if (found := REQUIREMENT.match(line))]
    except PackageNotFoundError:
        advice = f"pip install {NAME}, or pip install -e . in its checkout"
        yield warn(f"{NAME} is not installed: what it needs is not known", advice)
        return
    for extra, what in EXTRAS.items():
        rows = [one for one in wanted if (one["extra"] or "") == extra and one["name"] != NAME]
        there = {one["name"]: (_version(one["name"]), one["least"] or "0") for one in rows}
        lacking = [name for name, (has, _) in there.items() if has is None]
        old = [f"{n} {v} (< {least})" for n, (v, least) in there.items() if _is_older(v, least)]
        install = f"pip install '{NAME}{f'[{extra}]' if extra else ''}'"
        if old:
            yield bad(f"{what}: too old: {', '.join(old)}", f"{install} --upgrade")
        if lacking:
            level = bad if _is_needed(extra, patient.cluster) else warn
            yield level(f"{what}: not there: {', '.join(lacking)}", install)
        elif not old and there:
            yield ok(f"{what}: {', '.join(f'{name} {has}' for name, (has, _) in there.items())}")


def check_gpus(_: Patient) -> Iterator[Finding]:
    """Those of this machine, and its driver."""
    gpus, driver = gpus_here(), PROC / "driver/nvidia/version"
    if not gpus:
        yield ok("none on this machine")
        return
    kinds = ", ".join(f"{gpus.count(kind)} x {kind}" for kind in dict.fromkeys(gpus))
    told = driver.read_text().splitlines()[0].strip() if driver.exists() else "driver unknown"
    yield ok(f"{kinds}; {told}")


def check_secrets(patient: Patient) -> Iterator[Finding]:
    """Whether a launch would copy a secret with the code, or store one with the profile."""
    told = [str(one) for one in secrets_in_profile(patient.cluster)] if patient.cluster else []
    if told:
        advice = "let jobs take it from their environment, or from a file of yours"
        yield bad(f"what looks like a secret: {', '.join(told)}", advice)
    try:
        code = check_code(Root(patient.root_path))
    except SpecError as error:
        yield bad(" ".join(str(error).split()), "take it out of the code")
        return
    origin = f", {code.origin}" if code.origin is not None else ", copied already"
    yield ok(f"code {code.name}{origin}: nothing in it looks like a secret")


def check_snapshots(patient: Patient) -> Iterator[Finding]:
    """Whether the copies that jobs run are as they were made."""
    if patient.root is None or not patient.root.snapshots.is_dir():
        return
    folders = [one for one in patient.root.snapshots.iterdir() if not one.name.startswith(".")]
    edited = [one.name for one in folders if _hash(one) != one.name]
    if edited:
        yield bad(
            f"{len(edited)} of {len(folders)} copies of the code were edited: {', '.join(edited)}",
            "put them back from a backup; of jobs that wait for one: cancel, then launch",
        )
    else:
        yield ok(f"{len(folders)} copies of the code, whole")


def _hash(folder: Path) -> str:
    files = (path for path in folder.rglob("*") if path.suffix in SOURCES and path.is_file())
    return hash_files((path.relative_to(folder).as_posix(), path) for path in files)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _is_older(there: str | None, least: str) -> bool:
    return there is not None and _numbers(there) < _numbers(least)


def _numbers(text: str) -> tuple[int, ...]:
    """The release of a version: 2.11 of ``2.11.0+cu121``."""
    found = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in found.group().split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _is_needed(extra: str, cluster: ClusterProfile | None) -> bool:
    return not extra or (extra == "slurm" and cluster is not None)
