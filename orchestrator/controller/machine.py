"""What this machine has: GPUs, and file systems under its folders."""

from pathlib import Path

PROC = Path("/proc")
NETWORK = ("nfs", "lustre", "gpfs", "beegfs", "cifs", "smb", "ceph", "afs", "9p", "fuse.sshfs")
"""Beginnings of the names of file systems that machines share; on them SQLite is not safe."""


def gpus_here() -> list[str]:
    """The models of this machine's NVIDIA GPUs, whatever a job may use of them."""
    found = []
    for path in sorted((PROC / "driver/nvidia/gpus").glob("*/information")):
        told = dict(line.partition(":")[::2] for line in path.read_text().splitlines())
        found.append(told.get("Model", "").strip())
    return found


def file_system(path: Path) -> str:
    """The kind of file system that holds ``path``."""
    mounts = [line.split()[1:3] for line in (PROC / "mounts").read_text().splitlines()]
    over = [(len(where), kind) for where, kind in mounts if path.resolve().is_relative_to(where)]
    return max(over)[1] if over else ""


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
