"""The file system of the run root: whether it keeps what publishing and claiming rest on."""

import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from orchestrator.controller.doctor.finding import Finding, Patient, bad, ok, warn
from orchestrator.controller.machine import NETWORK, existing, file_system
from orchestrator.errors import RootError
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.files import TEMPORARY, publish, publish_once
from orchestrator.jobs.lease import holder
from orchestrator.jobs.store import open_root

PUBLISHED = 5
"""Files that are written to measure how long one takes."""
SLOW_S, STUCK_S = 0.25, 5.0
SKEW_S = 2.0
LITTLE_GB, NOTHING_GB = 20.0, 1.0
FEW_FILES, NO_FILES = 50_000, 1_000
MOST_FOLDERS = 5_000
OWN_DISKS = ("tmpfs", "ramfs", "overlay", "ext", "xfs", "btrfs", "zfs", "f2fs")
"""Beginnings of the names of file systems that are one machine's, unless it exports them."""
ANOTHER = "choose another --root, on another file system"


def check_root(patient: Patient) -> Iterator[Finding]:
    """Whether it is there, of a known version, and can be written."""
    path, folder = patient.root_path, existing(patient.root_path)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield bad(f"{folder} cannot be written", "choose another --root, or ask for the rights")
        return
    if patient.root is None:
        yield ok(f"there is none at {path} yet; the first launch makes it")
        return
    try:
        root = open_root(path)
    except RootError as error:
        yield bad(str(error), "see above")
        return
    who = holder(root.lease)
    held = f"; {who} holds its lease now" if who else ""
    yield ok(f"{path}: {len(root.job_folders())} jobs, {len(root.tokens())} submissions{held}")


def check_sharing(patient: Patient) -> Iterator[Finding]:
    """Whether nodes of a cluster can see it."""
    folder = existing(patient.root_path)
    kind = file_system(folder)
    told = f"{folder} is on {kind or 'an unknown file system'}"
    if patient.cluster is None or kind.startswith(NETWORK):
        yield ok(told)
    elif kind.startswith(OWN_DISKS):
        advice = "make sure that the nodes see it (orchestrate doctor --submit), or " + ANOTHER
        yield warn(f"{told}, which is this machine's own unless it is exported", advice)
    else:
        yield warn(told, "make sure that the nodes see it: orchestrate doctor --submit")


def check_exclusion(patient: Patient) -> Iterator[Finding]:
    """Whether only one of two can rename a folder, or link a file, to a name."""
    with _corner(patient) as corner:
        for name in ("mine", "theirs"):
            (corner / name).mkdir()
            (corner / name / "file").write_text(name)
        if _replaces(corner / "mine", corner / "theirs"):
            words = "a folder was renamed onto one that is not empty: two workers could claim a job"
            yield bad(words, ANOTHER)
            return
        once = [publish_once(corner / "once", who) for who in (b"one", b"two")]
        links = _links(corner)
    if once != [True, False]:
        yield bad("two links to one name were both made: records could be lost", ANOTHER)
    elif links != 2:
        words = f"a file with two names counts {links}: a repeated link could not be told"
        yield warn(words, ANOTHER)
    else:
        yield ok("renames and links exclude each other, links are counted")


def check_speed(patient: Patient) -> Iterator[Finding]:
    """How long it takes to publish a file: to write it, make it durable, rename it."""
    took = []
    with _corner(patient) as corner:
        for number in range(PUBLISHED):
            began = time.monotonic()
            publish(corner / str(number), b"x" * 1000)
            took.append(time.monotonic() - began)
    middle = median(took)
    told = f"a small file is durable after {middle * 1e3:.1f} ms (longest {max(took) * 1e3:.1f} ms)"
    if middle > STUCK_S:
        yield bad(told, ANOTHER)
    elif middle > SLOW_S:
        yield warn(told, "launches of many shapes take minutes here; a faster disk would help")
    else:
        yield ok(told)


def check_clock(patient: Patient) -> Iterator[Finding]:
    """This machine's clock against the file server's, and whether touching moves a file's time."""
    with _corner(patient) as corner:
        skew = time.time() - file_time(corner)
        old = corner / "old"
        old.touch()
        os.utime(old, (0, 0))
        os.utime(old)
        moved = old.stat().st_mtime
    if moved < 1:
        yield bad("touching a file does not change its time: no job would show life", ANOTHER)
    elif abs(skew) > SKEW_S:
        ahead = "ahead of" if skew > 0 else "behind"
        yield warn(
            f"this machine's clock is {abs(skew):.1f} s {ahead} the file server's",
            "states are right all the same; times in journals are off: set the clock (NTP)",
        )
    else:
        yield ok(f"this machine's clock and the file server's are {abs(skew):.2f} s apart")


def check_space(patient: Patient) -> Iterator[Finding]:
    """Free bytes, and free names for files where their number is limited."""
    folder = existing(patient.root_path)
    free_gb, about = shutil.disk_usage(folder).free / 1e9, os.statvfs(folder)
    told, few = f"{free_gb:,.1f} GB free", False
    if about.f_files:
        told += f", and room for {about.f_favail:,} files"
        few = about.f_favail < FEW_FILES
        if about.f_favail < NO_FILES:
            yield bad(told, "free some: orchestrate gc")
            return
    advice = "what a sweep needs tells: orchestrate plan; what can go: orchestrate gc"
    if free_gb < NOTHING_GB:
        yield bad(told, advice)
    elif few or free_gb < LITTLE_GB:
        yield warn(told, advice)
    else:
        yield ok(told)


def check_rights(patient: Patient) -> Iterator[Finding]:
    """Of a root that a group shares: whether all of it is the group's, and stays so."""
    if patient.root is None:
        return
    path = patient.root_path
    about = path.stat()
    if not about.st_mode & stat.S_IWGRP:
        others = sum(one.stat().st_uid != about.st_uid for one in path.iterdir())
        if others:
            yield warn(
                f"it is not its group's to write, but {others} things in it are of other users",
                _mending(path),
            )
        else:
            yield ok(f"its owner's alone (mode {stat.S_IMODE(about.st_mode):o})")
        return
    strange = [folder for folder in _folders(path) if not _is_shared(folder, about.st_gid)]
    with _corner(patient) as corner:
        inherits = _is_shared(corner, about.st_gid)
    if strange:
        named = f"{len(strange)} folders, such as {strange[0]}"
        yield bad(f"{named}, are not writable by the group, or lack the setgid bit", _mending(path))
    elif not inherits:
        words = "a new folder in it is not writable by the group"
        yield bad(words, "set umask 002 in your shell's profile, and in setup of the cluster's")
    else:
        yield ok(f"shared by group {about.st_gid}: setgid, writable by it")


@contextmanager
def _corner(patient: Patient) -> Iterator[Path]:
    """A folder on the root's file system, for a moment."""
    made = existing(patient.root_path) / f"{TEMPORARY}doctor-{uuid.uuid4().hex[:12]}"
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _replaces(source: Path, target: Path) -> bool:
    """Whether a folder can be renamed onto one that is not empty."""
    with suppress(OSError):
        source.rename(target)
        return True
    return False


def _links(corner: Path) -> int:
    one = corner / "one name"
    one.touch()
    os.link(one, corner / "another name")
    return one.stat().st_nlink


def _folders(path: Path) -> Iterator[Path]:
    """Those of a root in which people write, as far as there are not too many."""
    for count, (parent, names, _) in enumerate(os.walk(path)):
        names[:] = [name for name in names if name not in ("snapshots", "mlflow")]
        yield Path(parent)
        if count > MOST_FOLDERS:
            return


def _is_shared(folder: Path, group: int) -> bool:
    with suppress(FileNotFoundError):
        about = folder.stat()
        wanted = stat.S_IWGRP | stat.S_ISGID
        return about.st_mode & wanted == wanted and about.st_gid == group
    return True  # it went meanwhile


def _mending(path: Path) -> str:
    return f"chmod -R g+rwX {path}; find {path} -type d -exec chmod g+s {{}} +"
